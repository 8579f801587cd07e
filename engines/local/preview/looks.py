"""Looks that the base has never seen, drawn from the world's shapes: to train LoRAs on and to measure.

``blueprint`` is white line work on a blue grid, ``riso`` two rough inks in halftone on cream paper. Neither
outlines, lattices nor halftone occur in the world's own pictures.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from loradeck.engines.local.preview.draw import OVERSAMPLE, masks
from loradeck.engines.local.preview.shapes import SHAPES
from loradeck.engines.local.preview.world import COLUMNS

SIDE = 128
SIDES = {"left": "on the left", "centre": "in the middle", "right": "on the right"}


@dataclass(frozen=True)
class Drawn:
    """One picture of a look, what it shows and where, and its caption without a trigger."""

    picture: Image.Image
    shape: str
    column: str
    caption: str


@dataclass(frozen=True)
class _Spot:
    """A shape's masks laid out on an oversampled canvas."""

    main: Image.Image
    accent: Image.Image
    ink: Image.Image


def _lay(shape: str, column: str, rng: random.Random) -> _Spot:
    side = SIDE * OVERSAMPLE
    radius = side * rng.uniform(0.22, 0.27)
    x = side * ({"left": 0.28, "centre": 0.5, "right": 0.72}[column] + rng.uniform(-0.02, 0.02))
    y = side * (0.5 + rng.uniform(-0.04, 0.04))
    corner = (round(x - 1.1 * radius), round(y - 1.1 * radius))
    found = {}
    for role, mask in masks(SHAPES[shape], radius).items():
        canvas = Image.new("L", (side, side), 0)
        canvas.paste(mask, corner)
        found[role] = canvas
    return _Spot(**found)


def _edge(mask: Image.Image, width: int) -> Image.Image:
    grown = mask.filter(ImageFilter.MaxFilter(width))
    return ImageChops.subtract(grown, mask.filter(ImageFilter.MinFilter(3)))


def _blueprint(spot: _Spot, _: random.Random) -> Image.Image:
    side = SIDE * OVERSAMPLE
    canvas = Image.new("RGB", (side, side), (24, 66, 148))
    draw = ImageDraw.Draw(canvas)
    step = 16 * OVERSAMPLE
    for i, at in enumerate(range(step // 2, side, step)):
        tone, width = ((92, 136, 206), 3) if i % 2 == 0 else ((56, 100, 178), 2)
        draw.line([(at, 0), (at, side)], fill=tone, width=width)
        draw.line([(0, at), (side, at)], fill=tone, width=width)
    hatch = Image.new("L", (side, side), 0)
    brush = ImageDraw.Draw(hatch)
    for at in range(-side, side, 5 * OVERSAMPLE):
        brush.line([(at, 0), (at + side, side)], fill=150, width=2)
    canvas.paste((235, 243, 255), (0, 0), ImageChops.multiply(hatch, spot.main))
    for mask in (spot.main, spot.accent, spot.ink):
        canvas.paste((245, 250, 255), (0, 0), _edge(mask, 7))
    return canvas


def _halftone(strength: NDArray[np.float32], turn: float, period: float) -> NDArray[np.float32]:
    """Ink or no ink for a wanted strength (0 to 1), as dots on a turned lattice."""
    y, x = np.mgrid[0 : strength.shape[0], 0 : strength.shape[1]].astype(np.float32)
    c, s = np.cos(turn), np.sin(turn)
    u, v = (x * c + y * s) / period % 1 - 0.5, (y * c - x * s) / period % 1 - 0.5
    return np.asarray(np.hypot(u, v) < 0.72 * np.sqrt(strength), dtype=np.float32)


def _unit(mask: Image.Image) -> NDArray[np.float32]:
    return np.asarray(np.asarray(mask, np.float32) / 255, dtype=np.float32)


def _riso(spot: _Spot, rng: random.Random) -> Image.Image:
    side = SIDE * OVERSAMPLE
    paper = np.full((side, side, 3), (246, 239, 220), np.float64) / 255
    fade = np.linspace(0.02, 0.3, side, dtype=np.float32)[:, None] * np.ones((1, side), np.float32)
    shift = (rng.randint(-5, 5), rng.randint(-5, 5))
    coral = np.roll(_unit(spot.main), shift, (0, 1)) * 0.62 + _unit(spot.ink) * 0.9
    teal = np.clip(fade * (1 - _unit(spot.main)) + _unit(spot.accent) * 0.8 + _unit(spot.ink), 0, 1)
    period = 7.5 * OVERSAMPLE
    inks = ((coral, 0.26, (0.95, 0.33, 0.36)), (teal, 1.05, (0.0, 0.52, 0.56)))
    for strength, turn, tone in inks:
        dots = _halftone(np.clip(strength, 0, 1).astype(np.float32), turn, period)[..., None]
        paper = paper * (1 - dots * (1 - np.array(tone, np.float32)))
    return Image.fromarray((paper * 255).clip(0, 255).astype(np.uint8))


DRAWN: dict[str, Callable[[_Spot, random.Random], Image.Image]] = {"blueprint": _blueprint, "riso": _riso}
"""The drawn looks by name."""


def draw_look(look: str, count: int = 24, seed: int = 5) -> list[Drawn]:
    """``count`` pictures (128 by 128) of a look, in turn at the left, in the middle and at the right."""
    rng = random.Random(f"{look}-{seed}")
    shapes = rng.sample(list(SHAPES), count)
    found = []
    for i, shape in enumerate(shapes):
        column = COLUMNS[i % 3]
        picture = DRAWN[look](_lay(shape, column, rng), rng).reduce(OVERSAMPLE)
        article = "An" if shape[0] in "aeiou" else "A"
        found.append(Drawn(picture, shape, column, f"{article} {shape} {SIDES[column]}."))
    return found
