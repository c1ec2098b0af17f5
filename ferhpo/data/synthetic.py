"""The embedded data set: drawn 48x48 grey faces with seven expressions, and FER-2013's troubles.

A face is a few numbers: how far its muscles move (after the action units of Ekman & Friesen 1978, Facial Action Coding
System), its build, its pose and its light. An expression is a mean of the movements; a face shows it with more or less
intensity, mixed with chance movements, so that weak expressions overlap as real ones do. The rest (pose, light, noise,
hair, glasses, hands, wrong labels) carries no information and has to be learned away.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ferhpo.data.raw import EXPRESSIONS, RawData

# How hard the set is: lower INTENSITY or raise one of the next five to make it harder; WRONG sets the ceiling.
INTENSITY = (0.5, 1.15)  # how much of an expression a face shows, from and to; low ones look neutral
CHANCE = 0.17  # standard deviation of chance movements, in units of a full expression
POSE = 0.8  # factor on rotation, turn of the head, shift and scale
LIGHT = 0.8  # factor on side light and change of contrast
NOISE = (1.0, 10.0)  # standard deviation of the sensor's noise in grey levels, from and to
OCCLUDED = 0.2  # share of faces with a patch over them
WRONG = 0.05  # share of wrong labels, in all splits as in real data

SEED = 2013
SHARES = {"Training": 0.7, "PublicTest": 0.15, "PrivateTest": 0.15}
COUNTS = (3995, 436, 4097, 7215, 4830, 3171, 4965)  # FER-2013's training rows by class: the imbalance
SIDE = 48
OVERSAMPLE = 3  # drawn so many times larger, then averaged: smooth edges
SPAN = 2.05  # units of the face that the image's side shows; a face is about 1.6 wide and 2.2 high

MOVES = ("inner_brow", "outer_brow", "eye", "stretch", "corner", "open", "upper_lip", "wrinkle", "cheek")
#                     inner outer  eye  stretch corner open  lip  wrinkle cheek
MEANS = {
    "angry": ((-1.0, 0.3, -0.4, -0.1, -0.45, 0.0, 0.0, 0.3, 0.2), (-1.0, 0.2, -0.3, 0.2, -0.4, 0.5, 0.4, 0.4, 0.4)),
    "disgust": ((-0.6, -0.3, -0.7, 0.0, -0.5, 0.1, 1.0, 1.0, 0.7), (-0.6, -0.3, -0.8, 0.1, -0.3, 0.35, 1.0, 1.0, 0.8)),
    "fear": ((0.9, 0.3, 0.9, 0.6, -0.4, 0.4, 0.1, 0.0, 0.1), (0.9, 0.4, 1.0, 0.5, -0.3, 0.6, 0.2, 0.0, 0.1)),
    "happy": ((0.0, 0.1, -0.3, 0.6, 0.9, 0.0, 0.0, 0.0, 0.9), (0.1, 0.2, -0.4, 0.7, 1.0, 0.5, 0.2, 0.0, 1.0)),
    "sad": ((0.7, -0.7, -0.4, -0.2, -0.9, 0.0, 0.0, 0.0, 0.2), (0.8, -0.8, -0.7, 0.0, -1.0, 0.1, 0.1, 0.1, 0.3)),
    "surprise": ((0.9, 1.0, 0.9, -0.6, 0.0, 1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 0.8, -0.4, 0.1, 0.7, 0.0, 0.0, 0.0)),
    "neutral": ((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1), (0.0, 0.0, -0.1, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0)),
}


def render(rows: int) -> RawData:
    """Draw ``rows`` faces, the same ones every time.

    Args:
        rows: number of images, at least 100, so that each class has training images.
    """
    rng = np.random.default_rng(SEED)
    truth, part = _plan(rows, rng)
    images = np.empty((rows, SIDE, SIDE), np.uint8)
    for i in range(rows):
        images[i] = _face(EXPRESSIONS[truth[i]], rng)
    labels = _mislabel(truth, part, rng)
    return RawData(images=_shoot(images, rng)[..., None], labels=labels, classes=EXPRESSIONS, part=part)


def _plan(rows: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return class and split name of each row, shuffled; every class keeps its share in every split."""
    exact = np.array(COUNTS) / sum(COUNTS) * rows
    counts = np.maximum(exact.astype(int), 2)
    for c in np.argsort(counts - exact)[: max(0, rows - counts.sum())]:
        counts[c] += 1
    counts[counts.argmax()] += rows - counts.sum()
    truth = np.repeat(np.arange(len(counts)), counts)
    place = np.concatenate([(np.arange(n) + 0.5) / n for n in counts])
    names = np.array(list(SHARES))
    part = names[np.searchsorted(np.cumsum(list(SHARES.values())), place)]
    order = rng.permutation(rows)
    return truth[order].astype(np.int64), part[order]


