"""Pixels into the few numbers that the looks and the layout need. Pillow and numpy; imported late."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.curate_dataset.grounds import ground_of
from loradeck.tools.render_deck_visuals.looks import BLACK, DARK_HIGHLIGHT, Facts

SAMPLE_SIDE = 160
LEAST_BLACK, MOST_CHROMA = 0.9, 12.0
"""Share of black pixels, and the widest difference between the channels of any, in a plate that stands for a picture.
"""
LUMA = np.array([0.2126, 0.7152, 0.0722])
READABLE = 4.5
"""WCAG 2's contrast ratio for text."""
STEPS = tuple(percent / 100 for percent in range(60, 101, 5))


def facts(slide: str, path: Path, asked: tuple[int, int]) -> Facts:
    """Measure one picture."""
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    pixels = sampled(picture).astype(np.float64)
    luma = pixels @ LUMA
    tiny = np.asarray(picture.resize((16, 16), Image.Resampling.BOX))
    return Facts(
        slide=slide,
        asked=asked,
        size=picture.size,
        spread=float(pixels.std(axis=0).max()),
        luma_mean=float(luma.mean()),
        luma_high=float(np.percentile(luma, 95)),
        tiny=tuple(int(value) for value in tiny.ravel()),
        plate=_plate(pixels, luma),
    )


def _plate(pixels: NDArray[np.float64], luma: NDArray[np.float64]) -> bool:
    """Whether (n, 3) pixels are black but for bright words without colour: what some hosts put in a picture's place."""
    colourless = float(np.ptp(pixels, axis=1).max()) <= MOST_CHROMA
    return colourless and float((luma <= BLACK).mean()) >= LEAST_BLACK and float(luma.max()) >= DARK_HIGHLIGHT


def ground(path: Path) -> str:
    """The colour of a picture's plain ground as #rrggbb; "" where the ground is not plain."""
    with Image.open(path) as opened:
        return ground_of(opened.convert("RGB")).colour or ""


def sampled(picture: Image.Image) -> NDArray[np.uint8]:
    """Real pixels, evenly picked (never mixed, so that the extremes stay), as (n, 3) values of 0-255."""
    size = (min(picture.width, SAMPLE_SIDE), min(picture.height, SAMPLE_SIDE))
    return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.NEAREST)).reshape(-1, 3)


def luminance(colors: NDArray[np.float64]) -> NDArray[np.float64]:
    """WCAG 2 relative luminance of sRGB colours (..., 3) of 0-255."""
    share = colors / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ LUMA)


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two #rrggbb colours: 1 to 21."""
    return float(_ratios(rgb(one)[None, :], rgb(other))[0])


def veil(path: Path, text: str, ground: str, wanted: float = 5.0) -> float:
    """How opaque (0.6 to 1) a veil of `ground` must lie on a picture for `text` to stand out from every pixel.

    `wanted` is the WCAG contrast ratio of the worst pixel; 4.5 is the norm for text, the rest is reserve.
    """
    with Image.open(path) as opened:
        pixels = sampled(opened).astype(np.float64)
    for opacity in STEPS:
        behind = opacity * rgb(ground) + (1 - opacity) * pixels
        if _ratios(behind, rgb(text)).min() >= wanted:
            return opacity
    return 1.0


def mixed(one: str, other: str, share: float) -> str:
    """#rrggbb between two colours; `share` is how much of the other there is, 0 to 1."""
    values = rgb(one) * (1 - share) + rgb(other) * share
    return "#" + "".join(f"{round(float(value)):02x}" for value in values)


def readable(text: str, ground: str) -> str:
    """The text colour, or black or white where it would not stand out from its ground (ratio under 5)."""
    if contrast(text, ground) >= 5.0:
        return text
    return max(("#ffffff", "#000000"), key=lambda color: contrast(color, ground))


def rgb(color: str) -> NDArray[np.float64]:
    """#rrggbb as three values of 0-255."""
    return np.array([int(color[n : n + 2], 16) for n in (1, 3, 5)], dtype=np.float64)


def _ratios(colors: NDArray[np.float64], text: NDArray[np.float64]) -> NDArray[np.float64]:
    one, other = luminance(colors), luminance(text)
    return np.asarray((np.maximum(one, other) + 0.05) / (np.minimum(one, other) + 0.05))
