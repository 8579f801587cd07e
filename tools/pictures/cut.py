"""A whole picture with what a crop leaves out dimmed, small enough for a tile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import ExifTags, Image

from loradeck.tools.curate_dataset.picture import BROKEN, KNOWN
from loradeck.tools.pictures.canvas import INK, PAPER, fitted, small

Box = tuple[int, int, int, int]
TURNED = range(5, 9)
"""EXIF orientations that swap width and height."""
DIMMED = 0.6
DECODED_SMALL = {"JPEG", "MPO"}
"""Formats that give a small picture in a fraction of the time of a whole one."""
MOST_PIXELS = 2_500_000
"""Of other formats; a PNG takes about 60 ms a megapixel, and a page holds fifty."""


@dataclass(frozen=True)
class Cut:
    """A crop: the original's file and upright size, the square that is kept (x, y, width, height), and why there.

    Sizes and the square are in pixels of the upright original.
    """

    original: Path
    size: tuple[int, int]
    square: Box
    reason: str


def dimmed(cut: Cut, copy: Path, width: int, height: int) -> tuple[Image.Image, Box] | None:
    """The original, upright and at most width x height pixels, all but the crop dark; and where the crop is in it.

    The box is left, top, right, bottom, the last two just outside. A large original that cannot be decoded small is
    not decoded: around its training copy it is plain dark. None where the file is gone, cannot be decoded, or is no
    longer of the size of the cut.
    """
    try:
        with Image.open(cut.original, formats=KNOWN) as opened:
            if _upright_size(opened) != cut.size:
                return None
            if opened.format in DECODED_SMALL or opened.width * opened.height <= MOST_PIXELS:
                picture = small(opened, width, height)
                box = _scaled(cut, picture.size)
                kept = picture.crop(box)
            else:
                picture = Image.new("RGB", _contained(cut.size, width, height), PAPER)
                box = _scaled(cut, picture.size)
                kept = fitted(copy, box[2] - box[0], box[3] - box[1])
    except (Image.DecompressionBombError, *BROKEN):
        return None
    dark = Image.blend(picture, Image.new("RGB", picture.size, INK), DIMMED)
    dark.paste(kept, box[:2])
    return dark, box


def _contained(size: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    scale = min(width / size[0], height / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _upright_size(opened: Image.Image) -> tuple[int, int]:
    turned = opened.getexif().get(ExifTags.Base.Orientation, 1) in TURNED
    return (opened.height, opened.width) if turned else opened.size


def _scaled(cut: Cut, size: tuple[int, int]) -> Box:
    left, top, width, height = cut.square
    across, down = size[0] / cut.size[0], size[1] / cut.size[1]
    return round(left * across), round(top * down), round((left + width) * across), round((top + height) * down)
