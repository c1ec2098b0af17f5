"""timm's and torchvision's architectures: the one file that knows either library.

Pretrained weights come from the library (a download) or from a safetensors file with the library's own names. A file's
classifier of another shape is left out and a fresh one kept; a stem for 3 channels serves 1 by summing over the
channels, as timm does (an RGB image with three equal channels gives the same sums), and one for 1 serves 3 by thirds.
"""

import re
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from ferhpo.errors import ModelError
from ferhpo.models import necks, weights
from ferhpo.models.blocks import Head
from ferhpo.space.config import TrialConfig

# torchvision nets with auxiliary classifiers, and the prefixes of their published weights that belong to those
AUXILIARY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|conv))\.(?=[12]\.)")  # of torchvision's published weights


class Necked(nn.Sequential):
    """A neck, and the library's pool behind it."""


@cache
def names(library: str) -> list[str]:
    """Return the library's classification nets; imports it."""
    if library == "timm":
        import timm

        return timm.list_models()
    from torchvision import models

    return models.list_models(module=models)


def stop_asking() -> None:
    """Let timm find cached weights alone from here on: a hub that is out of reach is asked for a minute a net."""
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True


def is_tagged(library: str, name: str) -> bool:
    """Tell whether ``name`` is one of timm's with a tag of its weights, like `resnet18.a1_in1k`."""
    if library != "timm":
        return False
    import timm

    return name in timm.list_pretrained()


def heads(model: nn.Module) -> tuple[str, ...]:
    """Return the classifier's layers by name: our own `Head`, else what timm says, else the last linear layer.

    A net without one has a convolution in its place.
    """
    own = tuple(name for name, layer in model.named_modules() if isinstance(layer, Head))
    if own:
        return own
    said = getattr(model, "pretrained_cfg", {}).get("classifier")
    if said:
        return (said,) if isinstance(said, str) else tuple(said)
    behind = tuple(f"{name}." for name, layer in model.named_modules() if isinstance(layer, Necked))
    layers = [(name, layer) for name, layer in model.named_modules() if not name.startswith(behind)]
    last = [name for name, layer in layers if isinstance(layer, nn.Linear)]
    return ((last or [name for name, layer in layers if isinstance(layer, nn.Conv2d)])[-1:][0],)


def added(model: nn.Module) -> tuple[str, ...]:
    """Return by name what trains on a frozen base: the classifier, and the neck where there is one."""
    return *heads(model), *(name for name, layer in model.named_modules() if isinstance(layer, Necked))


def build(config: TrialConfig, *, classes: int, channels: int) -> nn.Module:
    """Return a library's net, fresh or pretrained.

    Raises:
        ModelError: the library refuses, or the weights cannot be had or do not fit.
    """
    library, _, name = config.arch.partition(":")
    make = _timm if library == "timm" else _torchvision
    model = make(name, config, classes, channels)
    if config.pretrained and config.weights:
        load_file(model, Path(config.weights).expanduser(), config.arch)
    if config.neck != "none":
        _add_neck(model, config, channels)
    if config.head:
        _add_head(model, config, classes)
    return model


def _timm(name: str, config: TrialConfig, classes: int, channels: int) -> nn.Module:
    import timm

    download = config.pretrained and not config.weights
    more: dict[str, Any] = {"drop_rate": 0.0 if config.head else config.dropout}
    if config.patch_size:
        more["patch_size"] = config.patch_size
    known = timm.get_pretrained_cfg(name)
    if known is not None and known.fixed_input_size:
        more["img_size"] = config.image_size
    try:
        try:
            return timm.create_model(name, pretrained=download, num_classes=classes, in_chans=channels, **more)
        except TypeError as error:
            if "drop_rate" not in str(error):
                raise
            del more["drop_rate"]  # a few of timm's nets have none
            return timm.create_model(name, pretrained=download, num_classes=classes, in_chans=channels, **more)
    except Exception as error:  # timm, huggingface_hub and urllib raise what they like
        if config.patch_size and "patch_size" in str(error):
            msg = f"patch_size is for nets that cut an image into patches, {config.arch} does not; set patch_size = 0"
            raise ModelError(msg) from error
        raise (_no_weights if download else _refused)(config, error) from error


def _torchvision(name: str, config: TrialConfig, classes: int, channels: int) -> nn.Module:
    from torchvision import models

    more: dict[str, Any] = {}
    if name in AUXILIARY:
        more = {"aux_logits": False, "init_weights": True}
    if name.startswith("vit_"):
        more = {"image_size": config.image_size}
    try:
        model = models.get_model(name, weights=None, num_classes=classes, **more)
    except Exception as error:  # whatever a library's constructor raises
        raise _refused(config, error) from error
    _set_dropout(model, 0.0 if config.head else config.dropout)
    if channels != 3:
        _replace_stem(model, channels)
    if config.pretrained and not config.weights:
        try:
            state = models.get_model_weights(name)["DEFAULT"].get_state_dict(progress=False, check_hash=True)
        except Exception as error:  # urllib, ssl, hash errors, a model without weights
            raise _no_weights(config, error) from error
        _load(model, dict(state), config.arch, "torchvision's weights")
    return model


def _set_dropout(model: nn.Module, p: float) -> None:
    """Let what a net of torchvision drops before its classifier be ``p`` of it, where it drops nothing as well."""
    head = heads(model)[0]
    top = model.get_submodule(head.partition(".")[0])
    own = [layer for layer in (*top.modules(), *model.children()) if isinstance(layer, nn.Dropout)]
    for layer in own:  # in the classifier, or before it, as googlenet's and inception_v3's
        layer.p = p
    if p and not own:  # a hook leaves the weights their names
        model.get_submodule(head).register_forward_pre_hook(partial(_dropped, p=p))


