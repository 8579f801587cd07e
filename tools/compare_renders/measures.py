"""What is measured of the pictures of a variant: consistency, diversity and leak, by what an eye sees of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from loradeck.tools.appearance.eye import Eye, Seen
from loradeck.tools.compare_renders.plan import Cell, Plan

LEAST_WAY = 0.02
"""Closeness that the trigger must bring, on average, for the leak to be a share of anything."""


@dataclass
class Sight:
    """An eye that looks at each file once."""

    eye: Eye
    seen: dict[Path, Seen] = field(default_factory=dict)

    def see(self, path: Path) -> Seen:
        """What it sees in a picture file."""
        if path not in self.seen:
            self.seen[path] = self.eye.see(path)
        return self.seen[path]

    def alike(self, one: Path, other: Path) -> float:
        """How alike two pictures are, 0 to 1."""
        return self.eye.alike(self.see(one), self.see(other))

    def closeness(self, path: Path, look: Sequence[Path]) -> float:
        """How near a picture is to a look, 0 to 1."""
        return self.eye.closeness(self.see(path), [self.see(one) for one in look])


def consistency(sight: Sight, plan: Plan, there: Mapping[Cell, Path]) -> float | None:
    """Mean likeness of a column's pictures of different prompts, each pair at the same place among the seeds."""
    return _mean(
        sight.alike(there[one], there[other])
        for one, other in combinations(there, 2)
        if one.row != other.row and _turn(plan, one) == _turn(plan, other)
    )


def diversity(sight: Sight, there: Mapping[Cell, Path]) -> float | None:
    """1 less the mean likeness of a column's pictures of the same prompt with different seeds."""
    likeness = _mean(
        sight.alike(there[one], there[other]) for one, other in combinations(there, 2) if one.row == other.row
    )
    return None if likeness is None else 1 - likeness


@dataclass(frozen=True)
class Triple:
    """A prompt drawn three times with one seed: by the base alone, without the trigger, and with it."""

    base: Path
    unmarked: Path
    marked: Path


def leak(sight: Sight, triples: Sequence[Triple], look: Sequence[Path]) -> float | None:
    """How much of the way from the base's pictures to the variant's own is gone without the trigger: 0 none, 1 all.

    Along the look where its pictures are known: (c(unmarked) - c(base)) / (c(marked) - c(base)), c the closeness,
    summed over prompts before dividing; None where the trigger itself brings less than 0.02 of closeness. Where the
    look is not known it is a / (a + b), a how unlike the base's picture is, b how unlike the one with the trigger.
    """
    if not triples:
        return None
    if not look:
        away = sum(1 - sight.alike(one.unmarked, one.base) for one in triples)
        left = sum(1 - sight.alike(one.unmarked, one.marked) for one in triples)
        return away / (away + left) if away + left > 0 else 0.0
    base, unmarked, marked = (
        sum(sight.closeness(path, look) for path in paths)
        for paths in (
            [one.base for one in triples],
            [one.unmarked for one in triples],
            [one.marked for one in triples],
        )
    )
    if marked - base < LEAST_WAY * len(triples):
        return None
    return min(1.0, max(0.0, (unmarked - base) / (marked - base)))


def _turn(plan: Plan, cell: Cell) -> int:
    return plan.rows[cell.row - 1].seeds.index(cell.seed)


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return sum(known) / len(known) if known else None
