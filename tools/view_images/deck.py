"""A deck to look at: the shown take of every slide on sheets, or single slides large."""

from __future__ import annotations

from pathlib import Path

from loradeck.state.records import DeckRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec, Finding
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.pictures.sheet import Shape, Tile, contact_sheet
from loradeck.tools.render_deck_visuals import gallery, looks, stale
from loradeck.tools.render_deck_visuals.frames import frames, slide_of
from loradeck.tools.spec import Pictures
from loradeck.tools.view_images.answer import jpegs, large, noted, paged, pieces

SHEET = Shape(columns=3, cell=(244, 138), gap=8, text=13)
A_SHEET = 12
A_PAGE = 24


def show_deck(store: Store, deck: DeckRecord, what: str, refs: list[str] | None, page: int) -> Pictures:
    """The pictures that are asked for. Raises NotFound before there are any."""
    if what not in {"deck", "image"}:
        raise BadArgument(f"A deck has no {what}; its views are deck and image.")
    if refs:
        return _slides(store, deck, refs)
    shown = gallery.shown(store, deck.id)
    wanted = frames(DeckSpec.model_validate(deck.spec))
    rows = [(number, shown[frame.key]) for number, frame in enumerate(wanted, 1) if frame.key in shown]
    if not rows:
        raise NotFound(f'{deck.title} has no pictures yet; render_deck_visuals(deck_id="{deck.id}") draws them.')
    here, pages = paged(rows, page, A_PAGE)
    title = f"{deck.title}: {len(rows)} of {len(wanted)} pictures, page {page} of {pages}"
    sheets = [
        contact_sheet(
            [Tile(Path(row.path), number, row.slide, flag=_flag(row)) for number, row in part],
            title=title,
            shape=SHEET,
        )
        for part in pieces(here, A_SHEET)
    ]
    listed = "; ".join(f"{number} {row.slide}{_findings(row)}" for number, row in here)
    outdated = stale.told(deck.id, stale.stale(store, shown))
    words = " ".join([f"{title}. {deck.id}: {listed}. Files: {store.workspace.deck(deck.id)}.", *outdated])
    return Pictures(noted(store, words, (row.run_id for _, row in here)), jpegs(sheets))


def _slides(store: Store, deck: DeckRecord, refs: list[str]) -> Pictures:
    """Single slides by name, number on the sheet or visual id; a slide with several takes shows them all."""
    keys = [frame.key for frame in frames(DeckSpec.model_validate(deck.spec))]
    numbers = {str(number): key for number, key in enumerate(keys, 1)}
    wanted = {numbers.get(ref, ref) for ref in refs}
    rows = [row for row in gallery.there(store, deck.id) if {row.slide, slide_of(row.slide), row.id} & wanted][:12]
    if not rows:
        names = ", ".join(keys)
        raise NotFound(f"{deck.title} has no picture of {', '.join(refs)}; its slides are: {names}.")
    pictures = [
        large(Path(row.path), f"{row.slide}, take {row.take}{' (shown)' * row.picked}, seed {row.seed}") for row in rows
    ]
    listed = "; ".join(f"{row.slide} take {row.take} ({row.id}){_findings(row)}: {row.prompt}" for row in rows)
    words = f"{deck.title}: {listed.rstrip('.')}."
    return Pictures(noted(store, words, (row.run_id for row in rows)), jpegs(pictures))


def _flag(row: VisualRecord) -> str:
    """What a machine found wrong with a picture, in a few words."""
    return looks.short([Finding.model_validate(one) for one in row.findings])


def _findings(row: VisualRecord) -> str:
    rules = ", ".join(str(finding["rule_id"]) for finding in row.findings)
    return f" ({rules})" if rules else ""
