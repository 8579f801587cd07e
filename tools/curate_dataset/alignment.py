"""Lay one picture over another and measure how well they agree.

The second picture is stretched and shifted (two scales, two shifts), and its brightness and contrast fitted, by
Gauss-Newton steps from coarse to fine: what a trim that is a pixel off, a crop or a resize does to a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Warp = NDArray[np.float64]
Mask = NDArray[np.bool_]
STRAIGHT = (1.0, 0.0, 1.0, 0.0)
SIDE = 128
LEVELS = (32, 64, 128)
STEPS = 8
TILES = 8
LEAST_IN_TILE = 0.25
LEAST_OVERLAP = 0.2
FARTHEST = 0.3
LEAST_COARSE = 0.8
FLAT = 1e-5
COLOUR_GAIN = (0.7, 1.4)
GREY_GAIN = (0.4, 2.5)
KNOTS = (0.0, 0.25, 0.5, 0.75)
GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)
BLUR = np.array([1, 4, 6, 4, 1], dtype=np.float32) / 16


@dataclass(frozen=True)
class Likeness:
    """Correlation, and the worst tile's RMS difference (0 to 1) after contrast is fitted."""

    correlation: float
    worst_tile: float


NOTHING = Likeness(0.0, 1.0)


@dataclass(frozen=True)
class Agreement:
    """How well two pictures agree where they overlap, which is a share of the first.

    `colour` allows for brightness and contrast, `tone` for any change of colours that is the same everywhere.
    """

    colour: Likeness
    tone: Likeness
    overlap: float


def agreement(
    first: NDArray[np.uint8], second: NDArray[np.uint8], start: tuple[float, float, float, float] = STRAIGHT
) -> Agreement:
    """Compare two (128, 128, 3) pictures after aligning the second to the first.

    `start` is where the second is looked for: (scale x, shift x, scale y, shift y) in units of half a side.
    """
    a, b = _soft(first), _soft(second)
    grey_a, grey_b = a @ GREY, b @ GREY
    warp = np.array(start)
    levels = LEVELS if start == STRAIGHT else LEVELS[1:]
    for side in levels:
        small_a, small_b = _shrunk(grey_a, side), _shrunk(grey_b, side)
        warp = _aligned(small_a, small_b, warp, np.array(start))
        if side == levels[0] and _grey_likeness(small_a, *_warped(small_b, warp)).correlation < LEAST_COARSE:
            return Agreement(NOTHING, NOTHING, 0.0)
    moved, inside = _warped(b, warp)
    colour = _likeness(a, moved, inside, COLOUR_GAIN)
    return Agreement(colour, _tone_likeness(a, moved, inside), float(inside.mean()))


def _grey_likeness(a: Floats, b: Floats, inside: Mask) -> Likeness:
    return _likeness(a[..., None], b[..., None], inside, GREY_GAIN)


def _tone_likeness(a: Floats, b: Floats, inside: Mask) -> Likeness:
    """How well one's brightness is a function of the other's colours, in the direction in which it is more so.

    A copy may be grey, warmer, or so bright that parts are clipped; then colours lead from one to the other, but not
    always back. Pictures that differ in shape are led neither way.
    """
    if float(inside.mean()) < LEAST_OVERLAP:
        return NOTHING
    both = (_led(a, b, inside), _led(b, a, inside))
    return min(both, key=lambda one: one.worst_tile)


def _led(source: Floats, target: Floats, inside: Mask) -> Likeness:
    """Fit the target's grey by a curve in each of the source's colours (straight between knots)."""
    colours, grey = source[inside], target[inside] @ GREY
    columns = np.concatenate([np.ones_like(grey)[:, None], *(np.maximum(colours - knot, 0) for knot in KNOTS)], axis=1)
    normal = columns.T @ columns
    weights = np.linalg.solve(normal + 1e-5 * np.eye(len(normal)) * len(grey), columns.T @ grey)
    fitted = np.clip(columns @ weights, 0, 1).astype(np.float32)
    spread = float(fitted.std()), float(grey.std())
    if min(spread) ** 2 < FLAT:
        return Likeness(1.0 if max(spread) ** 2 < FLAT else 0.0, _worst(fitted - grey, inside))
    product = float(((fitted - fitted.mean()) * (grey - grey.mean())).mean())
    return Likeness(product / (spread[0] * spread[1]), _worst(fitted - grey, inside))


