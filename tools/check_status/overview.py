"""Everything at a glance, newest first, and the one call that brings it on: for a chat that knows no ids."""

from __future__ import annotations

from typing import Any, TypeVar

from loradeck.state.records import DatasetRecord, DeckRecord, LoraRecord, RunRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.advice import next_step
from loradeck.tools.check_status.standing import Standing, standing
from loradeck.tools.contracts import CheckStatusResult, Glance
from loradeck.tools.errors import BadArgument
from loradeck.tools.render_deck_visuals.stale import stale

EACH = 12
"""Rows of each kind on a page, so that no kind crowds out another; the four together stay under fifty."""
NEWEST = "updated_at desc, rowid desc"
KINDS: dict[str, type[Any]] = {"dataset": DatasetRecord, "run": RunRecord, "LoRA": LoraRecord, "deck": DeckRecord}
THERE: dict[type[Any], str] = {LoraRecord: "deleted_at is null"}
Row = TypeVar("Row", DatasetRecord, RunRecord, LoraRecord, DeckRecord)


def overview(store: Store, page: int = 1) -> CheckStatusResult:
    """One page of the datasets, runs, LoRAs and decks, newest first. Raises BadArgument beyond the last page."""
    counts = {name: store.count(kind, THERE.get(kind, "1 = 1")) for name, kind in KINDS.items()}
    pages = max(1, -(-max(counts.values()) // EACH))
    if page > pages:
        raise BadArgument(f"There is no page {page}; the last page is {pages}.")
    rows = [*_datasets(store, page), *_runs(store, page), *_loras(store, page), *_decks(store, page)]
    rows.sort(key=lambda row: row.updated_at, reverse=True)
    summary = _summary(store, counts) + _more(counts, page, pages)
    return CheckStatusResult(summary=summary, next_step=next_step(store), overview=rows, page=page, pages=pages)


def _page(store: Store, kind: type[Row], page: int) -> list[Row]:
    """The rows of one kind that a page shows."""
    return store.where(kind, THERE.get(kind, "1 = 1"), order=NEWEST, limit=EACH, offset=(page - 1) * EACH)


def _datasets(store: Store, page: int) -> list[Glance]:
    rows = [(dataset, standing(store, dataset)) for dataset in _page(store, DatasetRecord, page)]
    return [
        Glance(
            kind="dataset",
            id=dataset.id,
            name=dataset.name,
            state=str(now),
            about=_about(dataset, now),
            updated_at=dataset.updated_at,
        )
        for dataset, now in rows
    ]


def _about(dataset: DatasetRecord, now: Standing) -> str:
    trigger = f"trigger {dataset.trigger!r}" if dataset.trigger else "no trigger yet"
    return f"{dataset.profile} for {dataset.target_model}, {now.kept} images, {now.captioned} captioned, {trigger}"


def _runs(store: Store, page: int) -> list[Glance]:
    return [
        Glance(
            kind="run",
            id=run.id,
            name=run.name,
            state=run.state,
            about=f"{run.kind}, step {run.step} of {run.steps}" if run.steps else run.kind,
            updated_at=run.updated_at,
        )
        for run in _page(store, RunRecord, page)
    ]


def _loras(store: Store, page: int) -> list[Glance]:
    return [
        Glance(
            kind="lora",
            id=lora.id,
            name=f"{lora.name}-v{lora.version}",
            state="active" if lora.active else "ready",
            about=f"on {lora.base_model}, trigger {lora.trigger!r}" if lora.trigger else f"on {lora.base_model}",
            updated_at=lora.updated_at,
        )
        for lora in _page(store, LoraRecord, page)
    ]


def _decks(store: Store, page: int) -> list[Glance]:
    return [
        Glance(
            kind="deck",
            id=deck.id,
            name=deck.title,
            state=_deck_state(store, deck),
            about=f"{len(deck.spec.get('slides', []))} slides",
            updated_at=deck.updated_at,
        )
        for deck in _page(store, DeckRecord, page)
    ]


def _deck_state(store: Store, deck: DeckRecord) -> str:
    """How many pictures it has, and how many of those shown a newer LoRA would change."""
    rows = store.where(VisualRecord, "deck_id = ?", [deck.id])
    outdated = stale(store, {row.slide: row for row in rows if row.picked})
    return f"{len(rows)} visuals" + (f", {len(outdated)} stale" if outdated else "")


def _summary(store: Store, counts: dict[str, int]) -> str:
    if not any(counts.values()):
        return "The workspace is empty: no dataset, run, LoRA or deck yet. Everything starts with a folder of images."
    said = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts.items())
    busy = store.count(RunRecord, "state in ('queued', 'preparing', 'running', 'paused')")
    return f"The workspace holds {said}. " + (
        f"{busy} run{'s' * (busy != 1)} under way." if busy else "Nothing runs now."
    )


def _more(counts: dict[str, int], page: int, pages: int) -> str:
    """What this page does not show, and the call that does."""
    if pages == 1:
        return ""
    here = {name: min(EACH, max(0, count - (page - 1) * EACH)) for name, count in counts.items()}
    said = ", ".join(f"{here[name]} of {count} {name}s" for name, count in counts.items() if here[name] < count)
    return f" Page {page} of {pages} shows {said}" + (f"; page={page + 1} shows more." if page < pages else ".")
