"""Plain Optuna studies of the default sampler, run as anybody does who has no ferhpo."""

from collections.abc import Callable
from typing import Any, Literal

import optuna
from optuna.study import Study
from optuna.trial import Trial

from ferhpo.search.sampler import FidelitySampler

EPOCHS = 9


def run(study: Study, ask: Callable[[Trial], Any], value: Callable[[Any, int], float], trials: int) -> list[Any]:
    """Run whole trials one after the other and return what was asked for."""
    asked = []
    for _ in range(trials):
        trial = study.ask()
        asked.append(ask(trial))
        for epoch in range(1, EPOCHS + 1):
            trial.report(value(asked[-1], epoch), epoch)
        study.tell(trial, value(asked[-1], EPOCHS))
    return asked


def fidelity(direction: Literal["maximize", "minimize"] = "maximize", seed: int = 0, startup: int = 10) -> Study:
    return optuna.create_study(direction=direction, sampler=FidelitySampler(EPOCHS, seed, startup=startup))
