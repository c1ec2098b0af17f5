"""What a study learned beyond its best trial: what mattered, the best of each choice, which settings interact."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from ferhpo._threads import single_thread
from ferhpo.report import frames
from ferhpo.report.facts import Facts
from ferhpo.report.frames import PARAM
from ferhpo.report.pick import chosen, col, rows
from ferhpo.search.surrogate.encoding import Encoding, Presence
from ferhpo.search.surrogate.fidelity import Curve, Surrogate, curve
from ferhpo.space.dimension import Dimension
from ferhpo.study.study import Study

WEIGHED = 8  # COMPLETE trials from which on importances say something
TOP = 0.25  # share of them whose parameters are set against all
ENOUGH = 30  # trials with a value from which on pairs say something,
COMPLETE = 8  # of which so many reached the last epoch
TRUSTED = 0.3  # share of the variance of COMPLETE trials that the model must explain where it has not seen them
FOLDS = 5
OBSERVATIONS = 200  # in the model, whose time grows with their third power; a proposal needs more, a summary does not
MOST = 8  # parameters whose pairs are looked at: those that move the value most
GRID = 6  # values of a range
ROWS = 64  # random configurations that everything else is averaged over
LEAST = 0.01  # share of the variance below which a pair is left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found out, or why nothing can be said.

    Args:
        table: see `importances` and `pairs`; empty and without columns where nothing can be said.
        reason: why nothing can be said, "" where it can.
    """

    table: pd.DataFrame
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What a study learned.

    Args:
        budget: see `frames.budget`.
        choices: see `by_choice`.
        importances: see `importances`.
        pairs: see `pairs`.
    """

    budget: pd.DataFrame
    choices: pd.DataFrame
    importances: Finding
    pairs: Finding


def learned(study: Study, about: Facts, table: pd.DataFrame) -> Learned:
    """Return what a study learned.

    Args:
        study: the study.
        about: its facts.
        table: its trials, see `frames.trials`.
    """
    return Learned(
        budget=frames.budget(study.every()),
        choices=by_choice(table, about.dimensions, maximize=about.maximize),
        importances=importances(study),
        pairs=pairs(study, about.epochs),
    )


def by_architecture(table: pd.DataFrame, *, maximize: bool) -> pd.DataFrame:
    """Return the best trial of each architecture, best first.

    Returns:
        arch, trials (COMPLETE and PRUNED ones that keep the constraints), best, state, number, parameters,
        images_per_second, seconds.
    """
    found = _eligible(table)
    found = frames.ranked(rows(found, col(found, "arch").notna()), maximize=maximize)
    best = found.drop_duplicates("arch").rename(columns={"value": "best"})
    best = best.assign(trials=col(best, "arch").map(col(found, "arch").value_counts()))
    columns = ["arch", "trials", "best", "state", "number", "parameters", "images_per_second", "seconds"]
    return pd.DataFrame(best[columns]).reset_index(drop=True)


def by_choice(table: pd.DataFrame, dimensions: Mapping[str, Dimension], *, maximize: bool) -> pd.DataFrame:
    """Return the best trial of each value of each choice: COMPLETE ones before PRUNED ones, as everywhere.

    Returns:
        parameter, choice, trials (as in `by_architecture`), best, state, number; by parameter, best first.
    """
    found, parts = frames.ranked(_eligible(table), maximize=maximize), []
    for name in (n for n, d in dimensions.items() if d.choices and PARAM + n in table.columns):
        given = rows(found, col(found, PARAM + name).notna())
        values = col(given, PARAM + name).map(lambda v, of=dimensions[name].choices: str(chosen(v, of)))
        best = given.assign(parameter=name, choice=values, trials=values.map(values.value_counts()))
        parts.append(best.drop_duplicates("choice").rename(columns={"value": "best"}))
    columns = ["parameter", "choice", "trials", "best", "state", "number"]
    return pd.DataFrame(pd.concat(parts)[columns]).reset_index(drop=True) if parts else pd.DataFrame(columns=columns)


def _eligible(table: pd.DataFrame) -> pd.DataFrame:
    found = frames.ended(table)
    return rows(found, col(found, "feasible"))


def importances(study: Study) -> Finding:
    """Tell which parameters set the best quarter of the COMPLETE trials apart from all of them.

    Returns:
        parameter, importance (sums to 1), largest first.

    References:
        Watanabe et al. 2023, PED-ANOVA, arXiv 2304.10255; its conditional form as in Optuna 5.
    """
    complete = study.searched.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    names = {name for t in complete for name in t.params}
    varied = {name for name in names if len({repr(t.params.get(name)) for t in complete}) > 1}
    if len(complete) < WEIGHED:
        return _nothing(f"importances need at least {WEIGHED} COMPLETE trials, there are {len(complete)} so far")
    if len(varied) < 2:
        return _nothing(f"importances need at least 2 parameters that vary, there is {len(varied) or 'none'}")
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=TOP)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that equal values give equal importances
            found = optuna.importance.get_param_importances(study.searched, evaluator=evaluator, params=sorted(varied))
    except (ValueError, RuntimeError) as error:
        return _nothing(f"Optuna could not compute importances ({error})")
    pairs = sorted(found.items(), key=lambda pair: -pair[1])
    return Finding(table=pd.DataFrame(pairs, columns=["parameter", "importance"]), reason="")


def pairs(study: Study, epochs: int | None) -> Finding:
    """Tell which pairs interact, by the sampler's model of the value after the last epoch.

    The model is asked about a grid of both settings, averaged over random values of all others; what is left once the
    row and column means are taken away is the pair's own. A setting that only exists with some values of the other one
    is no pair with it. The model is believed only if it predicts COMPLETE trials that it has not seen.

    Args:
        study: the study.
        epochs: of a trial that is never stopped; None takes the last one that was reached.

    Returns:
        first, second, share of the variance of the predicted final value over the space; largest first.

    References:
        Hutter et al. 2014, An Efficient Approach for Assessing Hyperparameter Importance (functional ANOVA).
    """
    found = study.searched.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    found = [t for t in found if t.params and t.intermediate_values]
    complete = np.array([t.state == TrialState.COMPLETE for t in found], bool)
    if len(found) < ENOUGH or complete.sum() < COMPLETE:
        have = f"there are {len(found)} and {int(complete.sum())} so far"
        return _nothing(f"pairs need at least {ENOUGH} trials with values, {COMPLETE} of them COMPLETE, {have}")
    names = {name for t in found for name in t.params}
    varied = {name for name in names if len({repr(t.params.get(name)) for t in found}) > 1}
    if len(varied) < 2:
        return _nothing(f"pairs need at least 2 parameters that vary, there is {len(varied) or 'none'}")
    encoding = Encoding(_distributions(found, varied))
    maximize = study.maximize
    curves = [curve(t.params, t.intermediate_values, maximize=maximize) for t in found]
    last, rng = epochs or max(max(t.intermediate_values) for t in found), np.random.default_rng(0)
    with single_thread():
        model = Surrogate(encoding, curves, last, rng, most=OBSERVATIONS)
        explained = _explained(model, curves, complete, last)
        if explained >= TRUSTED:
            return Finding(table=_decomposed(model, rng), reason="")
    told = f"it explains {max(explained, 0):.0%} of the variance of COMPLETE trials that it has not seen"
    return _nothing(f"pairs need a model that predicts the final value, and {told}; more trials may help")


def _distributions(found: Sequence[FrozenTrial], names: set[str]) -> dict[str, optuna.distributions.BaseDistribution]:
    newest = {name: d for t in found for name, d in t.distributions.items()}
    return {name: newest[name] for name in sorted(names)}


def _explained(model: Surrogate, curves: Sequence[Curve], complete: np.ndarray, epochs: int) -> float:
    """Return the share of the variance of COMPLETE trials' final values that is explained by the other trials' model.

    It is the squared correlation of value and prediction, each fold's own predictions side by side; negative ones count
    as nothing explained.
    """
    held = np.flatnonzero(complete)
    values, predicted = np.array([curves[i].values[-1] for i in held.tolist()]), np.zeros(len(held))
    for fold in range(FOLDS):
        mine = np.arange(len(held)) % FOLDS == fold
        left_out = set(held[mine].tolist())
        others = [c for i, c in enumerate(curves) if i not in left_out]
        rng = np.random.default_rng(fold)
        part = Surrogate(model.encoding, others, epochs, rng, model.process.theta, OBSERVATIONS)
        asked = np.array([model.encoding.row(curves[i].params) for i in held[mine].tolist()])
        predicted[mine] = part.process.mean(part.at_end(asked))
    if not np.isfinite(values).all() or values.std() == 0 or predicted.std() == 0:
        return 0.0
    correlation = float(np.corrcoef(values, predicted)[0, 1])
    return correlation**2 if correlation > 0 else 0.0


def _decomposed(model: Surrogate, rng: np.random.Generator) -> pd.DataFrame:
    """Return each pair's share of the variance of the prediction over random configurations."""
    encoding, presence = model.encoding, Presence(model.encoding, model.rows)
    base = encoding.random(rng, ROWS)

    def predict(given: np.ndarray) -> np.ndarray:
        return model.process.mean(model.at_end(presence(given)))

    whole = float(predict(encoding.random(rng, 16 * ROWS)).var())
    grids = [np.arange(n) if n else (np.arange(GRID) + 0.5) / GRID for n in encoding.choices]
    moved = []  # how much each parameter moves the value of one configuration
    for p, grid in enumerate(grids):
        moved.append(predict(_with(base, {p: grid})).reshape(len(grid), ROWS).var(0).mean())
    most = sorted(np.argsort(moved)[::-1][:MOST].tolist())
    lines = []
    for p, q in combinations(most, 2):
        asked = _with(base, {p: grids[p], q: grids[q]})
        shape = (len(grids[p]), len(grids[q]), ROWS)
        there = ~np.isnan(presence(asked)[:, [p, q]]).any(1)
        if (there.reshape(-1, ROWS).sum(1) == 0).any():
            continue
        mean = predict(asked).reshape(shape).mean(2)
        own = mean - mean.mean(0) - mean.mean(1)[:, None] + mean.mean()
        share = float((own**2).mean()) / whole if whole > 0 else math.nan
        if share >= LEAST:
            lines.append((encoding.names[p], encoding.names[q], share))
    lines.sort(key=lambda line: -line[2])
    return pd.DataFrame(lines, columns=["first", "second", "share"])


def _with(base: np.ndarray, given: Mapping[int, np.ndarray]) -> np.ndarray:
    """Return the base rows once for each combination of the given columns' values, the first column slowest."""
    mesh = np.meshgrid(*given.values(), indexing="ij")
    asked = np.tile(base, (mesh[0].size, 1))
    for column, values in zip(given, mesh, strict=True):
        asked[:, column] = np.repeat(values.ravel(), len(base))
    return asked


def _nothing(reason: str) -> Finding:
    return Finding(table=pd.DataFrame(), reason=reason)
