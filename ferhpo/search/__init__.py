"""Spends a budget on trials.

In: a study file, data, a budget. Out: a study database, checkpoints, and events for whoever watches.
Never: opens the test split, draws on a screen, or lets any process but the driver write the database.
"""
