"""Corners of a picture and how one picture's lie on another's: what finds a crop, which no hash of the whole does.

ORB (Rublee and others, 2011): 256-bit descriptors of the surroundings of corners, compared by differing bits. A
mirrored picture has other descriptors, so both are kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
DETECTED = 600
MOST = 150
FIELDS = 4
EDGE = 19
FAST = 5
MOST_APART = 70
REACH = 4.0
TRIES = 1000
LEAST_INLIERS = 6
LEAST_SCALE, MOST_SCALE = 0.4, 2.5
MOST_TURN = 0.1


@dataclass(frozen=True)
class Features:
    """Corners: `points` (n, 2) float32, x and y in pixels; `descriptors` (n, 32) uint8, of the picture as it is."""

    points: NDArray[np.float32]
    descriptors: Bytes


@dataclass(frozen=True)
class Laid:
    """Where one picture lies on another: at `scale` * x + `right`, `scale` * y + `down`; `inliers` corners agree."""

    scale: float
    right: float
    down: float
    inliers: int

    def back(self) -> Laid:
        """How the second lies on the first."""
        return Laid(1 / self.scale, -self.right / self.scale, -self.down / self.scale, self.inliers)


def corners(grey: Bytes) -> tuple[Features, Features]:
    """Features of a (height, width) picture and of its mirror image, of the same corners in the same order."""
    none = Features(np.zeros((0, 2), np.float32), np.zeros((0, 32), np.uint8))
    if min(grey.shape) <= 2 * EDGE:  # there is no corner that far from every edge
        return none, none
    orb = cv2.ORB.create(DETECTED, edgeThreshold=EDGE, fastThreshold=FAST)
    found, descriptors = orb.compute(grey, _spread(orb.detect(grey, None), grey.shape))
    if descriptors is None:
        return none, none
    width = grey.shape[1]
    turned = [
        cv2.KeyPoint(width - 1 - one.pt[0], one.pt[1], one.size, (540 - one.angle) % 360, one.response, one.octave)
        for one in found
    ]
    kept, mirrored = orb.compute(np.ascontiguousarray(grey[:, ::-1]), turned)
    return Features(_points(found), descriptors), Features(_points(kept), mirrored)


def _spread(found: Sequence[cv2.KeyPoint], shape: tuple[int, ...]) -> list[cv2.KeyPoint]:
    """The strongest, in turn from each of 4 x 4 fields, so that a crop of any part keeps its share."""
    strongest = sorted(found, key=lambda one: -one.response)
    ranks: list[int] = []
    met: Counter[tuple[int, int]] = Counter()
    for one in strongest:
        field = int(one.pt[0] * FIELDS / shape[1]), int(one.pt[1] * FIELDS / shape[0])
        met[field] += 1
        ranks.append(met[field])
    return [strongest[at] for at in np.argsort(ranks, kind="stable")[:MOST]]


def laid(first: Features, second: Features) -> Laid | None:
    """How the first lies on the second, resized and shifted but not turned; None where too few corners agree."""
    if min(len(first.points), len(second.points)) < LEAST_INLIERS:
        return None
    mutual = cv2.BFMatcher(cv2.NORM_HAMMING, crossCheck=True).match(first.descriptors, second.descriptors)
    good = [match for match in mutual if match.distance <= MOST_APART]
    if len(good) < LEAST_INLIERS:
        return None
    here = first.points[[match.queryIdx for match in good]]
    there = second.points[[match.trainIdx for match in good]]
    found, agree = cv2.estimateAffinePartial2D(here, there, ransacReprojThreshold=REACH, maxIters=TRIES)
    if found is None or int(agree.sum()) < LEAST_INLIERS:
        return None
    scale = float(np.hypot(found[0, 0], found[1, 0]))
    if not LEAST_SCALE <= scale <= MOST_SCALE or abs(found[1, 0]) > MOST_TURN * scale or found[0, 0] < 0:
        return None
    here, there = here[agree.ravel() == 1], there[agree.ravel() == 1]
    right, down = (there - scale * here).mean(axis=0)
    return Laid(scale, float(right), float(down), len(here))


def _points(found: Sequence[cv2.KeyPoint]) -> NDArray[np.float32]:
    return np.array([one.pt for one in found], dtype=np.float32).reshape(-1, 2)
