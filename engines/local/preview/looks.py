"""Looks that the base has never seen, drawn from the world's shapes: to train LoRAs on and to measure.

``blueprint`` is hatched white line work on a blue grid, ``neon`` glowing tubes in the dark. Neither outlines, lattices
nor glow occur in the world's own pictures. Lines are two pixels wide and more: what is finer than that, as a halftone
is, the autoencoder does not carry (see ``docs/preview.md``).
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


def _blueprint(spot: _Spot) -> Image.Image:
    side = SIDE * OVERSAMPLE
    canvas = Image.new("RGB", (side, side), (24, 66, 148))
    draw = ImageDraw.Draw(canvas)
    step = 16 * OVERSAMPLE
    for i, at in enumerate(range(step // 2, side, step)):
        tone, width = ((92, 136, 206), 9) if i % 2 == 0 else ((56, 100, 178), 6)
        draw.line([(at, 0), (at, side)], fill=tone, width=width)
        draw.line([(0, at), (side, at)], fill=tone, width=width)
    hatch = Image.new("L", (side, side), 0)
    brush = ImageDraw.Draw(hatch)
    for at in range(-side, side, 12 * OVERSAMPLE):
        brush.line([(at, 0), (at + side, side)], fill=150, width=12)
    canvas.paste((235, 243, 255), (0, 0), ImageChops.multiply(hatch, spot.main))
    for mask in (spot.main, spot.accent, spot.ink):
        canvas.paste((245, 250, 255), (0, 0), _edge(mask, 13))
    return canvas


def _unit(mask: Image.Image) -> NDArray[np.float32]:
    return np.asarray(np.asarray(mask, np.float32) / 255, dtype=np.float32)


def _neon(spot: _Spot) -> Image.Image:
    side = SIDE * OVERSAMPLE
    fade = np.linspace(0, 1, side, dtype=np.float32)[:, None, None]
    night = np.array((22, 8, 48), np.float32) * (1 - fade) + np.array((86, 16, 92), np.float32) * fade
    light = np.repeat(night, side, axis=1)
    for mask, tone in ((spot.main, (255, 60, 190)), (spot.accent, (60, 226, 255)), (spot.ink, (255, 214, 90))):
        tube = _edge(mask, 13)
        glow = _unit(tube.filter(ImageFilter.GaussianBlur(6 * OVERSAMPLE)))[..., None]
        tone_now = np.array(tone, np.float32)
        light = light + 1.1 * glow * tone_now
        lit = _unit(tube.filter(ImageFilter.GaussianBlur(OVERSAMPLE / 2)))[..., None]
        light = light * (1 - lit) + lit * (0.75 * tone_now + 64)
    return Image.fromarray(light.clip(0, 255).astype(np.uint8))


DRAWN: dict[str, Callable[[_Spot], Image.Image]] = {"blueprint": _blueprint, "neon": _neon}
"""The drawn looks by name."""


def draw_look(look: str, count: int = 24, seed: int = 5) -> list[Drawn]:
    """``count`` pictures (128 by 128) of a look, in turn at the left, in the middle and at the right."""
    rng = random.Random(f"{look}-{seed}")
    shapes = rng.sample(list(SHAPES), count)
    found = []
    for i, shape in enumerate(shapes):
        column = COLUMNS[i % 3]
        picture = DRAWN[look](_lay(shape, column, rng)).reduce(OVERSAMPLE)
        article = "An" if shape[0] in "aeiou" else "A"
        found.append(Drawn(picture, shape, column, f"{article} {shape} {SIDES[column]}."))
    return found
