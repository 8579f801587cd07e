"""How good a picture is: whether its edges are sharp, whether JPEG left blocks in it, whether its tones are lost.

Each measure compares a picture with itself, so that drawings, icons on white and plain grounds are judged by their
edges alone. From which number on a rule speaks stands in `rulebook.tables.Thresholds`; `bench/quality.py` measures how
right that is on pictures that `tests/support/damage.py` damages in known ways (docs/judgement.md).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.curate_dataset.colour import PLAIN_TOLERANCE, border_colour

Floats = NDArray[np.float32]

SHARPNESS_SIDE = 1024
"""Pixels a side at which edges are judged: what trains. A smaller picture is judged at its own size."""
TILES = 16
EDGE_ENERGY = 20.0
"""Mean square of the steps between neighbouring pixels (0-255) above which a tile has edges and not just grain."""
LEAST_TILES = 4
SHARP_TILES = 90.0
"""Percentile of the tiles with edges: one part in ten of them sharp is enough, as with a blurred background."""
DEEPEST = 3
"""Halvings after which a picture that still shows no edge counts as flat."""
STEP = 2.0
"""Sharpness of a step from one pixel to the next; a picture without edges has none to lose and counts as this."""
FINE_TILES = 75.0
"""Percentile of the tiles whose finest detail is compared: grain and a sharp edge here and there do not decide."""
LEAST_ENERGY = 4.0
"""Mean square (0-255) of the second finest octave under which a tile is flat."""

LOBES = 3
"""Of the Lanczos kernel, on either side."""

GRID = 8
BLOCKS_SIDE = 1024
"""Pixels a side of the middle part in which the JPEG grid is looked for, at the original resolution."""
WAVES = ((0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1), (2, 2))
"""The coefficients whose steps are read: the slowest, which are seldom all zero."""
STEPS = range(4, 121)
LEAST_COEFFICIENTS = 60
LEAST_COMB = 0.6
"""Mean cosine of coefficients against multiples of a step: 1 on a perfect comb, 0 or less where there is none."""
LEAST_WAVES = 3
LEAST_GRID = 4

TONES_SIDE = 512
BLACK, WHITE = 3, 252
"""Values that tell a lost tone, 0 and 255 with JPEG's noise on them: of all channels in black, of two in white, where
one is lost in any strong colour."""
FADING = 37
LEAST_FADING = 0.55
"""Share of the pixels beside a lost part that must lie within 37 of its end. Overexposed photographs have 0.5 to 1
(middle 0.85), white grounds of icons and portraits 0.04 to 0.4."""

LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""JPEG's example table for luminance (ITU T.81, table K.1), which libjpeg scales by quality."""


@dataclass(frozen=True)
class Quality:
    """What was measured on a picture.

    `sharpness`: 2 for steps from pixel to pixel, 1/(2 s^2) for edges softened by a gaussian of s pixels, in the
    direction in which they are softest. `enlarged`: 0 to 1, how little the picture holds that half its pixels could
    not. `blocking`: JPEG's steps as seen in the pixels, in steps of the standard table; 0 where there is no grid.
    `jpeg_quality`: 1 to 100 by the tables of a JPEG file, else None. `brightness` and
    `highlight`: mean luma and the luma of the brightest twentieth, 0 to 255. `crushed` and `blown`: shares of the
    pixels lost in black and in white. All four leave a plain ground out.
    """

    sharpness: float
    enlarged: float
    blocking: float
    jpeg_quality: int | None
    brightness: float
    highlight: float
    crushed: float
    blown: float


def measure_quality(
    upright: Image.Image,
    square: Image.Image,
    quantization: Mapping[int, Sequence[int]] | None,
    has_plain_ground: bool,
    reduced: int = 1,
) -> Quality:
    """Measure an upright RGB picture and the square (RGB or grey) of it that trains.

    `quantization` is what Pillow read from a JPEG file (`image.quantization`), None for other formats. `reduced` tells
    a JPEG that was decoded at a half (2), a quarter or an eighth.
    """
    brightness, highlight, crushed, blown = tones(upright, has_plain_ground)
    plane = training_plane(upright, square)
    return Quality(
        sharpness=edge_sharpness(plane),
        enlarged=enlargement(plane),
        blocking=blocking(_middle_grey(upright, reduced), reduced),
        jpeg_quality=jpeg_quality(quantization) if quantization else None,
        brightness=brightness,
        highlight=highlight,
        crushed=crushed,
        blown=blown,
    )


