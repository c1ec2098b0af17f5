"""How the probabilities of several members become one; numpy alone, so that an artifact needs no scikit-learn.

Shapes: ``probs_mnc`` is members x rows x classes, ``probs_nc`` rows x classes; every row a probability vector, float64.

There are three rules, whatever the method's name, and a temperature after each of them. ``l_mk`` is the centred
log-probability of a row: ``log max(p_mk, FLOOR)`` less its mean over the classes k.

    mean         p_c = sum_m weights_m p_mc                                 uniform, diverse, weighted, greedy, bagged
    vote         p_c = (V sum_m weights_m [argmax_k p_mk = c] + mean_c) / (V + 1),
                 V the number of members of weight above 0, mean the rule above         majority
    log-linear   p = softmax over c of sum_mk coef_cmk l_mk + bias_c        log_pool, logistic_shared, logistic
    temperature  p = softmax over c of log max(p_c, EPS) / temperature; left out where it is 1

As JSON (`Combination.to_json`), members in the order of the weights:

    {"method": "logistic", "rule": "log-linear", "weights": [m], "coef": [c][m][k], "bias": [c], "strength": 0.01,
     "temperature": 1.07}

coef, bias and strength are null for the other rules, strength is null for log_pool as well.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ferhpo.metrics import EPS

FLOOR = 1e-6  # the smallest probability the log-linear rule believes: one overconfident member must not own a row
VOTING = frozenset({"majority"})

Rule = Literal["mean", "vote", "log-linear"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Meta:
    """A linear softmax classifier on the members' centred log-probabilities.

    Args:
        coef_cmk: class that is scored x member x class whose log-probability is read.
        bias_c: per class that is scored.
        strength: the inverse of the L2 penalty it was fitted with (scikit-learn's C), None without a penalty.
    """

    coef_cmk: np.ndarray
    bias_c: np.ndarray
    strength: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Combination:
    """A fitted method: what a fit returns, `predict` applies and an artifact stores.

    Args:
        method: its name in `evaluate.METHODS`.
        weights_m: one per member, at least 0, sum 1. For the logistic methods each member's share of the absolute
            coefficients: it tells who is listened to and is not what predicts.
        meta: what the log-linear rule applies, else None.
        temperature: above 0; pooled log-probabilities are divided by it.
    """

    method: str
    weights_m: np.ndarray
    meta: Meta | None = None
    temperature: float = 1.0

    @property
    def rule(self) -> Rule:
        """How members are combined, of the three ways in this module's docstring."""
        if self.meta is not None:
            return "log-linear"
        return "vote" if self.method in VOTING else "mean"

    def predict(self, probs_mnc: np.ndarray) -> np.ndarray:
        """Return ``probs_nc`` for the members in the order they were fitted in."""
        return tempered(self.pooled(probs_mnc), self.temperature)

    def pooled(self, probs_mnc: np.ndarray) -> np.ndarray:
        """Return ``probs_nc`` before the temperature."""
        if self.meta is not None:
            return apply_meta(probs_mnc, self.meta)
        if self.rule == "vote":
            return vote(probs_mnc, self.weights_m)
        return weighted_mean(probs_mnc, self.weights_m)

    def keep(self, kept: np.ndarray) -> "Combination":
        """Return the combination of some members only, given by index; what is left out must weigh nothing."""
        meta = self.meta and replace(self.meta, coef_cmk=self.meta.coef_cmk[:, kept])
        return replace(self, weights_m=self.weights_m[kept], meta=meta)

    def spread(self, kept: np.ndarray, members: int) -> "Combination":
        """Return the same combination among more members: ``kept`` are its own, the others weigh nothing."""
        weights_m = np.zeros(members)
        weights_m[kept] = self.weights_m
        meta = self.meta
        if meta is not None:
            classes = len(meta.bias_c)
            coef_cmk = np.zeros((classes, members, classes))
            coef_cmk[:, kept] = meta.coef_cmk
            meta = replace(meta, coef_cmk=coef_cmk)
        return replace(self, weights_m=weights_m, meta=meta)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, as the module's docstring lists them."""
        meta = self.meta
        return {
            "method": self.method,
            "rule": self.rule,
            "weights": self.weights_m.tolist(),
            "coef": meta and meta.coef_cmk.tolist(),
            "bias": meta and meta.bias_c.tolist(),
            "strength": meta and meta.strength,
            "temperature": self.temperature,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Combination":
        """Return what `to_json` gave.

        Raises:
            ValueError: the values do not fit together.
            KeyError, TypeError: one is missing or of another type.
        """
        weights_m, meta = np.array(value["weights"], float), None
        if value["coef"] is not None:
            coef_cmk, bias_c = np.array(value["coef"], float), np.array(value["bias"], float)
            if coef_cmk.shape != (len(bias_c), len(weights_m), len(bias_c)):
                msg = f"coef must be classes x members x classes, got {coef_cmk.shape}"
                raise ValueError(msg)
            strength = value["strength"]
            meta = Meta(coef_cmk=coef_cmk, bias_c=bias_c, strength=None if strength is None else float(strength))
        found = cls(
            method=str(value["method"]), weights_m=weights_m, meta=meta, temperature=float(value["temperature"])
        )
        if found.rule != value["rule"] or not 0 < found.temperature < np.inf:
            msg = f"rule and temperature must be possible ones, got {value['rule']!r} and {found.temperature}"
            raise ValueError(msg)
        return found


def weighted_mean(probs_mnc: np.ndarray, weights_m: np.ndarray) -> np.ndarray:
    """Return the mean of probabilities under weights that sum to 1 (a linear opinion pool)."""
    return np.tensordot(weights_m, probs_mnc, axes=1)


def vote(probs_mnc: np.ndarray, weights_m: np.ndarray) -> np.ndarray:
    """Count hard votes of the members of weight above 0, with their mean probability as one more, divisible vote.

    So the class with most votes wins, the mean probability settles ties between them, and a class that nobody
    voted for keeps a probability above 0, without which the NLL of voting would be infinite.
    """
    voters, classes = np.count_nonzero(weights_m), probs_mnc.shape[2]
    share_nc = np.tensordot(weights_m, np.eye(classes)[probs_mnc.argmax(2)], axes=1)
    return (np.round(voters * share_nc, 9) + weighted_mean(probs_mnc, weights_m)) / (voters + 1)


def centred_logs(probs_mnc: np.ndarray) -> np.ndarray:
    """Return log-probabilities less their mean over classes, members x rows x classes.

    The mean is the one direction that a softmax ignores; without it a solver needs half the steps.
    """
    logs_mnc = np.log(np.maximum(probs_mnc, FLOOR))
    return logs_mnc - logs_mnc.mean(2, keepdims=True)


def features(probs_mnc: np.ndarray) -> np.ndarray:
    """Return what the meta-learner reads: `centred_logs` as rows x (members * classes)."""
    return centred_logs(probs_mnc).transpose(1, 0, 2).reshape(probs_mnc.shape[1], -1)


def apply_meta(probs_mnc: np.ndarray, meta: Meta) -> np.ndarray:
    """Return the meta-learner's probabilities."""
    return softmax(features(probs_mnc) @ meta.coef_cmk.reshape(len(meta.bias_c), -1).T + meta.bias_c)


def softmax(logits_nc: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis."""
    odds_nc = np.exp(logits_nc - logits_nc.max(-1, keepdims=True))
    return odds_nc / odds_nc.sum(-1, keepdims=True)


def tempered(probs_nc: np.ndarray, temperature: float) -> np.ndarray:
    """Return probabilities made less sure by a temperature above 1, surer by one below; 1 returns them as they are."""
    return probs_nc if temperature == 1 else softmax(np.log(np.maximum(probs_nc, EPS)) / temperature)


def fit_uniform(probs_mnc: np.ndarray, _y_n: np.ndarray, _groups_n: np.ndarray) -> Combination:
    """Every member weighs the same; nothing is fitted."""
    members = len(probs_mnc)
    return Combination(method="uniform", weights_m=np.full(members, 1 / members))


def fit_majority(probs_mnc: np.ndarray, _y_n: np.ndarray, _groups_n: np.ndarray) -> Combination:
    """Every member has one vote; nothing is fitted."""
    members = len(probs_mnc)
    return Combination(method="majority", weights_m=np.full(members, 1 / members))
