"""What the worker does for a deck: draw what is missing, look at it, set the document. Re-entrant.

Started again after a kill it draws only what is not on the disk, since each picture has a file of its own recipe.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loradeck.engines.base import DrawJob, DrawRequest, LoraRef
from loradeck.state.records import DeckRecord, VisualRecord
from loradeck.tools.contracts import Artefact, DeckSpec, Finding, RenderResult, RunState, VisualRow
from loradeck.tools.errors import NotFound
from loradeck.tools.render_deck_visuals import gallery, looks, measure
from loradeck.tools.render_deck_visuals.plan import Visual, groups
from loradeck.tools.render_deck_visuals.publish import copy_out, publish
from loradeck.tools.wording import PREVIEW_NOTE
from loradeck.tools.workbench import Job


def run(job: Job) -> RenderResult:
    """Draw the visuals of the run's specification and publish the deck. Raises what the engine and the store raise."""
    spec = job.run.spec
    deck_id = str(job.run.deck_id)
    record = job.store.find(DeckRecord, deck_id)
    if record is None:
        raise NotFound(f"The deck {deck_id} is gone; make it again with render_deck_visuals(deck=...).")
    deck = DeckSpec.model_validate(record.spec)
    visuals = [Visual.from_json(one) for one in spec["visuals"]]
    fresh = _draw(job, deck_id, visuals)
    for visual in reversed(visuals):  # the first take of a slide ends up as the one that is shown
        gallery.show_recipe(job.store, deck_id, visual.slide, visual.recipe)
    job.reporter.progress(len(visuals), len(visuals), "setting the deck")
    shown = gallery.shown(job.store, deck_id)
    files, told = publish(deck, shown, job.store.workspace.deck(deck_id), spec["formats"])
    if spec["output_dir"]:
        failed = copy_out(files, Path(spec["output_dir"]))
        told += [failed] if failed else [f"Copies are in {spec['output_dir']}."]
    rows = _rows(job, deck, deck_id, visuals, fresh)
    return _answer(deck, deck_id, rows, files, [*spec["told"], *told], preview=spec["preview"])


def _draw(job: Job, deck_id: str, visuals: list[Visual]) -> set[str]:
    """Draw what is not on the disk yet; what was finished is kept when a stop or an error comes. Returns recipes."""
    drawn = {row.recipe for row in gallery.there(job.store, deck_id)}
    missing = [visual for visual in visuals if visual.recipe not in drawn]
    try:
        for group in groups(missing):
            job.reporter.raise_if_cancelled()
            engine = job.engines.open(group[0].brush.engine)
            engine.draw(_request(job, deck_id, group), job.reporter)
    finally:
        gallery.record_drawn(job.store, deck_id, job.run.id, missing)
    mine = job.store.where(VisualRecord, "deck_id = ? and run_id = ?", [deck_id, job.run.id])
    return {row.recipe for row in mine}


def _request(job: Job, deck_id: str, group: list[Visual]) -> DrawRequest:
    brush = group[0].brush
    jobs = [
        DrawJob(one.stem, one.prompt, one.seed, one.width, one.height, gallery.place(job.store, deck_id, one))
        for one in group
    ]
    jobs[0].out.parent.mkdir(parents=True, exist_ok=True)
    loras = [LoraRef(Path(look.path), look.strength, look.sha256, look.base_model) for look in brush.looks]
    return DrawRequest(brush.base_model, tuple(jobs), tuple(loras), brush.guidance, brush.steps)


def _rows(job: Job, deck: DeckSpec, deck_id: str, visuals: list[Visual], fresh: set[str]) -> list[VisualRow]:
    """The shown take of every slide and each take of this call, judged, in the deck's order."""
    wanted = {visual.recipe for visual in visuals}
    takes = [row for row in gallery.there(job.store, deck_id) if row.picked or row.recipe in wanted]
    order = {slide.name: number for number, slide in enumerate(deck.slides)}
    takes = sorted((row for row in takes if row.slide in order), key=lambda row: (order[row.slide], row.take))
    findings = _judged(takes)
    for row in takes:
        job.store.change(VisualRecord, row.id, findings=[one.model_dump(mode="json") for one in findings[row.id]])
    return [
        VisualRow(
            slide=row.slide,
            take=row.take,
            path=row.path,
            prompt=row.prompt,
            seed=row.seed,
            width=row.width,
            height=row.height,
            picked=row.picked,
            fresh=row.recipe in fresh,
            findings=findings[row.id],
        )
        for row in takes
    ]


def _judged(takes: list[VisualRecord]) -> dict[str, list[Finding]]:
    """Findings by visual id: shown takes are compared with each other, other takes looked at alone."""
    facts = {row.id: measure.facts(row.slide, Path(row.path), (row.width, row.height)) for row in takes}
    together = looks.judge([facts[row.id] for row in takes if row.picked])
    alone = {row.id: looks.judge([facts[row.id]])[row.slide] for row in takes if not row.picked}
    return {row.id: together[row.slide] if row.picked else alone[row.id] for row in takes}


def _answer(
    deck: DeckSpec, deck_id: str, rows: list[VisualRow], files: list[Artefact], told: list[str], *, preview: bool
) -> RenderResult:
    fresh = sum(row.fresh for row in rows)
    kept = len(rows) - fresh
    findings = [finding for row in rows for finding in row.findings]
    summary = f"{deck.title}: {fresh} picture{'s' * (fresh != 1)} drawn, {kept} kept as they were."
    pdf = next((file.path for file in files if file.kind == "pdf"), None)
    summary += f" The deck is {pdf}." if pdf else ""
    if findings:
        summary += f" {len(findings)} of them want a second look: {findings[0].why}"
    if preview:
        summary += f" {PREVIEW_NOTE}"
    again = (
        findings[0].fix
        if findings
        else (
            f'To change one picture: render_deck_visuals(deck_id="{deck_id}", only=["{deck.slides[0].name}"], '
            "edits=[{slide, add or prompt or guidance}])."
        )
    )
    values: dict[str, Any] = {"visuals": rows, "files": files, "told": told}
    return RenderResult(
        summary=summary,
        next_step=f'Look at it with view_images(of="{deck_id}", what="deck"). {again}',
        state=RunState.SUCCEEDED,
        deck_id=deck_id,
        preview_note=PREVIEW_NOTE if preview else None,
        **values,
    )
