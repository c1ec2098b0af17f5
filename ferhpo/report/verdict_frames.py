"""Tables of the Pareto front, the confirmation of the best, and trials learned from other studies."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from ferhpo.report.frames import PARAM
from ferhpo.report.pick import col, rows
from ferhpo.study.repeats import Confirmed


def front(table: pd.DataFrame, numbers: Sequence[int]) -> pd.DataFrame:
    """Return the COMPLETE trials that keep the constraints of a study with several objectives; ``best``: on the front.

    Args:
        table: the trials, best first.
        numbers: of those on the front.
    """
    found = rows(table, (col(table, "state") == "COMPLETE") & col(table, "feasible"))
    return found.assign(best=col(found, "number").isin(list(numbers)))


def confirmed(found: Sequence[Confirmed]) -> pd.DataFrame:
    """Return number, searched, mean, std, seeds, tied and trials of each configuration, best mean first."""
    lines = [c.to_json() | {"trials": ", ".join(map(str, c.trials))} for c in found]
    columns = ["number", "searched", "mean", "std", "seeds", "tied", "trials"]
    return pd.DataFrame(lines, columns=columns).astype({"searched": float, "mean": float, "std": float})


def prior(kept: Mapping[str, Sequence[Mapping[str, Any]]]) -> pd.DataFrame:
    """Return one row a trial of another study that the sampler learns from.

    Args:
        kept: `Study.prior`.

    Returns:
        study, number, state, epochs, value (after the last epoch), and ``params_NAME`` of settings other than their
        defaults.
    """
    lines = [
        {
            "study": name,
            "number": record["number"],
            "state": record["state"],
            "epochs": record["epochs"][-1],
            "value": record["values"][-1],
            **{PARAM + setting: value for setting, value in record["settings"].items()},
        }
        for name, records in kept.items()
        for record in records
    ]
    return pd.DataFrame(lines, columns=None if lines else ["study", "number", "state", "epochs", "value"])
