"""Where a comparison lies: its pictures and references below the folder of its run."""

from __future__ import annotations

from pathlib import Path

from loradeck.state.files import told, write_bytes
from loradeck.state.store import Store
from loradeck.tools.compare_renders.plan import Cell, Plan
from loradeck.tools.render_deck_visuals.plan import Leaned

MEASURED = "comparison.json"
TABLE = "comparison.csv"


def picture_at(store: Store, run_id: str, plan: Plan, cell: Cell) -> Path:
    """The file of a cell's picture, which may not be there yet."""
    return store.workspace.run(run_id) / "pictures" / f"{plan.stem(cell)}.png"


def drawn(store: Store, run_id: str, plan: Plan) -> dict[Cell, Path]:
    """The pictures that are there, by cell."""
    placed = {cell: picture_at(store, run_id, plan, cell) for cell in plan.cells}
    return {cell: path for cell, path in placed.items() if path.is_file()}


def reference_at(store: Store, run_id: str, reference: Leaned) -> Path:
    """Where a comparison keeps a reference, under the name that it came with."""
    return store.workspace.run(run_id) / "references" / reference.sha256[:16] / reference.name


def keep(store: Store, run_id: str, references: dict[Leaned, bytes]) -> None:
    """Write a comparison's own copies. Raises DiskFull, WorkspaceReadOnly or StateError."""
    for reference, content in references.items():
        path = reference_at(store, run_id, reference)
        with told(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
