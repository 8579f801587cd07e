"""A deck that another tool's call names: by its id, its title, or the file it is in."""

from __future__ import annotations

from loradeck.state.records import DeckRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec
from loradeck.tools.given_path import given_path
from loradeck.tools.render_deck_visuals.gallery import find_deck


def named_deck(store: Store, ref: str) -> tuple[DeckSpec, DeckRecord | None]:
    """The deck, and its record where it is not a file's. Raises NotFound or BadArgument."""
    from loradeck.tools.render_deck_visuals.deck_file import SUFFIXES, read_deck

    if ref.strip().lower().endswith(SUFFIXES):
        return read_deck(given_path(ref.strip())), None
    record = find_deck(store, ref)
    return DeckSpec.model_validate(record.spec), record
