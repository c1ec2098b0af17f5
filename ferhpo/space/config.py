"""`TrialConfig`: one point of the space, complete and checked, from which a training can be repeated.

Every setting is declared once, here: its type, default, what it accepts, what it means and when it matters.
Study files, `--set`, the sampler, checkpoints and the report all go by this table.
"""

import json
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self

from ferhpo.errors import UsageError, did_you_mean
from ferhpo.metrics import METRICS
from ferhpo.space.setting import Params, Setting

ACTIVATIONS = ("gelu", "relu", "silu")
NECKS = ("none", "cbam", "self_attention", "lstm")
OPTIMIZERS = ("sgd", "adam", "adamw", "muon")
LOSSES = ("cross_entropy", "label_smoothing", "focal", "class_balanced", "kl")
WEIGHTINGS = ("none", "sqrt", "inverse")
SAMPLINGS = ("none", "oversample", "smote", "undersample", "balanced")
FILTERS = ("none", "gaussian", "median")
SCHEDULES = ("onecycle", "cosine", "triangular", "exponential", "plateau", "constant")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
ATTACKS = ("none", "fgsm", "pgd")
ON_DIAL = ("flip", "shift", "rotation", "scale", "brightness", "contrast", "cutout")
OFF_DIAL = ("vertical_flip", "shear", "mask", "glasses")
OPERATIONS = (*ON_DIAL, *OFF_DIAL)


def _external(params: Params) -> bool:
    return ":" in str(params["arch"])


def _shaped(params: Params) -> bool:
    """Tell whether width and activation reach the net: a library's has its own."""
    return not str(params["arch"]).startswith(("timm:", "torchvision:"))


def _timm(params: Params) -> bool:
    return str(params["arch"]).startswith("timm:")


def _plateau(params: Params) -> bool:
    return params["schedule"] == "plateau"


def _attacked(params: Params) -> bool:
    return params["adversarial"] != "none"


def _set(default: object, doc: str, **rule: Any) -> Any:
    return field(default=default, metadata={"doc": doc, **rule})


