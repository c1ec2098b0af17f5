"""What trials run on: how many at a time, with which share of the CPUs and GPUs, in which Ray.

In: what a user says of workers, and a study's default configuration. Out: the split of the machine, and a running Ray.
Never: decides what is trained or for how long.
"""
