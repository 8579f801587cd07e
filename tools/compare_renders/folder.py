"""Where a comparison lies: its pictures below the folder of its run."""

from __future__ import annotations

from pathlib import Path

from loradeck.state.store import Store
from loradeck.tools.compare_renders.plan import Cell, Plan

MEASURED = "comparison.json"
TABLE = "comparison.csv"


def picture_at(store: Store, run_id: str, plan: Plan, cell: Cell) -> Path:
    """The file of a cell's picture, which may not be there yet."""
    return store.workspace.run(run_id) / "pictures" / f"{plan.stem(cell)}.png"


def drawn(store: Store, run_id: str, plan: Plan) -> dict[Cell, Path]:
    """The pictures that are there, by cell."""
    placed = {cell: picture_at(store, run_id, plan, cell) for cell in plan.cells}
    return {cell: path for cell, path in placed.items() if path.is_file()}
