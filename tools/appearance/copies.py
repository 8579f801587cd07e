"""Whether a picture copies one that a LoRA learned from: learned by heart, it draws that again and nothing new.

Built on what finds duplicates in a set (`curate_dataset.similarity`): uniform borders are trimmed, so that a square
icon and the same icon on a wide slide are compared alike; corners lay one on the other where it was cut; then both are
aligned and compared, as a whole and in their worst tile. What a LoRA draws from memory is softer than a file that was
copied, so less agreement is asked for here.

Measured (docs/looks.md): of 2,741 pairs of different pictures of one set (icons of one style, 3-D emoji, a head at
other angles) 3 were joined, 0.11%: a light bulb and the same with a filament, and twice a head at 75 and at 90 degrees.
Resized, recompressed, mirrored, shifted and widened copies are all found, and of six icons that a LoRA really learned
by heart and drew again five.
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
from loradeck.tools.curate_dataset.feature_index import FeatureIndex
from loradeck.tools.curate_dataset.features import laid
from loradeck.tools.curate_dataset.similarity import DRAWN, Look, look_at, where_laid

LEAST_CORRELATION = 0.95
LEAST_OVERLAP = 0.25
MOST_IN_DRAWING, MOST_IN_PHOTOGRAPH = 0.25, 0.12
"""RMS difference of the worst tile. Softer than what joins two files (0.985, 0.7, and 0.06 there): what is drawn from
memory wobbles and is blurred, and at the hard edge of a drawing that is much.
"""
SHORTLIST = 4
"""So many originals are compared closely because of their thumbnails, besides those that share corners."""
LEAST_THUMBNAIL = 0.6
"""Correlation of thumbnails, not aligned, under which nobody looks closer."""
TINY = 24
HELD = 512


@dataclass(frozen=True)
class Copy:
    """The training picture that was copied, and how well they agree.

    `correlation` is 1 where they are the same, `worst_tile` the RMS difference there (0 to 1); `mirrored` says whether
    as in a mirror.
    """

    path: Path
    correlation: float
    worst_tile: float
    mirrored: bool


class Originals:
    """The pictures that a LoRA learned from, made ready to be compared with many."""

    def __init__(self, looks: Sequence[tuple[Path, Look]]) -> None:
        self._looks = looks
        self._thumbnails = np.stack([_thumbnail(look.pixels) for _, look in looks]) if looks else None
        self._corners = FeatureIndex()
        for _, look in looks:
            self._corners.add(look.features.descriptors)

    def copied_by(self, look: Look) -> Copy | None:
        """The original that a picture is a near-copy of, the most alike where there are several; else None."""
        near = [self._looks[place] for place in self._worth_comparing(look)]
        found = [copy for path, other in near if (copy := _compared(look, path, other)) is not None]
        return max(found, key=lambda copy: copy.correlation, default=None)

    def _worth_comparing(self, look: Look) -> list[int]:
        """Places of the few whose thumbnails agree best, straight or mirrored, and of those that share corners."""
        if self._thumbnails is None:
            return []
        mine = _thumbnail(look.pixels)
        flipped = mine.reshape(TINY, TINY, 3)[:, ::-1].ravel()
        agree = np.maximum(self._thumbnails @ mine, self._thumbnails @ flipped)
        best = [
            int(place) for place in np.argsort(-agree, kind="stable")[:SHORTLIST] if agree[place] >= LEAST_THUMBNAIL
        ]
        return list(dict.fromkeys([*best, *self._corners.likely(look.features.descriptors, look.mirrored.descriptors)]))


def copied_from(path: Path, training: Sequence[Path]) -> Copy | None:
    """The training picture that a picture file is a near-copy of, or None. Raises OSError for what cannot be read.

    Looks are held while the process lives; for many pictures against the same training set, make `Originals` once.
    """
    return Originals([(one, look_of(one)) for one in training]).copied_by(look_of(path))


def look_of(path: Path) -> Look:
    """What is compared of a picture file, looked at again only where it changed. Raises OSError."""
    there = path.stat()
    return _look(path, (there.st_mtime_ns, there.st_size))


@lru_cache(maxsize=HELD)
def _look(path: Path, _state: tuple[int, int]) -> Look:
    return look_at(opened(path))


def _compared(look: Look, path: Path, original: Look) -> Copy | None:
    """Drawings must agree in their colours; photographs may differ in tone."""
    drawn = min(look.smooth, original.smooth) >= DRAWN
    best: Copy | None = None
    for measured, mirrored in _agreements(look, original):
        like, most = (measured.colour, MOST_IN_DRAWING) if drawn else (measured.tone, MOST_IN_PHOTOGRAPH)
        copied = like.correlation >= LEAST_CORRELATION and like.worst_tile <= most
        if copied and measured.overlap >= LEAST_OVERLAP and (best is None or like.correlation > best.correlation):
            best = Copy(path, like.correlation, like.worst_tile, mirrored)
    return best


def _agreements(look: Look, other: Look) -> Iterator[tuple[Agreement, bool]]:
    """How well two pictures agree as they lie and where corners lay them, straight and mirrored."""
    for features, mirrored in ((other.features, False), (other.mirrored, True)):
        yield agreement(look.pixels, other.pixels[:, ::-1] if mirrored else other.pixels), mirrored
        found = laid(look.features, features)
        if found is not None:
            yield where_laid(look, other, mirrored, found), mirrored


def _thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The deviations from the mean of a small copy, of length 1."""
    tiny = cv2.resize(pixels, (TINY, TINY), interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    away = tiny - tiny.mean()
    return np.asarray(away / max(float(np.linalg.norm(away)), 1e-6), dtype=np.float32)
