"""Which members to take: greedy selection with replacement, its bagged form, and selection for diversity.

Budgets hold for each of them: a member that would break one is never added.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ferhpo.ensemble.combine import Combination
from ferhpo.ensemble.cost import Budget
from ferhpo.metrics import EPS

ROUNDS = 25  # TabRepo (Salinas and Erickson 2024) saw no gain above
BAGS = 20  # as in the paper, each of about half of the members
TIE = 1e-9  # of a score; a smaller difference is rounding

Score = Callable[[np.ndarray, np.ndarray, int], np.ndarray]  # (own_an, others_kan, size) -> score_a of ``a`` ensembles


def greedy(
    probs_mnc: np.ndarray,
    y_n: np.ndarray,
    rounds: int = ROUNDS,
    *,
    metric: str = "accuracy",
    budget: Budget | None = None,
) -> np.ndarray:
    """Add, round by round, the member that helps the metric most; weigh members by how often they were added.

    Equals go to members already in, then to the lower NLL, then to the first. Probabilities are summed as integers, so
    that what is equal is equal whatever the order of sums. Of an accuracy, rows that no mixture can turn are left out
    of the race. For ece the NLL is climbed: a sum of members can be calibrated and useless.

    Args:
        probs_mnc: members x rows x classes.
        y_n: class index per row.
        rounds: at most so many additions; the shortest prefix with the best score is kept.
        metric: one of `metrics.METRICS`.
        budget: what the members may cost.

    Returns:
        Weights per member, multiples of 1 / length of the prefix.

    References:
        Caruana, Niculescu-Mizil, Crew, Ksikes 2004, Ensemble Selection from Libraries of Models, ICML.
        As in AutoGluon's EnsembleSelection: 25 rounds, the best prefix of the way, ties to members already in.
    """
    label_mn, others_kmn = split_off_label(_integers(probs_mnc, rounds), y_n)
    score, live_n = _race(metric, label_mn, others_kmn, y_n, probs_mnc.shape[2])
    own_mn, others_kmn = np.ascontiguousarray(label_mn[:, live_n]), np.ascontiguousarray(others_kmn[:, :, live_n])
    total_n, total_kn, all_n = np.zeros_like(own_mn[0]), np.zeros_like(others_kmn[:, 0]), np.zeros_like(label_mn[0])
    counts_m = np.zeros(len(probs_mnc), dtype=np.int64)
    best, highest = counts_m, -np.inf
    for size in range(1, rounds + 1):
        free = np.arange(len(counts_m)) if budget is None else np.flatnonzero(budget.allowed(counts_m > 0))
        some = slice(None) if len(free) == len(counts_m) else free
        score_a = score(total_n + own_mn[some], total_kn[:, None] + others_kmn[:, some], size)
        top = score_a.max()
        tied = free[score_a >= top - TIE]
        if counts_m[tied].any():
            tied = tied[counts_m[tied] > 0]
        pick = tied[0] if len(tied) == 1 else tied[_first_lowest(_log_loss(all_n + label_mn[tied]))]
        counts_m[pick] += 1
        total_n += own_mn[pick]
        total_kn += others_kmn[:, pick]
        all_n += label_mn[pick]
        if top > highest + TIE:
            best, highest = counts_m.copy(), top
    return best / best.sum()


def bagged(
    probs_mnc: np.ndarray, y_n: np.ndarray, *, metric: str = "accuracy", budget: Budget | None = None, bags: int = BAGS
) -> np.ndarray:
    """Return the mean weights of `greedy` over random bags of members, each member in a bag with probability 1/2.

    Bags are drawn over the members in the order of their NLL, from a fixed seed: the order they come in does not
    matter. Under a budget the heaviest members that fit are kept.

    Args:
        probs_mnc: members x rows x classes.
        y_n: class index per row.
        metric: one of `metrics.METRICS`.
        budget: what the members may cost.
        bags: how many.

    References:
        Caruana et al. 2004, section 2.3.
    """
    members = len(probs_mnc)
    rng = np.random.default_rng(0)
    label_mn = np.maximum(probs_mnc[:, np.arange(len(y_n)), y_n], EPS)
    ranked = np.argsort(-np.log(label_mn).mean(1), kind="stable")
    weights_m = np.zeros(members)
    for _ in range(bags):
        bag = ranked[rng.random(members) < 0.5]
        if budget is not None:
            bag = bag[budget.only(bag).allowed(np.zeros(len(bag), bool))]
        if len(bag):
            weights_m[bag] += greedy(probs_mnc[bag], y_n, metric=metric, budget=budget and budget.only(bag))
    if not weights_m.any():
        return greedy(probs_mnc, y_n, metric=metric, budget=budget)
    if budget is not None:
        kept = budget.fill(np.argsort(-weights_m, kind="stable")[: np.count_nonzero(weights_m)])
        weights_m = np.where(np.isin(np.arange(members), kept), weights_m, 0)
    return weights_m / weights_m.sum()


def diverse(probs_mnc: np.ndarray, y_n: np.ndarray, *, budget: Budget | None = None) -> np.ndarray:
    """Return equal weights for the members added, one by one and each once, while the mean's squared error falls.

    The squared error (Brier score) of a mean of members is the members' mean error less their diversity, the mean
    squared distance between a member and the mean: so a member is added for what it knows and for how it differs.

    Args:
        probs_mnc: members x rows x classes.
        y_n: class index per row.
        budget: what the members may cost.

    References:
        Krogh and Vedelsby 1995, Neural Network Ensembles, Cross Validation, and Active Learning, NIPS 7.
    """
    members, rows, classes = probs_mnc.shape
    error_mx = (probs_mnc - np.eye(classes)[y_n]).reshape(members, -1)
    gram_mm = error_mx @ error_mx.T / rows
    taken_m, lowest = np.zeros(members, bool), np.inf
    while not taken_m.all():
        free = np.flatnonzero((np.ones(members, bool) if budget is None else budget.allowed(taken_m)) & ~taken_m)
        if not len(free):
            break
        inside = gram_mm[np.ix_(taken_m, taken_m)].sum()
        brier_a = inside + 2 * gram_mm[taken_m][:, free].sum(0) + gram_mm.diagonal()[free]
        brier_a /= (taken_m.sum() + 1) ** 2
        if brier_a.min() >= lowest - TIE:
            break
        pick = free[_first_lowest(brier_a)]
        taken_m[pick], lowest = True, brier_a.min()
    return taken_m / taken_m.sum()


def split_off_label(probs_mnc: np.ndarray, y_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities of each row's label, members x rows, and of the others, (classes - 1) x members x rows.

    Classes come first so that the maximum over them runs over whole planes, three times as fast as over 7 neighbours.
    """
    _, rows, classes = probs_mnc.shape
    others_nk = np.arange(classes - 1) + (np.arange(classes - 1) >= y_n[:, None])
    row_n = np.arange(rows)
    label_mn = np.ascontiguousarray(probs_mnc[:, row_n, y_n])
    return label_mn, np.stack([probs_mnc[:, row_n, others_nk[:, k]] for k in range(classes - 1)])


