"""check_status without an id: everything can be found, and what it says to do next is what a person wants."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.painter import Painter, bench, trained

from loradeck.state import runs
from loradeck.state.records import DatasetRecord, DeckRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.overview import EACH
from loradeck.tools.check_status.tool import handle
from loradeck.tools.contracts import CheckStatusArgs, CheckStatusResult
from loradeck.tools.errors import BadArgument


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def glance(store: Store, page: int = 1) -> CheckStatusResult:
    """One call without an id."""
    return handle(CheckStatusArgs(page=page), bench(store, Painter()))


# --------------------------------------------------------------------------- pages


def test_everything_is_found_page_by_page_and_each_once(store: Store) -> None:
    for number in range(EACH + 2):
        store.add(DatasetRecord(f"ds_{number:02}", f"set {number}", "style", "preview", 256))
        store.add(DeckRecord(f"deck_{number:02}", f"Deck {number}"))
    trained(store)
    first, second = glance(store), glance(store, 2)
    seen = [row.id for row in (*first.overview, *second.overview)]
    assert len(seen) == len(set(seen)) == 2 * (EACH + 2) + 1
    assert (first.page, first.pages, second.page) == (1, 2, 2)
    assert {row.kind for row in first.overview} == {"dataset", "deck", "lora"}
    assert f"Page 1 of 2 shows {EACH} of {EACH + 2} datasets, {EACH} of {EACH + 2} decks; page=2" in first.summary
    assert "shows more" not in second.summary
    with pytest.raises(BadArgument, match="last page is 2"):
        glance(store, 3)


def test_what_fits_on_one_page_says_nothing_of_pages(store: Store) -> None:
    runs.enqueue(store, "train", {}, name="fluent")
    assert "age" not in glance(store).summary
