"""How the probabilities of several members become one; numpy alone, so that an artifact needs no scikit-learn.

Shapes: ``probs_mnc`` is members x rows x classes, ``probs_nc`` rows x classes; every row a probability vector, float64.
"""

from dataclasses import dataclass

import numpy as np

FLOOR = 1e-6  # the smallest probability the meta-learner believes: one overconfident member must not own a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """A linear softmax classifier on the members' centred log-probabilities.

    Args:
        coef_cmk: class that is scored x member x class whose log-probability is read.
        bias_c: per class that is scored.
        strength: scikit-learn's C, the inverse of the L2 penalty it was fitted with.
    """

    coef_cmk: np.ndarray
    bias_c: np.ndarray
    strength: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A fitted method: what a fit returns, `predict` applies and an artifact stores.

    Args:
        method: its name in `evaluate.METHODS`.
        weights_m: one per member, at least 0, sum 1. For logistic each member's share of the absolute coefficients: it
            tells who is listened to and is not what predicts.
        meta: the meta-learner of logistic, else None.
    """

    method: str
    weights_m: np.ndarray
    meta: Meta | None = None

    def predict(self, probs_mnc: np.ndarray) -> np.ndarray:
        """Return ``probs_nc`` for the members in the order they were fitted in."""
        if self.meta is not None:
            return apply_meta(probs_mnc, self.meta)
        if self.method == "majority":
            return vote(probs_mnc)
        return weighted_mean(probs_mnc, self.weights_m)

    def keep(self, kept: np.ndarray) -> "Combination":
        """Return the combination of some members only, given by index; what is left out must weigh nothing."""
        meta = self.meta
        if meta is not None:
            meta = Meta(coef_cmk=meta.coef_cmk[:, kept], bias_c=meta.bias_c, strength=meta.strength)
        return Combination(method=self.method, weights_m=self.weights_m[kept], meta=meta)


def weighted_mean(probs_mnc: np.ndarray, weights_m: np.ndarray) -> np.ndarray:
    """Return the mean of probabilities under weights that sum to 1 (not of logits: section 5.1 of the survey)."""
    return np.tensordot(weights_m, probs_mnc, axes=1)


def vote(probs_mnc: np.ndarray) -> np.ndarray:
    """Count hard votes, with the members' mean probability as one more, divisible vote.

    So the class with most votes wins, the mean probability settles ties between them, and a class that nobody
    voted for keeps a probability above 0, without which the NLL of voting would be infinite.
    """
    members, _, classes = probs_mnc.shape
    votes_nc = np.eye(classes)[probs_mnc.argmax(2)].sum(0)
    return (votes_nc + probs_mnc.mean(0)) / (members + 1)


def features(probs_mnc: np.ndarray) -> np.ndarray:
    """Return what the meta-learner reads: log-probabilities less their mean over classes, rows x (members * classes).

    The mean is the one direction that a softmax ignores; without it the solver needs half the steps.
    """
    logs = np.log(np.maximum(probs_mnc, FLOOR))
    logs -= logs.mean(2, keepdims=True)
    return logs.transpose(1, 0, 2).reshape(probs_mnc.shape[1], -1)


def apply_meta(probs_mnc: np.ndarray, meta: Meta) -> np.ndarray:
    """Return the meta-learner's probabilities."""
    logits_nc = features(probs_mnc) @ meta.coef_cmk.reshape(len(meta.bias_c), -1).T + meta.bias_c
    logits_nc -= logits_nc.max(1, keepdims=True)
    odds_nc = np.exp(logits_nc)
    return odds_nc / odds_nc.sum(1, keepdims=True)


def fit_uniform(probs_mnc: np.ndarray, _y_n: np.ndarray, _groups_n: np.ndarray) -> Combination:
    """Every member weighs the same; nothing is fitted."""
    members = len(probs_mnc)
    return Combination(method="uniform", weights_m=np.full(members, 1 / members))


def fit_majority(probs_mnc: np.ndarray, _y_n: np.ndarray, _groups_n: np.ndarray) -> Combination:
    """Every member has one vote; nothing is fitted."""
    members = len(probs_mnc)
    return Combination(method="majority", weights_m=np.full(members, 1 / members))
