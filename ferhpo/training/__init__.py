"""In: a TrialConfig and prepared images.

Out: one `EpochResult` an epoch, checkpoints, probabilities.
Never: knows Ray, Optuna or the database; reads a pickle.
"""