SELECTIONS: Mapping[str, Callable[..., np.ndarray]] = {"diverse": diverse, "greedy": greedy, "bagged": bagged}


def fit_selected(
    probs_mnc: np.ndarray, y_n: np.ndarray, _groups_n: np.ndarray, *, method: str, **how: Any
) -> Combination:
    """Return the weighted mean that the selection named ``method`` finds; ``how`` are its own arguments."""
    return Combination(method=method, weights_m=SELECTIONS[method](probs_mnc, y_n, **how))


def _integers(probs_mnc: np.ndarray, rounds: int) -> np.ndarray:
    """Return probabilities in units so small that ``rounds`` of them just fit into 32 bits."""
    return np.round(probs_mnc * (2**31 // (rounds + 1))).astype(np.int32)


def _race(
    metric: str, label_mn: np.ndarray, others_kmn: np.ndarray, y_n: np.ndarray, classes: int
) -> tuple[Score, np.ndarray]:
    """Return the score that is climbed, and the rows it has to look at."""
    if metric in {"nll", "ece"}:
        return lambda own_an, _, size: -_log_loss(own_an) - np.log(size), np.arange(len(y_n))
    if metric == "macro_f1":
        return _macro_f1(y_n, classes), np.arange(len(y_n))
    lead_kmn = label_mn > others_kmn
    always_n = lead_kmn.all((0, 1))
    never_n = ~lead_kmn.any(1).all(0)  # some other class is not beaten by any member
    live_n = np.flatnonzero(~always_n & ~never_n)
    if metric == "accuracy":
        weight_n = np.ones(len(y_n))
    else:  # balanced accuracy: a row counts for its share of its class
        rows_c = np.bincount(y_n, minlength=classes)
        weight_n = len(y_n) / (rows_c[y_n] * np.count_nonzero(rows_c))
    weight_n, sure = weight_n[live_n], weight_n[always_n].sum()
    return lambda own_an, others_kan, _: sure + (own_an > others_kan.max(0)) @ weight_n, live_n


def _macro_f1(y_n: np.ndarray, classes: int) -> Score:
    rows_c = np.bincount(y_n, minlength=classes)

    def score(own_an: np.ndarray, others_kan: np.ndarray, _size: int) -> np.ndarray:
        other_an = others_kan.argmax(0)
        wrong_an = other_an + (other_an >= y_n)
        right_an = own_an > others_kan.max(0)
        named_an = np.where(right_an, y_n, wrong_an) + classes * np.arange(len(own_an))[:, None]
        named_ac = np.bincount(named_an.ravel(), minlength=classes * len(own_an)).reshape(-1, classes)
        hits_ac = np.stack([np.bincount(y_n[right_n], minlength=classes) for right_n in right_an])
        both_ac = named_ac + rows_c
        return (2 * hits_ac / np.maximum(both_ac, 1)).sum(1) / np.count_nonzero(both_ac, axis=1)

    return score


def _log_loss(own_an: np.ndarray) -> np.ndarray:
    """Return the mean negative log of sums of probabilities in integer units, one per ensemble."""
    return -np.log(np.maximum(own_an, 0.5)).mean(1)


def _first_lowest(loss_a: np.ndarray) -> int:
    return int(np.flatnonzero(loss_a <= loss_a.min() + TIE)[0])
