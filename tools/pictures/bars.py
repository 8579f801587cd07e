"""Counts as bars: how often each value of each attribute stands in a set."""

from __future__ import annotations

from collections.abc import Mapping

from PIL import Image, ImageDraw

from loradeck.tools.pictures.canvas import BLUE, FAINT, INK, PAPER, font, label, shortened

WIDTH = 768
MARGIN = 20
ROW = 24
HEAD = 34
WORDS = 230
MOST_VALUES = 10


def bar_chart(counts: Mapping[str, Mapping[str, int]], *, title: str) -> Image.Image:
    """A picture of counts by attribute and value, the commonest first; beyond ten values the rest is summed up."""
    groups = {name: _shown(values) for name, values in counts.items() if values}
    height = 64 + sum(HEAD + ROW * len(rows) for rows in groups.values()) + MARGIN
    picture = Image.new("RGB", (WIDTH, height), PAPER)
    draw = ImageDraw.Draw(picture)
    label(draw, (MARGIN, MARGIN), shortened(title, WIDTH - 2 * MARGIN, font(20, bold=True)), 20, bold=True)
    y = 60
    for name, rows in groups.items():
        label(draw, (MARGIN, y), name.replace("_", " ").capitalize(), 15, bold=True)
        most = max(count for _, count in rows)
        for index, (value, count) in enumerate(rows):
            _bar(draw, y + HEAD - 8 + index * ROW, value, count, most)
        y += HEAD + ROW * len(rows)
    return picture


def _shown(values: Mapping[str, int]) -> list[tuple[str, int]]:
    rows = sorted(values.items(), key=lambda row: (-row[1], row[0]))
    rest = rows[MOST_VALUES:]
    if not rest:
        return rows
    return [*rows[:MOST_VALUES], (f"{len(rest)} more", sum(count for _, count in rest))]


def _bar(draw: ImageDraw.ImageDraw, y: int, value: str, count: int, most: int) -> None:
    face = font(14)
    draw.text(
        (WORDS, y + 9), shortened(value.replace("_", " "), WORDS - MARGIN - 10, face), fill=INK, font=face, anchor="rm"
    )
    left, room = WORDS + 12, WIDTH - WORDS - 12 - 70
    length = max(2, round(room * count / most)) if count else 0
    if length:
        draw.rectangle((left, y + 1, left + length, y + 16), fill=BLUE)
    draw.text((left + length + 8, y + 9), str(count), fill=FAINT, font=face, anchor="lm")
