"""What a caller means by an id or a name, of whatever kind the thing is."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from loradeck.state.records import DatasetRecord, DeckRecord, LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.datasets import find_dataset
from loradeck.tools.errors import NotFound
from loradeck.tools.library import find_lora, safe_name
from loradeck.tools.render_deck_visuals.gallery import find_deck
from loradeck.tools.run_lookup import find_run

Thing = DatasetRecord | DeckRecord | LoraRecord | RunRecord
Finder = Callable[[Store, str], Thing]
FINDERS: dict[str, Finder] = {"ds": find_dataset, "deck": find_deck, "lora": find_lora, "run": find_run}
"""By the prefix of their ids; names are tried in this order."""
NAMED = """
select 1 as rank, id, name, created_at from datasets
union all select 2, id, title, created_at from decks
union all select 3, id, name, created_at from loras where deleted_at is null
union all select 4, id, name, created_at from runs where name <> ''
"""
MOST_COMPARED = 500
"""Names that an unknown one is compared with."""


def find_thing(store: Store, ref: str, first: Sequence[Finder] = ()) -> Thing:
    """The thing of an id, else the first of that name: of the kinds in `first`, then dataset, deck, LoRA, run.

    Raises NotFound with the nearest ids or names.
    """
    wanted = ref.strip()
    own = FINDERS.get(wanted.partition("_")[0])
    by_id = _tried(own, store, wanted) if own else None
    if by_id is not None and by_id.id == wanted:
        return by_id
    for find in (*first, *FINDERS.values()):
        thing = _tried(find, store, wanted)
        if thing is not None:
            return thing
    if own is not None:
        return own(store, wanted)
    raise NotFound(_nothing_called(store, wanted))


def namesakes(store: Store, thing: Thing, ref: str) -> list[str]:
    """Ids of other things that are called what the thing was called by; none where that was its id."""
    wanted = ref.strip()
    if thing.id == wanted:
        return []
    query = f"select id from ({NAMED}) where lower(name) in (lower(?), ?) and id <> ? order by rank, created_at desc"  # noqa: S608
    return [str(row["id"]) for row in store.read(query, [wanted, safe_name(wanted), thing.id])]


def _tried(find: Finder, store: Store, ref: str) -> Thing | None:
    try:
        return find(store, ref)
    except NotFound:
        return None


def _nothing_called(store: Store, wanted: str) -> str:
    query = f"select id, name from ({NAMED}) order by rank, created_at desc limit {MOST_COMPARED}"  # noqa: S608
    ids: dict[str, str] = {}
    for row in store.read(query):
        ids.setdefault(str(row["name"]), str(row["id"]))
    if not ids:
        return f"Nothing is called {wanted!r}, for there is nothing yet; curate_dataset(source=...) makes a dataset."
    near = difflib.get_close_matches(wanted, ids, n=3, cutoff=0.0)
    return (
        f"No dataset, deck, LoRA or run is called {wanted!r}; the nearest are "
        f"{', '.join(f'{name!r} ({ids[name]})' for name in near)}. "
        "check_status without a run_id lists them all, in pages."
    )