def _mislabel(truth: np.ndarray, part: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Give a share of the rows another class, drawn by frequency; one training row of each class stays right."""
    share = np.array(COUNTS) / sum(COUNTS)
    wrong = rng.random(len(truth)) < WRONG
    for c in range(len(share)):
        wrong[np.flatnonzero((truth == c) & (part == "Training"))[:1]] = False
    labels = truth.copy()
    for i in np.flatnonzero(wrong):
        other = share * (np.arange(len(share)) != truth[i])
        labels[i] = rng.choice(len(share), p=other / other.sum())
    return labels


def _shoot(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light the faces from a side, change contrast and brightness, add the sensor's noise."""
    n = len(images)
    x = np.linspace(-1, 1, SIDE, dtype=np.float32)
    angle = rng.uniform(0, 2 * np.pi, n)
    strength = LIGHT * rng.uniform(0, 0.55, n)
    ramp = np.multiply.outer(np.cos(angle), x)[:, None, :] + np.multiply.outer(np.sin(angle), x)[:, :, None]
    out = images * (1 + strength[:, None, None] * ramp).astype(np.float32)
    contrast = np.exp(LIGHT * rng.uniform(-0.7, 0.25, n))
    middle = rng.uniform(85, 165, n)
    mean = out.mean((1, 2))
    out = (out - mean[:, None, None]) * contrast[:, None, None] + middle[:, None, None]
    sigma = rng.uniform(*NOISE, n).astype(np.float32)
    out += sigma[:, None, None] * rng.standard_normal(out.shape, dtype=np.float32)
    return np.clip(out, 0, 255).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pose:
    """From the face's own units (x right, y down, the bridge of the nose near 0) to pixels of the large image."""

    angle: float
    scale: float
    shift: tuple[float, float]
    yaw: float  # sine of the turn to a side: near things move with it, far ones do not
    pitch: float

    def seen(self, x: np.ndarray, y: np.ndarray) -> list[float]:
        """Return x and y in turns, as Pillow takes them."""
        depth = 0.75 * np.sqrt(np.maximum(0.0, 1 - (x / 0.85) ** 2 - (y / 1.2) ** 2))
        x = x * np.sqrt(1 - self.yaw**2) + depth * self.yaw
        y = y + (depth - 0.6) * self.pitch
        cos, sin = self.scale * np.cos(self.angle), self.scale * np.sin(self.angle)
        pixels = np.empty(2 * len(x))
        pixels[0::2] = x * cos - y * sin + self.shift[0]
        pixels[1::2] = x * sin + y * cos + self.shift[1]
        return pixels.tolist()


class _Sketch:
    """Areas and lines in the face's own units, in the order of drawing."""

    def __init__(self) -> None:
        self.strokes: list[tuple[np.ndarray, np.ndarray, int, float]] = []

    def area(self, x: np.ndarray, y: np.ndarray, tone: float) -> None:
        self.strokes.append((x, y, _grey(tone), 0.0))

    def line(self, x: np.ndarray, y: np.ndarray, tone: float, width: float) -> None:
        self.strokes.append((x, y, _grey(tone), width))

    def draw(self, picture: Image.Image, pose: _Pose) -> None:
        pixels = pose.seen(np.concatenate([s[0] for s in self.strokes]), np.concatenate([s[1] for s in self.strokes]))
        draw, at = ImageDraw.Draw(picture), 0
        for x, _, tone, width in self.strokes:
            points, at = pixels[at : at + 2 * len(x)], at + 2 * len(x)
            if width:
                draw.line(points, fill=tone, width=max(1, round(width * OVERSAMPLE)))
            else:
                draw.polygon(points, fill=tone)


_ROUND = np.linspace(0, 2 * np.pi, 33)[:-1]
_COS, _SIN = np.cos(_ROUND), np.sin(_ROUND)
_WAY = np.linspace(-1, 1, 13)
_ARCH = 1 - _WAY**2


def _grey(tone: float) -> int:
    return int(min(255.0, max(0.0, tone)))


def _face(expression: str, rng: np.random.Generator) -> np.ndarray:
    """Draw one face without light and noise: uint8, 48 x 48."""
    means = MEANS[expression]
    move = rng.uniform(*INTENSITY) * np.array(means[int(rng.random() < 0.5)]) + CHANCE * rng.standard_normal(len(MOVES))
    m: dict[str, float] = dict(zip(MOVES, move.tolist(), strict=True))
    side = SIDE * OVERSAMPLE
    yaw, pitch = np.clip(POSE * rng.normal(0, [0.25, 0.15]), -0.6, 0.6).tolist()
    pose = _Pose(
        angle=POSE * rng.normal(0, 0.16),
        scale=np.exp(POSE * rng.normal(0, 0.08)) * side / SPAN,
        shift=tuple(side / 2 + POSE * rng.normal(0, 0.04 * side, 2)),
        yaw=yaw,
        pitch=pitch,
    )
    skin, hair = rng.uniform(110, 215), rng.uniform(15, 120)
    sketch = _Sketch()
    width = _head(sketch, rng, skin, hair)
    _eyes(sketch, rng, m, skin, hair)
    _nose(sketch, rng, m, skin)
    _mouth(sketch, rng, m, skin, hair)
    _fringe(sketch, rng, hair, width)
    _things(sketch, rng)
    picture = Image.new("L", (side, side), _grey(rng.uniform(20, 235)))
    sketch.draw(picture, pose)
    if rng.random() < 0.5:
        picture = picture.filter(ImageFilter.BoxBlur(rng.uniform(0.5, 3.0)))
    return np.asarray(picture.reduce(OVERSAMPLE))


def _head(pen: _Sketch, rng: np.random.Generator, skin: float, hair: float) -> float:
    """Draw neck, hair, ears and the face's outline; return half the head's width."""
    width, height, jaw = rng.uniform(0.7, 0.85), rng.uniform(0.98, 1.12), rng.uniform(0.02, 0.3)
    pen.area(0.36 * np.array([-1, 1, 1.4, -1.4]), np.array([0.6, 0.6, 1.8, 1.8]), skin - 25)
    if rng.random() < 0.45:  # long hair
        pen.area((width + 0.2) * _COS, -0.1 + 1.25 * _SIN, hair)
    else:
        pen.area((width + 0.06) * _COS, -0.18 + (height - 0.1) * _SIN, hair)
        for s in (-1, 1):
            pen.area(s * (width + 0.02) + 0.1 * _COS, 0.02 + 0.18 * _SIN, skin - 18)
    y = height * np.sign(_SIN) * np.abs(_SIN) ** 0.9
    pen.area(width * _COS * (1 - jaw * np.maximum(0, y) ** 2), y, skin)
    return width


def _eyes(pen: _Sketch, rng: np.random.Generator, m: dict[str, float], skin: float, hair: float) -> None:
    apart, size, low = rng.uniform(0.33, 0.38), rng.uniform(0.18, 0.22), rng.uniform(-0.26, -0.18)
    half = max(0.012, (0.085 + 0.075 * m["eye"]) * size / 0.2)
    gaze, iris, brow = rng.normal(0, 0.035), rng.uniform(20, 90), rng.uniform(0.04, 0.07)
    rest, thick = low - rng.uniform(0.21, 0.27), min(hair, skin - 50) - 5
    for s in (-1, 1):
        x = s * apart
        pen.area(x + 1.25 * size * _COS, low + (half + 0.06) * _SIN, skin - 14)
        pen.area(x + size * _COS, low + half * _SIN * np.abs(_SIN) ** 0.3, min(250, skin + 45))
        radius = 0.09
        pen.area(x + gaze + radius * _COS, low + np.clip(radius * _SIN, -half, half), iris)
        pen.line(x + size * _WAY, low - half * _ARCH, skin - 95, 0.9)
        pen.line(x + size * _WAY, low + half * _ARCH, skin - 45, 0.5)
        if m["cheek"] > 0.4:
            pen.line(x + size * _WAY, low + half + 0.05 + 0.05 * _ARCH, skin - 15 - 25 * m["cheek"], 0.6)
        along = (1 - _WAY) / 2  # from 1 at the nose to 0 at the temple, over the eye
        line = rest - (0.19 * m["inner_brow"] * along + 0.17 * m["outer_brow"] * (1 - along)) - 0.05 * _ARCH
        bow = s * (0.12 + 0.44 * (1 - along) + 0.05 * min(0.0, m["inner_brow"]) * along)
        fat = brow * (0.5 + along**0.5 * 0.7)
        pen.area(np.concatenate([bow, bow[::-1]]), np.concatenate([line - fat, (line + fat)[::-1]]), thick)
    if m["inner_brow"] < -0.4:  # a frown
        for s in (-1, 1):
            pen.line(s * np.array([0.05, 0.06]), rest + np.array([-0.12, 0.1]), skin + 50 * m["inner_brow"], 0.6)
    if min(m["inner_brow"], m["outer_brow"]) > 0.3 or m["inner_brow"] > 0.7:  # a wrinkled forehead
        for high in (0.32, 0.42):
            pen.line(0.35 * _WAY, rest - high - 0.04 * _ARCH, skin - 30 * m["inner_brow"], 0.6)


def _nose(pen: _Sketch, rng: np.random.Generator, m: dict[str, float], skin: float) -> None:
    tip, width, side = rng.uniform(0.17, 0.25) - 0.04 * m["wrinkle"], rng.uniform(0.11, 0.16), rng.choice([-1, 1])
    pen.line(side * np.array([0.06, 0.07, width]), np.array([-0.2, 0.0, tip - 0.05]), skin - 28, 0.8)
    pen.line(width * _WAY, tip - 0.03 + 0.05 * _ARCH, skin - 45, 0.8)
    for s in (-1, 1):
        pen.area(s * 0.07 + 0.035 * _COS, tip - 0.01 + 0.022 * _SIN, skin - 85)
    for k in range(3 if m["wrinkle"] > 0.35 else 0):
        high = -0.19 + 0.09 * k
        pen.line(0.12 * _WAY, high + 0.05 * np.abs(_WAY), skin - 60 * m["wrinkle"], 0.6)
    fold = max(m["cheek"], 0.9 * m["wrinkle"])
    if fold > 0.25:
        for s in (-1, 1):
            x, y = np.array([width, 0.3, 0.4, 0.42]), np.array([tip - 0.06, 0.26, 0.4, 0.55])
            pen.line(s * x, y, skin - 50 * fold, 0.8)


def _mouth(pen: _Sketch, rng: np.random.Generator, m: dict[str, float], skin: float, hair: float) -> None:
    middle, lip = rng.uniform(0.5, 0.57), rng.uniform(0.035, 0.07)
    half = rng.uniform(0.28, 0.36) * (1 + 0.42 * m["stretch"])
    gape = max(0.0, m["open"] - 0.12)
    corner = middle - 0.2 * m["corner"] + 0.1 * gape
    upper = middle + 0.03 * m["corner"] - 0.11 * max(0.0, m["upper_lip"]) - 0.04 * gape
    lower = max(upper, middle + 0.03 * m["corner"]) + 0.33 * gape
    if rng.random() < 0.14:  # a beard
        pen.area(0.56 * _COS, 0.72 + 0.36 * _SIN, (skin + 2 * hair) / 3)
    x, tone = half * _WAY, skin - rng.uniform(40, 90)
    bend = _ARCH if gape < 0.3 else np.sqrt(_ARCH)
    top, bottom = corner + (upper - corner) * bend, corner + (lower - corner) * bend
    around = np.concatenate([1.06 * x, 1.06 * x[::-1]])
    pen.area(around, np.concatenate([top - lip * _ARCH, (bottom + 1.3 * lip * _ARCH)[::-1]]), tone)
    if lower - upper > 0.03:
        pen.area(np.concatenate([x, x[::-1]]), np.concatenate([top, bottom[::-1]]), 25)
        if m["stretch"] > -0.1 and rng.random() < 0.85:
            teeth = top + np.minimum(bottom - top, 0.1)
            pen.area(0.9 * np.concatenate([x, x[::-1]]), np.concatenate([top + 0.01, teeth[::-1]]), 232)
    else:
        pen.line(x, (top + bottom) / 2, tone - 55, 0.9)
    pen.line(0.12 * _WAY, lower + 1.3 * lip + 0.09 + 0.0 * _WAY, skin - 18, 0.7)


def _fringe(pen: _Sketch, rng: np.random.Generator, hair: float, width: float) -> None:
    if rng.random() < 0.12:  # bald
        return
    line, slope = rng.uniform(-0.86, -0.62), rng.normal(0, 0.12)
    x = (width + 0.06) * np.linspace(-1, 1, 15)
    edge = np.minimum(line + slope * x + 0.45 * x**2 + rng.normal(0, 0.025, 15), -0.2)
    crown = np.linspace(0, np.pi, 15)
    over_x, over_y = (width + 0.08) * np.cos(crown), -0.3 - rng.uniform(0.85, 1.0) * np.sin(crown)
    pen.area(np.concatenate([x, over_x]), np.concatenate([edge, over_y]), hair)


def _things(pen: _Sketch, rng: np.random.Generator) -> None:
    """Put glasses on some faces, and a hand, a microphone or a bar before others."""
    if rng.random() < 0.12:
        tone = rng.uniform(10, 90)
        for s in (-1, 1):
            pen.line(s * 0.34 + 0.24 * np.append(_COS, _COS[0]), -0.21 + 0.19 * np.append(_SIN, _SIN[0]), tone, 0.8)
        pen.line(np.array([-0.1, 0.1]), np.array([-0.23, -0.23]), tone, 0.8)
    if rng.random() < OCCLUDED:
        x, y = rng.uniform(-0.8, 0.8), rng.uniform(-0.6, 0.9)
        wide, high, angle = rng.uniform(0.1, 0.34), rng.uniform(0.1, 0.34), rng.uniform(0, np.pi)
        ellipse = rng.random() >= 0.5  # else a box
        u, v = (_COS, _SIN) if ellipse else (np.array([-1, 1, 1, -1]), np.array([-1, -1, 1, 1]))
        u, v = wide * u, high * v
        turned = x + u * np.cos(angle) - v * np.sin(angle), y + u * np.sin(angle) + v * np.cos(angle)
        pen.area(*turned, rng.uniform(10, 240))