# --------------------------------------------------------------------------- edges


def training_plane(upright: Image.Image, square: Image.Image) -> Floats:
    """The square in grey at the size it trains at, an enlargement by the cut itself undone."""
    side = min(SHARPNESS_SIDE, *square.size, *upright.size)
    grey = np.asarray(square.convert("L"), dtype=np.float32)
    return grey if grey.shape[0] == side else cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA)


def edge_sharpness(plane: Floats) -> float:
    """How abruptly edges rise, in the direction in which they are softest; `STEP` where there is no edge.

    Energy of the second differences over that of the first, a ratio that contrast does not change. A picture that
    shows edges only after halving is judged there: faint ones are abrupt still, widely blurred ones are not.
    """
    for _ in range(DEEPEST + 1):
        if min(plane.shape) < TILES:
            break  # thinner than its tiles: nothing can be said of edges
        if found := [ratio for rises, bends in _steps(plane) if (ratio := _abruptness(rises, bends)) is not None]:
            return round(min(found), 3)
        if min(plane.shape) < 4 * TILES:
            break
        plane = cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return STEP


DIRECTIONS = ((0, 1), (1, 0), (1, 1), (1, -1))


def _steps(plane: Floats) -> list[tuple[Floats, Floats]]:
    """For each direction the energy of first and of second differences, in TILES x TILES tiles.

    Band by band of tiles, so that what is worked on stays in the processor's cache.
    """
    height, width = plane.shape
    edged = cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REFLECT_101)
    found: list[tuple[list[Floats], list[Floats]]] = [([], []) for _ in DIRECTIONS]
    ends = [1 + height * tile // TILES for tile in range(TILES + 1)]
    for top, foot in itertools.pairwise(ends):
        here = edged[top:foot, 1 : 1 + width]
        for (down, right), (rises, bends) in zip(DIRECTIONS, found, strict=True):
            rise = cv2.subtract(edged[top + down : foot + down, 1 + right : 1 + right + width], here)
            before = cv2.subtract(here, edged[top - down : foot - down, 1 - right : 1 - right + width])
            rises.append(_energy(rise, 1))
            bends.append(_energy(cv2.subtract(rise, before), 1))
    return [(np.concatenate(rises), np.concatenate(bends)) for rises, bends in found]


def _abruptness(rises: Floats, bends: Floats) -> float | None:
    """The sharper tiles' ratio of second to first differences; None without enough edges."""
    with_edges = rises > EDGE_ENERGY
    if int(with_edges.sum()) < LEAST_TILES:
        return None
    return float(np.percentile(bends[with_edges] / rises[with_edges], SHARP_TILES))


def _energy(differences: Floats, down: int = TILES) -> Floats:
    """Mean squares over `down` x TILES tiles."""
    squares = cv2.multiply(differences, differences)
    return np.asarray(cv2.resize(squares, (TILES, down), interpolation=cv2.INTER_AREA))


def enlargement(plane: Floats) -> float:
    """1 less the share of energy in the finest octave, over that in the next; 0 where there is no detail to compare.

    The finest octave is what shrinking to a half and enlarging again loses: a picture that was enlarged has none.
    """
    side = min(plane.shape) // 4 * 4
    if side == 0:
        return 0.0
    whole = np.clip(plane[:side, :side] + 0.5, 0, 255).astype(np.uint8)
    half, quarter = (_through(whole, side // times) for times in (2, 4))
    finest, next_finest = _energy(whole - half), _energy(half - quarter)
    with_detail = next_finest > LEAST_ENERGY
    if int(with_detail.sum()) < LEAST_TILES:
        return 0.0
    left = float(np.percentile(finest[with_detail] / next_finest[with_detail], FINE_TILES))
    return round(max(0.0, 1 - left), 3)


def _through(plane: NDArray[np.uint8], side: int) -> Floats:
    """A square plane shrunk to a side, a whole part of its own, and enlarged again."""
    times = len(plane) // side
    small = np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.LANCZOS))
    wide, whole = np.empty((side, side * times), np.uint8), np.empty_like(plane)
    one = np.ones(1, np.float32)
    for phase, kernel in enumerate(_lanczos(times)):
        wide[:, phase::times] = cv2.sepFilter2D(small, cv2.CV_8U, kernel, one, borderType=cv2.BORDER_REFLECT)
    for phase, kernel in enumerate(_lanczos(times)):
        whole[phase::times] = cv2.sepFilter2D(wide, cv2.CV_8U, one, kernel, borderType=cv2.BORDER_REFLECT)
    return whole.astype(np.float32)


@cache
def _lanczos(times: int) -> list[Floats]:
    """Lanczos kernels by which a line is enlarged a whole number of times, one for each pixel that a pixel becomes.

    What Pillow's resize does, to the rounding, in a third of the time.
    """
    away = [np.arange(-LOBES, LOBES + 1) - ((phase + 0.5) / times - 0.5) for phase in range(times)]
    kernels = [np.where(np.abs(one) < LOBES, np.sinc(one) * np.sinc(one / LOBES), 0) for one in away]
    return [np.asarray(kernel / kernel.sum(), dtype=np.float32) for kernel in kernels]


# --------------------------------------------------------------------------- JPEG


def jpeg_quality(quantization: Mapping[int, Sequence[int]]) -> int:
    """The libjpeg quality (1 to 100) whose luminance table comes nearest in sum to a file's first table."""
    wanted = sum(quantization[min(quantization)])
    return min(range(100, 0, -1), key=lambda quality: abs(int(_table(quality).sum()) - wanted))


@cache
def _table(quality: int) -> NDArray[np.int64]:
    """The luminance table of libjpeg for a quality (jcparam.c)."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.asarray(np.clip((np.array(LUMINANCE) * scale + 50) // 100, 1, 255))


def blocking(grey: NDArray[np.uint8], reduced: int = 1) -> float:
    """JPEG's quantisation as the pixels show it, in steps of the standard table (1 is quality 50); 0 without a grid.

    Where a picture went through JPEG, the coefficients of its 8 x 8 blocks come in multiples of a step, which stays
    so when it is saved as PNG. Sought in the middle of the picture at its original size, the grid wherever it lies. A
    JPEG decoded at a half has blocks of 4 x 4, whose coefficients are the first ones of the whole blocks, halved;
    decoded at a quarter or less its blocks are too small to be told, and too small to be seen in a copy.
    """
    grid = GRID // reduced
    if grid < LEAST_GRID or min(grey.shape) < 4 * grid:
        return 0.0
    middle = _middle(grey, BLOCKS_SIDE // reduced)
    down, right = _offset(middle, grid), _offset(np.ascontiguousarray(middle.T), grid)
    part = middle[down:, right:]
    rows, columns = part.shape[0] // grid, part.shape[1] // grid
    blocks = part[: rows * grid, : columns * grid].reshape(rows, grid, columns, grid).swapaxes(1, 2)
    flat = blocks.reshape(rows * columns, grid * grid).astype(np.float32)
    # Not a matrix product: numpy would hand that to as many threads as there are cores, from each of ours.
    values = np.abs(np.einsum("np,wp->wn", flat, _waves(grid))) * reduced
    steps = [(_step(values[number]), LUMINANCE[down][right]) for number, (down, right) in enumerate(WAVES)]
    seen = [step / usual for step, usual in steps if step]
    return round(float(np.median(seen)), 2) if len(seen) >= LEAST_WAVES else 0.0


def _middle_grey(picture: Image.Image, reduced: int) -> NDArray[np.uint8]:
    """The middle of an RGB picture in grey, so that not all of it is converted."""
    side = BLOCKS_SIDE // reduced
    left, top = (max(0, (length - side) // 2) for length in picture.size)
    middle = picture.crop((left, top, min(picture.width, left + side), min(picture.height, top + side)))
    return np.asarray(middle.convert("L"))


def _middle(grey: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """The middle of a picture, `side` pixels a side at most."""
    top, left = (max(0, (length - side) // 2) for length in grey.shape)
    return grey[top : top + side, left : left + side]


def _offset(grey: NDArray[np.uint8], grid: int) -> int:
    """The row (0 to `grid` - 1) at which blocks begin: across it rows differ more than beside it."""
    steps = cv2.absdiff(grey[1:], grey[:-1]).astype(np.int16)
    beyond = np.clip(2 * steps[1:-1] - steps[:-2] - steps[2:], 0, 32).mean(axis=1)
    return (int(np.argmax([beyond[phase::grid].mean() for phase in range(grid)])) + 2) % grid


@cache
def _waves(grid: int) -> Floats:
    """The coefficients of WAVES of a grid x grid block, each of length 1: (waves, grid * grid)."""
    turns = np.pi * (2 * np.arange(grid) + 1) / (2 * grid)
    wholes = [np.outer(np.cos(down * turns), np.cos(right * turns)).ravel() for down, right in WAVES]
    return np.stack([whole / np.linalg.norm(whole) for whole in wholes]).astype(np.float32)


def _step(values: Floats) -> int | None:
    """The step whose multiples the absolute coefficients are, None where they are not."""
    counts = np.bincount(np.minimum((values * 2 + 0.5).astype(np.int64), FINEST - 1), minlength=FINEST)
    beyond = counts[None, :] * _BEYOND
    totals = beyond.sum(axis=1)
    combs = (beyond * _COMBS).sum(axis=1) / np.maximum(totals, 1)
    combs[totals < LEAST_COEFFICIENTS] = -1
    best = int(combs.argmax())
    return STEPS[best] if combs[best] >= LEAST_COMB else None


FINEST = 1024
"""Bins of half a level, for coefficients up to 512."""
_LEVELS = np.arange(FINEST) / 2
_COMBS = np.cos(2 * np.pi * _LEVELS[None, :] / np.array(STEPS)[:, None])
_BEYOND = (_LEVELS[None, :] > np.array(STEPS)[:, None] / 2) & (np.arange(FINEST)[None, :] < FINEST - 1)


# --------------------------------------------------------------------------- tones


def tones(picture: Image.Image, has_plain_ground: bool) -> tuple[float, float, float, float]:
    """(brightness, highlight, crushed, blown) of an RGB picture. Every n-th pixel counts, about 512 on a side."""
    every = max(1, round(min(picture.size) / TONES_SIDE))
    size = (picture.width // every, picture.height // every)
    thinned = picture if every == 1 else picture.resize(size, Image.Resampling.NEAREST)
    pixels = np.asarray(thinned)
    shown = pixels.reshape(-1, 3)
    if has_plain_ground:
        ground = np.asarray(border_colour(thinned)[0], dtype=np.int16)
        shape = np.abs(shown.astype(np.int16) - ground).max(axis=1) > PLAIN_TOLERANCE
        shown = shown[shape] if shape.any() else shown
    luma = cv2.cvtColor(shown.reshape(-1, 1, 3), cv2.COLOR_RGB2GRAY)
    red, green, blue = cv2.split(pixels)
    low, high = cv2.min(red, green), cv2.max(red, green)
    crushed = _lost(255 - cv2.max(high, blue), 255 - BLACK, has_plain_ground)
    blown = _lost(cv2.max(low, cv2.min(high, blue)), WHITE, has_plain_ground)
    return round(float(luma.mean()), 1), round(float(np.percentile(luma, 95)), 1), crushed, blown


def _lost(values: NDArray[np.uint8], end: int, has_plain_ground: bool) -> float:
    """The share of pixels at the end of the scale, 0 where they end in hard edges: a ground, paper or a black dress.

    Light that was lost fades into what was kept. What touches the border of a picture on a plain ground is the ground.
    """
    lost = (values >= end).astype(np.uint8)
    if has_plain_ground:
        _, parts = cv2.connectedComponents(lost)
        border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
        lost[np.isin(parts, np.unique(border))] = 0
    if not lost.any():
        return 0.0
    around = values[(cv2.dilate(lost, np.ones((5, 5), np.uint8)) > 0) & (lost == 0)]
    if not around.size or float((around >= end - FADING).mean()) < LEAST_FADING:
        return 0.0
    return round(float(lost.mean()), 4)
