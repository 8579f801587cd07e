"""Lay one picture over another and measure how well they agree.

The second picture is stretched and shifted (two scales, two shifts), and its brightness and contrast fitted, by
Gauss-Newton steps from coarse to fine: what a trim that is a pixel off, a slight crop or a resize does to a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LEVELS = (32, 64, 128)
STEPS = 8
TILES = 8
FLAT = 1e-5


@dataclass(frozen=True)
class Agreement:
    """How well two pictures agree where they overlap: correlation, worst tile's RMS difference (0 to 1), overlap."""

    correlation: float
    worst_tile: float
    overlap: float


def agreement(first: Floats, second: Floats) -> Agreement:
    """Compare two (128, 128, 3) pictures, 0 to 1, after aligning the second to the first."""
    warp = np.array([1.0, 0.0, 1.0, 0.0])
    for side in LEVELS:
        a, b = _soft(_shrunk(first, side)), _soft(_shrunk(second, side))
        warp = _aligned(a.mean(axis=2), b.mean(axis=2), warp)
    moved, inside = _warped(_soft(second), warp)
    return _measured(_soft(first), moved, inside)


def _measured(a: Floats, b: Floats, inside: NDArray[np.bool_]) -> Agreement:
    """Correlation and worst tile of aligned pictures over the pixels that both have."""
    overlap = float(inside.mean())
    if overlap < 0.5:
        return Agreement(0.0, 1.0, overlap)
    left, right = a[inside] - a[inside].mean(), b[inside] - b[inside].mean()
    power = float((left * left).mean()), float((right * right).mean())
    if min(power) < FLAT:
        flat_difference = abs(float(a[inside].mean() - b[inside].mean()))
        return Agreement(1.0, flat_difference, overlap) if max(power) < FLAT else Agreement(0.0, 1.0, overlap)
    product = float((left * right).mean())
    gain = float(np.clip(product / power[1], 0.7, 1.4))
    squares = np.zeros(inside.shape, dtype=np.float32)
    squares[inside] = ((left - gain * right) ** 2).mean(axis=1)
    step = inside.shape[0] // TILES
    tiles = squares.reshape(TILES, step, TILES, step).mean(axis=(1, 3))
    return Agreement(product / float(np.sqrt(power[0] * power[1])), float(np.sqrt(tiles.max())), overlap)


def _aligned(a: Floats, b: Floats, warp: NDArray[np.float64]) -> NDArray[np.float64]:
    """Better (scale x, shift x, scale y, shift y), in units of half a side, for grey pictures of one size."""
    side = a.shape[0]
    across = np.linspace(-1, 1, side)
    x, y = np.meshgrid(across, across)
    slope_y, slope_x = (np.asarray(slope) * (side - 1) / 2 for slope in np.gradient(b))
    stacked = np.stack([b, slope_x, slope_y], axis=2).astype(np.float32)
    for _ in range(STEPS):
        moved, inside = _warped(stacked, warp)
        value, dx, dy = (moved[..., channel][inside] for channel in range(3))
        if value.size < 0.5 * side * side:
            break
        columns = np.stack([dx * x[inside], dx, dy * y[inside], dy, value, np.ones_like(value)], axis=1)
        normal = columns.T @ columns
        solved = np.linalg.solve(normal + 1e-4 * np.eye(6) * np.trace(normal) / 6, columns.T @ (a[inside] - value))
        step = np.clip(solved[:4], -0.1, 0.1)
        warp = warp + step
        if float(np.abs(step).max()) * side < 0.02:
            break
    return np.clip(warp, [0.7, -0.3, 0.7, -0.3], [1.4, 0.3, 1.4, 0.3])


def _warped(picture: Floats, warp: NDArray[np.float64]) -> tuple[Floats, NDArray[np.bool_]]:
    """(side, side, channels) sampled at scaled and shifted places (bilinear), and which places lie inside."""
    side = picture.shape[0]
    across = np.linspace(-1, 1, side)
    columns = ((across * warp[0] + warp[1]) + 1) * (side - 1) / 2
    rows = ((across * warp[2] + warp[3]) + 1) * (side - 1) / 2
    inside = np.outer(_within(rows, side), _within(columns, side))
    return _between(_between(picture, rows, 0), columns, 1), inside


def _within(places: NDArray[np.float64], side: int) -> NDArray[np.bool_]:
    return (places > -0.51) & (places < side - 0.49)


def _between(picture: Floats, places: NDArray[np.float64], axis: int) -> Floats:
    """Linear interpolation along one axis."""
    held = np.clip(places, 0, picture.shape[axis] - 1)
    low = np.minimum(held.astype(int), picture.shape[axis] - 2)
    part = (held - low).astype(np.float32).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
    mixed: Floats = np.take(picture, low, axis=axis) * (1 - part) + np.take(picture, low + 1, axis=axis) * part
    return mixed


def _shrunk(picture: Floats, side: int) -> Floats:
    step = picture.shape[0] // side
    shrunk: Floats = picture.reshape(side, step, side, step, -1).mean(axis=(1, 3), dtype=np.float32)
    return shrunk


def _soft(picture: Floats) -> Floats:
    """A small blur (1 2 1 twice in both directions), so that a hard edge may lie half a pixel off."""
    for axis in (0, 1, 0, 1):
        width = [(1, 1) if axis == where else (0, 0) for where in range(3)]
        wide = np.pad(picture, width, mode="edge")
        size = picture.shape[axis]
        first, middle, last = (np.take(wide, range(start, start + size), axis=axis) for start in range(3))
        picture = np.asarray((first + 2 * middle + last) / 4, dtype=np.float32)
    return picture
