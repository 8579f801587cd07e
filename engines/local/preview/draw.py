"""Draw a :class:`~loradeck.engines.local.preview.world.Scene` with Pillow, three times too large, then shrink."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from loradeck.engines.local.preview.shapes import Shape, Stroke
from loradeck.engines.local.preview.world import Backdrop, Paint, Rgb, Scene, Thing, ground_level

OVERSAMPLE = 3
Floats = NDArray[np.float32]


def mix(a: Rgb, b: Rgb, share: float) -> Rgb:
    """The colour that is ``share`` of the way from ``a`` to ``b``."""
    r, g, bl = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return (r, g, bl)


def partner(rgb: Rgb) -> Rgb:
    """The second tone of a texture in this colour: lighter, or darker where it is light already."""
    luma = 0.3 * rgb[0] + 0.59 * rgb[1] + 0.11 * rgb[2]
    return mix(rgb, (255, 255, 255), 0.55) if luma < 150 else mix(rgb, (0, 0, 0), 0.28)


def ink(rgb: Rgb) -> Rgb:
    """The dark detail tone that goes with a colour (a light one where the colour is nearly black)."""
    return mix(rgb, (0, 0, 0), 0.62) if sum(rgb) > 160 else mix(rgb, (255, 255, 255), 0.6)


def ramp(width: int, height: int, turn: float) -> Floats:
    """Values from 0 to 1 across a ``(height, width)`` tile in the direction ``turn`` (degrees)."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    angle = math.radians(turn)
    along = x * math.cos(angle) + y * math.sin(angle)
    low, high = float(along.min()), float(along.max())
    return np.asarray((along - low) / max(high - low, 1e-6), dtype=np.float32)


