"""Whether a picture copies one that a LoRA learned from: learned by heart, it draws that again and nothing new.

Built on what finds duplicates in a set (`curate_dataset.similarity`): uniform borders are trimmed, so that a square
icon and the same icon on a wide slide are compared alike; corners lay one on the other where it was cut; then both are
aligned and compared, as a whole and in their worst tile. What a LoRA draws from memory is softer than a file that was
copied, so less agreement is asked for here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from loradeck.tools.appearance.statistics import opened
from loradeck.tools.curate_dataset.alignment import Agreement, agreement
from loradeck.tools.curate_dataset.features import laid
from loradeck.tools.curate_dataset.similarity import DRAWN, Look, look_at, where_laid

LEAST_CORRELATION = 0.95
MOST_TILE_DIFFERENCE = 0.1
LEAST_OVERLAP = 0.7
CUT_OVERLAP = 0.25
SHORTLIST = 4
TINY = 24
HELD = 512


@dataclass(frozen=True)
class Copy:
    """The training picture that was copied: how well they agree (correlation, 1 the same; RMS difference of the worst
    tile, 0 to 1), and whether as in a mirror."""

    path: Path
    correlation: float
    worst_tile: float
    mirrored: bool


def copied_from(path: Path, training: Sequence[Path]) -> Copy | None:
    """The training picture that a picture is a near-copy of, the most alike where there are several; else None.

    Raises OSError for a file that cannot be read.
    """
    look = look_of(path)
    found = [copy for one in shortlisted(look, training) if (copy := compared(look, one)) is not None]
    return max(found, key=lambda copy: copy.correlation, default=None)


def shortlisted(look: Look, training: Sequence[Path]) -> list[Path]:
    """Those worth a close comparison: the few whose thumbnails agree best, straight or mirrored."""
    if len(training) <= SHORTLIST:
        return list(training)
    thumbnails = np.stack([_thumbnail(look_of(one).pixels) for one in training])
    mine = _thumbnail(look.pixels)
    flipped = mine.reshape(TINY, TINY, 3)[:, ::-1].ravel()
    agree = np.maximum(thumbnails @ mine, thumbnails @ flipped)
    return [training[place] for place in np.argsort(-agree, kind="stable")[:SHORTLIST]]


def compared(look: Look, original: Path) -> Copy | None:
    """Compare with one training picture."""
    other = look_of(original)
    drawn = min(look.smooth, other.smooth) >= DRAWN
    best: Copy | None = None
    for measured, mirrored in _agreements(look, other):
        like, least = (measured.colour, LEAST_OVERLAP) if drawn else (measured.tone, CUT_OVERLAP)
        copied = like.correlation >= LEAST_CORRELATION and like.worst_tile <= MOST_TILE_DIFFERENCE
        if copied and measured.overlap >= least and (best is None or like.correlation > best.correlation):
            best = Copy(original, like.correlation, like.worst_tile, mirrored)
    return best


def _agreements(look: Look, other: Look) -> Iterator[tuple[Agreement, bool]]:
    """How well two pictures agree as they lie and where corners lay them, straight and mirrored."""
    for features, mirrored in ((other.features, False), (other.mirrored, True)):
        yield agreement(look.pixels, other.pixels[:, ::-1] if mirrored else other.pixels), mirrored
        found = laid(look.features, features)
        if found is not None:
            yield where_laid(look, other, mirrored, found), mirrored


def look_of(path: Path) -> Look:
    """What is compared of a picture file; held while the process lives and the file is what it was."""
    there = path.stat()
    return _look(path, there.st_mtime_ns, there.st_size)


@lru_cache(maxsize=HELD)
def _look(path: Path, changed: int, size: int) -> Look:
    return look_at(opened(path))


def _thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The deviations from the mean of a small copy, of length 1."""
    tiny = cv2.resize(pixels, (TINY, TINY), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    away = tiny - tiny.mean()
    return np.asarray(away / max(float(np.linalg.norm(away)), 1e-6), dtype=np.float32)
