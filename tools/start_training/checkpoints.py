"""The checkpoints of a training: which is the best and why, and which are told, since there may be thousands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loradeck.state import runs
from loradeck.state.records import CheckpointRecord
from loradeck.state.store import Store

NEWEST = 5
AS_GOOD = 0.05
"""Held-out losses that differ by less than this share of the whole fall count as equal: one or two pictures tell no
more, and the leak decides."""


@dataclass(frozen=True)
class Score:
    """What was measured of one checkpoint; an engine that cannot measure all of it leaves the rest None."""

    step: int
    held_out: float
    in_train: float | None = None
    leak: float | None = None
    trigger_gain: float | None = None

    @property
    def call(self) -> float:
        """What naming the trigger is worth, less what the look does unasked; both are in the loss's unit."""
        return (self.trigger_gain or 0.0) - (self.leak or 0.0)


@dataclass(frozen=True)
class Choice:
    """The best checkpoint and the reason, a clause that goes on after "step N: "."""

    step: int
    why: str


@dataclass(frozen=True)
class Told:
    """The newest checkpoints with the best before them, how many there are, and the folder that has them all."""

    listed: list[CheckpointRecord]
    count: int
    folder: str | None
    best: Choice | None


def told(store: Store, run_id: str) -> Told:
    """What to tell of the checkpoints that are still on the disk."""
    points = _there(store, run_id)
    if not points:
        return Told([], 0, None, None)
    newest = points[-NEWEST:]
    best = best_of(store, run_id)
    first = [point for point in points[:-NEWEST] if best is not None and point.step == best.step]
    return Told([*first, *newest], len(points), str(Path(points[-1].path).parent), best)


def best_of(store: Store, run_id: str) -> Choice | None:
    """The best checkpoint that is still on the disk; None where no picture was held out to tell by."""
    return choose(scores(store, run_id), dict(runs.metric(store, run_id, "held_out_loss")).get(0))


def scores(store: Store, run_id: str) -> list[Score]:
    """The scores of the checkpoints on the disk, by step; those at whose step nothing was held out are left out."""
    of = {name: dict(runs.metric(store, run_id, name)) for name in ("in_train_loss", "leak", "trigger_gain")}
    held_out = dict(runs.metric(store, run_id, "held_out_loss"))
    return [
        Score(step, held_out[step], *(of[name].get(step) for name in ("in_train_loss", "leak", "trigger_gain")))
        for step in (point.step for point in _there(store, run_id))
        if step in held_out
    ]


def keep_scores(store: Store, run_id: str) -> None:
    """Write the held-out loss of each checkpoint into its row."""
    held_out = {score.step: score.held_out for score in scores(store, run_id)}
    for point in _there(store, run_id):
        if point.step in held_out:
            store.add(replace(point, score=held_out[point.step]))


def choose(points: Sequence[Score], first: float | None = None) -> Choice | None:
    """The best of the checkpoints: of those with the lowest held-out loss the one whose trigger calls most and alone.

    No other is better in one of held-out loss, leak and trigger gain without being worse in another (it lies on the
    Pareto front), since any that were would have been chosen for it.

    Args:
        points: in order of steps.
        first: the held-out loss before the first step.
    """
    if not points:
        return None
    lowest = min(points, key=lambda point: point.held_out)
    slack = AS_GOOD * max(0.0, (first or lowest.held_out) - lowest.held_out)
    equal = [point for point in points if point.held_out <= lowest.held_out + slack]
    best = max(equal, key=lambda point: (point.call, -point.held_out))
    return Choice(best.step, _why(best, lowest, points))


def _why(best: Score, lowest: Score, points: Sequence[Score]) -> str:
    leaks = [point.leak for point in points if point.leak is not None]
    least = len(leaks) > 1 and best.leak == min(leaks)
    if best is lowest:
        why = f"lowest held-out loss ({best.held_out:.4f})" + (f" and least leak ({best.leak:.4f})" if least else "")
    else:
        why = f"held-out loss {best.held_out:.4f}, as good as the lowest ({lowest.held_out:.4f} at step {lowest.step})"
        why += _better_than(best, lowest)
    last = points[-1]
    return why if best is last else f"{why}; {_afterwards(best, last)}"


def _better_than(best: Score, lowest: Score) -> str:
    """What decided between two of equal held-out loss."""
    if best.leak is not None and lowest.leak is not None and best.leak < lowest.leak:
        return f", with less leak ({best.leak:.4f} against {lowest.leak:.4f})"
    return ", with a trigger that says more"


def _afterwards(best: Score, last: Score) -> str:
    """What the rest of the training brought."""
    held_out = _change(best.held_out, last.held_out)
    if best.in_train is None or last.in_train is None:
        return f"by step {last.step} the held-out pictures {held_out}"
    in_train = _change(best.in_train, last.in_train)
    return f"by step {last.step} the training pictures {in_train} and the held-out ones {held_out}"


def _change(before: float, after: float) -> str:
    share = 100 * (before - after) / before
    return f"gained {share:.1f}%" if share >= 0 else f"lost {-share:.1f}%"


def _there(store: Store, run_id: str) -> list[CheckpointRecord]:
    points = store.where(CheckpointRecord, "run_id = ?", [run_id], order="step")
    return [point for point in points if Path(point.path).exists()]