def _weights(texture: str, width: int, height: int, turn: float, period: float) -> Floats:
    """How much of the second tone each pixel of a tile takes, ``(height, width)`` in 0 to 1."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if texture == "gradient":
        return ramp(width, height, turn)
    if texture == "striped":
        angle = math.radians(turn)
        phase = (x * math.cos(angle) + y * math.sin(angle)) / period
        return np.asarray(np.floor(phase * 2) % 2, dtype=np.float32)
    if texture == "dotted":
        u, v = (x / period) % 1 - 0.5, (y / period) % 1 - 0.5
        return np.asarray(u * u + v * v < 0.085, dtype=np.float32)
    if texture == "checked":
        return np.asarray((np.floor(x * 2 / period) + np.floor(y * 2 / period)) % 2, dtype=np.float32)
    return np.zeros((height, width), dtype=np.float32)


def blend(first: Rgb, second: Rgb, weights: Floats) -> Image.Image:
    """An RGB picture that is ``first`` where the weight is 0 and ``second`` where it is 1."""
    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    pixels = a + (b - a) * weights[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def textured(rgb: Rgb, texture: str, size: tuple[int, int], turn: float, period: float) -> Image.Image:
    """A tile of ``size`` (width, height) in a colour and its partner tone."""
    if texture == "flat":
        return Image.new("RGB", size, rgb)
    return blend(rgb, partner(rgb), _weights(texture, size[0], size[1], turn, period))


def _stroke(draw: ImageDraw.ImageDraw, stroke: Stroke, radius: float, value: int) -> None:
    points = [((x + 1.1) * radius, (y + 1.1) * radius) for x, y in stroke.points]
    if stroke.kind == "polygon":
        draw.polygon(points, fill=value)
    elif stroke.kind == "ellipse":
        draw.ellipse([*points[0], *points[1]], fill=value)
    elif stroke.kind == "rounded":
        draw.rounded_rectangle([*points[0], *points[1]], radius=stroke.size * radius, fill=value)
    else:
        draw.line(points, fill=value, width=max(1, round(stroke.size * radius)), joint="curve")


def masks(shape: Shape, radius: float) -> dict[str, Image.Image]:
    """Where each role of a shape shows, as 8-bit masks of 2.2 ``radius`` pixels a side."""
    side = math.ceil(2.2 * radius)
    found = {role: Image.new("L", (side, side), 0) for role in ("main", "accent", "ink")}
    brushes = {role: ImageDraw.Draw(mask) for role, mask in found.items()}
    for stroke in shape.strokes:
        for role, brush in brushes.items():
            _stroke(brush, stroke, radius, 255 if role == stroke.role else 0)
    return found


def _draw_thing(canvas: Image.Image, thing: Thing) -> None:
    radius = thing.radius * canvas.height
    layers = masks(thing.kind, radius)
    corner = (round(thing.x * canvas.width - 1.1 * radius), round(thing.y * canvas.height - 1.1 * radius))
    side = layers["main"].size
    period = max(0.085 * canvas.height, 0.42 * radius)
    main = textured(thing.paint.rgb, thing.texture, side, thing.turn, period)
    canvas.paste(main, corner, layers["main"])
    canvas.paste(thing.accent.rgb, (*corner, corner[0] + side[0], corner[1] + side[1]), layers["accent"])
    canvas.paste(ink(thing.paint.rgb), (*corner, corner[0] + side[0], corner[1] + side[1]), layers["ink"])


def _shadow(canvas: Image.Image, thing: Thing, ground: Paint) -> None:
    x, y = thing.x * canvas.width, (thing.y + 0.93 * thing.radius) * canvas.height
    reach, depth = thing.radius * canvas.height * 0.95, 0.025 * canvas.height
    draw = ImageDraw.Draw(canvas)
    draw.ellipse([x - reach, y - depth, x + reach, y + depth], fill=mix(ground.rgb, (0, 0, 0), 0.3))


def _sky(canvas: Image.Image, backdrop: Backdrop, rng: random.Random) -> None:
    width, height = canvas.size
    top, bottom = {
        "day": (backdrop.first.rgb, (214, 236, 252)),
        "night": (backdrop.first.rgb, (48, 56, 110)),
        "sunset": ((120, 80, 150), backdrop.first.rgb),
        "cloudy": (backdrop.first.rgb, (214, 218, 224)),
    }[backdrop.sky]
    canvas.paste(blend(top, bottom, ramp(width, height, 90.0)))
    draw = ImageDraw.Draw(canvas)
    if backdrop.sky == "night":
        for _ in range(26 * width // height):
            x, y, r = rng.uniform(0, width), rng.uniform(0, 0.6 * height), rng.uniform(0.006, 0.012) * height
            draw.ellipse([x - r, y - r, x + r, y + r], fill=(250, 250, 225))
    if backdrop.sky == "cloudy":
        for _ in range(4 * width // height):
            x, y, r = rng.uniform(0, width), rng.uniform(0.06, 0.3) * height, rng.uniform(0.09, 0.16) * height
            draw.ellipse([x - 2 * r, y - 0.5 * r, x + 2 * r, y + 0.5 * r], fill=(232, 234, 238))


def _curve(draw: ImageDraw.ImageDraw, size: tuple[int, int], level: Callable[[float], float], fill: Rgb) -> None:
    """Fill everything below a line that is given as a height for each x (both 0 to 1)."""
    width, height = size
    line = [(i / 64 * width, level(i / 64) * height) for i in range(65)]
    draw.polygon([*line, (width, height), (0, height)], fill=fill)


def _behind(draw: ImageDraw.ImageDraw, size: tuple[int, int], backdrop: Backdrop, rng: random.Random) -> None:
    """The row of trees or houses that stands on the horizon of a forest or a city."""
    width, height = size
    base = (backdrop.horizon + 0.01) * height
    dark = mix(backdrop.second.rgb, (20, 30, 40), 0.5)
    step = 0.13 * height
    for i in range(-1, int(width / step) + 2):
        x, tall = i * step, rng.uniform(0.16, 0.34) * height
        if backdrop.ground == "forest":
            draw.polygon([(x - 0.8 * step, base), (x + 0.8 * step, base), (x, base - tall)], fill=dark)
        else:
            draw.rectangle([x, base - tall, x + 0.86 * step, base], fill=dark)


def _waves(draw: ImageDraw.ImageDraw, size: tuple[int, int], backdrop: Backdrop, rng: random.Random) -> None:
    width, height = size
    tone = mix(backdrop.second.rgb, (255, 255, 255), 0.4)
    for _ in range(10 * width // height):
        x, y = rng.uniform(0, width), rng.uniform(backdrop.horizon + 0.06, 0.97) * height
        draw.line([(x, y), (x + 0.1 * height, y)], fill=tone, width=max(1, height // 70))


def _ground(canvas: Image.Image, backdrop: Backdrop, rng: random.Random) -> None:
    size = canvas.size
    width, height = size
    draw = ImageDraw.Draw(canvas)
    tone, horizon = backdrop.second.rgb, backdrop.horizon
    if backdrop.ground in ("forest", "city"):
        _behind(draw, size, backdrop, rng)
    if backdrop.ground in ("hill", "snow", "desert"):
        far = mix(tone, (0, 0, 0), 0.14)
        shift = rng.uniform(0.0, 6.0)
        _curve(draw, size, lambda x: horizon + 0.05 * math.sin(6 * x + shift), far)
        _curve(draw, size, lambda x: ground_level(backdrop, x) - 0.04, tone)
        return
    draw.rectangle([0, horizon * height, width, height], fill=tone)
    if backdrop.ground == "sea":
        _waves(draw, size, backdrop, rng)
    elif backdrop.ground == "beach":
        draw.rectangle([0, (horizon - 0.1) * height, width, horizon * height], fill=(40, 110, 200))
    elif backdrop.ground == "table":
        draw.rectangle([0, (horizon + 0.2) * height, width, height], fill=mix(tone, (0, 0, 0), 0.35))
    elif backdrop.ground == "room":
        draw.rectangle([0, (horizon - 0.025) * height, width, horizon * height], fill=mix(tone, (255, 255, 255), 0.6))
    elif backdrop.ground == "city":
        draw.rectangle([0, (horizon + 0.17) * height, width, (horizon + 0.19) * height], fill=(240, 240, 240))


def _draw_backdrop(canvas: Image.Image, backdrop: Backdrop) -> None:
    width, height = canvas.size
    rng = random.Random(backdrop.seed)
    if backdrop.kind == "gradient":
        canvas.paste(blend(backdrop.first.rgb, backdrop.second.rgb, ramp(width, height, 90.0)))
        return
    canvas.paste(backdrop.first.rgb, (0, 0, width, height))
    if backdrop.kind == "split":
        canvas.paste(backdrop.second.rgb, (0, round(backdrop.horizon * height), width, height))
    elif backdrop.kind == "place":
        if backdrop.sky:
            _sky(canvas, backdrop, rng)
        _ground(canvas, backdrop, rng)


_LIGHTS: dict[str, tuple[tuple[float, float, float], float]] = {
    "bright": ((1.12, 1.12, 1.12), 16.0),
    "dim": ((0.55, 0.55, 0.55), 0.0),
    "warm": ((1.08, 0.97, 0.72), 0.0),
    "cool": ((0.76, 0.95, 1.1), 0.0),
    "pastel": ((0.5, 0.5, 0.5), 124.0),
}
"""Gain for red, green and blue, and lift, of the lights that are one line of arithmetic."""


def _lit(picture: Image.Image, light: str) -> Image.Image:
    if light == "neutral":
        return picture
    x = np.asarray(picture, np.float32)
    grey = x.mean(axis=-1, keepdims=True)
    gain, lift = _LIGHTS.get(light, ((1.0, 1.0, 1.0), 0.0))
    changed = x * np.array(gain, np.float32) + lift if light != "muted" else grey + (x - grey) * 0.45
    return Image.fromarray(changed.clip(0, 255).astype(np.uint8))


def draw_scene(scene: Scene) -> Image.Image:
    """The picture of a scene, RGB, ``scene.width`` by ``scene.height`` pixels."""
    canvas = Image.new("RGB", (scene.width * OVERSAMPLE, scene.height * OVERSAMPLE))
    _draw_backdrop(canvas, scene.backdrop)
    for thing in scene.things:
        if scene.backdrop.kind == "place" and thing.row == "middle":
            _shadow(canvas, thing, scene.backdrop.second)
        _draw_thing(canvas, thing)
    return _lit(canvas.reduce(OVERSAMPLE), scene.light)


def draw_texture(rng: random.Random, side: int) -> Image.Image:
    """A patch of soft shading, noise, lines or spots without a scene: what a VAE must also carry."""
    noise = np.random.default_rng(rng.randrange(2**32))
    cells = rng.choice((2, 2, 3, 3, 5, 9, 17))
    coarse = Image.fromarray(noise.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
    patch = coarse.resize((side, side), Image.Resampling.BICUBIC)
    for _ in range(rng.randint(0, 6)):
        _scribble(patch, rng)
    if rng.random() < 0.3:
        patch = patch.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 3)))
    if rng.random() < 0.2:
        grain = noise.normal(0, rng.uniform(3, 14), (side, side, 1))
        patch = Image.fromarray((np.asarray(patch, np.float32) + grain).clip(0, 255).astype(np.uint8))
    return patch


def _lattice(draw: ImageDraw.ImageDraw, side: int, rng: random.Random) -> None:
    """A grid, slanted lines or staggered spots all over."""
    step, width = rng.randint(4, 14), rng.randint(1, 3)
    kind = rng.choice(("grid", "slant", "spots"))
    for i in range(-side if kind == "slant" else 0, side, step):
        if kind == "slant":
            draw.line([(i, 0), (i + side, side)], fill=255, width=width)
        elif kind == "grid":
            draw.line([(i, 0), (i, side)], fill=255, width=width)
            draw.line([(0, i), (side, i)], fill=255, width=width)
        else:
            for k in range(0, side, step):
                x, r = k + (i // step % 2) * step / 2, step * (0.15 + 0.25 * i / side)
                draw.ellipse([x - r, i - r, x + r, i + r], fill=255)


def _scribble(patch: Image.Image, rng: random.Random) -> None:
    """One soft-shaded blob, outline, line or lattice on a patch."""
    side = patch.width
    tone: Rgb = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
    other: Rgb = (rng.randrange(256), rng.randrange(256), rng.randrange(256))
    mask = Image.new("L", patch.size, 0)
    draw = ImageDraw.Draw(mask)
    x, y, r = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(0.05, 0.5) * side
    chance = rng.random()
    if chance < 0.6:
        figure = rng.choice((draw.ellipse, draw.rectangle))
        corners = [x - r, y - r * rng.uniform(0.4, 1), x + r, y + r]
        if chance < 0.45:
            figure(corners, fill=255)
        else:
            figure(corners, outline=255, width=rng.randint(1, 5))
    elif chance < 0.8:
        draw.line([(x, y), (rng.uniform(0, side), rng.uniform(0, side))], fill=255, width=rng.randint(1, 6))
    else:
        _lattice(draw, side, rng)
    patch.paste(blend(tone, other, ramp(side, side, rng.uniform(0, 360))), (0, 0), mask)
