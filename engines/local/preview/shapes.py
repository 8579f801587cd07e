"""The things of the drawn world, as data: each shape is a list of strokes in a unit square.

Coordinates run from -1 to 1, x to the right and y down. Every stroke belongs to a role: ``main``
takes the thing's colour and texture, ``accent`` its second colour, ``ink`` a dark detail, and
``hole`` lets the background show through. Strokes are painted in order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]
Role = Literal["main", "accent", "ink", "hole"]
Kind = Literal["polygon", "ellipse", "rounded", "line"]


@dataclass(frozen=True)
class Stroke:
    """One filled figure: a polygon, an ellipse or rounded box (two corners), or a thick line."""

    role: Role
    kind: Kind
    points: tuple[Point, ...]
    size: float = 0.0  # corner radius or line width, in the same units as the points


@dataclass(frozen=True)
class Shape:
    """A thing: the words that name it, its strokes, the name of its accent part, where it lives."""

    name: str
    strokes: tuple[Stroke, ...]
    words: tuple[str, ...] = ()
    accent: str = ""  # the word for the accent part; empty when there is none
    flies: bool = False  # hangs in the sky of a scene instead of standing on its ground

    @property
    def nouns(self) -> tuple[str, ...]:
        """Every word a caption may use for the shape, the plain name first."""
        return (self.name, *self.words)


def _poly(role: Role, *points: Point) -> Stroke:
    return Stroke(role, "polygon", points)


def _oval(role: Role, x0: float, y0: float, x1: float, y1: float) -> Stroke:
    return Stroke(role, "ellipse", ((x0, y0), (x1, y1)))


def _disc(role: Role, x: float, y: float, r: float) -> Stroke:
    return _oval(role, x - r, y - r, x + r, y + r)


def _box(role: Role, x0: float, y0: float, x1: float, y1: float, radius: float = 0.0) -> Stroke:
    return Stroke(role, "rounded", ((x0, y0), (x1, y1)), radius)


def _line(role: Role, width: float, *points: Point) -> Stroke:
    return Stroke(role, "line", points, width)


def _around(count: int, radius: float, start: float = -90.0) -> list[Point]:
    """``count`` points evenly on a circle, clockwise from ``start`` degrees."""
    angles = [math.radians(start + 360.0 * i / count) for i in range(count)]
    return [(radius * math.cos(a), radius * math.sin(a)) for a in angles]


def _star(points: int, outer: float, inner: float) -> tuple[Point, ...]:
    tips = _around(points, outer)
    dents = _around(points, inner, -90.0 + 180.0 / points)
    return tuple(p for pair in zip(tips, dents, strict=True) for p in pair)


def _heart() -> tuple[Point, ...]:
    points = []
    for i in range(48):
        t = 2 * math.pi * i / 48
        x = 16 * math.sin(t) ** 3
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        points.append((x / 17, -(y + 2.5) / 16.5))
    return tuple(points)


def _lens(half_width: float, half_height: float) -> tuple[Point, ...]:
    """A leaf-like figure with a tip at the top and at the bottom."""
    ys = [-1 + 2 * i / 20 for i in range(21)]
    side = [(half_width * (1 - y * y), half_height * y) for y in ys]
    return (*side, *((-x, y) for x, y in reversed(side)))


def _sun_rays() -> list[Stroke]:
    return [_line("main", 0.16, (x * 0.72, y * 0.72), (x, y)) for x, y in _around(8, 0.95, start=0.0)]


def _petals() -> list[Stroke]:
    return [_disc("main", x, y, 0.34) for x, y in _around(6, 0.55)]


def _shape(
    name: str,
    strokes: Sequence[Stroke],
    words: Sequence[str] = (),
    accent: str = "",
    flies: bool = False,
) -> Shape:
    return Shape(name, tuple(strokes), tuple(words), accent, flies)


_PLAIN = [
    _shape("circle", [_disc("main", 0, 0, 0.9)], ["disc", "dot"]),
    _shape("square", [_box("main", -0.82, -0.82, 0.82, 0.82)], ["box"]),
    _shape("triangle", [_poly("main", (0, -0.88), (0.95, 0.8), (-0.95, 0.8))]),
    _shape("star", [_poly("main", *_star(5, 1.0, 0.42))], flies=True),
    _shape("heart", [_poly("main", *_heart())]),
    _shape("ring", [_disc("main", 0, 0, 0.92), _disc("hole", 0, 0, 0.5)], ["hoop"]),
    _shape(
        "cross",
        [_box("main", -0.3, -0.9, 0.3, 0.9), _box("main", -0.9, -0.3, 0.9, 0.3)],
        ["plus"],
    ),
    _shape(
        "arrow",
        [_poly("main", (0.95, 0), (0.1, -0.8), (0.1, -0.3), (-0.95, -0.3), (-0.95, 0.3), (0.1, 0.3), (0.1, 0.8))],
    ),
    _shape("drop", [_disc("main", 0, 0.3, 0.65), _poly("main", (0, -1), (0.6, 0.08), (-0.6, 0.08))], ["droplet"]),
    _shape("moon", [_disc("main", 0, 0, 0.92), _disc("hole", 0.42, -0.22, 0.75)], ["crescent"], flies=True),
    _shape("sun", [*_sun_rays(), _disc("main", 0, 0, 0.56)], flies=True),
    _shape(
        "cloud",
        [
            _disc("main", -0.5, 0.18, 0.42),
            _disc("main", 0.05, -0.15, 0.52),
            _disc("main", 0.55, 0.2, 0.4),
            _box("main", -0.55, 0.1, 0.6, 0.6, 0.2),
        ],
        flies=True,
    ),
]

_NATURE = [
    _shape(
        "tree",
        [
            _box("accent", -0.14, 0.2, 0.14, 1.0),
            _disc("main", -0.38, 0.05, 0.42),
            _disc("main", 0.38, 0.05, 0.42),
            _disc("main", 0, -0.42, 0.52),
        ],
        accent="trunk",
    ),
    _shape("flower", [*_petals(), _disc("accent", 0, 0, 0.32)], ["blossom"], accent="centre"),
    _shape(
        "fish",
        [
            _poly("accent", (0.35, 0), (0.98, -0.55), (0.98, 0.55)),
            _oval("main", -0.95, -0.52, 0.6, 0.52),
            _disc("ink", -0.55, -0.12, 0.11),
        ],
        accent="tail",
    ),
    _shape(
        "cat",
        [
            _poly("main", (-0.8, -0.95), (-0.2, -0.5), (-0.75, 0.0)),
            _poly("main", (0.8, -0.95), (0.2, -0.5), (0.75, 0.0)),
            _oval("main", -0.85, -0.65, 0.85, 0.85),
            _disc("accent", -0.35, -0.02, 0.17),
            _disc("accent", 0.35, -0.02, 0.17),
            _poly("ink", (-0.13, 0.3), (0.13, 0.3), (0, 0.45)),
        ],
        ["kitten"],
        accent="eyes",
    ),
    _shape(
        "mushroom",
        [_box("accent", -0.3, 0.0, 0.3, 0.9, 0.2), _poly("main", *[p for p in _around(40, 0.95) if p[1] <= 0.12])],
        accent="stem",
    ),
]

_MADE = [
    _shape(
        "house",
        [
            _box("main", -0.68, -0.15, 0.68, 0.92),
            _poly("accent", (0, -0.98), (0.95, -0.1), (-0.95, -0.1)),
            _box("ink", -0.18, 0.35, 0.18, 0.92),
        ],
        ["home", "cottage"],
        accent="roof",
    ),
    _shape(
        "book",
        [
            _box("main", -0.72, -0.92, 0.72, 0.92, 0.1),
            _box("accent", -0.55, 0.58, 0.72, 0.78),
            _box("accent", -0.3, -0.55, 0.42, -0.3),
        ],
        accent="pages",
    ),
    _shape(
        "envelope",
        [_box("main", -0.95, -0.65, 0.95, 0.65, 0.08), _poly("accent", (-0.88, -0.6), (0.88, -0.6), (0, 0.15))],
        ["letter", "mail"],
        accent="flap",
    ),
    _shape(
        "cup",
        [_disc("accent", 0.6, 0.05, 0.38), _disc("hole", 0.6, 0.05, 0.2), _box("main", -0.8, -0.6, 0.55, 0.75, 0.22)],
        ["mug"],
        accent="handle",
    ),
    _shape(
        "bell",
        [
            _disc("accent", 0, 0.75, 0.22),
            _disc("main", 0, -0.2, 0.58),
            _poly("main", (-0.58, -0.2), (0.58, -0.2), (0.62, 0.3), (0.9, 0.62), (-0.9, 0.62), (-0.62, 0.3)),
            _disc("main", 0, -0.82, 0.14),
        ],
        accent="clapper",
    ),
    _shape(
        "camera",
        [
            _box("main", -0.4, -0.78, 0.4, -0.3, 0.1),
            _box("main", -0.95, -0.5, 0.95, 0.7, 0.15),
            _disc("accent", 0, 0.1, 0.42),
            _disc("ink", 0, 0.1, 0.2),
        ],
        accent="lens",
    ),
    _shape(
        "boat",
        [
            _poly("main", (-0.95, 0.35), (0.95, 0.35), (0.6, 0.88), (-0.6, 0.88)),
            _poly("accent", (0.08, -0.95), (0.08, 0.22), (0.82, 0.22)),
            _poly("accent", (-0.06, -0.7), (-0.06, 0.22), (-0.65, 0.22)),
        ],
        ["ship", "sailboat"],
        accent="sail",
    ),
    _shape(
        "lock",
        [
            _disc("accent", 0, -0.35, 0.52),
            _disc("hole", 0, -0.35, 0.3),
            _box("accent", -0.52, -0.35, -0.3, 0.1),
            _box("accent", 0.3, -0.35, 0.52, 0.1),
            _box("hole", -0.3, -0.35, 0.3, 0.0),
            _box("main", -0.72, -0.12, 0.72, 0.92, 0.12),
            _disc("ink", 0, 0.4, 0.17),
        ],
        ["padlock"],
        accent="shackle",
    ),
    _shape(
        "person",
        [
            _disc("accent", 0, -0.48, 0.42),
            _poly("main", *[(x * 0.85, y * 1.0 + 0.92) for x, y in _around(40, 0.9) if y <= 0.02]),
        ],
        ["figure"],
        accent="head",
    ),
    _shape(
        "car",
        [
            _poly("main", (-0.55, -0.1), (-0.35, -0.55), (0.4, -0.55), (0.65, -0.1)),
            _box("main", -0.98, -0.15, 0.98, 0.42, 0.15),
            _poly("accent", (-0.4, -0.12), (-0.27, -0.44), (0.33, -0.44), (0.5, -0.12)),
            _disc("ink", -0.52, 0.42, 0.25),
            _disc("ink", 0.52, 0.42, 0.25),
        ],
        accent="window",
    ),
    _shape(
        "umbrella",
        [
            _box("accent", -0.07, -0.2, 0.07, 0.85),
            _line("accent", 0.14, (0, 0.85), (0.3, 0.85)),
            _poly("main", *[(x, y + 0.05) for x, y in _around(40, 0.95) if y <= 0.02]),
        ],
        accent="handle",
    ),
    _shape(
        "bulb",
        [
            _box("accent", -0.27, 0.45, 0.27, 0.95, 0.1),
            _disc("main", 0, -0.25, 0.66),
            _poly("main", (-0.55, 0.05), (0.55, 0.05), (0.3, 0.5), (-0.3, 0.5)),
        ],
        ["lightbulb", "lamp"],
        accent="base",
    ),
    _shape(
        "rocket",
        [
            _poly("accent", (-0.3, 0.2), (-0.75, 0.85), (-0.2, 0.7)),
            _poly("accent", (0.3, 0.2), (0.75, 0.85), (0.2, 0.7)),
            _poly(
                "main",
                *[(x * 0.72, y) for x, y in _lens(0.55, 1.0)],
            ),
            _disc("ink", 0, -0.2, 0.17),
        ],
        accent="fins",
        flies=True,
    ),
]

SHAPES: dict[str, Shape] = {shape.name: shape for shape in (*_PLAIN, *_NATURE, *_MADE)}
"""Every shape of the world by its plain name."""
