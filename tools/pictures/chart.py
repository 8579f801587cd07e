"""The loss chart of a training: what was measured, as it was measured, and the line that matters on top."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageColor, ImageDraw

from loradeck.tools.pictures.canvas import BLUE, FAINT, INK, LINE, ORANGE, PAPER, font, label, save_png

SIZE = (1200, 675)
SUPERSAMPLE = 2
PLOT = (96, 116, 1160, 596)  # left, top, right, bottom
PALE = "#b9cbf1"
Points = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Scale:
    """Where a step and a loss fall in the plot, in pixels."""

    steps: tuple[float, float]
    losses: tuple[float, float]

    def spot(self, step: float, loss: float) -> tuple[float, float]:
        """The pixel of a point; a loss above the axis is drawn at its edge."""
        left, top, right, bottom = PLOT
        across = (step - self.steps[0]) / (self.steps[1] - self.steps[0])
        up = (min(max(loss, self.losses[0]), self.losses[1]) - self.losses[0]) / (self.losses[1] - self.losses[0])
        return left + across * (right - left), bottom - up * (bottom - top)


def loss_chart(train: list[tuple[int, float]], held_out: list[tuple[int, float]], out: Path) -> None:
    """Draw training loss (pale, with its mean on top) and held-out loss over the steps: a PNG of 1200 x 675.

    Points that are not finite are left out. Without any point the chart says so.
    """
    train = [(step, loss) for step, loss in train if math.isfinite(loss)]
    held_out = [(step, loss) for step, loss in held_out if math.isfinite(loss)]
    picture = Image.new("RGB", (SIZE[0] * SUPERSAMPLE, SIZE[1] * SUPERSAMPLE), PAPER)
    lines = ImageDraw.Draw(picture)
    scale = _scale(train, held_out)
    x_ticks, y_ticks = _ticks(*scale.steps), _ticks(*scale.losses)
    _grid(lines, scale, y_ticks)
    _line(lines, scale, train, PALE, 1.5)
    _line(lines, scale, smoothed(train), BLUE, 3)
    _line(lines, scale, held_out, ORANGE, 3, dots=True)
    picture = picture.resize(SIZE, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    _words(draw, scale, x_ticks, y_ticks)
    _legend(draw, train, held_out)
    save_png(picture, out)


def smoothed(points: Points) -> list[tuple[int, float]]:
    """The running mean over about a tenth of the points around each (at least 5), at the same steps."""
    reach = max(2, len(points) // 20)
    out = []
    for index, (step, _) in enumerate(points):
        window = [loss for _, loss in points[max(0, index - reach) : index + reach + 1]]
        out.append((step, sum(window) / len(window)))
    return out


def _scale(train: Points, held_out: Points) -> Scale:
    """Axes that hold all of the held-out line and 98% of the training points (a spike does not flatten the rest)."""
    losses = sorted(loss for _, loss in train)
    high = [losses[math.ceil(0.98 * len(losses)) - 1]] if losses else []
    high += [loss for _, loss in held_out]
    steps = [step for step, _ in (*train, *held_out)] or [0, 1]
    top = max(high, default=1.0) * 1.08
    return Scale((min(0, *steps), max(*steps, 1)), (0.0, top if top > 0 else 1.0))


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers between two values."""
    rough = (high - low) / 5
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [step * n for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _grid(draw: ImageDraw.ImageDraw, scale: Scale, y_ticks: list[float]) -> None:
    left, _, right, bottom = (edge * SUPERSAMPLE for edge in PLOT)
    for tick in y_ticks:
        y = scale.spot(scale.steps[0], tick)[1] * SUPERSAMPLE
        draw.line([(left, y), (right, y)], fill=LINE, width=SUPERSAMPLE)
    draw.line([(left, bottom), (right, bottom)], fill=FAINT, width=2 * SUPERSAMPLE)


def _line(
    draw: ImageDraw.ImageDraw, scale: Scale, points: Points, color: str, width: float, *, dots: bool = False
) -> None:
    spots = [(x * SUPERSAMPLE, y * SUPERSAMPLE) for x, y in (scale.spot(*point) for point in points)]
    if len(spots) > 1:
        draw.line(spots, fill=color, width=round(width * SUPERSAMPLE), joint="curve")
    if dots or len(spots) == 1:
        for x, y in spots:
            draw.circle((x, y), 5 * SUPERSAMPLE, fill=color, outline=PAPER, width=SUPERSAMPLE)


def _words(draw: ImageDraw.ImageDraw, scale: Scale, x_ticks: list[float], y_ticks: list[float]) -> None:
    left, top, right, bottom = PLOT
    label(draw, (40, 28), "Loss over the training", 28, bold=True)
    for tick in y_ticks:
        y = scale.spot(scale.steps[0], tick)[1]
        draw.text((left - 12, y), f"{tick:.3g}", fill=FAINT, font=font(17), anchor="rm")
    for tick in x_ticks:
        x = scale.spot(tick, 0)[0]
        draw.line([(x, bottom), (x, bottom + 6)], fill=FAINT, width=2)
        draw.text((x, bottom + 12), f"{tick:,.0f}", fill=FAINT, font=font(17), anchor="ma")
    draw.text(((left + right) / 2, bottom + 42), "Step", fill=INK, font=font(18), anchor="ma")
    draw.text((40, top - 14), "Loss", fill=INK, font=font(18), anchor="ls")


def _legend(draw: ImageDraw.ImageDraw, train: Points, held_out: Points) -> None:
    entries = [("Training, each step", PALE), ("Training, running mean", BLUE)] if train else []
    if held_out:
        first, last = held_out[0][1], held_out[-1][1]
        entries.append((f"Held out, fixed noise: {first:.3g} to {last:.3g}", ORANGE))
    if not entries:
        draw.text((SIZE[0] / 2, SIZE[1] / 2), "No loss was recorded yet", fill=FAINT, font=font(24), anchor="mm")
    x: float = PLOT[2]
    for text, color in reversed(entries):
        x -= font(17).getlength(text)
        draw.text((x, 45), text, fill=INK, font=font(17), anchor="lm")
        draw.line([(x - 36, 45), (x - 10, 45)], fill=ImageColor.getrgb(color), width=5)
        x -= 62
