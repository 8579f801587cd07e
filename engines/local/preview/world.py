"""What there is in the drawn world, and how a scene is picked: facts only, no pixels.

A :class:`Scene` says everything that :mod:`.draw` needs to draw it and everything that
:mod:`.captions` may tell about it. Picking is deterministic in the ``random.Random`` that is handed in.
Lengths are fractions of the picture's width (``x``) or height (``y``, ``radius``).
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass, replace

from loradeck.engines.local.preview.shapes import SHAPES, Shape

SQUARE = (128, 128)
WIDE = (256, 144)
"""The two picture sizes, (width, height) in pixels; one token is 16 pixels each way."""

Rgb = tuple[int, int, int]

COLORS: dict[str, Rgb] = {
    "red": (222, 44, 44),
    "orange": (245, 138, 30),
    "yellow": (250, 212, 40),
    "green": (52, 160, 70),
    "teal": (26, 168, 168),
    "blue": (38, 98, 220),
    "purple": (132, 66, 190),
    "pink": (244, 128, 180),
    "brown": (128, 82, 46),
    "black": (30, 30, 34),
    "grey": (142, 146, 152),
    "white": (248, 248, 250),
}
"""The colours that have a name, each with its middle value."""

SHADES = ("light", "dark")
TEXTURES = ("flat", "gradient", "striped", "dotted", "checked")
SIZES = ("small", "medium", "large")
LIGHTS = ("neutral", "bright", "dim", "warm", "cool", "pastel", "muted")
COLUMNS = ("left", "centre", "right")
ROWS = ("top", "middle", "bottom")
GROUNDS = ("hill", "field", "sea", "desert", "snow", "beach", "forest", "city", "room", "table")
SKIES = ("day", "night", "sunset", "cloudy")
INDOORS = ("room", "table")
GROUND_COLORS = {
    "hill": "green", "field": "green", "sea": "blue", "desert": "orange", "snow": "white",
    "beach": "yellow", "forest": "green", "city": "grey", "room": "brown", "table": "brown",
}  # fmt: skip


@dataclass(frozen=True)
class Paint:
    """A named colour, perhaps made light or dark, and the exact value that is drawn."""

    name: str
    shade: str  # "", "light" or "dark"
    rgb: Rgb


@dataclass(frozen=True)
class Thing:
    """One object: what it is, how it is painted and where its middle stands."""

    shape: str
    paint: Paint
    accent: Paint
    texture: str
    turn: float  # direction of stripes and gradients, degrees
    size: str
    radius: float  # of the picture's height
    x: float
    y: float
    column: str
    row: str

    @property
    def kind(self) -> Shape:
        """The shape's strokes and words."""
        return SHAPES[self.shape]


@dataclass(frozen=True)
class Backdrop:
    """What is behind: ``plain``, ``gradient`` or ``split`` colours, or a ``place`` (ground and sky)."""

    kind: str
    first: Paint  # the plain colour, the top of the gradient, the sky or the wall
    second: Paint  # the bottom of the gradient, or the ground
    ground: str = ""
    sky: str = ""
    horizon: float = 0.68  # of the picture's height
    seed: int = 0  # places stars, waves, trees and houses


@dataclass(frozen=True)
class Scene:
    """One picture of the world."""

    width: int
    height: int
    things: tuple[Thing, ...]
    backdrop: Backdrop
    light: str


def held_out(shape: str, color: str, column: str) -> bool:
    """Whether a triple is kept out of the training scenes (one in twelve), for honest evaluation."""
    digest = hashlib.sha256(f"{shape}|{color}|{column}".encode()).digest()
    return digest[0] % 12 == 0


