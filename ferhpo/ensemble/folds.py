"""Deals validation rows to folds, so that no row is scored by a fit that saw it or an identical image."""

import numpy as np

from ferhpo.errors import StudyError

FOLDS = 5


def deal(y_n: np.ndarray, groups_n: np.ndarray, folds: int = FOLDS) -> np.ndarray:
    """Return the fold of each row: groups stay together, every class is spread evenly.

    What scikit-learn's StratifiedGroupKFold does where groups are small (here nearly all are single images), in 0.001 s
    in place of 0.55 s for 3,589 rows, and for classes with fewer rows than folds as well. No seed: the same rows always
    lie in the same folds.

    Args:
        y_n: class index per row.
        groups_n: equal numbers for identical images.
        folds: how many, at least 2; fewer if there are fewer groups.

    Raises:
        StudyError: all rows are one group.
    """
    _, group_n, size_g = np.unique(groups_n, return_inverse=True, return_counts=True)
    groups = len(size_g)
    if groups < 2:
        msg = f"cross-fitting takes at least 2 different validation images, got {groups}; give the study more data"
        raise StudyError(msg)
    table = np.zeros((groups, int(y_n.max()) + 1), dtype=np.int64)
    np.add.at(table, (group_n, y_n), 1)
    order = np.random.default_rng(0).permutation(groups)  # the file's order may have a rhythm
    order = order[np.lexsort((-size_g[order], table.argmax(1)[order]))]
    fold_g = np.empty(groups, dtype=np.int64)
    fold_g[order] = np.arange(groups) % min(folds, groups)
    return fold_g[group_n]
