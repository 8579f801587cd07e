"""What a call names, found: the deck, its LoRAs, an engine that is ready. Nothing is stored here."""

from __future__ import annotations

from typing import Any

from loradeck.state.records import DeckRecord, LoraRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec, LoraUse, RenderArgs
from loradeck.tools.errors import BadArgument
from loradeck.tools.given_path import given_path
from loradeck.tools.library import called, default_loras, find_lora, require_whole
from loradeck.tools.ready import drawing_engine
from loradeck.tools.render_deck_visuals.frames import first_seed, frames
from loradeck.tools.render_deck_visuals.plan import Look
from loradeck.tools.render_deck_visuals.references import read_references
from loradeck.tools.render_deck_visuals.remake import deck_of_picture
from loradeck.tools.render_deck_visuals.renaming import renamed, restyled, reworded
from loradeck.tools.render_deck_visuals.wish import DeckStyle, Wish, set_for_all, wish
from loradeck.tools.workbench import Workbench


def new_deck(args: RenderArgs, deck: DeckSpec, bench: Workbench) -> Wish:
    """A new deck as a call and its own defaults want it: the call comes first. Raises ToolFault children."""
    if args.pick:
        raise BadArgument("A new deck has no takes to pick from; render it first, then call again with its deck_id.")
    told: list[str] = []
    own = deck.defaults
    base_model = args.base_model or own.base_model
    uses = args.loras if args.loras is not None else own.loras
    if uses is None:
        uses, why = _default_loras(bench.store, base_model)
        told.append(why)
    looks = looks_of(bench.store, uses)
    base = str(base_model or (looks[0].base_model if looks else "preview"))
    engine = drawing_engine(bench, _engine(args, deck), base)
    style = DeckStyle(engine=engine.name, base_model=base, loras=_by_id(looks), **strokes_of(deck))
    references, words = read_references(args.references, style.base_model, cut_out=args.cut_out)
    wanted = wish(args.model_copy(update={"loras": None}), deck, style, references)
    wanted.told = [*told, *words]
    return wanted


def changed_deck(args: RenderArgs, record: DeckRecord, deck: DeckSpec | None, bench: Workbench) -> Wish:
    """A deck that is there as a call wants it; nothing is stored yet.

    `deck` is its new wording, where the call has one. What that says of drawing holds where it differs from what the
    old one said. Raises ToolFault children.
    """
    before, style = DeckSpec.model_validate(record.spec), style_of(record)
    names = renamed(before, deck) if deck is not None else {}
    before, style = reworded(before, names), restyled(style, names)
    if args.loras is not None:
        args = args.model_copy(update={"loras": _by_id(looks_of(bench.store, args.loras))})
    news = _news(args, before, deck, bench) if deck is not None else {}
    base = str(args.base_model or news.pop("base_model", None) or style.base_model)
    engine = args.engine if args.engine != "auto" else news.pop("engine", None) or "auto"
    if base != style.base_model or engine != "auto":
        style = style.model_copy(update={"base_model": base, "engine": drawing_engine(bench, engine, base).name})
    references, told = read_references(args.references, style.base_model, cut_out=args.cut_out)
    wanted = wish(args, _reseeded(before, deck) if deck is not None else before, style, references)
    for stroke, value in news.items():
        set_for_all(wanted, stroke, value)
    same = {frame.picture for frame in frames(before)}
    for frame in frames(wanted.deck):
        if frame.picture not in same:
            wanted.changed.add(frame.key)
            wanted.style.of(frame.key).pinned = any(pick.slide == frame.key for pick in args.pick)
    wanted.renamed = names
    wanted.told = [*told, *(f"{old} is called {new} now; its pictures went with it." for old, new in names.items())]
    return wanted


def _reseeded(before: DeckSpec, deck: DeckSpec) -> DeckSpec:
    """A deck's new wording in which slides that name no seed keep the one they had: their place may be another now.

    Where the wording changes the deck's own seed, all of them follow that.
    """
    if before.defaults.seed != deck.defaults.seed:
        return deck
    had = {slide.name: first_seed(before, slide) for slide in before.slides}
    slides = [
        slide.model_copy(update={"seed": had[slide.name]}) if slide.seed is None and slide.name in had else slide
        for slide in deck.slides
    ]
    return deck.model_copy(update={"slides": slides})


