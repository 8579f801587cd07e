"""What a set covers, drawn: a heat map of angle and expression, and bars with the wanted share behind the measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PIL import Image, ImageColor, ImageDraw

from loradeck.tools.contracts import Severity
from loradeck.tools.pictures.canvas import BLUE, FAINT, INK, ORANGE, PAPER, RED, TILE, font, label, shortened
from loradeck.tools.pictures.jpeg import SIDE
from loradeck.tools.validate_coverage.matrix import Cell, Matrix, Need
from loradeck.tools.validate_coverage.panels import Bar, Bars, between

MARGIN = 20
HEAD = 68
ROW = 24
WORDS = 176
SUM = 52
LEGEND = 40
TITLE = 30
BAR = 22
GAP = 8
NUMBERS = 196
MOST_BARS = 8
LEAST_SCALE = 0.5
"""The share at the right end of bars, unless one is longer."""
PALE = "#fde8d5"
BAND = "#cfe6d3"
EDGE = "#4f9a5e"
COLOUR = {Severity.ERROR: RED, Severity.WARNING: ORANGE}
Painter = Callable[[ImageDraw.ImageDraw, int], None]
"""Draws a block with its top edge at a height in pixels."""


def coverage_pictures(title: str, standing: str, matrix: Matrix | None, panels: Sequence[Bars]) -> list[Image.Image]:
    """Pictures of 768 pixels a side at most: the heat map first, where there is one, then the bars, as many as fit."""
    blocks = [(_height(bars), _bars_painter(bars)) for bars in panels]
    if matrix is not None:
        blocks.insert(0, (ROW * (len(matrix.rows) + 2) + LEGEND, lambda draw, top: _matrix(draw, top, matrix)))
    pages: list[list[tuple[int, Painter]]] = [[]]
    for block in blocks:
        if pages[-1] and HEAD + sum(height for height, _ in (*pages[-1], block)) > SIDE:
            pages.append([])
        pages[-1].append(block)
    return [_page(title, standing, page) for page in pages]


def _page(title: str, standing: str, blocks: Sequence[tuple[int, Painter]]) -> Image.Image:
    picture = Image.new("RGB", (SIDE, HEAD + sum(height for height, _ in blocks) + GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    room = SIDE - 2 * MARGIN
    label(draw, (MARGIN, 14), shortened(title, room, font(20, bold=True)), 20, bold=True)
    label(draw, (MARGIN, 40), shortened(standing, room, font(14)), 14, color=FAINT)
    top = HEAD
    for height, paint in blocks:
        paint(draw, top)
        top += height
    return picture


# --------------------------------------------------------------------------- the heat map


def _matrix(draw: ImageDraw.ImageDraw, top: int, matrix: Matrix) -> None:
    """Names, cells and sums, a row a class of angles; the legend under them."""
    width = (SIDE - MARGIN - WORDS - SUM - MARGIN) / len(matrix.columns)
    width = min(width, 96)
    most = max((cell.count for cells in matrix.cells for cell in cells), default=0)
    face, bold = font(13), font(13, bold=True)
    right = WORDS + MARGIN + width * len(matrix.columns)

    def line(y: float, name: str, total: str, ink: str) -> None:
        words = shortened(name.replace("_", " "), WORDS - 12, face)
        draw.text((MARGIN, y), words, fill=ink, font=face, anchor="lm")
        draw.text((right + SUM - 8, y), total, fill=INK, font=bold, anchor="rm")

    line(top + ROW / 2, "angle / expression", "all", FAINT)
    for column, name in enumerate(matrix.columns):
        words = shortened(name, width - 4, font(12))
        left = WORDS + MARGIN + width * column
        draw.text((left + width / 2, top + ROW / 2), words, fill=INK, font=font(12), anchor="mm")
        total = str(matrix.column_sum(column))
        y = top + ROW * (len(matrix.rows) + 1.5)
        draw.text((left + width / 2, y), total, fill=INK, font=bold, anchor="mm")
    for row, name in enumerate(matrix.rows):
        y = top + ROW * (row + 1)
        line(y + ROW / 2, name, str(matrix.row_sum(row)), INK)
        for column, cell in enumerate(matrix.cells[row]):
            left = WORDS + MARGIN + width * column
            _cell(draw, (left + 1, y + 1, left + width - 2, y + ROW - 2), cell, most)
    whole = sum(cell.count for cells in matrix.cells for cell in cells)
    line(top + ROW * (len(matrix.rows) + 1.5), "all", str(whole), FAINT)
    _legend(draw, top + ROW * (len(matrix.rows) + 2) + 6, most)


def _cell(draw: ImageDraw.ImageDraw, box: tuple[float, float, float, float], cell: Cell, most: int) -> None:
    """A count on its shade; an empty cell that is wanted has a plus and an edge, any other empty one stays pale."""
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    if cell.need == Need.WANTED:
        draw.rectangle(box, fill=PALE, outline=ORANGE, width=2)
        draw.text(middle, "+", fill=ORANGE, font=font(15, bold=True), anchor="mm")
        return
    shade = _shade(cell.count, most)
    draw.rectangle(box, fill=shade)
    if cell.count:
        ink = PAPER if sum(shade) < 440 else INK
        draw.text(middle, str(cell.count), fill=ink, font=font(13, bold=True), anchor="mm")
    if cell.need == Need.ELSEWHERE:
        draw.polygon([(box[2] - 11, box[1]), (box[2], box[1]), (box[2], box[1] + 11)], fill=RED)


def _shade(count: int, most: int) -> tuple[int, int, int]:
    """From the pale of an empty cell to full blue; the root lets a few images show beside many."""
    if not count:
        return _rgb(TILE)
    part = 0.25 + 0.75 * (count / most) ** 0.5 if most > 1 else 0.6
    low, high = _rgb("#dbe6fb"), _rgb(BLUE)
    red, green, blue = (round(start + (end - start) * part) for start, end in zip(low, high, strict=True))
    return red, green, blue


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return red, green, blue


def _legend(draw: ImageDraw.ImageDraw, top: float, most: int) -> None:
    entries = (
        (Cell(max(most, 1)), "images"),
        (Cell(0, Need.WANTED), "none, wanted"),
        (Cell(0), "none, not needed"),
        (Cell(1, Need.ELSEWHERE), "hardly read from here"),
    )
    x: float = MARGIN
    for cell, words in entries:
        _cell(draw, (x, top, x + 32, top + 20), cell, most)
        draw.text((x + 40, top + 10), words, fill=FAINT, font=font(13), anchor="lm")
        x += 40 + font(13).getlength(words) + 24


# --------------------------------------------------------------------------- bars


def _height(bars: Bars) -> int:
    return TITLE + BAR * max(1, min(len(bars.bars), MOST_BARS)) + GAP


def _bars_painter(bars: Bars) -> Painter:
    return lambda draw, top: _bars(draw, top, bars)


def _bars(draw: ImageDraw.ImageDraw, top: int, bars: Bars) -> None:
    label(draw, (MARGIN, top + 4), bars.title, 15, bold=True)
    said = ", ".join(part for part in (bars.wanted, f"{bars.unknown} unknown" if bars.unknown else "") if part)
    start = MARGIN + font(15, bold=True).getlength(bars.title) + 12
    words = shortened(said, SIDE - MARGIN - start, font(14))
    label(draw, (start, top + 5), words, 14, color=COLOUR.get(bars.told or Severity.INFO, FAINT))
    shown = bars.bars if len(bars.bars) <= MOST_BARS else bars.bars[: MOST_BARS - 1]
    rest = bars.bars[len(shown) :]
    scale = max([LEAST_SCALE, bars.most or 0, *(max(bar.share, *(bar.wanted or (0,))) for bar in shown)])
    for place, bar in enumerate(shown):
        _bar(draw, top + TITLE + BAR * place, bar, scale)
    if not shown:
        label(draw, (MARGIN, top + TITLE), "nothing known yet", 13, color=FAINT)
    elif bars.most is not None:
        x = _across(bars.most, scale)
        draw.line([(x, top + TITLE - 2), (x, top + TITLE + BAR * len(shown) - 2)], fill=EDGE, width=2)
    if rest:
        words = f"and {len(rest)} more, in {sum(bar.count for bar in rest)} images"
        label(draw, (MARGIN + WORDS, top + TITLE + BAR * len(shown) + 2), words, 13, color=FAINT)


def _across(share: float, scale: float) -> float:
    """The pixel of a share."""
    return MARGIN + WORDS + (SIDE - 2 * MARGIN - WORDS - NUMBERS) * share / scale


def _bar(draw: ImageDraw.ImageDraw, y: int, bar: Bar, scale: float) -> None:
    """The wanted band behind the measured bar, its numbers at the right."""
    face, middle = font(13), y + BAR / 2 - 1
    words = shortened(bar.label, WORDS - 12, face)
    draw.text((MARGIN + WORDS - 10, middle), words, fill=INK, font=face, anchor="rm")
    start, end = _across(0, scale), _across(scale, scale)
    draw.rectangle((start, y + 1, end, y + BAR - 4), fill=TILE)
    if bar.wanted is not None:
        low, high = (_across(share, scale) for share in bar.wanted)
        draw.rectangle((low, y + 1, max(high, low + 4), y + BAR - 4), fill=BAND, outline=EDGE)
    if bar.count:
        length = max(_across(bar.share, scale), start + 2)
        draw.rectangle((start, y + 5, length, y + BAR - 8), fill=BLUE)
    said = f"{bar.count} ({bar.share:.0%})" + (f", wanted {between(*bar.wanted)}" if bar.wanted else "")
    draw.text((end + 10, middle), shortened(said, NUMBERS - 10, face), fill=FAINT, font=face, anchor="lm")
