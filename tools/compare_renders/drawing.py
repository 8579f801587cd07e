"""The pictures of a comparison: one request for what shares a brush, timed; those on the disk are kept."""

from __future__ import annotations

import time
from pathlib import Path

from loradeck.engines.base import DrawJob, DrawRequest, Engine, LoraRef, Purse
from loradeck.state.files import told
from loradeck.state.store import Store
from loradeck.tools.compare_renders.folder import picture_at
from loradeck.tools.compare_renders.plan import Cell, Column, Plan, Role
from loradeck.tools.compare_renders.wanted import checkpoint_of
from loradeck.tools.generate_candidates.portion import Portion
from loradeck.tools.library import find_lora
from loradeck.tools.render_deck_visuals.references import kept_at, require_kept
from loradeck.tools.reporter import patiently
from loradeck.tools.spending.purse import StorePurse
from loradeck.tools.workbench import Job


def draw(job: Job, plan: Plan) -> list[str]:
    """Draw what is missing, base by base. Returns what the engines tell; raises what they raise."""
    cells = plan.cells
    missing = [cell for cell in cells if not picture_at(job.store, job.run.id, plan, cell).is_file()]
    groups, warned = plan.groups(missing), dict[str, None]()
    done = len(cells) - len(missing)
    for number, group in enumerate(groups):
        job.reporter.raise_if_cancelled()
        column = plan.columns[group[0].column]
        require_kept(job.store.workspace.run(job.run.id), column.brush.references)
        request = request_for(job.store, job.run.id, plan, group, groups[number + 1 :])
        with told(request.jobs[0].out):
            request.jobs[0].out.parent.mkdir(parents=True, exist_ok=True)
        what = f"drawing {column.label}" if group[0].role != Role.BASE else "drawing the base alone"
        engine = job.engines.open(column.brush.engine)
        clock = Clock(job, engine, done, len(cells), what)
        try:
            result = engine.draw(request, clock)
        finally:
            if group[0].role != Role.BASE:
                _note(job, group[0].column, clock)
        warned |= dict.fromkeys(result.told)
        done += len(group)
    return list(warned)


def request_for(store: Store, run_id: str, plan: Plan, group: list[Cell], later: list[list[Cell]]) -> DrawRequest:
    """The request for cells of one brush; it tells the prompts of `later` groups of the same engine and base."""
    column, brush = plan.columns[group[0].column], plan.brush_of(group[0])
    jobs = []
    for cell in group:
        row = plan.rows[cell.row - 1]
        out = picture_at(store, run_id, plan, cell)
        jobs.append(DrawJob(plan.stem(cell), cell.prompt, cell.seed, row.width, row.height, out))
    return DrawRequest(
        brush.base_model,
        tuple(jobs),
        _loras(store, column) if brush.looks else (),
        brush.guidance,
        brush.steps,
        references=tuple(kept_at(store.workspace.run(run_id), one) for one in brush.references),
        upcoming=tuple(
            cell.prompt for cells in later for cell in cells if plan.columns[cell.column].place == column.place
        ),
    )


def _loras(store: Store, column: Column) -> tuple[LoraRef, ...]:
    """The LoRA files of a column, the first at its checkpoint where it has one."""
    refs = []
    for place, look in enumerate(column.brush.looks):
        lora = find_lora(store, look.lora_id)
        path = lora.path
        if place == 0 and column.checkpoint is not None:
            path = checkpoint_of(store, lora, column.checkpoint).path
        refs.append(LoraRef(Path(path), look.strength, look.sha256, look.base_model))
    return tuple(refs)


class Clock(Portion):
    """The reporter of one engine's part: what it buys is booked to it, and its time is taken, loading left out."""

    def __init__(self, job: Job, engine: Engine, before: int, steps: int, what: str) -> None:
        super().__init__(job.reporter, before, steps, what)
        self._purse = StorePurse(job.store, job.run.id, job.run.token or "", patiently, engine.name)
        self._loads = not engine.capabilities.leaves_machine
        self.started = self.ended = time.monotonic()
        self.pictures = 0

    @property
    def purse(self) -> Purse:
        """The run's ledger, for this engine: the run itself goes by one of several."""
        return self._purse

    def progress(self, step: int, steps: int, message: str = "") -> None:
        """A picture more. Until the first is done here, every word is of loading, and the time begins anew.

        Elsewhere nothing is loaded first: that no picture is done yet says that one failed, which took its time too.
        """
        super().progress(step, steps, "" if message == "drawing" else message)
        self.ended = time.monotonic()
        self.pictures = step
        if step == 0 and self._loads:
            self.started = self.ended


def seconds_noted(job: Job, column: int) -> tuple[float, int]:
    """Seconds and pictures of a column so far, over all attempts."""
    seconds, pictures = job.reporter.journal.get(_clock_of(job, column)) or (0.0, 0)
    return float(seconds), int(pictures)


def _clock_of(job: Job, column: int) -> str:
    """The journal's key of a column's time."""
    return f"compare.clock.{Plan.from_json(job.run.spec['plan']).columns[column].name}"


def _note(job: Job, column: int, clock: Clock) -> None:
    seconds, pictures = seconds_noted(job, column)
    if clock.pictures:
        noted = [seconds + clock.ended - clock.started, pictures + clock.pictures]
        job.reporter.journal.put(_clock_of(job, column), noted)
