"""Every architecture by name: ours, `timm:NAME`, `torchvision:NAME`, and a user's own, `python:MODULE:FUNCTION`.

Nothing heavy is imported before a net is built or a library's name has to be looked up.
"""

from fnmatch import fnmatchcase
from importlib import import_module
from typing import TYPE_CHECKING

from ferhpo.errors import ModelError, UsageError, did_you_mean, first_line
from ferhpo.models import user
from ferhpo.models.names import LIBRARIES, OWN, Architecture
from ferhpo.space.config import TrialConfig

if TYPE_CHECKING:
    from torch import nn


def check(arch: str) -> None:
    """Refuse an architecture that nobody has; only a library's name makes the library load, a module's the module.

    Raises:
        UsageError: with the nearest name.
    """
    library, colon, name = arch.partition(":")
    if library == user.LIBRARY:
        user.constructor(arch)
        return
    if not colon:
        if arch not in OWN:
            near = did_you_mean(arch, [*OWN, *(f"{library}:NAME" for library in LIBRARIES)])
            msg = f"an architecture must be a known one, got '{arch}'{near}"
            raise UsageError(msg)
        return
    if library not in LIBRARIES:
        near = did_you_mean(library, (*LIBRARIES, user.LIBRARY))
        msg = f"an architecture's library must be a known one, got '{library}' in '{arch}'{near}"
        raise UsageError(msg)
    from ferhpo.models import external

    known = external.names(library)
    if name not in known and not external.is_tagged(library, name):
        msg = f"an architecture of {library} must be a known one, got '{arch}'{_nearest(name, known)}"
        raise UsageError(msg)


def architectures(pattern: str = "") -> list[Architecture]:
    """List architectures: ours, or the ones of all three sources whose name fits a pattern.

    Args:
        pattern: empty for ours alone; else with `*` and `?` as in a shell, or a part of the name; one that begins with
            `timm:` or `torchvision:` makes that library load, another one both.
    """
    if not pattern:
        return list(OWN.values())
    from ferhpo.models import external

    glob = pattern if set(pattern) & set("*?[") else f"*{pattern}*"
    libraries = [x for x in LIBRARIES if pattern.startswith(f"{x}:")] or LIBRARIES
    found = [a for a in OWN.values() if fnmatchcase(a.name, glob)]
    for library in libraries:
        names = (f"{library}:{name}" for name in external.names(library))
        found += [Architecture(name=x, family=library, parameters=None, doc="") for x in names if fnmatchcase(x, glob)]
    return found


def build(config: TrialConfig, *, classes: int, channels: int, tried: bool = False) -> "nn.Module":
    """Return the net of a config with fresh or pretrained weights, drawn from torch's global generator.

    Args:
        config: arch, width, neck, head, activation, patch_size, image_size, denoise, frames, the dropouts, pretrained
            and weights are read.
        classes: logits an image.
        channels: 1 (grey) or 3 (RGB), of each frame where there are several.
        tried: the size needs no trial run, since the net was built before, as a checkpoint's was.

    Returns:
        A module from float images B x channels x image_size x image_size to logits B x classes.

    Raises:
        UsageError: the architecture is unknown.
        ModelError: its weights cannot be had, or it cannot take the channels or the image size.
    """
    check(config.arch)
    of_frame, rest = divmod(channels, config.frames)
    if rest or of_frame not in (1, 3):
        more = "" if config.frames == 1 else f" in each of {config.frames} frames"
        msg = f"a net takes 1 or 3 channels{more}, got {channels}; prepare the images as grey or RGB"
        raise ModelError(msg)
    model = _build(config, classes, of_frame)
    if config.frames > 1:
        from ferhpo.models import frames

        frames.add(model, config.frames, config.arch)
    if config.denoise != "none":
        from ferhpo.models import denoise

        denoise.add(model, config.denoise)
    if not tried:
        try_size(model, config.arch, config.image_size, classes=classes, channels=channels)
    return model


def _build(config: TrialConfig, classes: int, channels: int) -> "nn.Module":
    """Return the net of single images."""
    if config.arch.startswith(f"{user.LIBRARY}:"):
        return user.build(config, classes=classes, channels=channels)
    if ":" in config.arch:
        from ferhpo.models import external

        return external.build(config, classes=classes, channels=channels)
    family = import_module(f"ferhpo.models.{OWN[config.arch].family}")
    return getattr(family, config.arch)(config, classes, channels)


def is_frozen(config: TrialConfig) -> bool:
    """Tell whether a config's net is to `freeze`: a library's or a user's with pretrained weights."""
    return config.frozen and config.pretrained and ":" in config.arch


def freeze(model: "nn.Module") -> None:
    """Let only classifier and neck train; call `train_mode`, not `model.train()`, to keep the base's norms fixed."""
    from ferhpo.models import external

    model.requires_grad_(False)
    for name in external.added(model):
        model.get_submodule(name).requires_grad_(True)


def train_mode(model: "nn.Module") -> None:
    """Set ``model`` to training, but for parts whose every weight is frozen: their norms and dropouts stay fixed."""
    model.train()
    for module in model.modules():
        weights = list(module.parameters())
        if weights and not any(w.requires_grad for w in weights):
            module.eval()


def try_size(model: "nn.Module", arch: str, size: int, *, classes: int, channels: int) -> None:
    """Run one blank image through ``model``: a size that it cannot take is found here, not in the first step.

    Raises:
        ModelError: it cannot take images of ``size`` pixels.
    """
    import torch

    model.eval()
    try:
        with torch.no_grad():  # tensors that a net makes now and keeps must serve in training, inference ones do not
            shape = tuple(model(torch.zeros(1, channels, size, size)).shape)
    except (RuntimeError, ValueError, AssertionError, TypeError, AttributeError, IndexError) as error:
        msg = f"{arch} cannot take images of {size} px ({first_line(error)}); set another image_size or grow"
        raise ModelError(msg) from error
    if shape != (1, classes):
        msg = f"an architecture must give {classes} logits an image, {arch} gave {shape}; choose another"
        raise ModelError(msg)


def _nearest(name: str, known: list[str]) -> str:
    text = did_you_mean(name, known)
    return text if text.startswith("; did") else f"; see `ferhpo models '*{name[:6]}*'`"
