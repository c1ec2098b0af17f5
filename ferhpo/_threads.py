"""How many threads linear algebra takes in the process that decides, whose cores the trainings are at work on."""

from functools import partial

from threadpoolctl import threadpool_limits

# Two wait for each other by spinning: beside two trainings on 2 cores a fit of the sampler took 3 s, with one 0.1 s.
single_thread = partial(threadpool_limits, 1, user_api="blas")
