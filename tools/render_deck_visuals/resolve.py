"""What a call names, found: the deck, its LoRAs, an engine that is ready. Nothing is stored here."""

from __future__ import annotations

import json
from pathlib import Path

from loradeck.state.records import DeckRecord, LoraRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec, LoraUse, RenderArgs
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.library import default_lora, find_lora
from loradeck.tools.ready import drawing_engine
from loradeck.tools.render_deck_visuals.plan import Look
from loradeck.tools.render_deck_visuals.references import read_references
from loradeck.tools.render_deck_visuals.wish import DeckStyle, Wish, wish
from loradeck.tools.workbench import Workbench


def new_deck(args: RenderArgs, bench: Workbench) -> Wish:
    """A new deck as a call wants it. Raises ToolFault children."""
    if args.pick:
        raise BadArgument("A new deck has no takes to pick from; render it first, then call again with its deck_id.")
    deck, told = _deck_of(args.deck), []
    uses = args.loras
    if uses is None:
        uses, why = _default_loras(bench.store, args.base_model)
        told.append(why)
    looks = looks_of(bench.store, uses)
    base = args.base_model or (looks[0].base_model if looks else "preview")
    engine = drawing_engine(bench, args.engine, str(base))
    style = DeckStyle(engine=engine.name, base_model=str(base), loras=_by_id(looks))
    references, words = read_references(args.references, style.base_model)
    wanted = wish(args.model_copy(update={"loras": None}), deck, style, references)
    wanted.told = [*told, *words]
    return wanted


def changed_deck(args: RenderArgs, record: DeckRecord, bench: Workbench) -> Wish:
    """A deck that is there as a call wants it; nothing is stored yet. Raises ToolFault children."""
    deck, style = DeckSpec.model_validate(record.spec), style_of(record)
    if args.loras is not None:
        args = args.model_copy(update={"loras": _by_id(looks_of(bench.store, args.loras))})
    if args.base_model is not None or args.engine != "auto":
        base = str(args.base_model or style.base_model)
        style = style.model_copy(update={"base_model": base, "engine": drawing_engine(bench, args.engine, base).name})
    references, told = read_references(args.references, style.base_model)
    wanted = wish(args, deck, style, references)
    wanted.told = told
    return wanted


def style_of(record: DeckRecord) -> DeckStyle:
    """How a deck that is there is drawn."""
    return DeckStyle.model_validate({**record.settings, "loras": record.loras})


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


def looks_of(store: Store, uses: list[LoraUse]) -> list[Look]:
    """The LoRAs asked for. Raises NotFound, or Refused for one whose file is gone."""
    return [look_of(find_lora(store, use.lora_id), use.strength) for use in uses]


def look_of(lora: LoraRecord, strength: float) -> Look:
    """A LoRA as a deck uses it. Raises Refused when its file is gone."""
    if not Path(lora.path).is_file():
        raise Refused(f"The file of {lora.name} v{lora.version} ({lora.id}) is gone; choose another from list_loras.")
    return Look(lora.id, lora.sha256, lora.base_model, strength, lora.trigger)
