"""A search in virtual time: the real samplers and ASHA on learning curves, an epoch taking what the curve says."""

import heapq
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from curves import Instance, Params
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FixedTrial, Trial, TrialState

from ferhpo.search.sampler import FidelitySampler
from ferhpo.search.schedulers.asha import Halving, rungs

WORKERS = 4
BUDGETS = (4, 10, 20, 25)  # full trainings, all workers together


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A sampler, and whether ASHA stops its trials.

    Args:
        sampler: made from the epochs of a full training and a seed.
        asha: stop-type, grace 1, reduction 3.
    """

    sampler: Callable[[int, int], BaseSampler]
    asha: bool


METHODS = {
    "random": Method(sampler=lambda _epochs, seed: RandomSampler(seed=seed), asha=False),
    "random+asha": Method(sampler=lambda _epochs, seed: RandomSampler(seed=seed), asha=True),
    "tpe": Method(sampler=lambda _epochs, seed: TPESampler(seed=seed), asha=False),
    "tpe+asha": Method(sampler=lambda _epochs, seed: TPESampler(seed=seed), asha=True),
    "ours": Method(sampler=lambda epochs, seed: FidelitySampler(max_epochs=epochs, seed=seed), asha=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What regret is measured against: true values after the last epoch, and the cost of a full training."""

    best: float
    median: float
    cost: float


def scale(instance: Instance, draws: int = 4000, steps: int = 1500) -> Scale:
    """Return an instance's best and median true value after the last epoch, and a random configuration's mean cost.

    Args:
        instance: the problem.
        draws: random configurations; their median and mean cost are taken.
        steps: of a hill climb from the best of them, which finds the best value.
    """
    study = optuna.create_study(sampler=RandomSampler(seed=instance.key))
    rng = np.random.default_rng(instance.key)
    sign = 1 if instance.maximize else -1
    found: list[tuple[float, dict[str, Any], dict[str, BaseDistribution]]] = []
    costs = []
    for _ in range(draws):
        trial = study.ask()
        params = instance.suggest(trial)
        costs.append(instance.cost(params))
        found.append((sign * instance.curve(params)[-1], trial.params, trial.distributions))
    median = float(np.median([value for value, *_ in found]))
    top = sorted(found, key=lambda f: -f[0])[:3]
    best = top[0][0]
    for value, start, distributions in top:
        at, here = start, value
        for step in range(steps // len(top)):
            moved = {k: near(v, distributions[k], 0.2 * 0.98**step, rng) for k, v in at.items()}
            try:
                there = sign * instance.curve(instance.suggest(FixedTrial(moved)))[-1]
            except ValueError:  # another branch of the space
                continue
            if there > here:
                at, here = moved, there
        best = max(best, here)
    return Scale(best=best, median=median, cost=float(np.mean(costs)) * instance.epochs)


def near(value: Any, distribution: BaseDistribution, width: float, rng: np.random.Generator) -> Any:
    """Return a value near another one: most choices stay, a number moves by a share of its range."""
    if isinstance(distribution, CategoricalDistribution):
        return value if rng.random() < 0.8 else distribution.choices[rng.integers(len(distribution.choices))]
    low, high = distribution.low, distribution.high  # pyright: ignore[reportAttributeAccessIssue]
    log = distribution.log  # pyright: ignore[reportAttributeAccessIssue]
    forward, back = (np.log, np.exp) if log else (float, float)
    moved = float(back(forward(value) + rng.normal(0, width) * (forward(high) - forward(low))))
    return type(value)(np.clip(round(moved) if isinstance(value, int) else moved, low, high))


@dataclass(slots=True, kw_only=True)
class Running:
    """A trial on a worker."""

    trial: Trial
    reported: np.ndarray
    true_end: float
    cost: float
    epoch: int = 0


def regrets(instance: Instance, method: Method, seed: int, against: Scale) -> list[float]:
    """Run one search and return its normalised regret at each of BUDGETS.

    The trial of the best value reported last, finished or not, is looked up on the true curve after the last epoch: 0
    is the best value of the instance, 1 the median of random configurations.
    """
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    direction = "maximize" if instance.maximize else "minimize"
    study = optuna.create_study(direction=direction, sampler=method.sampler(instance.epochs, seed))
    at = rungs(1, 3, instance.epochs) if method.asha else ()
    rule = Halving(at=at, reduction=3, maximize=instance.maximize)
    sign = 1 if instance.maximize else -1
    last: dict[int, tuple[float, float]] = {}  # trial -> value reported last, true value at the end
    ends = [budget * against.cost / WORKERS for budget in BUDGETS]
    found: list[float] = []
    heap: list[tuple[float, int, Running | None]] = [(0.0, worker, None) for worker in range(WORKERS)]
    while len(found) < len(ends):
        now, worker, running = heapq.heappop(heap)
        while len(found) < len(ends) and now > ends[len(found)] * (1 + 1e-9):
            top = max(last.values())[-1] if last else against.median
            found.append((against.best - top) / (against.best - against.median))
        if running is not None and not _epoch(study, rule, running, sign, last):
            running = None
        if running is None:
            running = _begin(study, instance, sign)
        heapq.heappush(heap, (now + running.cost, worker, running))
    return found


def _begin(study: optuna.Study, instance: Instance, sign: int) -> Running:
    trial = study.ask()
    params: Params = instance.suggest(trial)
    true_end = sign * float(instance.curve(params)[-1])
    return Running(trial=trial, reported=instance.reported(params), true_end=true_end, cost=instance.cost(params))


def _epoch(
    study: optuna.Study, rule: Halving, running: Running, sign: int, last: dict[int, tuple[float, float]]
) -> bool:
    value = float(running.reported[running.epoch])
    running.epoch += 1
    number = running.trial.number
    running.trial.report(value, step=running.epoch)
    last[number] = (sign * value, running.true_end)
    if running.epoch == len(running.reported):
        study.tell(running.trial, value)
    elif not rule.goes_on(number, running.epoch, value):
        study.tell(running.trial, state=TrialState.PRUNED)
    else:
        return True
    return False