def _dropped(layer: nn.Module, args: tuple[torch.Tensor, ...], *, p: float) -> tuple[torch.Tensor, ...]:
    return functional.dropout(args[0], p, layer.training), *args[1:]


def _add_neck(model: nn.Module, config: TrialConfig, channels: int) -> None:
    """Put a neck before the last global average pool."""
    pools = [name for name, layer in model.named_modules() if isinstance(layer, nn.AdaptiveAvgPool2d)]
    if not pools:
        msg = f"a neck stands before a global average pool layer, {config.arch} has none; set neck = none"
        raise ModelError(msg)
    pool, shapes = model.get_submodule(pools[-1]), []
    hook = pool.register_forward_pre_hook(lambda _, inputs: shapes.append(inputs[0].shape))
    model.eval()
    try:
        with torch.no_grad():  # as in `registry.try_size`
            model(torch.zeros(1, channels, config.image_size, config.image_size))
    except Exception as error:  # whatever a library's net raises at a size that it cannot take
        raise _refused(config, error) from error
    finally:
        hook.remove()
    model.set_submodule(pools[-1], Necked(necks.build(config.neck, shapes[0][1]), pool))


def _add_head(model: nn.Module, config: TrialConfig, classes: int) -> None:
    """Put a `Head` in place of every linear classifier."""
    for name in heads(model):
        layer = model.get_submodule(name)
        if not isinstance(layer, nn.Linear):
            msg = f"{config.arch} has no linear classifier that a head could replace; set head = 0"
            raise ModelError(msg)
        model.set_submodule(name, Head(layer.in_features, classes, config))


def load_file(model: nn.Module, path: Path, arch: str) -> None:
    """Load a safetensors file into ``model``; the classifier may differ in shape, nothing else.

    Raises:
        ModelError: the file is missing or no safetensors file, or a weight is missing, unknown or of another shape.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file as read

    try:
        state = read(path)
    except (OSError, SafetensorError) as error:
        msg = f"weights must be a safetensors file, '{path}' cannot be read ({error}); give another file"
        raise ModelError(msg) from error
    _load(model, state, arch, f"'{path}'")


def _load(model: nn.Module, state: dict[str, torch.Tensor], arch: str, source: str) -> None:
    state, own = _as_built(state, arch), model.state_dict()
    head = tuple(f"{name}." for name in heads(model))
    stem = next(name for name, weight in own.items() if weight.ndim == 4)
    if stem in state and state[stem].ndim == 4:
        state[stem] = adapt_stem(state[stem], own[stem].shape[1])
    fresh = [n for n in own if n.startswith(head) and (n not in state or state[n].shape != own[n].shape)]
    if fresh:  # weight and bias belong together: one of another shape leaves both fresh
        state = {n: t for n, t in state.items() if not n.startswith(head)}
        own = {n: t for n, t in own.items() if not n.startswith(head)}
    unknown = sorted(set(state) - set(own))
    missing = sorted(n for n in set(own) - set(state) if not n.endswith("num_batches_tracked"))
    both = sorted(set(state) & set(own))
    wrong = [f"{n} {tuple(state[n].shape)} for {tuple(own[n].shape)}" for n in both if state[n].shape != own[n].shape]
    problems = [
        f"{what}: {', '.join(found[:3])}{' and more' if len(found) > 3 else ''}"
        for what, found in (("missing", missing), ("unknown", unknown), ("of another shape", wrong))
        if found
    ]
    if problems:
        msg = f"weights must fit {arch} by name and shape, {source} does not ({'; '.join(problems)}); give another file"
        raise ModelError(msg)
    weights.load(model, state, strict=False)


def _as_built(state: dict[str, torch.Tensor], arch: str) -> dict[str, torch.Tensor]:
    """Return weights as torchvision publishes them under the names that its net has here."""
    library, _, name = arch.partition(":")
    if library != "torchvision":
        return state
    kept = {n: t for n, t in state.items() if not n.startswith(AUXILIARY.get(name, ()))}
    return {OLD_DENSENET.sub(r"\1", n): t for n, t in kept.items()} if name.startswith("densenet") else kept


def adapt_stem(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Return a first convolution's weight (out x in x k x k) for another number of input channels.

    3 to 1: the sum, so that grey images give what they gave as RGB. 1 to 3: a third each.
    """
    have = weight.shape[1]
    if have == 3 and channels == 1:
        return weight.sum(1, keepdim=True)
    if have == 1 and channels == 3:
        return weight.repeat(1, 3, 1, 1) / 3
    return weight


def _replace_stem(model: nn.Module, channels: int) -> None:
    name, old = next((n, m) for n, m in model.named_modules() if isinstance(m, nn.Conv2d))
    shape: dict[str, Any] = {k: getattr(old, k) for k in ("kernel_size", "stride", "padding", "dilation")}
    new = nn.Conv2d(channels, old.out_channels, **shape, bias=old.bias is not None)
    with torch.no_grad():
        new.weight.copy_(adapt_stem(old.weight, channels))
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    parent, _, leaf = name.rpartition(".")
    setattr(model.get_submodule(parent), leaf, new)


def _no_weights(config: TrialConfig, error: BaseException) -> ModelError:
    return ModelError(
        f"pretrained weights of {config.arch} cannot be had: the library's download failed ({_short(error)}); "
        'give a local file with weights = "file.safetensors", or set pretrained = false'
    )


def _refused(config: TrialConfig, error: BaseException) -> ModelError:
    return ModelError(f"{config.arch} cannot take {config.image_size} px ({_short(error)}); set another image_size")


def _short(error: BaseException) -> str:
    said, kind = " ".join(str(error).split())[:200], type(error).__name__
    return f"{kind}: {said}" if said else kind
