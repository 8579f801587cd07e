"""render_deck_visuals: a deck in, pictures in the trained look and a document out; later calls change single slides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loradeck.state import runs
from loradeck.state.files import new_id
from loradeck.state.records import DeckRecord, LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec, RenderArgs, RenderResult, RunKind, RunState
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.given_path import given_path
from loradeck.tools.leaving import loras_must_not_leave, references_must_not_leave
from loradeck.tools.library import find_lora
from loradeck.tools.render_deck_visuals import gallery
from loradeck.tools.render_deck_visuals.gallery import find_deck
from loradeck.tools.render_deck_visuals.output_folder import require_free
from loradeck.tools.render_deck_visuals.plan import Look, Visual
from loradeck.tools.render_deck_visuals.price import agreed_on, unfinished
from loradeck.tools.render_deck_visuals.references import hashes_of, keep, require_kept, require_taken
from loradeck.tools.render_deck_visuals.renaming import key_of, move_pictures
from loradeck.tools.render_deck_visuals.resolve import (
    changed_deck,
    deck_of,
    look_of,
    made_from,
    new_deck,
    source_of,
    style_of,
)
from loradeck.tools.render_deck_visuals.wish import Wish, visuals
from loradeck.tools.render_deck_visuals.written import Written
from loradeck.tools.spec import ToolSpec
from loradeck.tools.spending.agreement import Quoted, commit
from loradeck.tools.waiting import wait_until
from loradeck.tools.wording import PREVIEW_NOTE
from loradeck.tools.workbench import Workbench

WAIT_SECONDS = 20.0
ACTIVE_DECK_RUN = "deck_id = ? and state in ('queued', 'preparing', 'running', 'paused')"


def handle(args: RenderArgs, bench: Workbench) -> RenderResult:
    """Plan what is missing, store the deck, start a run, wait a while. Raises ToolFault children."""
    if args.deck is None and args.deck_id is None:
        raise BadArgument("Give deck (a new one) or deck_id (to change one); check_status lists the decks.")
    if args.into is not None:
        from loradeck.tools.render_deck_visuals.into_typst import check_into

        check_into(args.into)
    store, source = bench.store, source_of(args.deck)
    if source is not None and source.lower().endswith(".typ"):
        from loradeck.tools.render_deck_visuals.typst_deck import proposed

        return proposed(Path(source))
    deck = deck_of(args.deck, store) if args.deck is not None else None
    record = find_deck(store, args.deck_id) if args.deck_id is not None else made_from(args, source, store)
    if record is not None:
        wanted = changed_deck(args, record, deck, bench)
        if args.deck_id is None:
            wanted.told.append(f"{record.id} was made from this file before and was changed to what it says now.")
        busy = _busy(bench, record.id)
        if busy is not None:
            run = _joined(args, record, wanted, busy)
            return _answer(wait_until(store, run.id, WAIT_SECONDS, tell=bench.progress), record.id, [])
    elif deck is not None:
        wanted = new_deck(args, deck, bench)
    wanted.source = source or (record.settings.get("source") if record is not None else None)
    queued = _enqueue(args, bench, record, wanted)
    if isinstance(queued, Quoted):
        return RenderResult(
            summary=queued.summary,
            next_step=queued.next_step,
            state=RunState.QUOTED,
            deck_id=record.id if record is not None else None,
            told=wanted.told,
            quote_id=queued.quote_id,
        )
    bench.launch(queued.id)
    run = wait_until(store, queued.id, WAIT_SECONDS, tell=bench.progress)
    return _answer(run, str(run.deck_id), wanted.told)


# --------------------------------------------------------------------------- the run


def _enqueue(args: RenderArgs, bench: Workbench, record: DeckRecord | None, wanted: Wish) -> RunRecord | Quoted:
    """Store the deck as it should be and a queued run that gets it there; where that costs and nobody agreed, a quote.

    Picks are made and references kept only once it is sure that the run starts.
    """
    store = bench.store
    wanted.output_dir = _output_dir(args.output_dir, record)
    if wanted.output_dir:
        known = Written(store.workspace.deck(record.id)).files() if record is not None else []
        require_free(Path(wanted.output_dir), wanted.deck, known)
    loras = {ref: find_lora(store, ref) for ref in wanted.style.lora_ids()}
    looks = {ref: look_of(lora, 1.0) for ref, lora in loras.items()}
    _same_base(wanted.style.base_model, looks)
    for references in wanted.style.leanings():
        require_taken(wanted.style.base_model, [one.name for one in references])
    deck_id = record.id if record is not None else new_id("deck")
    drawn: dict[str, set[str]] = {}
    for row in gallery.there(store, deck_id):
        drawn.setdefault(key_of(row.slide, wanted.renamed), set()).add(row.recipe)
    planned = visuals(wanted, looks, args.takes, drawn)
    missing = [visual for visual in planned if visual.recipe not in drawn.get(visual.slide, set())]
    _must_not_leave(bench, loras, missing)
    leaned_on = {one for visual in missing for one in visual.brush.references}
    require_kept(store.workspace.deck(deck_id), leaned_on - wanted.references.keys())
    before = unfinished(store, deck_id, missing, drawn)
    agreed = agreed_on(args, bench, wanted, missing, before)
    if isinstance(agreed, Quoted):
        return agreed
    if agreed is not None and agreed.run_id is not None:
        return runs.get(store, agreed.run_id)
    move_pictures(store, deck_id, wanted.renamed)
    for pick in args.pick:
        gallery.show_take(store, deck_id, pick)
    keep(store.workspace.deck(deck_id), wanted.references)
    with store.transaction():
        busy = _active(store, deck_id)  # again, under the lock: two calls at once must not both change the deck
        if busy is not None:
            raise Refused(_at_work(busy))
        _store_deck(store, deck_id, record, wanted)
        spec = _spec(args, bench, wanted, planned)
        if before is not None:
            store.change(RunRecord, before.id, spec=spec)
            run = runs.requeue(store, before.id)
        else:
            run = runs.enqueue(
                store,
                RunKind.RENDER,
                spec,
                name=wanted.deck.title,
                deck_id=deck_id,
                engine=wanted.style.engine,
                base_model=wanted.style.base_model,
                steps=len(missing),
            )
        if agreed is not None:
            commit(store, agreed, run.id)
        return run


def _must_not_leave(bench: Workbench, loras: dict[str, LoraRecord], missing: list[Visual]) -> None:
    """Raises Refused (IMG-RIGHTS) where a picture would send an image that may not leave, or what learned from one."""
    for brush in dict.fromkeys(visual.brush for visual in missing):
        engine = bench.engines.open(brush.engine)
        loras_must_not_leave(bench.store, engine, (loras[look.lora_id] for look in brush.looks))
        references_must_not_leave(bench.store, engine, hashes_of(brush.references))


def _same_base(base: str, looks: dict[str, Look]) -> None:
    for look in looks.values():
        if look.base_model != base:
            raise Refused(
                f"The LoRA {look.lora_id} was trained on {look.base_model} and does nothing on {base}; "
                f"render with base_model={look.base_model!r}, or choose another LoRA from list_loras."
            )


def _store_deck(store: Store, deck_id: str, record: DeckRecord | None, wanted: Wish) -> None:
    values: dict[str, Any] = {
        "title": wanted.deck.title,
        "spec": wanted.deck.model_dump(mode="json"),
        "loras": [use.model_dump() for use in wanted.style.loras],
        "settings": {
            **wanted.style.model_dump(mode="json", exclude={"loras"}),
            "output_dir": wanted.output_dir,
            "source": wanted.source,
        },
    }
    if record is None:
        store.add(DeckRecord(id=deck_id, **values))
    else:
        store.change(DeckRecord, deck_id, **values)


def _spec(args: RenderArgs, bench: Workbench, wanted: Wish, planned: list[Visual]) -> dict[str, Any]:
    base = bench.engines.open(wanted.style.engine).capabilities.base(wanted.style.base_model)
    return {
        "visuals": [visual.to_json() for visual in planned],
        "formats": list(args.formats),
        "output_dir": wanted.output_dir,
        "remembered": args.output_dir is None,
        "told": wanted.told,
        "asked": [
            f"{edit.slide}/{box}"
            for edit in args.edits
            for box in ("heading", "body")
            if getattr(edit, box) is not None
        ],
        "into": args.into.model_dump(mode="json") if args.into is not None else None,
        "preview": base is not None and base.preview,
    }


def _output_dir(given: str | None, record: DeckRecord | None) -> str | None:
    """Where copies go: as given, else where the deck's copies went before, so that a person's own never go stale."""
    if given is None:
        return record.settings.get("output_dir") if record is not None else None
    if not given.strip():
        return None
    folder = given_path(given).absolute()
    if folder.exists() and not folder.is_dir():
        raise BadArgument(f"output_dir {folder.name!r} is a file; name a folder.")
    return str(folder)


def _busy(bench: Workbench, deck_id: str) -> RunRecord | None:
    """The run at work on the deck, if there is one; a queued one whose worker never came gets another."""
    runs.recover(bench.store, bench.launch)
    return _active(bench.store, deck_id)


def _active(store: Store, deck_id: str) -> RunRecord | None:
    active = store.where(RunRecord, ACTIVE_DECK_RUN, [deck_id], limit=1)
    return active[0] if active else None


def _joined(args: RenderArgs, record: DeckRecord, wanted: Wish, busy: RunRecord) -> RunRecord:
    """The run at work, when the call asks for nothing that it does not do. Raises Refused otherwise."""
    more = args.only or args.edits or args.pick or args.takes > 1 or wanted.style != style_of(record)
    more = more or wanted.deck.model_dump(mode="json") != DeckSpec.model_validate(record.spec).model_dump(mode="json")
    asked: dict[str, Any] = {}
    if args.output_dir is not None:
        asked["output_dir"] = _output_dir(args.output_dir, record)
    if args.into is not None:
        asked["into"] = args.into.model_dump(mode="json")
    if "formats" in args.model_fields_set:
        asked["formats"] = list(args.formats)
    if more or any(busy.spec.get(name) != value for name, value in asked.items()):
        raise Refused(_at_work(busy))
    return busy


def _at_work(busy: RunRecord) -> str:
    return (
        f"{busy.id} is still at work on this deck; follow it with check_status(run_id={busy.id!r}, "
        f"wait_seconds=25) or end it with stop_run(run_id={busy.id!r}), then make this call again."
    )


def _answer(run: RunRecord, deck_id: str, told: list[str]) -> RenderResult:
    if run.state == RunState.SUCCEEDED and run.result is not None:
        return RenderResult.model_validate({**run.result, "run_id": run.id})
    state = RunState(run.state)
    again = f'render_deck_visuals(deck_id="{deck_id}") goes on with what is missing.'
    if state.ended:
        summary = f"The render of {run.name} {state}: {run.error or run.message or 'what was done is kept.'}"
    else:
        summary = f"{run.name}: {run.step} of {run.steps} pictures are drawn ({state}). It goes on by itself."
        again = f'check_status(run_id="{run.id}", wait_seconds=25) tells when it is done; stop_run ends it.'
    note = PREVIEW_NOTE if run.spec.get("preview") else None
    return RenderResult(
        summary=summary, next_step=again, run_id=run.id, state=state, deck_id=deck_id, told=told, preview_note=note
    )


TOOL = ToolSpec(
    name="render_deck_visuals",
    title="Render a deck's visuals",
    description=(
        "Draw the pictures of a deck with trained LoRAs and set them as PNG, contact sheet, Typst, PDF and PowerPoint. "
        "New deck: deck = the deck or the path of its file; the same file again goes on with its deck. A .typ file "
        "answers with a proposal; a .png that loradeck drew is drawn again. Change one: deck_id with only=[slide] and "
        "edits=[{slide, add: 'bright daylight', guidance: 2.5}]; nothing else is drawn again. only without edits draws "
        "that slide with a new seed. takes=4 draws variants, pick=[{slide, take}] chooses. A missing trigger is put in "
        "front and told. Writes files in the workspace and output_dir; poll check_status when it outlasts 20 s. To "
        "look at the result use view_images(of=deck_id, what='deck')."
    ),
    args=RenderArgs,
    result=RenderResult,
    handler=handle,
)
