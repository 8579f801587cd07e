"""What the worker does for a comparison: draw what is missing, measure it, set the grid and the table. Re-entrant.

Started again after a kill it draws only what is not on the disk. A stop keeps what is done, and what is done still gets
its grid and its table.
"""

from __future__ import annotations

from collections.abc import Sequence

from loradeck.engines.errors import EngineError
from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools.compare_renders import grid
from loradeck.tools.compare_renders import measured as tables
from loradeck.tools.compare_renders.answer import answer
from loradeck.tools.compare_renders.drawing import draw
from loradeck.tools.compare_renders.folder import drawn
from loradeck.tools.compare_renders.judge import measured
from loradeck.tools.compare_renders.measured import Measured
from loradeck.tools.compare_renders.plan import Plan
from loradeck.tools.contracts import Compared, CompareResult, RunState
from loradeck.tools.errors import Refused, ToolFault
from loradeck.tools.pictures.canvas import save_png
from loradeck.tools.reporter import patiently
from loradeck.tools.workbench import Job


def run(job: Job) -> CompareResult:
    """Draw, measure and show the comparison of the run's specification. Raises what the engines and the store raise."""
    plan = Plan.from_json(job.run.spec["plan"])
    try:
        told = draw(job, plan)
    except (EngineError, ToolFault):  # stopped, out of money, a LoRA deleted: what is drawn is shown all the same
        if drawn(job.store, job.run.id, plan):
            _set(job, plan, ["It ended early; the next call draws what is missing."])
        raise
    if not drawn(job.store, job.run.id, plan):
        raise Refused(f"No picture came out. {' '.join(told[:3])} The same call again asks for them once more.")
    _set(job, plan, told)
    made = answer(job.store, job.run, RunState.SUCCEEDED)
    if made is None:
        raise Refused(f"The table of {job.run.id} is gone; make the same call again.")
    return made


def _set(job: Job, plan: Plan, told: Sequence[str]) -> None:
    """Measure what is there, then write the grid and the table."""
    found = measured(job, plan, told)
    grids = patiently(lambda: set_grids(job.store, job.run, plan, found))
    patiently(lambda: tables.write(job.store, job.run.id, found.model_copy(update={"grids": grids})))


def set_grids(store: Store, run: RunRecord, plan: Plan, found: Measured) -> list[str]:
    """Draw every page of the grid; returns their names in the run's folder."""
    there, pages = drawn(store, run.id, plan), grid.pages_of(plan)
    names = []
    for number, lines in enumerate(pages, 1):
        title = f"{run.name}, page {number} of {len(pages)}" if len(pages) > 1 else run.name
        names.append("comparison.png" if len(pages) == 1 else f"comparison-{number}.png")
        save_png(grid.page(plan, there, lines, title, notes(found)), store.workspace.run(run.id) / names[-1])
    return names


def notes(found: Measured | None) -> dict[str, str]:
    """By variant, the line of numbers under its label; empty before anything was measured."""
    return {one.variant: _note(one) for one in found.variants} if found is not None else {}


def _note(one: Compared) -> str:
    parts = [
        f"close {one.closeness:.2f}" if one.closeness is not None else "",
        f"leak {one.leak:.2f}" if one.leak is not None else "",
        f"{one.seconds:.1f} s" if one.seconds is not None else "",
    ]
    return " · ".join(part for part in parts if part)
