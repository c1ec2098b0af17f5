"""Labelled images, ready for every trial of a machine.

In: a csv, class folders, or nothing (rendered faces). Out: a `Prepared` set: memory-mapped images, labels, splits.
Never: a split that depends on a seed, test rows without `open_test`, torch (but in `augment`).
"""
