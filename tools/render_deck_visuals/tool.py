"""render_deck_visuals: a deck in, pictures in the trained look and a document out; later calls change single slides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loradeck.engines.base import Engine
from loradeck.state import runs
from loradeck.state.files import new_id
from loradeck.state.records import DeckRecord, LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec, LoraUse, RenderArgs, RenderResult, RunKind, RunState
from loradeck.tools.errors import BadArgument, NotYet, Refused
from loradeck.tools.library import default_lora, find_lora
from loradeck.tools.render_deck_visuals import gallery
from loradeck.tools.render_deck_visuals.gallery import find_deck
from loradeck.tools.render_deck_visuals.plan import Look, Visual
from loradeck.tools.render_deck_visuals.wish import DeckStyle, Wish, visuals, wish
from loradeck.tools.spec import ToolSpec
from loradeck.tools.waiting import wait_until
from loradeck.tools.wording import PREVIEW_NOTE
from loradeck.tools.workbench import Workbench

WAIT_SECONDS = 20.0
ACTIVE_DECK_RUN = "deck_id = ? and state in ('queued', 'preparing', 'running', 'paused')"


def handle(args: RenderArgs, bench: Workbench) -> RenderResult:
    """Plan what is missing, store the deck, start a run, wait a while. Raises ToolFault children."""
    _refuse_what_comes_later(args)
    if (args.deck is None) == (args.deck_id is None):
        raise BadArgument("Give either deck (a new one) or deck_id (to change one); check_status lists the decks.")
    store = bench.store
    if args.deck_id is not None:
        record = find_deck(store, args.deck_id)
        busy = _busy(store, record.id)
        if busy is not None:
            return _answer(_busy_or_refuse(args, bench, busy), record.id, [])
        wanted = _changed(args, record, bench)
    else:
        record = None
        wanted = _new(args, bench)
    run = _enqueue(args, bench, record, wanted)
    bench.launch(run.id)
    run = wait_until(store, run.id, WAIT_SECONDS, tell=bench.progress)
    return _answer(run, str(run.deck_id), wanted.told)


# --------------------------------------------------------------------------- what is wanted


def _refuse_what_comes_later(args: RenderArgs) -> None:
    if args.references:
        raise NotYet(
            "Reference pictures come with the hosted engines; leave references out, the LoRA carries the look."
        )
    if set(args.formats) == {"pptx"}:
        raise NotYet("PowerPoint files come with a later release; ask for formats=['pdf'] or ['typst'] today.")


def _new(args: RenderArgs, bench: Workbench) -> Wish:
    if args.pick:
        raise BadArgument("A new deck has no takes to pick from; render it first, then call again with its deck_id.")
    deck, told = _deck_of(args.deck), []
    uses = args.loras
    if uses is None:
        uses, words = _default_loras(bench.store, args.base_model)
        told.append(words)
    looks = _looks(bench.store, uses)
    base = args.base_model or (looks[0].base_model if looks else "preview")
    engine = _engine(bench, args.engine, str(base))
    style = DeckStyle(engine=engine.name, base_model=str(base), loras=_by_id(looks))
    wanted = wish(args.model_copy(update={"loras": None}), deck, style)
    wanted.told = told
    return wanted


def _changed(args: RenderArgs, record: DeckRecord, bench: Workbench) -> Wish:
    deck = DeckSpec.model_validate(record.spec)
    style = DeckStyle.model_validate({**record.settings, "loras": record.loras})
    if args.loras is not None:
        args = args.model_copy(update={"loras": _by_id(_looks(bench.store, args.loras))})
    if args.base_model is not None or args.engine != "auto":
        base = str(args.base_model or style.base_model)
        style = style.model_copy(update={"base_model": base, "engine": _engine(bench, args.engine, base).name})
    wanted = wish(args, deck, style)
    for pick in args.pick:
        gallery.show_take(bench.store, record.id, pick)
    return wanted


def _deck_of(given: str | DeckSpec | None) -> DeckSpec:
    """The deck from an argument: itself, its JSON, or the path of its file."""
    from loradeck.tools.render_deck_visuals.deck_file import checked, read_deck

    if isinstance(given, DeckSpec):
        return checked(given.model_dump(), "The deck")
    text = str(given).strip()
    if not text.startswith("{"):
        return read_deck(Path(text).expanduser())
    try:
        return checked(json.loads(text), "The deck")
    except ValueError as error:
        raise BadArgument(f"The deck's JSON cannot be read: {error}.") from None


def _default_loras(store: Store, base_model: str | None) -> tuple[list[LoraUse], str]:
    lora = default_lora(store, base_model)
    if lora is None:
        return [], "There is no LoRA yet, so the base model draws alone; start_training makes one."
    which = "active" if lora.active else "newest"
    words = f"Drawn with the {which} LoRA, {lora.name} v{lora.version} ({lora.id}); name another with loras=[...]."
    return [LoraUse(lora_id=lora.id, strength=lora.strength)], words


def _by_id(looks: list[Look]) -> list[LoraUse]:
    """The same LoRAs named by their ids, so that a deck stays with the version it was drawn with."""
    return [LoraUse(lora_id=look.lora_id, strength=look.strength) for look in looks]


def _looks(store: Store, uses: list[LoraUse]) -> list[Look]:
    """The LoRAs asked for. Raises NotFound, or Refused for one whose file is gone."""
    return [_look(find_lora(store, use.lora_id), use.strength) for use in uses]


def _look(lora: LoraRecord, strength: float) -> Look:
    if not Path(lora.path).is_file():
        raise Refused(f"The file of {lora.name} v{lora.version} ({lora.id}) is gone; choose another from list_loras.")
    return Look(lora.id, lora.sha256, lora.path, lora.base_model, strength, lora.trigger)


def _engine(bench: Workbench, name: str, base: str) -> Engine:
    """A ready engine that draws on a base for nothing. Raises NotInstalled, Refused or NotYet."""
    engine = bench.engines.choose(base, "draw") if name == "auto" else bench.engines.open(name)
    info = engine.capabilities.base(base)
    if info is None or "draw" not in info.abilities:
        known = ", ".join(one.name for one in engine.capabilities.base_models if "draw" in one.abilities) or "none"
        raise Refused(f"The engine {engine.name} does not draw on {base}; the bases it draws on: {known}.")
    ready = engine.available()
    if not ready.ready:
        raise Refused(f"The engine {engine.name} is not ready: {ready.why} {ready.fix}")
    if engine.capabilities.costs_money:
        raise NotYet(
            f"Rendering on {engine.name} costs money, and quotes for decks come later; use engine='local' today."
        )
    return engine


# --------------------------------------------------------------------------- the run


def _enqueue(args: RenderArgs, bench: Workbench, record: DeckRecord | None, wanted: Wish) -> RunRecord:
    """Store the deck as it should be and a queued run that gets it there."""
    store = bench.store
    looks = {ref: _look(find_lora(store, ref), 1.0) for ref in wanted.style.lora_ids()}
    _same_base(wanted.style.base_model, looks)
    deck_id = record.id if record is not None else new_id("deck")
    drawn: dict[str, set[str]] = {}
    for row in gallery.there(store, deck_id):
        drawn.setdefault(row.slide, set()).add(row.recipe)
    planned = visuals(wanted, looks, args.takes, drawn)
    if "pptx" in args.formats:
        wanted.told.append("PowerPoint files come with a later release; the PDF and its Typst source were made.")
    with store.transaction():
        _store_deck(store, deck_id, record, wanted)
        return runs.enqueue(
            store,
            RunKind.RENDER,
            _spec(args, bench, wanted, planned),
            name=wanted.deck.title,
            deck_id=deck_id,
            engine=wanted.style.engine,
            base_model=wanted.style.base_model,
            steps=sum(visual.recipe not in drawn.get(visual.slide, set()) for visual in planned),
        )


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
        "settings": wanted.style.model_dump(mode="json", exclude={"loras"}),
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
        "output_dir": _output_dir(args.output_dir),
        "told": wanted.told,
        "preview": base is not None and base.preview,
    }


def _output_dir(given: str | None) -> str | None:
    if given is None:
        return None
    folder = Path(given).expanduser().absolute()
    if folder.exists() and not folder.is_dir():
        raise BadArgument(f"output_dir {folder.name!r} is a file; name a folder.")
    return str(folder)


def _busy(store: Store, deck_id: str) -> RunRecord | None:
    runs.sweep(store)
    active = store.where(RunRecord, ACTIVE_DECK_RUN, [deck_id], limit=1)
    return active[0] if active else None


def _busy_or_refuse(args: RenderArgs, bench: Workbench, busy: RunRecord) -> RunRecord:
    """The run at work on the deck, when nothing else was asked. Raises Refused when something was."""
    if args.model_fields_set - {"deck_id"}:
        raise Refused(
            f"{busy.id} is still at work on this deck; follow it with check_status(run_id={busy.id!r}, "
            f"wait_seconds=25) or end it with stop_run(run_id={busy.id!r}), then make this call again."
        )
    return wait_until(bench.store, busy.id, WAIT_SECONDS, tell=bench.progress)


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
        "Draw the pictures of a deck with a trained LoRA and set them as PNG, contact sheet, Typst source and PDF. "
        "New deck: deck = {title, theme, slides: [{name, prompt, heading, body, layout}]} or the path of such a .json "
        "or .yaml file. Change one: deck_id with only=[slide] and edits=[{slide, add: 'bright daylight', "
        "guidance: 2.5}]; nothing else is drawn again. only without edits draws that slide with a new seed. "
        "takes=4 draws variants, pick=[{slide, take}] chooses. A missing trigger is put in front and told; without "
        "loras the active or newest one is used. Writes files in the workspace and output_dir; poll check_status "
        "when it outlasts 20 s. To look at the result use view_images(of=deck_id, what='deck')."
    ),
    args=RenderArgs,
    result=RenderResult,
    handler=handle,
)
