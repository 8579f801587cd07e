"""Whether a picture is in the look that a LoRA learned, or nearer to what its base draws alone.

Distances are those of the eye that counts (`statistics`), on which the limit was measured (docs/looks.md). The scale is
the training set's own: how far its pictures are from one another, and how far from it the base draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from loradeck.tools.appearance.eye import Eye, Seen, distance_to, own_distances

LEAST_PICTURES = 5
"""Fewer training pictures have no spread to speak of, and nothing is said."""
HALF_WAY = 0.5
"""A picture is off-style from here on, on the way from the training look (0) to what the base draws alone (1)."""
BEYOND = 1.5
"""And never nearer than so many times the distance within which 19 of 20 training pictures are of the others."""


@dataclass(frozen=True)
class Away:
    """How far a picture is from a training look (`distance`), and from where on it is off-style (`limit`).

    `usual` is the median distance of the training pictures to the others, `base` that of what the base draws alone,
    None where it is not known.
    """

    distance: float
    limit: float
    usual: float
    base: float | None

    @property
    def off(self) -> bool:
        """True when the picture is off-style."""
        return self.distance > self.limit


class TrainingLook:
    """The look of the pictures that a LoRA learned from, and how far from it the base draws."""

    def __init__(self, eye: Eye, training: Sequence[Seen], base: Sequence[Seen]) -> None:
        """Raises ValueError for fewer training pictures than LEAST_PICTURES."""
        if len(training) < LEAST_PICTURES:
            raise ValueError(f"a look is {LEAST_PICTURES} pictures or more")
        self._eye, self._training = eye, training
        own = own_distances(eye, training)
        self._usual = float(np.median(own))
        self._base = float(np.median([distance_to(eye, one, training) for one in base])) if base else None
        self._limit = BEYOND * float(np.percentile(own, 95))
        if self._base is not None:
            self._limit = max(self._limit, self._usual + HALF_WAY * (self._base - self._usual))

    def away(self, seen: Seen) -> Away:
        """How far a picture is from it."""
        return Away(distance_to(self._eye, seen, self._training), self._limit, self._usual, self._base)
