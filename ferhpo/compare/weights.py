"""Where the pretrained weights of a system come from: the hub, a file, or nowhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferhpo.errors import ModelError, UsageError
from ferhpo.models import external, registry
from ferhpo.models.names import LIBRARIES
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import StudySpec

RANDOM = "random weights, not pretrained ones"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What a comparison changes in a system so that its weights can be had.

    Args:
        changes: to the system's settings; empty where the hub has the weights, or none are asked for.
        note: what a reader of the table must know, "" if nothing.
        reason: why there are no pretrained weights, in the library's words.
        used: the files that a system took.
    """

    changes: dict[str, Any]
    note: str = ""
    reason: str = ""
    used: frozenset[Path] = frozenset()


def find(spec: StudySpec, files: Sequence[Path], *, classes: int, channels: int) -> Weights:
    """Return how the nets of a study get their weights: a file that fits, else the hub, else random ones.

    Args:
        spec: the system's.
        files: safetensors files; each is tried for the net that asks for weights first.
        classes: of the data.
        channels: of the data.
    """
    config = spec.space.default_config()
    wanted = _wanting(spec, config)
    if not wanted:
        return Weights(changes={})
    asked = config.with_params({"arch": wanted[0], "pretrained": True})
    for file in files:
        if _refusal(asked.with_params({"weights": str(file)}), classes, channels) is None:
            only = {"arch": wanted[0]} if config.arch == wanted[0] else {}  # a smaller relative would not fit the file
            return Weights(changes={"weights": str(file.resolve()), **only}, used=frozenset({file}))
    reason = None if config.weights else _refusal(asked, classes, channels)
    if reason is None:
        return Weights(changes={})
    external.stop_asking()
    return Weights(changes={"pretrained": False}, note=RANDOM, reason=reason)


def kept(spec: StudySpec, begun: StudySpec, files: Sequence[Path]) -> Weights:
    """Return what `find` said when a system's study was begun, which holds for all of its studies.

    Args:
        spec: the system's.
        begun: the study as described, as it was begun.
        files: those of this call, of which one may be what it took then.
    """
    config = begun.space.default_config()
    used = frozenset(file for file in files if str(file.resolve()) == config.weights)
    if not _wanting(spec, spec.space.default_config()):
        return Weights(changes={}, used=used)
    if not config.pretrained:
        return Weights(changes={"pretrained": False}, note=RANDOM, used=used)
    only = {"arch": config.arch} if config.arch.partition(":")[0] in LIBRARIES else {}
    return Weights(changes={"weights": config.weights, **only} if config.weights else {}, used=used)


def check_there(files: Sequence[Path]) -> None:
    """Refuse a weights file that does not exist.

    Raises:
        UsageError: with its name.
    """
    for file in files:
        if not file.is_file():
            msg = f"--weights must be a file, and there is none at {file}; check the path"
            raise UsageError(msg)


def check_used(files: Sequence[Path], used: frozenset[Path]) -> None:
    """Refuse a weights file that no system took.

    Raises:
        UsageError: with its name.
    """
    left = [str(file) for file in files if file not in used]
    if left:
        msg = f"--weights must fit the net of a system that is compared, got {', '.join(left)}, which "
        msg += "fits none of them, or came after they were begun; leave it out, or name another --out"
        raise UsageError(msg)


def _wanting(spec: StudySpec, config: TrialConfig) -> list[str]:
    """Return the libraries' nets that may ask for pretrained weights, the default one first."""
    pretrained = {d.name: d.choices for d in spec.space.dimensions}.get("pretrained", (config.pretrained,))
    searched = {d.name: d.choices for d in spec.space.dimensions}.get("arch", (config.arch,))
    names = [config.arch, *(name for name in searched if name != config.arch)]
    return [name for name in names if name.partition(":")[0] in LIBRARIES] if True in pretrained else []


def _refusal(config: TrialConfig, classes: int, channels: int) -> str | None:
    """Return why a net cannot be built, None if it can."""
    try:
        registry.build(config, classes=classes, channels=channels)
    except ModelError as error:
        return str(error)
    return None
