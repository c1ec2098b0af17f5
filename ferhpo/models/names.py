"""Our own architectures by name: known without importing torch, so that a study file is checked in milliseconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One entry of `ferhpo models`.

    Args:
        name: what `arch` of a study file says.
        family: the module of `ferhpo.models` that builds it, or `timm` or `torchvision`.
        parameters: weights at the default width for 1 channel and 7 classes; None where nobody has counted.
        doc: one line for people.
    """

    name: str
    family: str
    parameters: int | None
    doc: str


OWN = {
    a.name: a
    for a in (
        Architecture(
            name="resnet9s",
            family="resnet9",
            parameters=1_940_199,
            doc="ResNet-9 with a strided stem: the default, made for speed",
        ),
        Architecture(
            name="resnet9",
            family="resnet9",
            parameters=1_644_775,
            doc="ResNet-9 at full resolution (Page 2018, How to Train Your ResNet)",
        ),
        Architecture(
            name="vgg8",
            family="vgg",
            parameters=1_174_439,
            doc="eight 3x3 convolutions in four stages, global average pool (Simonyan and Zisserman 2014)",
        ),
    )
}
LIBRARIES = ("timm", "torchvision")  # reached as LIBRARY:NAME
