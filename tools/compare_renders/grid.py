"""The comparison as labelled pictures: variants across, prompts and seeds down, in pages, large enough to judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw

from loradeck.tools.compare_renders.plan import Cell, Column, Plan, Row
from loradeck.tools.pictures.canvas import (
    FAINT,
    INK,
    LINE,
    PAPER,
    TILE,
    fitted,
    font,
    label,
    paste_centred,
    shortened,
    wrapped,
)

CELL = 320
GAP = 14
SIDE_WIDTH = 230
HEAD = 118
TITLE = 46
A_PAGE = 6
"""Rows of pictures on a page."""
Line = tuple[int, Row, int]
"""A line of the grid: the number of its prompt, from 1, the prompt, a seed."""


def pages_of(plan: Plan) -> list[list[Line]]:
    """The lines of each page; a prompt's seeds follow each other."""
    lines = [(number, row, seed) for number, row in enumerate(plan.rows, 1) for seed in row.seeds]
    return [lines[start : start + A_PAGE] for start in range(0, len(lines), A_PAGE)]


def page(
    plan: Plan, there: Mapping[Cell, Path], lines: Sequence[Line], title: str, notes: Mapping[str, str] | None = None
) -> Image.Image:
    """One page; `notes` is a line under each label. A picture that is not drawn leaves its cell empty."""
    height = _height(lines)
    width = SIDE_WIDTH + len(plan.columns) * (CELL + GAP) + GAP
    picture = Image.new("RGB", (width, TITLE + HEAD + len(lines) * (height + GAP) + GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    label(draw, (GAP, 14), shortened(title, width - 2 * GAP, font(20, bold=True)), 20, bold=True)
    for place, column in enumerate(plan.columns):
        _head(draw, place, column, (notes or {}).get(column.label, ""))
    cells = {(cell.column, cell.row, cell.seed): cell for cell in plan.asked}
    for at, (number, row, seed) in enumerate(lines):
        top = TITLE + HEAD + at * (height + GAP)
        _side(draw, top, number, row, seed, height)
        for place in range(len(plan.columns)):
            left = SIDE_WIDTH + place * (CELL + GAP)
            box = (left, top, left + CELL, top + height)
            path = there.get(cells[place, number, seed])
            if path is not None:
                paste_centred(picture, fitted(path, CELL, height), box)
                continue
            draw.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=TILE)
            middle = (left + CELL / 2, top + height / 2)
            draw.text(middle, "not drawn", fill=FAINT, font=font(16), anchor="mm")
    return picture


def _height(lines: Sequence[Line]) -> int:
    """Of a cell: as the tallest picture of the page wants it, at most square and a half."""
    tallest = max((row.height / row.width for _, row, _ in lines), default=1.0)
    return round(CELL * min(1.5, max(0.4, tallest)))


def _head(draw: ImageDraw.ImageDraw, place: int, column: Column, note: str) -> None:
    left = SIDE_WIDTH + place * (CELL + GAP)
    lines = wrapped(column.label, CELL, font(20, bold=True), 2)
    below = TITLE + 8 + 25 * len(lines)
    for line, text in enumerate(lines):
        label(draw, (left, TITLE + 6 + 25 * line), text, 20, bold=True)
    brush = column.brush
    made = shortened(f"{brush.base_model}, {brush.engine}", CELL, font(15))
    label(draw, (left, below), made, 15, color=FAINT)
    label(draw, (left, below + 22), shortened(note, CELL, font(15)), 15)


def _side(draw: ImageDraw.ImageDraw, top: int, number: int, row: Row, seed: int, height: int) -> None:
    """Number, words and seed of a line, beside its pictures."""
    draw.line((GAP, top - GAP / 2, SIDE_WIDTH - GAP, top - GAP / 2), fill=LINE)
    label(draw, (GAP, top), f"{number}", 26, bold=True)
    most = max(1, (height - 66) // 21)
    words = f"{row.name}: {row.prompt}" if row.name else row.prompt
    for line, text in enumerate(wrapped(words, SIDE_WIDTH - 2 * GAP, font(16), most)):
        draw.text((GAP, top + 36 + 21 * line), text, fill=INK, font=font(16), anchor="la")
    draw.text((GAP, top + height - 4), f"seed {seed}", fill=FAINT, font=font(15), anchor="ls")
