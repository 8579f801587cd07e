"""Contact sheets: numbered tiles with their ids, what was set aside greyed with its reason, a code to prove a look.

A picture of which a square was cut is shown whole, what training does not see dimmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from loradeck.tools.pictures.canvas import (
    FAINT,
    INK,
    ORANGE,
    PAPER,
    RED,
    TILE,
    fitted,
    font,
    label,
    paste_centred,
    shortened,
    wrapped,
)
from loradeck.tools.pictures.cut import Cut, dimmed


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet; `note` is the reason why it was set aside, which greys it, or empty; `mark` stands at its
    corner. `flag` says what a machine found wrong with it: framed in orange with these words, and never greyed.

    With a `cut` the original is shown instead of the file at `path`, where it can be.
    """

    path: Path
    number: int | None
    label: str
    note: str = ""
    cut: Cut | None = None
    mark: str = ""
    flag: str = ""


@dataclass(frozen=True)
class Shape:
    """How a sheet is laid out, in pixels."""

    columns: int
    cell: tuple[int, int]
    gap: int = 8
    text: int = 12

    @property
    def pitch(self) -> tuple[int, int]:
        """From one tile's left top corner to the next one's."""
        return self.cell[0] + self.gap, self.cell[1] + self.text + 8 + self.gap


THUMBNAILS = Shape(columns=5, cell=(144, 117))
"""25 tiles with readable ids on 768 pixels."""


MOST_FOOT = 4
"""Lines of a sheet's foot, at most."""
FRAME = 4
"""Pixels of the frame around a flagged tile."""


def contact_sheet(
    tiles: Sequence[Tile], *, title: str, code: str = "", foot: str = "", shape: Shape = THUMBNAILS
) -> Image.Image:
    """Draw tiles in rows under a title, with the code at the right top, and the foot's words under them all.

    A file that is gone says so on its tile.
    """
    head = shape.text * 2 + 8
    rows = -(-max(len(tiles), 1) // shape.columns)
    width = shape.gap + shape.columns * shape.pitch[0]
    words = wrapped(foot, width - 2 * shape.gap, font(shape.text), MOST_FOOT) if foot else []
    end = head + shape.gap + rows * shape.pitch[1]
    size = (width, end + len(words) * (shape.text + 6) + (shape.gap if words else 0))
    picture = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(picture)
    for line, text in enumerate(words):
        label(draw, (shape.gap, end + line * (shape.text + 6)), text, shape.text, color=ORANGE)
    face = font(shape.text + 2, bold=True)
    right = size[0] - shape.gap
    if code:
        draw.text((right, head / 2 + 4), f"code {code}", fill=INK, font=face, anchor="rm")
        right -= round(face.getlength(f"code {code}")) + 16
    draw.text((shape.gap, head / 2 + 4), shortened(title, right - shape.gap, face), fill=INK, font=face, anchor="lm")
    for index, tile in enumerate(tiles):
        left = shape.gap + index % shape.columns * shape.pitch[0]
        top = head + shape.gap + index // shape.columns * shape.pitch[1]
        _tile(picture, draw, tile, (left, top), shape)
    return picture


def _tile(picture: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, spot: tuple[int, int], shape: Shape) -> None:
    left, top = spot
    width, height = shape.cell
    box = (left, top, left + width, top + height)
    draw.rectangle((left, top, left + width - 1, top + height - 1), fill=TILE)
    cut = dimmed(tile.cut, tile.path, width, height) if tile.cut is not None else None
    if cut is not None:
        thumbnail, square = cut
        corner = paste_centred(picture, _greyed(thumbnail) if tile.note else thumbnail, box)
        _outline(draw, corner, square)
    elif tile.path.is_file():
        thumbnail = fitted(tile.path, width, height)
        paste_centred(picture, _greyed(thumbnail) if tile.note else thumbnail, box)
    else:
        words, ink = ("no picture", FAINT) if tile.note else ("file is gone", RED)
        draw.text((left + width / 2, top + height / 2), words, fill=ink, font=font(shape.text), anchor="mm")
    if tile.number is not None:
        _badge(draw, spot, str(tile.number), shape.text + 1)
    if tile.note:
        _ribbon(draw, box, tile.note, shape.text, RED)
    elif tile.flag:
        draw.rectangle((left, top, left + width - 1, top + height - 1), outline=ORANGE, width=FRAME)
        _ribbon(draw, box, tile.flag, shape.text, ORANGE)
    elif tile.mark:
        _mark(draw, box, tile.mark, shape.text)
    elif cut is not None and tile.cut is not None:
        _mark(draw, box, tile.cut.reason, shape.text)
    face = font(shape.text)
    label(draw, (left, top + height + 3), shortened(tile.label, width, face), shape.text, color=FAINT)


def _greyed(thumbnail: Image.Image) -> Image.Image:
    grey = ImageOps.grayscale(thumbnail).convert("RGB")
    return Image.blend(grey, Image.new("RGB", grey.size, PAPER), 0.55)


def _outline(draw: ImageDraw.ImageDraw, spot: tuple[int, int], square: tuple[int, int, int, int]) -> None:
    """A line around what is kept, inside of it."""
    left, top, right, bottom = square
    across, down = spot
    draw.rectangle((across + left, down + top, across + right - 1, down + bottom - 1), outline=ORANGE, width=2)


def _mark(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], words: str, size: int) -> None:
    """Words at the right bottom of a tile: why its crop lies where it does, or what it is."""
    _, _, right, bottom = box
    face = font(size)
    width = round(face.getlength(words)) + 8
    draw.rectangle((right - width, bottom - size - 5, right - 1, bottom - 1), fill=ORANGE)
    draw.text((right - width / 2, bottom - (size + 5) / 2), words, fill=PAPER, font=face, anchor="mm")


def _badge(draw: ImageDraw.ImageDraw, spot: tuple[int, int], text: str, size: int) -> None:
    face = font(size, bold=True)
    width = face.getlength(text) + 10
    draw.rectangle((spot[0], spot[1], spot[0] + width, spot[1] + size + 6), fill=INK)
    draw.text((spot[0] + width / 2, spot[1] + (size + 6) / 2), text, fill=PAPER, font=face, anchor="mm")


def _ribbon(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], text: str, size: int, color: str) -> None:
    left, _, right, bottom = box
    face = font(size)
    draw.rectangle((left, bottom - size - 7, right - 1, bottom - 1), fill=color)
    draw.text(
        (left + 5, bottom - (size + 7) / 2),
        shortened(text, right - left - 10, face),
        fill=PAPER,
        font=face,
        anchor="lm",
    )
