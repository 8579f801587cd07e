"""The pictures that a deck has: rows and files, which take of a slide is shown, and what drawing them added."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from loradeck.state.files import new_id, sha256_file
from loradeck.state.records import DeckRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import Pick
from loradeck.tools.errors import NotFound
from loradeck.tools.render_deck_visuals.frames import Frame
from loradeck.tools.render_deck_visuals.plan import Visual


def find_deck(store: Store, ref: str) -> DeckRecord:
    """The deck of an id or of a title (the newest of that title). Raises NotFound with those that there are."""
    rows = store.where(
        DeckRecord, "id = ? or lower(title) = lower(?)", [ref.strip(), ref.strip()], order="created_at desc"
    )
    if rows:
        return rows[0]
    newest = store.where(DeckRecord, order="created_at desc", limit=3)
    if not newest:
        raise NotFound(f"There is no deck {ref!r} yet; make one with render_deck_visuals(deck=...).")
    names = ", ".join(f"{deck.id} ({deck.title})" for deck in newest)
    raise NotFound(
        f"There is no deck {ref!r}; the newest are {names}. check_status without a run_id lists them all, in pages."
    )


def place(store: Store, deck_id: str, visual: Visual) -> Path:
    """Where a picture is drawn: a file a recipe, so that no drawing ever replaces another."""
    return store.workspace.deck(deck_id) / "takes" / f"{visual.stem}-{visual.recipe[:12]}.png"


def public(store: Store, deck_id: str, frame: Frame) -> Path:
    """The file under which a frame's shown take is known: 01_cover.png in the deck's folder."""
    return store.workspace.deck(deck_id) / f"{frame.stem}.png"


def there(store: Store, deck_id: str) -> list[VisualRecord]:
    """Every take whose file is there, by slide and take."""
    rows = store.where(VisualRecord, "deck_id = ?", [deck_id], order="slide, take")
    return [row for row in rows if Path(row.path).is_file()]


def shown(store: Store, deck_id: str) -> dict[str, VisualRecord]:
    """The take that stands in the deck, by the key of its frame."""
    return {row.slide: row for row in there(store, deck_id) if row.picked}


def record_drawn(store: Store, deck_id: str, run_id: str, visuals: Iterable[Visual]) -> list[VisualRecord]:
    """Write a row for each of the pictures that is on the disk by now; told twice, it changes nothing."""
    for visual in visuals:
        path = place(store, deck_id, visual)
        if not path.is_file():
            continue
        with store.transaction():
            mine = store.where(VisualRecord, "deck_id = ? and slide = ?", [deck_id, visual.slide])
            same = next((row for row in mine if row.recipe == visual.recipe), None)
            if same is not None:
                store.change(VisualRecord, same.id, path=str(path), sha256=sha256_file(path))
                continue
            store.add(_row(deck_id, run_id, visual, path, 1 + max((row.take for row in mine), default=0)))
    return there(store, deck_id)


def show_recipe(store: Store, deck_id: str, slide: str, recipe: str) -> None:
    """Let the take of that recipe stand in the deck, where there is one."""
    rows = store.where(VisualRecord, "deck_id = ? and slide = ?", [deck_id, slide])
    if any(row.recipe == recipe for row in rows):
        with store.transaction():
            for row in rows:
                store.change(VisualRecord, row.id, picked=row.recipe == recipe)


def show_take(store: Store, deck_id: str, pick: Pick) -> None:
    """Let the take that a person picked stand in the deck. Raises NotFound with the takes that there are."""
    rows = [row for row in there(store, deck_id) if row.slide == pick.slide]
    chosen = next((row for row in rows if row.take == pick.take), None)
    if chosen is None:
        takes = ", ".join(str(row.take) for row in rows) or "none"
        raise NotFound(f"Slide {pick.slide} has no take {pick.take}; its takes are: {takes}.")
    show_recipe(store, deck_id, pick.slide, chosen.recipe)


def _row(deck_id: str, run_id: str, visual: Visual, path: Path, take: int) -> VisualRecord:
    brush = visual.brush
    return VisualRecord(
        id=new_id("vis"),
        deck_id=deck_id,
        slide=visual.slide,
        take=take,
        path=str(path),
        prompt=visual.prompt,
        seed=visual.seed,
        width=visual.width,
        height=visual.height,
        recipe=visual.recipe,
        sha256=sha256_file(path),
        run_id=run_id,
        picked=False,
        meta={
            "engine": brush.engine,
            "base_model": brush.base_model,
            "loras": [{"lora_id": look.lora_id, "strength": look.strength} for look in brush.looks],
            "guidance": brush.guidance,
            "steps": brush.steps,
            "references": [{"file": one.name, "sha256": one.sha256} for one in brush.references],
        },
    )
