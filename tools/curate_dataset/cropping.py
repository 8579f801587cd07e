"""Which square of a picture trains: the largest that fits, around the faces where there are any."""

from __future__ import annotations

from collections.abc import Sequence

from loradeck.tools.contracts import Crop
from loradeck.tools.curate_dataset.faces import Box, Face

UPPER = 0.2
"""Without a face: the share of what is cut away that goes at the top. Heads are in the upper part of most pictures."""
HAIR = 0.25
"""A detector's box ends at the forehead: hair and crown stand above it by about this share of the box's height (0.30 on
the renders of one bald head, 0.2 to 0.5 on portraits looked at)."""
ALIKE = 0.6
"""Faces at least this high against the largest are subjects too, and the square is centred on all of these."""


def square_crop(width: int, height: int, faces: Sequence[Face] = (), within: Box | None = None) -> Crop:
    """The largest square of a picture of width x height pixels that trains.

    `faces` are in pixels of that picture, largest first; `within` is the part without trimmed bars, else all of it. The
    square always has the shorter side of `within` and slides along the longer one. It holds the largest face whole
    where that face fits, and every face where all fit; it is centred on the subjects and the hair above them.
    """
    left, top, wide, high = within or (0, 0, width, height)
    side = min(wide, high)
    if wide == high:
        return Crop(x=left, y=top, width=side, height=side, reason="whole")
    upright = high > wide
    low, length = (top, high) if upright else (left, wide)
    spans = [span for span in (_span(face, upright, low, low + length) for face in faces) if span]
    if not spans:
        spare = length - side
        start, reason = low + (int(spare * UPPER) if upright else spare // 2), "upper centre"
    else:
        subjects = [span for span in spans if span[1] - span[0] >= ALIKE * (spans[0][1] - spans[0][0])]
        start, reason = _start(subjects, spans, side, HAIR if upright else 0.0), "face"
    start = min(max(start, low), low + length - side)
    x, y = (left, start) if upright else (start, top)
    return Crop(x=x, y=y, width=side, height=side, reason=reason)


def _span(face: Face, upright: bool, low: int, high: int) -> tuple[int, int] | None:
    """Where a face begins and ends along the free axis, as far as it lies between low and high; None outside."""
    at, size = (face.box[1], face.box[3]) if upright else (face.box[0], face.box[2])
    begin, end = max(at, low), min(at + size, high)
    return (begin, end) if begin < end else None


def _start(subjects: list[tuple[int, int]], every: list[tuple[int, int]], side: int, hair: float) -> int:
    """Where the square begins: centred on the subjects, moved as little as holds every face, else the largest."""
    largest = every[0]
    if not _fits(subjects, side):
        subjects = [largest]
    held = next(group for group in (every, subjects, [largest]) if _fits(group, side) or group == [largest])
    begin, end = min(span[0] for span in subjects), max(span[1] for span in subjects)
    start = round((begin - hair * (largest[1] - largest[0]) + end - side) / 2)
    return min(max(start, max(span[1] for span in held) - side), min(span[0] for span in held))


def _fits(spans: list[tuple[int, int]], side: int) -> bool:
    """True when a square of this side holds them all."""
    return max(span[1] for span in spans) - min(span[0] for span in spans) <= side
