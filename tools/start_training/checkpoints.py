"""Which checkpoints of a training are told: there may be thousands, and an assistant pays for every line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loradeck.state import runs
from loradeck.state.records import CheckpointRecord
from loradeck.state.store import Store

NEWEST = 5


@dataclass(frozen=True)
class Told:
    """The newest checkpoints with the best before them, how many there are, and the folder that has them all."""

    listed: list[CheckpointRecord]
    count: int
    folder: str | None
    best_step: int | None


def told(store: Store, run_id: str) -> Told:
    """What to tell of the checkpoints that are still on the disk."""
    points = store.where(CheckpointRecord, "run_id = ?", [run_id], order="step")
    points = [point for point in points if Path(point.path).exists()]
    if not points:
        return Told([], 0, None, None)
    newest = points[-NEWEST:]
    best = _best(points, dict(runs.metric(store, run_id, "held_out_loss")))
    first = [best] if best is not None and best not in newest else []
    return Told([*first, *newest], len(points), str(Path(points[-1].path).parent), best.step if best else None)


def _best(points: list[CheckpointRecord], held_out: dict[int, float]) -> CheckpointRecord | None:
    """The one with the lowest held-out loss, of those at whose step it was measured."""
    measured = [point for point in points if point.step in held_out]
    return min(measured, key=lambda point: held_out[point.step], default=None)
