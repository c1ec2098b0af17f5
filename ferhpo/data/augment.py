"""Batched augmentation on the training device: every image its own draw, all of a batch in a few passes.

Flips, shift, rotation, scale and shear are one affine map an image, hence one `grid_sample`, which is half of the time;
brightness and contrast are one multiply-add; cutout and covers are a blend each. Hand-written, since torchvision's
transforms draw once a batch, and kornia 0.9 takes 2.6 times as long (2.8 for the affine map alone) for 128 images of 48
px on one thread of a CPU.
"""

from collections.abc import Mapping
from math import pi

import torch
from torch.nn import functional

from ferhpo.space.config import OPERATIONS, TrialConfig

SHIFT = 0.25  # of the side
ROTATION = pi / 6
SCALE = 0.3
SHEAR = pi / 6
BRIGHTNESS = 0.4
CONTRAST = 0.6
CUTOUT = 0.5  # of the side
MOVES = ("shift", "rotation", "scale", "shear")
DRAWS = 12  # random numbers an image
COVERS = {"mask": ((0.5, 0.65), (0.95, 1.0)), "glasses": ((0.2, 0.3), (0.45, 0.55))}  # top and bottom, of the side
COVER_DRAWS = 5  # random numbers an image and cover: whether, top, bottom, width, shade
NARROWEST = 0.7  # of the side that a cover is wide


def strengths(config: TrialConfig) -> dict[str, float]:
    """Return the strength (0..1) of every operation."""
    return {name: config.strength(name) for name in OPERATIONS}


def augment(
    images: torch.Tensor, strength: Mapping[str, float], generator: torch.Generator, fill: torch.Tensor | float = 0.5
) -> torch.Tensor:
    """Return images changed at random, each by its own draw; with every strength 0 they come back as they are.

    Args:
        images: float32 B x C x S x S in 0..1; left as they are.
        strength: 0..1 by operation; a flip has the chance ``min(strength, 1/2)``, the others are drawn evenly from
            ``-strength`` to ``strength`` times their greatest amount. What is moved in from outside repeats the border.
            mask and glasses have the chance ``strength``: a bar of one shade of grey over the lower face or the eyes.
        generator: on the device of ``images``.
        fill: value of cut-out pixels, one number or one a channel (C x 1 x 1).

    References:
        DeVries and Taylor 2017, Improved Regularization of Convolutional Neural Networks with Cutout, arXiv 1708.04552.
        Changed here: the side is drawn from 0 to its greatest, and the square may lie partly outside.
        Zhong et al. 2017, Random Erasing Data Augmentation, arXiv 1708.04896. Changed here: what is erased lies where
        faces are covered.
    """
    draws = torch.rand(len(images), DRAWS, generator=generator, device=images.device)
    images = _geometry(images, strength, draws)
    images = _light(images, strength, draws)
    images = _cutout(images, strength, draws, fill)
    for name, (top, bottom) in COVERS.items():
        if strength[name]:
            draws = torch.rand(len(images), COVER_DRAWS, generator=generator, device=images.device)
            images = _covered(images, strength[name], draws, top, bottom)
    return images


def _geometry(images: torch.Tensor, strength: Mapping[str, float], draws: torch.Tensor) -> torch.Tensor:
    mirrored = draws[:, 0] < min(strength["flip"], 0.5)
    upended = draws[:, 1] < min(strength["vertical_flip"], 0.5)
    if not any(strength[name] for name in MOVES):  # whole pixels: no interpolation
        if strength["flip"]:
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        if strength["vertical_flip"]:
            images = torch.where(upended[:, None, None, None], images.flip(2), images)
        return images
    even = draws[:, 2:7] * 2 - 1
    angle = even[:, 0] * (ROTATION * strength["rotation"])
    zoom = 1 / (1 + even[:, 1] * (SCALE * strength["scale"]))
    slant = torch.tan(even[:, 2] * (SHEAR * strength["shear"]))
    shift = even[:, 3:5] * (2 * SHIFT * strength["shift"])  # of the side, which grid_sample counts as 2
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    x = torch.where(mirrored, -1.0, 1.0)
    y = torch.where(upended, -1.0, 1.0)
    theta = torch.stack(  # from a pixel of the result to the place in the image it is taken from
        (x * cos, x * (slant * cos - sin), shift[:, 0], y * sin, y * (slant * sin + cos), shift[:, 1]), dim=1
    ).view(-1, 2, 3)
    grid = _grid(theta, images.shape[-1])
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _grid(theta: torch.Tensor, size: int) -> torch.Tensor:
    """Return B x S x S x 2 places for maps B x 2 x 3.

    What `affine_grid` returns (without aligned corners) in a thirtieth of its time on a CPU: a map is a sum of a row
    and a column, not a small matrix product for every pixel.
    """
    at = (torch.arange(size, device=theta.device) * 2 + 1) / size - 1
    across = theta[:, :, 0, None] * at
    down = torch.addcmul(theta[:, :, 2, None], theta[:, :, 1, None], at)
    return (down[..., None] + across[:, :, None]).permute(0, 2, 3, 1)


def _light(images: torch.Tensor, strength: Mapping[str, float], draws: torch.Tensor) -> torch.Tensor:
    if not (strength["brightness"] or strength["contrast"]):
        return images
    even = draws[:, 7:9] * 2 - 1
    gain = 1 + even[:, 0] * (CONTRAST * strength["contrast"])
    offset = even[:, 1] * (BRIGHTNESS * strength["brightness"]) + 0.5 * (1 - gain)
    return torch.addcmul(offset[:, None, None, None], images, gain[:, None, None, None]).clamp_(0, 1)


def _cutout(
    images: torch.Tensor, strength: Mapping[str, float], draws: torch.Tensor, fill: torch.Tensor | float
) -> torch.Tensor:
    if not strength["cutout"]:
        return images
    half = draws[:, 9, None] * (CUTOUT * strength["cutout"] / 2)
    size = images.shape[-1]
    at = (torch.arange(size, device=images.device) + 0.5) / size
    columns = ((at - draws[:, 10, None]).abs() < half).to(images.dtype)
    rows = ((at - draws[:, 11, None]).abs() < half).to(images.dtype)
    inside = rows[:, None, :, None] * columns[:, None, None, :]  # 0 or 1, exactly, and four times as fast as a bool
    return torch.lerp(images, torch.as_tensor(fill, dtype=images.dtype, device=images.device), inside)


def _covered(
    images: torch.Tensor, chance: float, draws: torch.Tensor, top: tuple[float, float], bottom: tuple[float, float]
) -> torch.Tensor:
    """Return images, some of them with a bar across the middle between two heights, each drawn from its range."""
    size = images.shape[-1]
    at = (torch.arange(size, device=images.device) + 0.5) / size
    first, last = (low + (high - low) * draws[:, i, None] for i, (low, high) in ((1, top), (2, bottom)))
    half = (NARROWEST + (1 - NARROWEST) * draws[:, 3, None]) / 2
    rows = ((at > first) & (at < last) & (draws[:, 0, None] < chance)).to(images.dtype)
    columns = ((at - 0.5).abs() < half).to(images.dtype)
    return torch.lerp(images, draws[:, 4, None, None, None], rows[:, None, :, None] * columns[:, None, None, :])