def made_from(args: RenderArgs, source: str | None, store: Store) -> DeckRecord | None:
    """The newest deck that was made from a file and that this call on the file would not part from, or None."""
    if source is None:
        return None
    for record in store.where(DeckRecord, order="created_at desc, rowid desc"):
        if record.settings.get("source") == source:
            style = style_of(record)
            uses = None if args.loras is None else _by_id(looks_of(store, args.loras))
            same = uses in (None, style.loras) and args.base_model in (None, style.base_model)
            if same and args.engine in {"auto", style.engine}:
                return record
    return None


def _news(args: RenderArgs, before: DeckSpec, deck: DeckSpec, bench: Workbench) -> dict[str, Any]:
    """What a deck's new wording says of drawing and its old one did not, less what the call itself says."""
    old, new = before.defaults, deck.defaults
    news: dict[str, Any] = {
        stroke: value for stroke, value in strokes_of(deck).items() if value != strokes_of(before)[stroke]
    }
    if new.loras != old.loras and new.loras is not None:
        news["loras"] = _by_id(looks_of(bench.store, new.loras))
    for name in ("base_model", "engine"):
        if getattr(new, name) != getattr(old, name) and getattr(new, name) is not None:
            news[name] = getattr(new, name)
    given = {"guidance": args.guidance, "steps": args.steps, "prompt_prefix": args.prompt_prefix, "loras": args.loras}
    return {name: value for name, value in news.items() if given.get(name) is None}


def strokes_of(deck: DeckSpec) -> dict[str, Any]:
    """How a deck says that all its pictures are drawn, by the names of `DeckStyle`."""
    own = deck.defaults
    return {
        "guidance": own.guidance,
        "steps": own.steps,
        "prompt_prefix": own.before,
        "prompt_suffix": own.after,
    }


def _engine(args: RenderArgs, deck: DeckSpec) -> str:
    return args.engine if args.engine != "auto" else deck.defaults.engine or "auto"


def style_of(record: DeckRecord) -> DeckStyle:
    """How a deck that is there is drawn."""
    return DeckStyle.model_validate({**record.settings, "loras": record.loras})


def deck_of(given: str | DeckSpec, store: Store) -> DeckSpec:
    """The deck from an argument: itself, its JSON, the path of its file, or of a picture that is to be drawn again.

    Raises NotFound and BadArgument.
    """
    from loradeck.tools.render_deck_visuals.deck_file import checked, deck_in, read_deck

    if isinstance(given, DeckSpec):
        return checked(given.model_dump(mode="json"), "The deck")
    text = given.strip()
    if text.startswith("{") or "\n" in text:
        return deck_in(text, "The deck", is_json=text.startswith("{"))
    file = given_path(text)
    return deck_of_picture(store, file) if file.suffix.lower() == ".png" else read_deck(file)


def source_of(given: str | DeckSpec | None) -> str | None:
    """The absolute path of the file that a deck was given as, or None."""
    if not isinstance(given, str) or given.strip().startswith("{") or "\n" in given.strip():
        return None
    return str(given_path(given.strip()).absolute())


def _default_loras(store: Store, base_model: str | None) -> tuple[list[LoraUse], str]:
    loras = default_loras(store, base_model)
    if not loras:
        return [], "There is no LoRA yet, so the base model draws alone; start_training makes one."
    names = " and ".join(called(lora) for lora in loras)
    which = "newest" if not loras[0].active else "active"
    words = f"Drawn with the {which} LoRA{'s' * (len(loras) > 1)}, {names}; name others with loras=[...]."
    return [LoraUse(lora_id=lora.id, strength=lora.strength) for lora in loras], words


def _by_id(looks: list[Look]) -> list[LoraUse]:
    """The same LoRAs named by their ids, so that a deck stays with the version it was drawn with."""
    return [LoraUse(lora_id=look.lora_id, strength=look.strength) for look in looks]


def looks_of(store: Store, uses: list[LoraUse]) -> list[Look]:
    """The LoRAs asked for. Raises NotFound, or Refused for one whose file is gone or another one."""
    return [look_of(find_lora(store, use.lora_id), use.strength) for use in uses]


def look_of(lora: LoraRecord, strength: float) -> Look:
    """A LoRA as a deck uses it. Raises Refused when its file is gone or another one."""
    require_whole(lora)
    return Look(lora.id, lora.sha256, lora.base_model, strength, lora.trigger)
