"""A comparison to look at: its grid, a page at a time, drawn afresh while it runs too."""

from __future__ import annotations

from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools.compare_renders import grid, job
from loradeck.tools.compare_renders import measured as tables
from loradeck.tools.compare_renders.folder import drawn
from loradeck.tools.compare_renders.plan import Plan
from loradeck.tools.errors import NotFound
from loradeck.tools.spec import Pictures
from loradeck.tools.view_images.answer import jpegs, noted, paged


def show_compare(store: Store, run: RunRecord, page: int) -> Pictures:
    """One page of the grid. Raises NotFound before there is a picture."""
    plan = Plan.from_json(run.spec["plan"])
    there, measured = drawn(store, run.id, plan), tables.read(store, run.id)
    if not there:
        raise NotFound(f"{run.id} has no pictures yet; check_status(run_id={run.id!r}) tells where it stands.")
    here, pages = paged(grid.pages_of(plan), page, 1)
    title = f"{run.name}, page {page} of {pages}"
    sheet = grid.page(plan, there, here[0], title, job.notes(measured))
    labels = "; ".join(f"{number} {column.label}" for number, column in enumerate(plan.columns, 1))
    missing = len(plan.cells) - len(there)
    left = f" {missing} pictures are not drawn yet." if missing else ""
    rows = "; ".join(f"{number} {row.prompt[:120]} (seed {seed})" for number, row, seed in here[0])
    words = (
        f"Comparison {run.id} ({run.state}), page {page} of {pages}. Columns from the left: {labels}. Rows: {rows}."
        f'{left} Pick with compare_renders(run_id="{run.id}", picks=[{{"prompt": 1, "variant": ...}}]). Full size: '
        f"{store.workspace.run(run.id)}"
    )
    return Pictures(noted(store, words, [run.id]), jpegs([sheet]))