def _operation(doc: str, *, dial: bool = True) -> Any:
    more = "its own strength in place of the dial's" if dial else "not under the dial"
    return _set(None, f"{doc}; {more}", low=0, high=1, optional=True, live=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialConfig:
    """One frozen, validated point of the space.

    The order of the fields is the order in which a sampler is asked, so what a field depends on stands before it.

    Raises:
        UsageError: a value is of the wrong type or outside what its setting allows.
    """

    arch: str = _set(
        "resnet9s", "architecture: a name of `ferhpo models`, timm:NAME, torchvision:NAME or python:MODULE:FUNCTION"
    )
    width: int = _set(32, "channels of the first stage of our own nets", low=4, high=512, matters=_shaped)
    neck: str = _set(
        "none",
        "what the feature map goes through before the pool: cbam (channel and spatial attention), self_attention over "
        "its places, lstm over its rows",
        choices=NECKS,
    )
    head: int = _set(0, "units of a hidden layer before the classifier, 0 is none", low=0, high=65536)
    activation: str = _set(
        "relu",
        "of our own nets, and of the head's hidden layer",
        choices=ACTIVATIONS,
        matters=lambda p: p["head"] > 0 or _shaped(p),  # head first, so that `space` sees that it is looked at
    )
    patch_size: int = _set(
        0, "pixels a side of a patch of timm's ViT and ConvNeXt nets, 0 is their own", low=0, high=64, matters=_timm
    )
    pretrained: bool = _set(False, "start from pretrained weights", matters=_external)
    weights: str = _set(
        "",
        "a safetensors file with the pretrained weights, in place of a download; seen from the study file",
        matters=lambda p: p["pretrained"],
    )
    frozen: bool = _set(
        False, "train classifier and neck only, keep the pretrained base as it is", matters=lambda p: p["pretrained"]
    )
    image_size: int = _set(
        48, "pixels a side that the net sees; in a study the [data] size unless set", low=8, high=1024
    )
    frames: int = _set(1, "of a sample, which its channels hold; the study's [data] frames", low=1, high=64)
    denoise: str = _set(
        "none", "3x3 filter that the net passes its images through first, wherever it is used", choices=FILTERS
    )
    grow: float = _set(
        1.0, "share of image_size at which training begins, growing until 0.8 of the budget; 1 is off", low=0.25, high=1
    )
    optimizer: str = _set(
        "sgd",
        "sgd is SGD with Nesterov momentum; muon is Muon for convolution filters, with adamw and its lr for the rest",
        choices=OPTIMIZERS,
    )
    lr: float = _set(0.1, "peak learning rate", low=1e-7, high=10, live=True)
    momentum: float = _set(
        0.9, "of sgd, and of muon's filters", low=0, high=0.999, matters=lambda p: p["optimizer"] in ("sgd", "muon")
    )
    batch_size: int = _set(128, "images a step", low=2, high=65536)
    weight_decay: float = _set(5e-4, "of convolution and linear weights", low=0, high=1, live=True)
    dropout: float = _set(0.2, "before the classifier", low=0, high=0.95, live=True)
    feature_dropout: float = _set(
        0.0,
        "of the pooled features, before the head's hidden layer",
        low=0,
        high=0.95,
        matters=lambda p: p["head"] > 0,
        live=True,
    )
    loss: str = _set("label_smoothing", "training loss", choices=LOSSES)
    smoothing: float = _set(
        0.1, "of label_smoothing", low=0, high=0.9, matters=lambda p: p["loss"] == "label_smoothing", live=True
    )
    focal_gamma: float = _set(
        1.0, "focusing of focal (Lin et al. 2017)", low=0, high=10, matters=lambda p: p["loss"] == "focal", live=True
    )
    balance_beta: float = _set(
        0.999,
        "of class_balanced (Cui et al. 2019)",
        low=0,
        high=0.99999,
        matters=lambda p: p["loss"] == "class_balanced",
    )
    class_weighting: str = _set(
        "none",
        "weight of a class by its count",
        choices=WEIGHTINGS,
        matters=lambda p: p["loss"] != "class_balanced",
        live=True,
    )
    sampling: str = _set(
        "none",
        "oversample shows each class as often as the largest, smote with blends of near rows for repeats (Chawla et "
        "al. 2002), undersample as often as the smallest, balanced equally in a batch",
        choices=SAMPLINGS,
    )
    logit_adjustment: float = _set(
        0.0,
        "tau by which the loss adds log class shares to the logits (Menon et al. 2020), 0 is off",
        low=0,
        high=5,
        live=True,
    )
    distill: float = _set(
        0.0, "weight of a teacher's soft labels beside the labels (Hinton et al. 2015); needs a teacher", low=0, high=1
    )
    temperature: float = _set(
        2.0, "at which teacher and net are compared", low=0.5, high=20, matters=lambda p: p["distill"] > 0, live=True
    )
    augment: float = _set(
        0.5, "one dial over flip, shift, rotation, scale, brightness, contrast and cutout", low=0, high=1, live=True
    )
    flip: float | None = _operation("mirror left and right")
    shift: float | None = _operation("move by up to a quarter of the image")
    rotation: float | None = _operation("turn by up to 30 degrees")
    scale: float | None = _operation("zoom by up to 30 %")
    brightness: float | None = _operation("add up to 40 % of white or black")
    contrast: float | None = _operation("stretch by up to 60 %")
    cutout: float | None = _operation("blank a square of up to half the side")
    vertical_flip: float | None = _operation("mirror top and bottom", dial=False)
    shear: float | None = _operation("shear by up to 30 degrees", dial=False)
    mask: float | None = _operation("cover nose and mouth, that often", dial=False)
    glasses: float | None = _operation("cover the eyes with a bar, that often", dial=False)
    mixup: float = _set(0.0, "alpha of mixup (Zhang et al. 2018), 0 is off", low=0, high=8, live=True)
    adversarial: str = _set(
        "none",
        "train on attacked images: fgsm (Goodfellow et al. 2015), one more pass a step, or pgd (Madry et al. 2018)",
        choices=ATTACKS,
    )
    adversarial_epsilon: float = _set(
        0.03,
        "largest change of a pixel by an attack, of an image in 0..1",
        low=0,
        high=0.5,
        matters=_attacked,
        live=True,
    )
    adversarial_steps: int = _set(
        4, "of pgd, each one more pass", low=1, high=100, matters=lambda p: p["adversarial"] == "pgd"
    )
    adversarial_share: float = _set(
        0.5, "of a batch's images that are attacked (Kurakin et al. 2017)", low=0.01, high=1, matters=_attacked
    )
    schedule: str = _set("onecycle", "learning rate over the budget", choices=SCHEDULES)
    cycles: int = _set(
        2, "of triangular (Smith 2015)", low=1, high=1000, matters=lambda p: p["schedule"] == "triangular"
    )
    decay: float | None = _set(
        None,
        "of exponential: an epoch multiplies the rate by e^-decay; off lets the budget end at a hundredth of the peak",
        low=0,
        high=10,
        optional=True,
        matters=lambda p: p["schedule"] == "exponential",
    )
    decay_after: int = _set(
        0,
        "epochs at the peak before decay begins",
        low=0,
        matters=lambda p: (p["schedule"], p["decay"] is None) == ("exponential", False),
    )
    plateau_patience: int = _set(
        5, "epochs without a better validation value before plateau lowers the rate", low=1, matters=_plateau
    )
    plateau_factor: float = _set(0.5, "what plateau lowers the rate by", low=0.001, high=0.999, matters=_plateau)
    clip: float = _set(0.0, "largest norm of the gradient, 0 is off", low=0, high=1000)
    ema: float = _set(0.999, "decay of the weights' moving average, 0 is off", low=0, high=0.99999)
    patience: int = _set(
        0,
        "epochs without a better validation value before stopping; the value is then the curve's best by "
        "patience_metric, at the end of the budget too, so a search over patience compares best with last; 0 is off",
        low=0,
    )
    patience_metric: str = _set(
        "study",
        "what patience and plateau watch on the validation rows: study is the study's metric; nll is the loss",
        choices=("study", *METRICS),
        matters=lambda p: p["patience"] > 0 or _plateau(p),
    )
    precision: str = _set("auto", "number format of the training step; auto measures", choices=PRECISIONS)
    epochs: int = _set(8, "passes over the training rows, which the schedule fits", low=1)
    seed: int = _set(0, "of weights, order and augmentation", low=0)

    def __post_init__(self) -> None:
        for name, setting in SETTINGS.items():
            object.__setattr__(self, name, setting.check(getattr(self, name)))

    @classmethod
    def from_params(cls, params: Params) -> Self:
        """Build a config from settings by name; what is left out has its default.

        Raises:
            UsageError: a name is unknown, or a value is not allowed.
        """
        check_names(params)
        return cls(**params)

    def with_params(self, params: Params) -> Self:
        """Return a copy with some settings changed; raises as `from_params`."""
        check_names(params)
        return replace(self, **params)

    def params(self) -> dict[str, Any]:
        """Return every setting by name, ready for JSON."""
        return asdict(self)

    def to_json(self) -> str:
        """Return one line of JSON that `from_json` reads back to an equal config."""
        return json.dumps(self.params(), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote; raises as `from_params`."""
        return cls.from_params(json.loads(text))

    def net(self) -> str:
        """Return what the cost of a step on one image depends on, in a line: what measurements are kept under."""
        frozen = "frozen" if self.frozen and self.pretrained else "whole"
        seen = f"{self.image_size}px" if self.frames == 1 else f"{self.frames}x{self.image_size}px"
        parts = (self.neck, f"head-{self.head}", self.activation, f"patch-{self.patch_size}", seen)
        return " ".join(map(str, (self.arch, self.width, *parts, frozen)))

    def strength(self, operation: str) -> float:
        """Return the strength (0..1) of one augmentation: its own, else the dial's where the dial covers it."""
        own = getattr(self, operation)
        if own is not None:
            return own
        return 0.0 if operation in OFF_DIAL else self.augment


def _settings() -> dict[str, Setting]:
    kinds = {"int": int, "float": float, "str": str, "bool": bool, "float | None": float}
    types = TrialConfig.__annotations__
    return {
        f.name: Setting(
            name=f.name,
            kind=types[f.name] if types[f.name] in kinds.values() else kinds[str(types[f.name])],
            **f.metadata,
        )
        for f in fields(TrialConfig)
    }


SETTINGS = _settings()
RUN_SETTINGS = ("epochs", "seed")  # given by the study's budget and seed, never searched


def check_names(params: Params) -> None:
    """Refuse a name that is no setting.

    Raises:
        UsageError: with the nearest setting.
    """
    for name in params:
        if name not in SETTINGS:
            msg = f"a setting must be a known one, got '{name}'{did_you_mean(name, SETTINGS)}"
            raise UsageError(msg)
