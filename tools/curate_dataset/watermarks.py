"""Faint marks that many pictures carry at one place, found by laying the pictures over one another.

A mark of 15% opacity is lost in one picture's texture. What is the same in all of them adds up, though, while scenes
average out: twelve pictures are enough to read it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from loradeck.tools.curate_dataset.lettering import find_text
from loradeck.tools.curate_dataset.overlays import LEAST_LETTERS, LEAST_READ, Lettering, letters

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Trace = NDArray[np.int8]
"""What is finer than ten pixels in a grey picture of 384 on its longer side, evened out: (height, width), +-127."""

SIDE = 384
STEP = 8  # the shorter side is rounded to it, so that 500 x 375 and 500 x 374 pictures lie over one another
FINE = 10
FLOOR = 3.0
LEAST_PICTURES = 6
INKED = 0.4
"""The share of a line's box that letters and their outlines fill."""
LEAST_LIKE = 0.08
LEAST_SPREAD = 0.05
SLANTS = (0, 30, -30)
WHITE = 127


def trace_of(picture: Image.Image) -> Trace:
    """The fine detail of an RGB picture. Strong edges of the scene count little more than the faint ones of a mark."""
    scale = SIDE / max(picture.size)
    width, height = (max(STEP, round(side * scale / STEP) * STEP) for side in picture.size)
    grey = picture.convert("L").resize((width, height), Image.Resampling.BILINEAR, reducing_gap=2.0)
    detail = np.asarray(grey, np.float32) - np.asarray(grey.filter(ImageFilter.GaussianBlur(FINE)), np.float32)
    strength = Image.fromarray(np.abs(detail).astype(np.uint8)).filter(ImageFilter.BoxBlur(FINE))
    return (WHITE * np.tanh(detail / (1.5 * (np.asarray(strength, np.float32) + FLOOR)))).astype(np.int8)


def common_marks(traces: Mapping[str, Trace]) -> dict[str, str]:
    """The words of the mark, by image, for those that carry one that others of the same shape carry too.

    Fewer than six pictures of one shape say nothing. Takes about a second for each shape.
    """
    shapes: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, trace in traces.items():
        shapes[trace.shape].append(name)
    marked: dict[str, str] = {}
    for names in shapes.values():
        if len(names) < LEAST_PICTURES:
            continue
        group = [traces[name] for name in names]
        sums = _Sums.of(group)
        words, where = _mark(sums)
        if words:
            likeness = _likeness(group, sums, where)
            marked |= {name: words for name, like in zip(names, likeness, strict=True) if like >= LEAST_LIKE}
    return marked


@dataclass(frozen=True)
class _Sums:
    """What traces add up to, pixel by pixel: sum and sum of squares."""

    total: Floats
    squares: Floats
    count: int

    @classmethod
    def of(cls, traces: Sequence[Trace]) -> _Sums:
        total, squares = np.zeros(traces[0].shape, np.float32), np.zeros(traces[0].shape, np.float32)
        for trace in traces:
            values = _values(trace)
            total += values
            squares += values**2
        return cls(total, squares, len(traces))

    def without(self, trace: Trace) -> _Sums:
        values = _values(trace)
        return _Sums(self.total - values, self.squares - values**2, self.count - 1)

    def evidence(self) -> Floats:
        """By how many standard errors the mean differs from nought."""
        mean = self.total / self.count
        spread = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0)) / np.sqrt(self.count)
        return np.asarray(mean / (spread + LEAST_SPREAD), np.float32)


def _values(trace: Trace) -> Floats:
    return trace.astype(np.float32) / np.float32(WHITE)


def _mark(sums: _Sums) -> tuple[str, Mask]:
    """What stands in all of the pictures laid over one another, and where; no words and nowhere if nothing does."""
    over = Image.fromarray(np.clip(128 + 20 * sums.evidence(), 0, 255).astype(np.uint8)).convert("RGB")
    for slant in SLANTS:
        turned = over.rotate(slant, Image.Resampling.BICUBIC, expand=True, fillcolor=(128, 128, 128))
        lines = [line for line in find_text(turned) if letters(line.words) >= LEAST_LETTERS]
        sure = [line for line in lines if line.confidence >= LEAST_READ]
        if sure:
            return max(sure, key=lambda line: line.confidence).words, _turned_back(sure, turned.size, slant, over.size)
    return "", np.zeros(sums.total.shape, np.bool_)


def _turned_back(lines: Sequence[Lettering], turned: tuple[int, int], slant: int, size: tuple[int, int]) -> Mask:
    """(height, width), true where lines of a picture stand that was turned by `slant` degrees about its middle."""
    ink = Image.new("L", turned)
    for line in lines:
        x, y, width, height = line.box
        ink.paste(255, (x, y, x + width, y + height))
    left, top = (turned[0] - size[0]) // 2, (turned[1] - size[1]) // 2
    return np.asarray(ink.rotate(-slant).crop((left, top, left + size[0], top + size[1]))) > 0


def _likeness(traces: Sequence[Trace], sums: _Sums, where: Mask) -> list[float]:
    """How each trace correlates (-1 to 1) with what the others have in common there, where that is strongest."""
    found = []
    for trace in traces:
        others, own = sums.without(trace).evidence()[where], _values(trace)[where]
        strong = np.abs(others) >= np.percentile(np.abs(others), 100 * (1 - INKED))
        mark, values = others[strong], own[strong]
        size = float(np.linalg.norm(values) * np.linalg.norm(mark))
        found.append(float(values @ mark) / size if size else 0.0)
    return found
