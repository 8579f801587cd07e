"""Where the picture is in a picture: without letterbox bars, scanned margins and frames of one colour.

Bars end in a straight hard edge, at the same place along the whole side, on opposite sides and in one colour. A sky, a
studio ground, the white around an icon and the dark edge of a night do not; where it is not sure, nothing is trimmed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LINES = 320
"""Pixels of each row and column that are looked at."""
LEAST_BAR = 3
LEAST_BAR_SHARE = 0.004
"""Of the side: thinner strips than this and than three pixels are no bars."""
NOISE = 24
"""Difference (0-255, the channel that differs most) from a bar's colour that grain and JPEG leave inside it."""
MOST_NOISE = 0.03
JUMP = 36
"""Difference from a bar's colour that tells the picture beside it."""
LEAST_JUMP = 0.55
"""Share of a bar's edge along which the picture jumps: under it the edge is not straight, or the picture as dark."""
STRAIGHT_EDGES = 3
LEAST_JUMP_OF_THE_FOURTH = 0.25
"""Of a frame's four edges three must be straight; along the fourth the picture may have the frame's colour."""
SOFT_EDGE = 9
SOFT_EDGE_SHARE = 0.006
"""Pixels between bar and picture that belong to neither: ringing of one JPEG block, or an edge that was resized."""
SAME_COLOUR = 16
CORNER = 0.03
"""Of the edge, at either end: a scanned photograph has corners, a rounded shape has ground there."""
LEAST_LEFT = 0.4
"""Of either side: what would trim more is taken for a small thing on a plain ground."""
ROUNDS = 2
"""A frame within a frame, as in a scan of a print with its own margin."""

Colour = NDArray[np.int16]


@dataclass(frozen=True)
class _Strip:
    """The bar on one side: how many pixels deep, its colour, and whether its edge jumps at each place along it."""

    depth: int
    colour: Colour
    jumps: NDArray[np.bool_]


