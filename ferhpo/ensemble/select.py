"""Greedy ensemble selection with replacement.

References:
    Caruana, Niculescu-Mizil, Crew, Ksikes 2004, Ensemble Selection from Libraries of Models, ICML.
    As in AutoGluon's EnsembleSelection: 25 rounds, the best prefix of the way, ties to members already in.
"""

import numpy as np

from ferhpo.ensemble.combine import Combination
from ferhpo.metrics import EPS

ROUNDS = 25  # TabRepo (Salinas and Erickson 2024) saw no gain above
TIE = 1e-9  # nats; a smaller difference in NLL is rounding


def greedy(probs_mnc: np.ndarray, y_n: np.ndarray, rounds: int = ROUNDS) -> np.ndarray:
    """Add, round by round, the member that helps most; weigh members by how often they were added.

    Accuracy is climbed; equals go to members already in, then to the lower NLL. Climbing NLL is smoother, but rewards
    members for being sharp: with 5 and 20 made-up members and 3,589 rows in 7 worlds it cost 0.3 to 1.4 points of
    accuracy on fresh rows where members were underconfident (as label smoothing makes them) or unequally calibrated,
    and won 0.2 at most elsewhere. The lowest NLL is what `stack.fit_weighted` is for.

    Args:
        probs_mnc: members x rows x classes.
        y_n: class index per row; a row is right if its label is more probable than every other class.
        rounds: at most so many additions; the shortest prefix with the best accuracy is kept.

    Returns:
        Weights per member, multiples of 1 / length of the prefix.
    """
    label_mn, others_kmn = split_off_label(probs_mnc, y_n)
    total_n, total_kn = np.zeros_like(label_mn[0]), np.zeros_like(others_kmn[:, 0])
    counts_m = np.zeros(len(probs_mnc), dtype=np.int64)
    best, highest = counts_m, -1
    for size in range(1, rounds + 1):
        rival_mn = (total_kn[:, None] + others_kmn).max(0)
        own_mn = total_n + label_mn
        right_m = (own_mn > rival_mn).sum(1)
        tied = np.flatnonzero(right_m == right_m.max())
        if counts_m[tied].any():
            tied = tied[counts_m[tied] > 0]
        loss_m = -np.log(np.maximum(own_mn[tied], EPS) / size).mean(1)
        pick = tied[loss_m <= loss_m.min() + TIE][0]
        counts_m[pick] += 1
        total_n += label_mn[pick]
        total_kn += others_kmn[:, pick]
        if right_m[pick] > highest:
            best, highest = counts_m.copy(), right_m[pick]
    return best / best.sum()


def split_off_label(probs_mnc: np.ndarray, y_n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities of each row's label, members x rows, and of the others, (classes - 1) x members x rows.

    Classes come first so that the maximum over them runs over whole planes, three times as fast as over 7 neighbours.
    """
    _, rows, classes = probs_mnc.shape
    others_nk = np.arange(classes - 1) + (np.arange(classes - 1) >= y_n[:, None])
    row_n = np.arange(rows)
    label_mn = np.ascontiguousarray(probs_mnc[:, row_n, y_n])
    return label_mn, np.stack([probs_mnc[:, row_n, others_nk[:, k]] for k in range(classes - 1)])


def fit_greedy(probs_mnc: np.ndarray, y_n: np.ndarray, _groups_n: np.ndarray) -> Combination:
    """Return the weighted mean that `greedy` finds."""
    return Combination(method="greedy", weights_m=greedy(probs_mnc, y_n))
