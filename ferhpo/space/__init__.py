"""What can be tried.

In: a study file (TOML). Out: a `StudySpec`, a `Space` to sample from, a `TrialConfig` per trial.
Never: imports torch or Ray, or touches a database.
"""