def content_box(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """(x, y, width, height) of an RGB picture without bars and margins; None where there is nothing to trim."""
    if not _may_have_bars(picture):
        return None
    pixels = np.asarray(picture)
    x, y, width, height = 0, 0, picture.width, picture.height
    for _ in range(ROUNDS):
        left, top, right, bottom = _bars(pixels[y : y + height, x : x + width])
        if not left + top + right + bottom:
            break
        x, y, width, height = x + left, y + top, width - left - right, height - top - bottom
    if (width, height) == picture.size or width < LEAST_LEFT * picture.width or height < LEAST_LEFT * picture.height:
        return None
    return x, y, width, height


def _may_have_bars(picture: Image.Image) -> bool:
    """False where no two opposite sides begin in a strip of one colour: most pictures, told by few of their pixels."""
    width, height = picture.size
    down, across = (max(LEAST_BAR, math.ceil(LEAST_BAR_SHARE * length)) for length in (height, width))
    top, foot = (0, 0, width, down), (0, height - down, width, height)
    left, right = (0, 0, across, height), (width - across, 0, width, height)
    for sides, turned in (((top, foot), False), ((left, right), True)):
        strips = [np.asarray(picture.crop(box)) for box in sides]
        if all(_is_even(strip.transpose(1, 0, 2) if turned else strip) for strip in strips):
            return True
    return False


def _is_even(strip: NDArray[np.uint8]) -> bool:
    """True where no row of a strip leaves its colour, whichever side it is seen from."""
    lines = _sampled(strip)
    edges = (lines[:LEAST_BAR], lines[-LEAST_BAR:])
    colours = [np.median(edge.reshape(-1, 3), axis=0).astype(np.int16) for edge in edges]
    away = [np.abs(lines.astype(np.int16) - colour).max(axis=2) for colour in colours]
    return any(_first((one > NOISE).mean(axis=1) > MOST_NOISE) is None for one in away)


def _sampled(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """LINES pixels of each row."""
    width = pixels.shape[1]
    return pixels[:, np.linspace(0, width - 1, min(LINES, width)).astype(int)]


def _bars(pixels: NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """How deep the bars are: left, top, right, bottom; zeros where there are none."""
    turned = pixels.transpose(1, 0, 2)
    sides = [_strip(turned), _strip(pixels), _strip(turned[::-1]), _strip(pixels[::-1])]
    left, top, right, bottom = sides
    if left and top and right and bottom:
        return _frame(left, top, right, bottom, pixels.shape[1], pixels.shape[0])
    if top and bottom and _are_bars(top, bottom):
        return 0, top.depth, 0, bottom.depth
    if left and right and _are_bars(left, right):
        return left.depth, 0, right.depth, 0
    return 0, 0, 0, 0


def _strip(pixels: NDArray[np.uint8]) -> _Strip | None:
    """The bar at the top of (height, width, 3) pixels: rows of one colour up to a row that differs along its edge."""
    height = len(pixels)
    lines = _sampled(pixels[: round(height * (1 - LEAST_LEFT))])
    colour = np.median(lines[:LEAST_BAR].reshape(-1, 3), axis=0).astype(np.int16)
    away = np.abs(lines.astype(np.int16) - colour).max(axis=2)
    begins = _first((away > NOISE).mean(axis=1) > MOST_NOISE)
    if begins is None or begins < max(LEAST_BAR, LEAST_BAR_SHARE * height):
        return None
    ringing = max(SOFT_EDGE, round(SOFT_EDGE_SHARE * height))
    nearby = away[begins : begins + ringing] > JUMP
    within = nearby.mean(axis=1)
    steepest = _first(within >= LEAST_JUMP * within.max()) or 0
    return _Strip(begins + steepest, colour, nearby.any(axis=0))


def _first(rows: NDArray[np.bool_]) -> int | None:
    """The first row that is true."""
    return int(rows.argmax()) if rows.any() else None


def _are_bars(one: _Strip, other: _Strip) -> bool:
    """True for a letterbox: hard edges from side to side, in one colour."""
    return _same_colour(one, other) and min(one.jumps.mean(), other.jumps.mean()) >= LEAST_JUMP


def _frame(
    left: _Strip, top: _Strip, right: _Strip, bottom: _Strip, width: int, height: int
) -> tuple[int, int, int, int]:
    """The four depths where they are the margins of a rectangle with corners; zeros for an object on a ground."""
    across, along = (left.depth / width, 1 - right.depth / width), (top.depth / height, 1 - bottom.depth / height)
    edges = [_inner(strip, *ends) for strip, ends in ((left, along), (top, across), (right, along), (bottom, across))]
    straight = [edge.size > 0 and edge.mean() >= LEAST_JUMP and _has_corners(edge) for edge in edges]
    if not all(_same_colour(left, other) for other in (top, right, bottom)):
        return 0, 0, 0, 0
    if sum(straight) < STRAIGHT_EDGES or any(edge.mean() < LEAST_JUMP_OF_THE_FOURTH for edge in edges if edge.size):
        return 0, 0, 0, 0
    return left.depth, top.depth, right.depth, bottom.depth


def _inner(strip: _Strip, begins: float, ends: float) -> NDArray[np.bool_]:
    """A strip's edge between two other strips (shares of its length)."""
    return strip.jumps[round(begins * strip.jumps.size) : round(ends * strip.jumps.size)]


def _has_corners(edge: NDArray[np.bool_]) -> bool:
    """True when the edge jumps up to its very ends, as a rectangle's does."""
    size = max(2, round(CORNER * edge.size))
    return bool(edge[:size].mean() >= LEAST_JUMP and edge[-size:].mean() >= LEAST_JUMP)


def _same_colour(one: _Strip, other: _Strip) -> bool:
    return int(np.abs(one.colour - other.colour).max()) <= SAME_COLOUR