def _jitter(rng: random.Random, rgb: Rgb, amount: int) -> Rgb:
    shift = rng.randint(-amount, amount)
    r, g, b = (max(0, min(255, c + shift + rng.randint(-amount, amount) // 2)) for c in rgb)
    return (r, g, b)


def _toward(rgb: Rgb, goal: int, share: float) -> Rgb:
    r, g, b = (round(c + (goal - c) * share) for c in rgb)
    return (r, g, b)


def pick_paint(rng: random.Random, avoid: tuple[str, ...] = (), name: str = "") -> Paint:
    """A named colour with a little variation, none of those in ``avoid``; sometimes light or dark."""
    chosen = name or rng.choice([color for color in COLORS if color not in avoid])
    shade = rng.choice(SHADES) if rng.random() < 0.12 else ""
    if chosen in ("black", "white"):
        shade = ""
    rgb = COLORS[chosen]
    if shade:
        rgb = _toward(rgb, 255 if shade == "light" else 0, 0.45)
    return Paint(chosen, shade, _jitter(rng, rgb, 8))


def _spot(rng: random.Random, column: str, row: str, wide: bool) -> tuple[float, float]:
    edge = 0.21 if wide else 0.27
    x = {"left": edge, "centre": 0.5, "right": 1 - edge}[column] + rng.uniform(-0.025, 0.025)
    y = {"top": 0.29, "middle": 0.5, "bottom": 0.71}[row] + rng.uniform(-0.02, 0.02)
    return x, y


def _radius(rng: random.Random, size: str, roomy: bool) -> float:
    low, high = {
        "small": (0.16, 0.19),
        "medium": (0.27, 0.31) if roomy else (0.23, 0.26),
        "large": (0.36, 0.42) if roomy else (0.28, 0.31),
    }[size]
    return rng.uniform(low, high)


def _texture(rng: random.Random) -> str:
    return rng.choices(TEXTURES, (60, 18, 9, 9, 4))[0]


def _accent(rng: random.Random, paint: Paint, behind: tuple[str, ...]) -> Paint:
    name = "white" if rng.random() < 0.3 and paint.name != "white" else ""
    return pick_paint(rng, (paint.name, *behind), "" if name in behind else name)


def _thing(rng: random.Random, column: str, row: str, wide: bool, behind: tuple[str, ...]) -> Thing:
    shape = rng.choice(list(SHAPES))
    paint = pick_paint(rng, behind)
    while held_out(shape, paint.name, column):
        shape, paint = rng.choice(list(SHAPES)), pick_paint(rng, behind)
    size = rng.choices(SIZES, (14, 50, 36))[0]
    roomy = row == "middle" and (column == "centre" or wide)
    x, y = _spot(rng, column, row, wide)
    turn = rng.choice((0.0, 45.0, 90.0, 135.0))
    accent = _accent(rng, paint, behind)
    return Thing(shape, paint, accent, _texture(rng), turn, size, _radius(rng, size, roomy), x, y, column, row)


def _paint_of_ground(rng: random.Random, ground: str) -> Paint:
    usual = rng.random() < 0.75
    return pick_paint(rng, ("black",), GROUND_COLORS[ground] if usual else "")


def _place(rng: random.Random) -> Backdrop:
    ground = rng.choice(GROUNDS)
    sky = "" if ground in INDOORS else rng.choices(SKIES, (35, 28, 22, 15))[0]
    second = _paint_of_ground(rng, ground)
    first = pick_paint(rng, (second.name, "black")) if ground in INDOORS else _sky_paint(rng, sky)
    return Backdrop("place", first, second, ground, sky, rng.uniform(0.64, 0.72), rng.randrange(2**31))


def _sky_paint(rng: random.Random, sky: str) -> Paint:
    rgb = {"day": (140, 200, 245), "night": (18, 22, 58), "sunset": (250, 150, 90), "cloudy": (176, 184, 194)}[sky]
    name = {"day": "blue", "night": "black", "sunset": "orange", "cloudy": "grey"}[sky]
    return Paint(name, "", _jitter(rng, rgb, 8))


def pick_backdrop(rng: random.Random) -> Backdrop:
    """A backdrop: half of them plain, of which half white; then places, gradients and splits."""
    kind = rng.choices(("plain", "place", "gradient", "split"), (44, 36, 10, 10))[0]
    if kind == "place":
        return _place(rng)
    first = pick_paint(rng, name="white" if kind == "plain" and rng.random() < 0.42 else "")
    second = pick_paint(rng, (first.name,))
    return Backdrop(kind, first, second, horizon=rng.uniform(0.6, 0.72))


def _colors_behind(backdrop: Backdrop) -> tuple[str, ...]:
    if backdrop.kind == "plain":
        return (backdrop.first.name,)
    extra = {"day": ("blue",), "night": ("black",), "sunset": ("orange",), "cloudy": ("grey",)}.get(backdrop.sky, ())
    return (backdrop.first.name, backdrop.second.name, *extra)


def ground_level(backdrop: Backdrop, x: float) -> float:
    """The height (fraction from the top) at which a thing at ``x`` stands in a place."""
    if backdrop.ground in ("hill", "snow", "desert"):
        return backdrop.horizon + 0.10 * (2 * x - 1) ** 2 + 0.04
    return backdrop.horizon + (0.1 if backdrop.ground != "sea" else 0.04)


def _settle(thing: Thing, backdrop: Backdrop) -> Thing:
    """Stand a thing on the ground of its place, or hang it in the sky."""
    if backdrop.kind not in ("place", "split"):
        return thing
    radius = min(thing.radius, 0.3)
    if thing.kind.flies and backdrop.ground not in INDOORS:
        radius = min(radius, 0.24)
        return replace(thing, y=max(0.3, radius + 0.04), radius=radius, row="top")
    level = ground_level(backdrop, thing.x) if backdrop.kind == "place" else backdrop.horizon + 0.1
    return replace(thing, y=level - 0.9 * radius, radius=radius, row="middle")


def _spots(rng: random.Random, two: bool, standing: bool) -> list[tuple[str, str]]:
    if two:
        if standing or rng.random() < 0.7:
            return [("left", "middle"), ("right", "middle")]
        return [("centre", "top"), ("centre", "bottom")]
    column = rng.choices(COLUMNS, (32, 36, 32))[0]
    row = "middle" if standing else rng.choices(ROWS, (18, 64, 18))[0]
    return [(column, row)]


def _simple_thing(rng: random.Random, column: str, behind: str, wide: bool, large: float) -> Thing:
    """A flat thing at half height, medium or, by the chance of ``large``, large."""
    thing = _thing(rng, column, "middle", wide, (behind,))
    size = "large" if rng.random() < large else "medium"
    return replace(thing, texture="flat", size=size, radius=_radius(rng, size, wide or column == "centre"))


def _simple_backdrop(rng: random.Random) -> Backdrop:
    paint = pick_paint(rng, name="white" if rng.random() < 0.4 else "")
    return Backdrop("plain", paint, paint)


def pick_simple_scene(rng: random.Random, size: tuple[int, int] = SQUARE) -> Scene:
    """One flat, medium or large thing on a plain ground in plain light: where a shape is learned first."""
    backdrop, wide = _simple_backdrop(rng), size[0] > size[1]
    column = rng.choices(COLUMNS, (28, 44, 28))[0]
    thing = _simple_thing(rng, column, backdrop.first.name, wide, large=0.5)
    return Scene(size[0], size[1], (thing,), backdrop, "neutral")


def pick_simple_pair(rng: random.Random, size: tuple[int, int] = WIDE) -> Scene:
    """Two flat things, left and right, on a plain ground in plain light: where two are kept apart first."""
    backdrop, wide = _simple_backdrop(rng), size[0] > size[1]
    left, right = (_simple_thing(rng, side, backdrop.first.name, wide, large=0.0) for side in ("left", "right"))
    return Scene(size[0], size[1], (left, right), backdrop, "neutral")


def pick_scene(rng: random.Random, size: tuple[int, int] = SQUARE) -> Scene:
    """One scene of one or two things for a picture of ``size`` (width, height in pixels)."""
    backdrop = pick_backdrop(rng)
    behind = _colors_behind(backdrop)
    spots = _spots(rng, rng.random() < 0.15, backdrop.kind in ("place", "split"))
    wide = size[0] > size[1]
    things = [_settle(_thing(rng, column, row, wide, behind), backdrop) for column, row in spots]
    if len(things) == 2:
        things = [replace(thing, radius=min(thing.radius, 0.215)) for thing in things]
        things = [_settle(thing, backdrop) for thing in things]
    light = rng.choices(LIGHTS, (64, 6, 6, 6, 6, 6, 6))[0]
    return Scene(size[0], size[1], tuple(things), backdrop, light)
