"""What the worker does for a deck: draw what is missing, look at it, set the document. Re-entrant.

Started again after a kill it draws only what is not on the disk, since each picture has a file of its own recipe.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from loradeck.engines.base import DrawJob, DrawRequest, LoraRef
from loradeck.state.files import told
from loradeck.state.records import DeckRecord, VisualRecord
from loradeck.tools.contracts import DeckSpec, IntoTypst, RenderResult
from loradeck.tools.errors import NotFound
from loradeck.tools.library import find_lora
from loradeck.tools.render_deck_visuals import gallery, stale
from loradeck.tools.render_deck_visuals.into_typst import into
from loradeck.tools.render_deck_visuals.kept_words import adopted, remember
from loradeck.tools.render_deck_visuals.plan import Visual, groups
from loradeck.tools.render_deck_visuals.publish import copied, publish
from loradeck.tools.render_deck_visuals.references import kept_at, require_kept
from loradeck.tools.render_deck_visuals.report import answer, looked_at
from loradeck.tools.render_deck_visuals.written import Written
from loradeck.tools.reporter import patiently
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
    fresh, warned = _draw(job, deck_id, visuals)
    for visual in reversed(visuals):  # the first take of a slide ends up as the one that is shown
        patiently(partial(gallery.show_recipe, job.store, deck_id, visual.slide, visual.recipe))
    job.reporter.progress(len(visuals), len(visuals), "setting the deck")
    written = Written(job.store.workspace.deck(deck_id))
    copies = Path(spec["output_dir"]) if spec["output_dir"] else None
    deck, kept = _with_own_words(job, deck, written, copies)
    wanted = {visual.recipe for visual in visuals}
    rows = patiently(lambda: looked_at(job.store, deck, deck_id, wanted, fresh))
    made = publish(job.store, deck, deck_id, spec["formats"], written, rows, copies)
    words = [*made.told]
    if spec.get("into"):
        words += into(IntoTypst.model_validate(spec["into"]), made.pages, written)
    remember(deck, written)
    if copies is not None:
        words.append(copied(made.files, copies, written, remembered=spec.get("remembered", False)))
    outdated = stale.stale(job.store, gallery.shown(job.store, deck_id))
    rows = [row.model_copy(update={"stale": row.picked and row.slide in outdated}) for row in rows]
    words = [*spec["told"], *warned, *kept, *stale.told(deck_id, outdated), *words, *written.kept]
    bare = bool(visuals) and not any(visual.brush.looks for visual in visuals)
    result = answer(deck, deck_id, rows, made.files, words, bare=bare, preview=spec["preview"])
    return result.model_copy(update={"run_id": job.run.id})


def _with_own_words(job: Job, deck: DeckSpec, written: Written, copies: Path | None) -> tuple[DeckSpec, list[str]]:
    """The deck with the words that a person changed in its files, and what is told of them."""
    changed, told = adopted(deck, written, copies, job.run.spec.get("asked", []))
    if changed != deck:
        values = {"title": changed.title, "spec": changed.model_dump(mode="json")}
        patiently(lambda: job.store.change(DeckRecord, str(job.run.deck_id), **values))
    return changed, told


def _draw(job: Job, deck_id: str, visuals: list[Visual]) -> tuple[set[str], list[str]]:
    """Draw what is not on the disk yet; what was finished is kept when a stop or an error comes.

    Returns the recipes that this run drew and what the engine told of them.
    """
    drawn = {(row.slide, row.recipe) for row in gallery.there(job.store, deck_id)}
    missing = [visual for visual in visuals if (visual.slide, visual.recipe) not in drawn]
    warned: dict[str, None] = {}
    try:
        together = groups(missing)
        for number, group in enumerate(together):
            job.reporter.raise_if_cancelled()
            engine = job.engines.open(group[0].brush.engine)
            request = _request(job, deck_id, group, together[number + 1 :])
            warned |= dict.fromkeys(engine.draw(request, job.reporter).told)
    finally:
        patiently(lambda: gallery.record_drawn(job.store, deck_id, job.run.id, missing))
    mine = job.store.where(VisualRecord, "deck_id = ? and run_id = ?", [deck_id, job.run.id])
    return {row.recipe for row in mine}, list(warned)


def _request(job: Job, deck_id: str, group: list[Visual], later: list[list[Visual]]) -> DrawRequest:
    """The request for a group; it tells the prompts of `later` groups that the same engine draws on the same base.

    Raises Refused where the deck's copy of a reference is gone or another one.
    """
    brush, folder = group[0].brush, job.store.workspace.deck(deck_id)
    require_kept(folder, brush.references)
    jobs = [
        DrawJob(one.stem, one.prompt, one.seed, one.width, one.height, gallery.place(job.store, deck_id, one))
        for one in group
    ]
    with told(jobs[0].out.parent):
        jobs[0].out.parent.mkdir(parents=True, exist_ok=True)
    loras = [
        LoraRef(Path(find_lora(job.store, look.lora_id).path), look.strength, look.sha256, look.base_model)
        for look in brush.looks
    ]
    ahead = [one for visuals in later for one in visuals]
    return DrawRequest(
        brush.base_model,
        tuple(jobs),
        tuple(loras),
        brush.guidance,
        brush.steps,
        references=tuple(kept_at(folder, reference) for reference in brush.references),
        upcoming=tuple(
            one.prompt for one in ahead if (one.brush.engine, one.brush.base_model) == (brush.engine, brush.base_model)
        ),
    )
