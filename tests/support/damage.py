"""Real pictures damaged in known ways, so that what is measured on them has a truth. Every function returns RGB."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from loradeck.tools.curate_dataset.quality import Quality
from loradeck.tools.rulebook.facts import Measured
from loradeck.tools.rulebook.quality import why_badly_exposed, why_blocky, why_blurred
from loradeck.tools.rulebook.tables import Thresholds

ROOT = Path(__file__).resolve().parents[2]
SIDE = 1024
Resampling = Image.Resampling
Damage = Callable[[Image.Image], Image.Image]


def blurred(found: Quality) -> str | None:
    """What IMG-SHARP says of a picture."""
    return why_blurred(Measured(**asdict(found)), Thresholds())


def blocky(found: Quality) -> str | None:
    """What IMG-JPEG says of a picture."""
    return why_blocky(Measured(**asdict(found)), Thresholds())


def badly_exposed(found: Quality) -> str | None:
    """What IMG-EXPOSURE says of a picture."""
    return why_badly_exposed(Measured(**asdict(found)), Thresholds())


def originals() -> Iterator[tuple[str, Path]]:
    """(kind, path) of the real pictures that lie in the repository."""
    for kind, folder, suffix in (
        ("photo", "tests/data/photos", "png"),
        ("portrait", "tests/data/head_yaw", "jpg"),
        ("icon", "server/demo_data/icons", "png"),
    ):
        yield from ((kind, path) for path in sorted((ROOT / folder).glob(f"*.{suffix}")))


def opened(path: Path) -> Image.Image:
    """The picture in RGB, laid on white."""
    with Image.open(path) as raw:
        clear = raw.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", clear.size, "white"), clear).convert("RGB")


def training_square(picture: Image.Image) -> Image.Image:
    """The middle square, shrunk to 1024 pixels a side where it is larger."""
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return square if side <= SIDE else square.resize((SIDE, SIDE), Resampling.LANCZOS)


# --------------------------------------------------------------------------- blur


def gaussian(picture: Image.Image, sigma: float) -> Image.Image:
    return Image.fromarray(cv2.GaussianBlur(np.asarray(picture), (0, 0), sigma))


def shaken(picture: Image.Image, length: int, degrees: float) -> Image.Image:
    """Moved along a line of that many pixels while the shutter was open."""
    finer, side = 8, 2 * length + 1
    line = np.zeros((finer * side, finer * side), np.uint8)
    reach = length / 2 * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    begin, end = (tuple(round(float(finer * (side / 2 + sign * one))) for one in reach) for sign in (-1, 1))
    cv2.line(line, begin, end, 255, finer)
    kernel = np.asarray(cv2.resize(line.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA))
    return _filtered(picture, kernel)


def out_of_focus(picture: Image.Image, radius: float) -> Image.Image:
    """Every point a disc of that radius in pixels."""
    reach = int(np.ceil(radius))
    down, right = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    return _filtered(picture, np.clip(radius + 0.5 - np.hypot(down, right), 0, 1).astype(np.float32))


def _filtered(picture: Image.Image, kernel: NDArray[np.float32]) -> Image.Image:
    return Image.fromarray(cv2.filter2D(np.asarray(picture), -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT))


def enlarged(picture: Image.Image, times: int, how: Resampling = Resampling.BICUBIC) -> Image.Image:
    """Shrunk, then brought back to its size."""
    small = picture.resize((picture.width // times, picture.height // times), Resampling.LANCZOS)
    return small.resize(picture.size, how)


# --------------------------------------------------------------------------- JPEG and tones


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """Through JPEG and back: as a PNG of it would be, the tables gone."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def exposed(picture: Image.Image, stops: float) -> Image.Image:
    """As if the shutter had been open 2 ** stops times as long; saved as a camera does."""
    shown = np.arange(256) / 255
    light = np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)
    light = np.clip(light * 2.0**stops, 0, 1)
    values = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return jpeg(Image.fromarray((values * 255 + 0.5).astype(np.uint8)[np.asarray(picture)]), 92)


def crushed(picture: Image.Image, black: int) -> Image.Image:
    """All that is darker than `black` lost, the rest stretched."""
    values = (np.asarray(picture).astype(np.float32) - black) * (255 / (255 - black))
    return jpeg(Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)), 92)