def _worst(differences: Floats, inside: Mask) -> float:
    """The RMS of differences at the places inside, in the tile where it is highest."""
    squares = np.zeros(inside.shape, dtype=np.float32)
    squares[inside] = differences**2
    held = _tiles(inside.astype(np.float32))
    full = held >= LEAST_IN_TILE
    return float(np.sqrt((_tiles(squares)[full] / held[full]).max()))


def _likeness(a: Floats, b: Floats, inside: Mask, gains: tuple[float, float]) -> Likeness:
    """Correlation and worst tile of aligned (side, side, channels) pictures over the pixels that both have."""
    if float(inside.mean()) < LEAST_OVERLAP:
        return NOTHING
    left, right = a[inside] - a[inside].mean(), b[inside] - b[inside].mean()
    power = float((left * left).mean()), float((right * right).mean())
    if min(power) < FLAT:
        flat_difference = abs(float(a[inside].mean() - b[inside].mean()))
        return Likeness(1.0, flat_difference) if max(power) < FLAT else NOTHING
    product = float((left * right).mean())
    gain = float(np.clip(product / power[1], *gains))
    differences = np.sqrt(((left - gain * right) ** 2).mean(axis=1))
    return Likeness(product / float(np.sqrt(power[0] * power[1])), _worst(differences, inside))


def _tiles(values: Floats) -> Floats:
    """Means over 8 x 8 tiles."""
    step = values.shape[0] // TILES
    return np.asarray(values.reshape(TILES, step, TILES, step).mean(axis=(1, 3)), dtype=np.float32)


def _aligned(a: Floats, b: Floats, warp: Warp, start: Warp) -> Warp:
    """Better (scale x, shift x, scale y, shift y), in units of half a side, for grey pictures of one size."""
    side = a.shape[0]
    across = np.linspace(-1, 1, side)
    x, y = np.meshgrid(across, across)
    slope_y, slope_x = (np.asarray(slope) * (side - 1) / 2 for slope in np.gradient(b))
    stacked = np.stack([b, slope_x, slope_y], axis=2).astype(np.float32)
    for _ in range(STEPS):
        moved, inside = _warped(stacked, warp)
        value, dx, dy = (moved[..., channel][inside] for channel in range(3))
        if value.size < LEAST_OVERLAP * side * side:
            break
        columns = np.stack([dx * x[inside], dx, dy * y[inside], dy, value, np.ones_like(value)], axis=1)
        normal = columns.T @ columns
        solved = np.linalg.solve(normal + 1e-4 * np.eye(6) * np.trace(normal) / 6, columns.T @ (a[inside] - value))
        step = np.clip(solved[:4], -0.1, 0.1)
        warp = warp + step
        if float(np.abs(step).max()) * side < 0.02:
            break
    return np.clip(warp, start - FARTHEST, start + FARTHEST)


def _warped(picture: Floats, warp: Warp) -> tuple[Floats, Mask]:
    """(side, side, channels) sampled at scaled and shifted places (bilinear), and which places lie inside."""
    side = picture.shape[0]
    middle = (side - 1) / 2
    columns, rows = ((np.linspace(-1, 1, side) * warp[at] + warp[at + 1] + 1) * middle for at in (0, 2))
    places = np.array(
        [
            [warp[0], 0, (1 + warp[1] - warp[0]) * middle],
            [0, warp[2], (1 + warp[3] - warp[2]) * middle],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(picture, places, (side, side), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32), np.outer(_within(rows, side), _within(columns, side))


def _within(places: NDArray[np.float64], side: int) -> Mask:
    return (places > -0.51) & (places < side - 0.49)


def _shrunk(picture: Floats, side: int) -> Floats:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), dtype=np.float32)


def _soft(picture: NDArray[np.uint8]) -> Floats:
    """0 to 1, a little blurred (1 4 6 4 1 in both directions), so that a hard edge may lie half a pixel off."""
    values = picture.astype(np.float32) / 255
    return np.asarray(cv2.sepFilter2D(values, -1, BLUR, BLUR, borderType=cv2.BORDER_REPLICATE), dtype=np.float32)
