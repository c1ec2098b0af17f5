"""Our own architectures by name: known without importing torch, so that a study file is checked in milliseconds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One entry of `ferhpo models`.

    Args:
        name: what `arch` of a study file says.
        family: the module of `ferhpo.models` that builds it, or `timm` or `torchvision`.
        parameters: weights at the default settings for 1 channel and 7 classes; None where nobody has counted.
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
        Architecture(
            name="resnet18",
            family="resnet",
            parameters=2_797_543,
            doc="7x7 stem, max pool, eight basic blocks, for 64 pixels and more (He et al. 2015, at width 64)",
        ),
        Architecture(
            name="cbam_cnn",
            family="cbam",
            parameters=401_909,
            doc="four convolutions, channel and spatial attention after each (Woo et al. 2018)",
        ),
        Architecture(
            name="shallow_cnn",
            family="cnn",
            parameters=1_051_015,
            doc="two convolutions and a classifier over the flattened map",
        ),
        Architecture(
            name="improved_cnn",
            family="cnn",
            parameters=124_935,
            doc="three convolutions with max pools, flattened",
        ),
        Architecture(
            name="deep_cnn",
            family="cnn",
            parameters=319_143,
            doc="six convolutions with batch norm in three stages, flattened",
        ),
        Architecture(
            name="ensemble_cnn",
            family="cnn",
            parameters=4_882_919,
            doc="four convolutions with max pools, two wide dense layers",
        ),
    )
}
LIBRARIES = ("timm", "torchvision")  # reached as LIBRARY:NAME
