"""What lies on disk, one file a format.

In: a path and a `DataSpec`. Out: `RawData`, or a `DataError` that names file, line, rule and remedy.
Never: decides a split, or guesses what a broken row meant.
"""
