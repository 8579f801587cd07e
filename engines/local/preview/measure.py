"""Numbers about pictures: statistics of colour and texture, distances between looks, nearness to copies.

A look is described by histograms that know nothing of what is shown where: of lightness, of colour, of
detail at three scales, of the direction of edges and of the steepness of colour changes. Two descriptions
are compared by the Hellinger distance of each histogram (0 the same, 1 nothing in common), weighted half
for colour and half for texture.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]

WEIGHTS = {
    "lightness": 0.2,
    "color": 0.3,
    "fine": 0.1,
    "middle": 0.1,
    "coarse": 0.1,
    "direction": 0.1,
    "steepness": 0.1,
}
"""What each histogram counts for in the distance; they add up to one."""

HEIGHT = 128


def pixels_of(picture: Image.Image, height: int = HEIGHT) -> Floats:
    """A picture scaled to a height, ``(height, width, 3)`` in 0 to 1."""
    width = max(1, round(picture.width * height / picture.height))
    return np.asarray(picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS), np.float64) / 255


def _soft_bins(values: Floats, low: float, high: float, count: int) -> Floats:
    """How much each value belongs to each of ``count`` bins: ``(values, count)``, rows add up to one."""
    place = (np.clip(values.ravel(), low, high) - low) / (high - low) * (count - 1)
    return np.asarray(np.clip(1 - np.abs(place[:, None] - np.arange(count)), 0, 1))


def _share(weights: Floats) -> Floats:
    total = weights.sum()
    return weights / total if total > 0 else np.full_like(weights, 1 / weights.size)


def _opponent(pixels: Floats) -> tuple[Floats, Floats, Floats]:
    """Lightness, blue-yellow and red-green of pixels (BT.601 weights)."""
    y = pixels @ np.array([0.299, 0.587, 0.114])
    return y, (pixels[..., 2] - y) * 0.564, (pixels[..., 0] - y) * 0.713


def _halved(x: Floats) -> Floats:
    h, w = x.shape[0] // 2 * 2, x.shape[1] // 2 * 2
    return np.asarray(x[:h, :w].reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3)))


def _slopes(x: Floats) -> tuple[Floats, Floats]:
    return x[1:, 1:] - x[:-1, 1:], x[1:, 1:] - x[1:, :-1]


def _magnitudes(x: Floats) -> Floats:
    """Steepness in powers of ten; below a hundredth of the range it is flat to the eye."""
    down, right = _slopes(x)
    return np.log10(np.hypot(down, right) + 1e-2)


def _directions(x: Floats) -> Floats:
    down, right = _slopes(x)
    angle = np.arctan2(down, right) % np.pi / np.pi * 8
    strength = np.hypot(down, right)
    return np.asarray(np.bincount(angle.astype(int).ravel() % 8, strength.ravel(), minlength=8), np.float64)


def describe(picture: Image.Image) -> dict[str, Floats]:
    """The histograms of one picture, each adding up to one."""
    y, blue, red = _opponent(pixels_of(picture))
    joint = np.einsum("pi,pj->ij", _soft_bins(blue, -0.4, 0.4, 9), _soft_bins(red, -0.4, 0.4, 9))
    half, quarter = _halved(y), _halved(_halved(y))
    chroma = _halved(blue) + 1j * _halved(red)
    steep = np.maximum(_magnitudes(chroma.real), _magnitudes(chroma.imag))
    found = {
        "lightness": _soft_bins(y, 0, 1, 10).sum(axis=0),
        "color": joint.ravel(),
        "fine": _soft_bins(_magnitudes(y), -2, 0, 8).sum(axis=0),
        "middle": _soft_bins(_magnitudes(half), -2, 0, 8).sum(axis=0),
        "coarse": _soft_bins(_magnitudes(quarter), -2, 0, 8).sum(axis=0),
        "direction": _directions(half),
        "steepness": _soft_bins(steep, -2, 0, 8).sum(axis=0),
    }
    return {name: _share(np.asarray(values, np.float64)) for name, values in found.items()}


def describe_all(pictures: Sequence[Image.Image]) -> dict[str, Floats]:
    """The mean histograms of a set of pictures."""
    each = [describe(picture) for picture in pictures]
    return {name: np.mean([one[name] for one in each], axis=0) for name in WEIGHTS}


def distance(a: dict[str, Floats], b: dict[str, Floats]) -> float:
    """How far two descriptions are apart: 0 (the same) to 1 (nothing in common)."""
    return float(sum(w * np.sqrt(max(0.0, 1 - np.sqrt(a[k] * b[k]).sum())) for k, w in WEIGHTS.items()))


def fall(look: Sequence[Image.Image], base: Sequence[Image.Image], trained: Sequence[Image.Image]) -> float:
    """The share by which the distance to a look fell from the base's renders to the trained ones."""
    goal = describe_all(look)
    before, after = distance(describe_all(base), goal), distance(describe_all(trained), goal)
    return 1 - after / max(before, 1e-9)


def nearest_look(picture: Image.Image, looks: dict[str, dict[str, Floats]]) -> str:
    """The name of the look (mean histograms by name) that a picture is nearest to."""
    own = describe(picture)
    return min(looks, key=lambda name: distance(own, looks[name]))


def difference(a: Image.Image, b: Image.Image) -> float:
    """Root mean square difference of two pictures of one size, on pixels in 0 to 1."""
    x, y = (np.asarray(p.convert("RGB"), np.float64) / 255 for p in (a, b))
    return float(np.sqrt(np.mean((x - y) ** 2)))


def copy_distance(picture: Image.Image, training: Sequence[Image.Image], side: int = 32) -> float:
    """The smallest :func:`difference` to a training picture, both squeezed to ``side`` pixels."""
    small = picture.convert("RGB").resize((side, side), Image.Resampling.BOX)
    return min(difference(small, other.convert("RGB").resize((side, side), Image.Resampling.BOX)) for other in training)


def copy_reference(training: Sequence[Image.Image]) -> float:
    """The mean distance of a training picture to its nearest neighbour in the set: what "no copy" means."""
    gaps = [copy_distance(p, [*training[:i], *training[i + 1 :]]) for i, p in enumerate(training)]
    return float(np.mean(gaps))
