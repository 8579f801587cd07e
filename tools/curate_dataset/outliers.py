"""Which pictures look unlike the rest of their set: a photograph among icons, an older drawing style.

Looks are compared, not things: colours, contrast, edges, texture, flatness and ground. Another person in the same light
before the same wall looks alike to these numbers; nothing here can tell who somebody is, and nothing should be said
about it. A finding is a reason to look, never one to reject.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.curate_dataset.grounds import Floats, lab_of, ring_of, shrunk

LOOK_SIDE = 128
LEAST_SET = 10
NEIGHBOURS = 3
"""The distance to the third nearest: two strangers of a kind do not vouch for each other."""
CUT = 3.5
FLOOR = 0.03
"""Least spread of a number: in a set that agrees to the last digit nothing is far off by a hundredth."""
FURTHEST = 6.0
LEAST_WIDTH = 0.2
"""Least spread of the logarithm of the distance to the third neighbour."""
TINTS = [*range(10, 16), 55, 56]
TINT_WEIGHT = 0.2
"""Which hue a thing has is honest variety, and counts less."""


def look_vector(picture: Image.Image) -> NDArray[np.float32]:
    """The look of an RGB picture as 60 numbers of about 0 to 1."""
    small = shrunk(picture, LOOK_SIDE)
    lab = lab_of(small)
    light = np.ascontiguousarray(lab[..., 0])
    chroma = np.linalg.norm(lab[..., 1:], axis=2)
    parts = (_colours(lab, chroma), _edges(light), _texture(light), _flatness(np.asarray(small)), _ground(lab, chroma))
    return np.concatenate(parts).astype(np.float32)


def _colours(lab: Floats, chroma: Floats) -> Floats:
    """Twenty-one: lightness (6 shares), chroma (4 shares), hue (6 shares of chroma), means and spreads."""
    light = np.histogram(lab[..., 0], bins=np.linspace(0, 100.01, 7))[0] / lab[..., 0].size
    vivid = np.histogram(chroma, bins=[0, 6, 20, 45, 200])[0] / chroma.size
    hue = np.arctan2(lab[..., 2], lab[..., 1])
    hues = np.histogram(hue, bins=np.linspace(-np.pi, np.pi + 1e-6, 7), weights=chroma)[0] / max(1.0, chroma.sum())
    rest = [lab[..., 0].mean() / 100, lab[..., 0].std() / 50, chroma.mean() / 60, chroma.std() / 40]
    spread = float(np.linalg.norm(lab.reshape(-1, 3).std(axis=0)[1:])) / 40
    return np.concatenate([light, vivid, hues, rest, [spread]]).astype(np.float32)


def _edges(light: Floats) -> Floats:
    """Fourteen: shares of edges by height (4), their directions (6), detail left at four scales."""
    across, down = cv2.Sobel(light, cv2.CV_32F, 1, 0) / 8, cv2.Sobel(light, cv2.CV_32F, 0, 1) / 8
    steep = np.hypot(across, down)
    heights = [(steep > height).mean() for height in (1, 3, 8, 16)]
    turned = np.mod(np.arctan2(down, across), np.pi)
    turns = np.histogram(turned, bins=np.linspace(0, np.pi + 1e-6, 7), weights=steep)[0] / max(1e-3, steep.sum())
    blurs = [light, *(cv2.GaussianBlur(light, (0, 0), sigma) for sigma in (1, 2, 4, 8))]
    detail = [np.abs(fine - coarse).mean() / 5 for fine, coarse in itertools.pairwise(blurs)]
    return np.concatenate([heights, turns, detail]).astype(np.float32)


def _texture(light: Floats) -> Floats:
    """Ten: shares of the rotation-invariant uniform local binary patterns (Ojala et al. 2002), flat places apart."""
    middle = light[1:-1, 1:-1]
    around = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    height, width = middle.shape
    brighter = np.stack([light[row : row + height, column : column + width] > middle + 0.7 for row, column in around])
    changes = (brighter != np.roll(brighter, 1, axis=0)).sum(axis=0)
    codes = np.where(changes <= 2, brighter.sum(axis=0), 9)
    return np.asarray(np.bincount(codes.ravel(), minlength=10) / codes.size, dtype=np.float32)


def _flatness(pixels: NDArray[np.uint8]) -> Floats:
    """Eight: colours in use, shares of the commonest, and how much of the picture does not change at all."""
    keys = (pixels.astype(np.int64) >> 3) @ np.array([1024, 32, 1])
    counts = np.sort(np.bincount(keys.ravel()))[::-1] / keys.size
    common = [counts[:most].sum() for most in (1, 4, 16, 64)]
    used = np.log2(max(1, int((counts > 0).sum()))) / 13
    grey = pixels.astype(np.float32).mean(axis=2)
    change = np.abs(np.diff(grey, axis=1))
    still = [(change < limit).mean() for limit in (0.5, 2.0, 6.0)]
    return np.asarray([used, *common, *still], dtype=np.float32)


def _ground(lab: Floats, chroma: Floats) -> Floats:
    """Seven: the border's colour, evenness and difference from the whole."""
    ring = ring_of(*lab.shape[:2])
    border = lab[ring]
    middle = np.median(border, axis=0)
    even = [(np.linalg.norm(border - middle, axis=1) < limit).mean() for limit in (4, 12)]
    alike = (np.linalg.norm(lab - middle, axis=2) < 8).mean()
    return np.asarray(
        [middle[0] / 100, middle[1] / 60, middle[2] / 60, *even, alike, chroma[ring].mean() / 60], dtype=np.float32
    )


def outliers(vectors: Mapping[str, NDArray[np.float32]], least: float = CUT) -> dict[str, float]:
    """The pictures that stand apart: image id -> how many robust deviations, furthest first. Empty under 10 pictures.

    Those of `least` deviations or more are told.

    Every number is scaled by its spread in the set. A picture stands apart when its third nearest neighbour is much
    further off than is usual in the set, so that two or more kinds that each have four members are all at home.
    """
    if len(vectors) < LEAST_SET:
        return {}
    names = sorted(vectors)
    away = standing_apart(np.stack([vectors[name] for name in names]))
    found = [(round(float(value), 1), name) for name, value in zip(names, away, strict=True) if value >= least]
    return {name: value for value, name in sorted(found, key=lambda one: (-one[0], one[1]))}


def standing_apart(looks: NDArray[np.float32]) -> NDArray[np.float64]:
    """For each row of (n, 60) how many robust deviations its third neighbour is further off than usual."""
    middle = np.median(looks, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(looks - middle), axis=0), FLOOR)
    scaled = np.clip((looks - middle) / spread, -FURTHEST, FURTHEST)
    weight = np.ones(looks.shape[1])
    weight[TINTS] = TINT_WEIGHT
    weighted = (scaled * (weight / weight.sum())).astype(np.float32)
    nearest, _ = cv2.batchDistance(weighted, weighted, cv2.CV_32F, normType=cv2.NORM_L1, K=NEIGHBOURS + 1)  # and itself
    third = np.log(nearest[:, NEIGHBOURS].astype(np.float64) + 0.05)
    usual = float(np.median(third))
    width = max(1.4826 * float(np.median(np.abs(third - usual))), LEAST_WIDTH)
    return np.asarray((third - usual) / width, dtype=np.float64)
