"""What to try next: Optuna's samplers by the study file's name."""

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from ferhpo._seeding import derive
from ferhpo.space.spec import SamplerSpec


def sampler(spec: SamplerSpec, seed: int, done: int) -> BaseSampler:
    """Return the sampler that a study file names.

    Args:
        spec: name and start-up trials.
        seed: the study's.
        done: trials that the study has; part of the seed, so that a search that goes on does not draw the same points
            again.
    """
    own = derive(seed, "sampler", done) % 2**32
    if spec.name == "random":
        return RandomSampler(seed=own)
    with warnings.catch_warnings():  # `group`, which conditional spaces need, is still called experimental
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=own, n_startup_trials=spec.startup, multivariate=True, group=True)
