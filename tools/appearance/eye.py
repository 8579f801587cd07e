"""How alike two pictures are, and how near a picture is to a look that others share. Opened in a worker.

Offline an eye counts colours, textures and structure (`statistics`); where a vision model lies on this machine it is
asked instead (`model`). An answer that used an eye says its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
NEIGHBOURS = 3
"""A picture is as far from a look as its third nearest picture there: a single odd one does not stand for a look."""
LEAST_USUAL = 1e-6


@dataclass(frozen=True)
class Seen:
    """One picture as numbers for the eye that saw it: its `look` (n,), and its `layout` (m,), which may be empty."""

    look: Floats
    layout: Floats


class Eye(Protocol):
    """Sees pictures and compares what it saw. `name` is for people: it says what was measured, and with which model."""

    name: str

    def see(self, path: Path) -> Seen:
        """Look at a picture file. Raises OSError for one that cannot be read."""
        ...

    def alike(self, one: Seen, other: Seen) -> float:
        """How alike two pictures are as a whole, from 0 to 1 (the same)."""
        ...

    def distances(self, seen: Seen, others: Sequence[Seen]) -> Floats:
        """How far the look of a picture is from each of the others', (n,), 0 or more, in the eye's own unit."""
        ...

    def closeness(self, seen: Seen, look: Sequence[Seen]) -> float:
        """How near a picture is to a look, from 0 to 1: 1 is as near as the look's own pictures are to one another."""
        ...


def open_eye(home: Path | None = None) -> Eye:
    """The best eye of this machine: a vision model that lies here, else the one that counts.

    Looked for are the folder that LORADECK_EYE names, `eye` in the workspace `home`, and DINOv2 or CLIP in the hub's
    cache; nothing is fetched, and only safetensors are read. A model that cannot be used is passed over, and the name
    of the eye says why.
    """
    from loradeck.tools.appearance.model import NoModel, load, places
    from loradeck.tools.appearance.statistics import StatisticsEye

    passed_over = []
    for folder, name in places(home):
        try:
            return load(folder, name)
        except NoModel as why:
            passed_over.append(f"{name} {why}")
    return StatisticsEye("; ".join(passed_over))


def closeness(eye: Eye, seen: Seen, look: Sequence[Seen]) -> float:
    """Usual distance within the look over this picture's distance to it, at most 1; 0.5 is twice as far as usual.

    A look of one picture has no usual distance: then it is the likeness to that one. Raises ValueError without any.
    """
    if not look:
        raise ValueError("a look is at least one picture")
    if len(look) == 1:
        return eye.alike(seen, look[0])
    usual = float(np.median(own_distances(eye, look)))
    away = distance_to(eye, seen, look)
    return 1.0 if away <= usual else max(usual, LEAST_USUAL) / away


def distance_to(eye: Eye, seen: Seen, look: Sequence[Seen]) -> float:
    """The distance of a picture to the third nearest of a look, or to the furthest of a smaller one."""
    away = np.sort(eye.distances(seen, look))
    return float(away[min(NEIGHBOURS, len(away)) - 1])


def own_distances(eye: Eye, look: Sequence[Seen]) -> Floats:
    """The same of each picture of a look to the others, (n,), for two or more."""
    others = [[*look[:place], *look[place + 1 :]] for place in range(len(look))]
    return np.array([distance_to(eye, one, rest) for one, rest in zip(look, others, strict=True)], dtype=np.float32)
