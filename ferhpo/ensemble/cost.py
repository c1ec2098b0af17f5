"""What members cost to run, and which of them an ensemble under a budget may still take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ferhpo.errors import UsageError

OPTIONS = {"latency_ms": "--max-latency-ms", "parameters": "--max-params", "members": "--max-members"}
SLACK = 1e-9  # of a limit: sums of milliseconds are rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the members of an ensemble may cost together; None where nothing is asked.

    Args:
        latency_ms: milliseconds of one image on a CPU, member after member.
        parameters: of all members.
        members: how many.
    """

    latency_ms: float | None = None
    parameters: float | None = None
    members: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits to the sum of what the members of weight above 0 cost.

    Args:
        costs_bm: limits x members, at least 0.
        limits_b: one per limit, above 0.
    """

    costs_bm: np.ndarray
    limits_b: np.ndarray

    @classmethod
    def of(cls, costs: Mapping[str, np.ndarray], limits: Limits, members: int) -> "Budget | None":
        """Return the budget of the limits that are set, None if none is.

        Args:
            costs: per member, by kind: latency_ms, parameters. Members cost 1 each.
            limits: what the user asks for.
            members: how many there are.

        Raises:
            UsageError: a limit is not above 0, or no member fits.
        """
        wanted = {kind: limit for kind in OPTIONS if (limit := getattr(limits, kind)) is not None}
        if not wanted:
            return None
        known = {"members": np.ones(members), **costs}
        for kind, limit in wanted.items():
            if not limit > 0:
                msg = f"{OPTIONS[kind]} must be above 0, got {limit:g}"
                raise UsageError(msg)
            if kind not in known:
                msg = f"{OPTIONS[kind]} takes the {kind} of every member, and not all checkpoints say it; leave it out"
                raise UsageError(msg)
            if not (known[kind] <= limit * (1 + SLACK)).any():
                least = f"{known[kind].min():g} is the least of {members}"
                msg = f"{OPTIONS[kind]} must leave a member to take, {limit:g} leaves none ({least}); raise it"
                raise UsageError(msg)
        budget = cls(
            costs_bm=np.stack([np.asarray(known[kind], float) for kind in wanted]),
            limits_b=np.array(list(wanted.values()), float),
        )
        if not budget.allowed(np.zeros(members, bool)).any():
            both = " and ".join(f"{OPTIONS[kind]} {limit:g}" for kind, limit in wanted.items())
            msg = f"a budget must leave a member to take, {both} together leave none; raise one"
            raise UsageError(msg)
        return budget

    def allowed(self, taken_m: np.ndarray) -> np.ndarray:
        """Return which members may stand beside those taken; a taken one always may, as it is paid for."""
        left_b = self.limits_b * (1 + SLACK) - self.costs_bm[:, taken_m].sum(1)
        return taken_m | (self.costs_bm <= left_b[:, None]).all(0)

    def fill(self, order: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return the members taken when each in turn is taken if it still fits, ascending."""
        taken_m = np.zeros(self.costs_bm.shape[1], bool)
        for member in order:
            taken_m[member] = self.allowed(taken_m)[member]
        return np.flatnonzero(taken_m)

    def only(self, members: np.ndarray) -> "Budget":
        """Return the same limits over some of the members, given by index."""
        return Budget(costs_bm=self.costs_bm[:, members], limits_b=self.limits_b)
