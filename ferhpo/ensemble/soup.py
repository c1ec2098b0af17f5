"""A greedy soup of weights as one more member: only of members that share architecture and start.

References:
    Wortsman et al. 2022, Model soups, arXiv 2203.05482: averages of fine-tunings of one start keep what each has
    learned, averages of nets that began differently are no nets at all.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ferhpo._atomic import new_folder
from ferhpo._layout import CARD
from ferhpo.ensemble.artifact import OWN_VIEWS
from ferhpo.ensemble.members import Members
from ferhpo.errors import UsageError
from ferhpo.metrics import figures, metric

if TYPE_CHECKING:
    from torch import nn

    from ferhpo.data.cache import Prepared

NUMBER = -1  # of the soup, which is no trial
SHAPE = ("arch", "width", "neck", "head", "activation", "patch_size", "image_size", "frames", "denoise")  # of a net


def add(
    members: Members, data: "Prepared", name: str, folder: Path, *, tta: str = OWN_VIEWS, device: str = "cpu"
) -> tuple[Members, str]:
    """Return the members with their soup as the last one, if there is one worth having, and a sentence about it.

    Ingredients are tried from the best to the worst and stay if the validation metric does not fall.

    Args:
        members: best first.
        data: the study's images.
        name: of the metric.
        folder: where the soup's checkpoint shall be.
        tta: name of the views (`infer.views`).
        device: where the nets run.

    Raises:
        UsageError: no two members share architecture and start.
    """
    from ferhpo.ensemble.infer import forward
    from ferhpo.training.average import averaged

    kin = alike(members)
    part, soup = data.part("val"), None
    taken, probs_nc = kin[:1], members.probs_mnc[kin[0]]
    card = members.cards[kin[0]]
    for m in kin[1:]:
        tried = averaged([members.folders[i] for i in (*taken, m)], data, device)
        tried_nc = forward(tried, card, part.images, part.rows, device, tta)
        before, after = (figures(found_nc, members.y_n)[name] for found_nc in (probs_nc, tried_nc))
        if np.isfinite(tried_nc).all() and not metric(name).better(before, after):
            taken, probs_nc, soup = [*taken, m], tried_nc, tried
    numbers = [members.numbers[m] for m in taken]
    if soup is None:
        return members, f"no mean of weights is as good as trial {numbers[0]} alone: there is no soup"
    written = _write(folder, soup, card, probs_nc, figures(probs_nc, members.y_n), numbers)
    more = replace(
        members,
        numbers=(*members.numbers, NUMBER),
        folders=(*members.folders, folder),
        cards=(*members.cards, written),
        latencies=(*members.latencies, members.latencies[kin[0]]),
        probs_mnc=np.concatenate([members.probs_mnc, probs_nc[None]]),
    )
    trials = " ".join(map(str, numbers))
    return more, (
        f"member {NUMBER} is a soup, the mean weights of trials {trials}, chosen on all validation rows, whose figures "
        "flatter it"
    )


def _write(
    folder: Path,
    soup: "nn.Module",
    card: Mapping[str, Any],
    probs_nc: np.ndarray,
    scored: Mapping[str, float],
    numbers: list[int],
) -> Mapping[str, Any]:
    """Write a soup's checkpoint and return its card: its first ingredient's, with its own figures and origin."""
    from ferhpo.training import checkpoint

    own = {key: card[key] for key in (*checkpoint.CARD_KEYS, "precision") if key in card and key != "sha256"}
    own |= {"figures": dict(scored), "provenance": {**card["provenance"], "soup": numbers}}
    with new_folder(folder) as part:
        checkpoint.write(part, soup.state_dict(), own, probs_nc.astype(np.float32))
    return json.loads((folder / CARD).read_text(encoding="utf-8"))


def alike(members: Members) -> list[int]:
    """Return the members that share architecture and start with the best one that has such.

    Raises:
        UsageError: there are none.
    """
    starts = [start(card) for card in members.cards]
    for m, own in enumerate(starts):
        same = [other for other in range(m, len(starts)) if starts[other] == own]
        if own is not None and len(same) > 1:
            return same
    msg = (
        f"a soup takes members that share architecture and start (the same pretrained weights, or the same seed), none "
        f"of the {len(starts)} do; search with pretrained = true, or leave --soup out"
    )
    raise UsageError(msg)


def start(card: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return what tells one start from another, None where the card does not say."""
    config = card.get("config")
    if not config:
        return None
    begun = ("weights", config["weights"]) if config["pretrained"] else ("seed", config["seed"])
    return *(config.get(key) for key in SHAPE), *begun