# --------------------------------------------------------------------------- bars


def barred(
    picture: Image.Image,
    bars: tuple[float, float, float, float],
    colour: tuple[int, int, int] = (0, 0, 0),
    grain: float = 0.0,
    quality: int | None = None,
) -> tuple[Image.Image, tuple[int, int, int, int]]:
    """The picture with bars of these shares of its sides (left, top, right, bottom), and the box where it lies."""
    width, height = picture.size
    left, right = round(bars[0] * width), round(bars[2] * width)
    top, bottom = round(bars[1] * height), round(bars[3] * height)
    whole = Image.new("RGB", (width + left + right, height + top + bottom), colour)
    whole.paste(picture, (left, top))
    if grain:
        noise = np.random.default_rng(7).normal(0, grain, (whole.height, whole.width, 3))
        whole = Image.fromarray(np.clip(np.asarray(whole) + noise, 0, 255).astype(np.uint8))
    return (jpeg(whole, quality) if quality else whole), (left, top, width, height)


# --------------------------------------------------------------------------- named

BLURS: dict[str, Damage] = {
    **{f"gaussian {sigma:g}": partial(gaussian, sigma=sigma) for sigma in (1.0, 1.5, 2.5, 5.0)},
    **{
        f"shaken {length}": partial(shaken, length=length, degrees=turn) for length, turn in ((6, 0), (9, 30), (15, 70))
    },
    **{f"out of focus {radius}": partial(out_of_focus, radius=radius) for radius in (2, 3, 6)},
    **{f"enlarged {times}x": partial(enlarged, times=times) for times in (2, 4)},
    "enlarged 2x Lanczos": partial(enlarged, times=2, how=Resampling.LANCZOS),
    "enlarged 4x bilinear": partial(enlarged, times=4, how=Resampling.BILINEAR),
    "gaussian 2 as JPEG 75": lambda picture: jpeg(gaussian(picture, 2.0), 75),
    "enlarged 4x as JPEG 90": lambda picture: jpeg(enlarged(picture, 4), 90),
}
"""Damage by which a picture is too soft to train on; a gaussian of 1 pixel and enlarging twice are the hardest."""

BLOCKS: dict[str, Damage] = {
    **{f"JPEG {quality}": partial(jpeg, quality=quality) for quality in (10, 20, 30)},
    "JPEG 20, then 90": lambda picture: jpeg(jpeg(picture, 20), 90),
    "JPEG 25, cut off the grid": lambda picture: jpeg(picture, 25).crop((3, 5, picture.width, picture.height)),
}
NO_BLOCKS: dict[str, Damage] = {f"JPEG {quality}": partial(jpeg, quality=quality) for quality in (50, 75, 90)}

LOST: dict[str, Damage] = {
    **{f"{stops:+g} stops": partial(exposed, stops=stops) for stops in (2.0, 3.0, -3.0, -4.0)},
    "black at 120": partial(crushed, black=120),
}
NOT_LOST: dict[str, Damage] = {f"{stops:+g} stops": partial(exposed, stops=stops) for stops in (0.5, -0.5, -1.0)}

BARS: dict[str, tuple[float, float, float, float]] = {
    "letterbox": (0, 0.15, 0, 0.15),
    "thin letterbox": (0, 0.015, 0, 0.015),
    "pillarbox": (0.2, 0, 0.2, 0),
    "frame": (0.05, 0.05, 0.05, 0.05),
    "scanned margin": (0.1, 0.2, 0.12, 0.07),
    "square of a wide picture": (0, 0.4, 0, 0.4),
}
"""Bars by name: shares of the picture's sides (left, top, right, bottom)."""

FINISHES: dict[str, tuple[tuple[int, int, int], float, int | None]] = {
    "black": ((0, 0, 0), 0, None),
    "white": ((255, 255, 255), 0, None),
    "black, JPEG 30": ((0, 0, 0), 0, 30),
    "paper with grain, JPEG 80": ((250, 248, 244), 3, 80),
    "blue, JPEG 60": ((40, 60, 120), 0, 60),
    "dark grey with grain, JPEG 75": ((16, 16, 16), 5, 75),
}
"""Colours of bars by name: colour, standard deviation of grain, JPEG quality."""
