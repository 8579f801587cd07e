"""Look at every picture of a comparison and at the training images, and put it into numbers. Loads Pillow and numpy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from loradeck.tools.appearance.copies import copied_from
from loradeck.tools.appearance.eye import open_eye
from loradeck.tools.compare_renders import measures
from loradeck.tools.compare_renders.counting import each, together
from loradeck.tools.compare_renders.drawing import seconds_noted
from loradeck.tools.compare_renders.folder import drawn
from loradeck.tools.compare_renders.measured import Measured, PictureRow
from loradeck.tools.compare_renders.measures import Sight, Triple
from loradeck.tools.compare_renders.plan import Cell, Plan, Role
from loradeck.tools.compare_renders.price import usd_of
from loradeck.tools.compare_renders.taught import Taught, about, held_against, taught_by
from loradeck.tools.contracts import Compared
from loradeck.tools.render_deck_visuals import looks, measure
from loradeck.tools.workbench import Job

COPY = "RND-COPY"


def measured(job: Job, plan: Plan, told: Sequence[str]) -> Measured:
    """The numbers of what is drawn by now."""
    store, run_id = job.store, job.run.id
    sight, there = Sight(open_eye(store.workspace.home)), drawn(store, run_id, plan)
    against, damaged = taught_by(job, plan)
    costs = usd_of(store, run_id, plan, plan.cells)
    pictures: list[PictureRow] = []
    variants: list[Compared] = []
    for place, column in enumerate(plan.columns):
        job.reporter.progress(len(there), len(plan.cells), f"measuring {column.label}")
        mine = {cell: path for cell, path in there.items() if cell.column == place}
        rows = _pictures(job, plan, mine, sight, against[place], costs)
        pictures += rows
        variants.append(_compared(job, plan, place, there, sight, against[place], rows, costs))
    return Measured(
        pictures=pictures,
        variants=variants,
        measured_by=f"Measured by {sight.eye.name}; {held_against(plan, against)}.",
        missing=len(plan.cells) - len(there),
        told=[*told, *about(plan, against, damaged), *_about_leaks(plan, there, variants)],
    )


def _pictures(
    job: Job,
    plan: Plan,
    mine: Mapping[Cell, Path],
    sight: Sight,
    taught: Taught,
    costs: Mapping[Cell, float | None],
) -> list[PictureRow]:
    findings, folder = _findings(plan, mine), job.store.workspace.run(job.run.id)
    rows = []
    for cell, path in mine.items():
        asked = cell.role == Role.ASKED
        copy = copied_from(path, taught.training) if asked and taught.training else None
        rows.append(
            PictureRow(
                variant=plan.columns[cell.column].label,
                row=cell.row,
                seed=cell.seed,
                role=cell.role,
                prompt=cell.prompt,
                file=path.relative_to(folder).as_posix(),
                closeness=_rounded(sight.closeness(path, taught.look)) if taught.look else None,
                copy_of=copy.path.name if copy else None,
                findings=[*findings.get(cell, []), *([COPY] if copy else [])],
                usd=costs[cell],
            )
        )
    return rows


def _findings(plan: Plan, mine: Mapping[Cell, Path]) -> dict[Cell, list[str]]:
    """Rules that a picture breaks (RND-SIZE, -BLANK, -DARK, -TWIN); twins are sought within one place of seeds."""
    found: dict[Cell, list[str]] = {}
    asked = [cell for cell in mine if cell.role == Role.ASKED]
    for turn in range(max((len(row.seeds) for row in plan.rows), default=0)):
        cells = {
            f"row {cell.row}": cell for cell in asked if plan.rows[cell.row - 1].seeds[turn : turn + 1] == (cell.seed,)
        }
        sizes = {name: (plan.rows[cell.row - 1].width, plan.rows[cell.row - 1].height) for name, cell in cells.items()}
        judged = looks.judge([measure.facts(name, mine[cell], sizes[name]) for name, cell in cells.items()])
        found |= {cells[name]: [one.rule_id for one in said] for name, said in judged.items()}
    return found


def _compared(
    job: Job,
    plan: Plan,
    place: int,
    there: Mapping[Cell, Path],
    sight: Sight,
    taught: Taught,
    rows: Sequence[PictureRow],
    costs: Mapping[Cell, float | None],
) -> Compared:
    """One column in numbers, as it stands before anybody picked. What was paid for and never came is in its cost."""
    mine = {cell: path for cell, path in there.items() if cell.column == place and cell.role == Role.ASKED}
    asked = [row for row in rows if row.role == Role.ASKED]
    near = [row.closeness for row in asked if row.closeness is not None]
    seconds, pictures = seconds_noted(job, place)
    paid = [usd for cell, usd in costs.items() if cell.column == place and cell.role == Role.ASKED]
    return Compared(
        variant=plan.columns[place].label,
        images=len(mine),
        consistency=_rounded(measures.consistency(sight, plan, mine)),
        closeness=_rounded(sum(near) / len(near)) if near else None,
        look=taught.whose if near else "",
        diversity=_rounded(measures.diversity(sight, mine)),
        copies=sum(row.copy_of is not None for row in asked) if taught.training and asked else None,
        leak=_rounded(measures.leak(sight, _triples(plan, place, there), taught.look)),
        seconds=seconds / pictures if pictures else None,
        usd=each(together(paid), len(mine)),
    )


def _triples(plan: Plan, place: int, there: Mapping[Cell, Path]) -> list[Triple]:
    """The prompts of a column that were drawn all three ways."""
    found = []
    for cell in there:
        if cell.column != place or cell.role != Role.UNMARKED:
            continue
        base, marked = plan.base_of(cell), plan.marked_of(cell)
        if base in there and marked in there and base is not None:
            found.append(Triple(there[base], there[cell], there[marked]))
    return found


def _about_leaks(plan: Plan, there: Mapping[Cell, Path], variants: Sequence[Compared]) -> list[str]:
    """Why a column whose pictures for the leak are there has none."""
    drawn_for = {plan.columns[cell.column].label for cell in there if cell.role == Role.UNMARKED}
    faint = [one.variant for one in variants if one.leak is None and one.variant in drawn_for]
    if not faint:
        return []
    return [
        f"The leak of {', '.join(faint)} is not told: on these prompts its trigger brings pictures hardly nearer to "
        "the training look than the base alone is."
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
