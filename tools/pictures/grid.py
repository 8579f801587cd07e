"""Samples of a training as one picture: steps down, prompts across, the same seed in each column."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

from loradeck.tools.pictures.canvas import FAINT, PAPER, TILE, fitted, font, label, paste_centred, save_png, wrapped

CELL = 256
GAP = 12
MARGIN = 96
HEAD = 86
MAX_ROWS = 12


def sample_grid(samples: list[tuple[int, str, Path]], out: Path) -> None:
    """Draw (step, prompt, path) samples as a PNG: a row a step, a column a prompt, each under its words.

    Of more than twelve steps the first, the last and evenly spaced ones between are shown. A sample whose file
    is gone leaves its cell empty.
    """
    steps = spread(sorted({step for step, _, _ in samples}), MAX_ROWS)
    prompts = list(dict.fromkeys(prompt for _, prompt, _ in samples))
    width = MARGIN + max(len(prompts), 1) * (CELL + GAP) + GAP
    picture = Image.new("RGB", (width, HEAD + max(len(steps), 1) * (CELL + GAP) + GAP), PAPER)
    draw = ImageDraw.Draw(picture)
    for column, prompt in enumerate(prompts):
        for line, text in enumerate(wrapped(prompt, CELL, font(16), 3)):
            label(draw, (_left(column), 14 + 22 * line), text, 16)
    for row, step in enumerate(steps):
        middle = _top(row) + CELL / 2
        draw.text((MARGIN - 14, middle - 10), "step", fill=FAINT, font=font(16), anchor="rm")
        draw.text((MARGIN - 14, middle + 12), f"{step:,}", fill="black", font=font(20, bold=True), anchor="rm")
    _cells(picture, draw, samples, steps, prompts)
    save_png(picture, out)


def spread(values: list[int], most: int) -> list[int]:
    """At most `most` of the values: the first, the last and evenly spaced ones between."""
    if len(values) <= most:
        return values
    return [values[round(n * (len(values) - 1) / (most - 1))] for n in range(most)]


def _cells(
    picture: Image.Image,
    draw: ImageDraw.ImageDraw,
    samples: list[tuple[int, str, Path]],
    steps: list[int],
    prompts: list[str],
) -> None:
    files = {(step, prompt): path for step, prompt, path in samples}
    for row, step in enumerate(steps):
        for column, prompt in enumerate(prompts):
            box = (_left(column), _top(row), _left(column) + CELL, _top(row) + CELL)
            draw.rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=TILE)
            path = files.get((step, prompt))
            if path is not None and path.is_file():
                paste_centred(picture, fitted(path, CELL, CELL), box)


def _left(column: int) -> int:
    return MARGIN + column * (CELL + GAP)


def _top(row: int) -> int:
    return HEAD + row * (CELL + GAP)
