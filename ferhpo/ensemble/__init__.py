"""Makes one classifier of a study's best trials.

In: kept checkpoints and their cached validation probabilities. Out: a folder for `ferhpo predict`, and honest figures.
Never: trains a net, imports torch (but where `infer` and `soup` run nets), or looks at the test split before its
opening is recorded.
"""
