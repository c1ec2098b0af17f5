"""The model of learning curves behind `FidelitySampler`, and what it proposes.

In: configurations as Optuna keeps them, and their values at epochs. Out: the configuration to try next.
Never: knows trials, a study or a scheduler.
"""
