"""What was tried and what came of it.

In: asks, epochs and ends from one search. Out: trials, states, the best, checkpoints' places.
Never: imports torch or Ray; leaves a trial in a state that is not true.
"""
