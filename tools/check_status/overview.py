"""Everything at a glance, newest first, and the one call that brings it on: for a chat that knows no ids."""

from __future__ import annotations

from typing import Any, TypeVar

from loradeck.state.records import (
    CaptionRecord,
    DatasetRecord,
    DeckRecord,
    ImageRecord,
    LoraRecord,
    ReportRecord,
    RunRecord,
    VisualRecord,
)
from loradeck.state.runs import ACTIVE
from loradeck.state.store import Store
from loradeck.tools.contracts import CheckStatusResult, Glance, ImageStatus, RunKind, RunState
from loradeck.tools.errors import BadArgument
from loradeck.tools.run_lookup import resume_call

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
    return CheckStatusResult(summary=summary, next_step=_next_step(store), overview=rows, page=page, pages=pages)


def _page(store: Store, kind: type[Row], page: int) -> list[Row]:
    """The rows of one kind that a page shows."""
    return store.where(kind, THERE.get(kind, "1 = 1"), order=NEWEST, limit=EACH, offset=(page - 1) * EACH)


def _datasets(store: Store, page: int) -> list[Glance]:
    return [
        Glance(
            kind="dataset",
            id=dataset.id,
            name=dataset.name,
            state=_stage(store, dataset),
            about=_set(store, dataset),
            updated_at=dataset.updated_at,
        )
        for dataset in _page(store, DatasetRecord, page)
    ]


def _counts(store: Store, dataset: DatasetRecord) -> tuple[int, int]:
    """Kept images, and how many of them have a caption."""
    kept = store.count(ImageRecord, "dataset_id = ? and status = ?", [dataset.id, ImageStatus.KEPT])
    held = "dataset_id = ? and image_id in (select id from images where status = ?)"
    return kept, store.count(CaptionRecord, held, [dataset.id, ImageStatus.KEPT])


def _set(store: Store, dataset: DatasetRecord) -> str:
    kept, captioned = _counts(store, dataset)
    trigger = f"trigger {dataset.trigger!r}" if dataset.trigger else "no trigger yet"
    return f"{dataset.profile} for {dataset.target_model}, {kept} images, {captioned} captioned, {trigger}"


def _stage(store: Store, dataset: DatasetRecord) -> str:
    """How far the set has come: empty, curated, captioned, or its last verdict."""
    kept, captioned = _counts(store, dataset)
    if kept == 0:
        return "empty"
    if captioned < kept:
        return "curated"
    last = store.where(ReportRecord, "dataset_id = ?", [dataset.id], order="created_at desc", limit=1)
    return f"last verdict: {last[0].verdict}" if last else "captioned"


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
            state=f"{store.count(VisualRecord, 'deck_id = ?', [deck.id])} visuals",
            about=f"{len(deck.spec.get('slides', []))} slides",
            updated_at=deck.updated_at,
        )
        for deck in _page(store, DeckRecord, page)
    ]


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


def _next_step(store: Store) -> str:
    """What a person most likely wants next, from the newest thing that is not finished."""
    newest = store.where(RunRecord, order="created_at desc", limit=1)
    if newest and newest[0].state in ACTIVE:
        return f'check_status(run_id="{newest[0].id}", wait_seconds=20) follows the run under way.'
    if newest and newest[0].state == RunState.LOST:
        return f"{resume_call(newest[0])} goes on with the run that was lost."
    datasets = store.where(DatasetRecord, order="updated_at desc", limit=1)
    if not datasets:
        return 'curate_dataset(source="/path/to/a/folder/of/images", name=..., trigger=...) makes the first dataset.'
    return _next_for(store, datasets[0])


def _next_for(store: Store, dataset: DatasetRecord) -> str:
    """The step that a dataset waits for."""
    stage = _stage(store, dataset)
    if stage == "empty":
        return f'curate_dataset(dataset_id="{dataset.id}", source=...) fills the dataset.'
    if stage == "curated":
        return f'view_images(of="{dataset.id}"), then write_captions(dataset_id="{dataset.id}", images=[...]).'
    if stage in {"captioned", "last verdict: fail"}:
        return f'validate_coverage(dataset_id="{dataset.id}") says what is still missing.'
    loras = store.where(LoraRecord, "dataset_id = ? and deleted_at is null", [dataset.id], order="created_at desc")
    if not loras:
        return f'start_training(dataset_id="{dataset.id}") trains it.'
    drawn = store.count(RunRecord, "kind = ?", [RunKind.RENDER])
    what = "renders more of it" if drawn else "puts it into a deck"
    return f'render_deck_visuals(deck=..., loras=[{{"lora_id": "{loras[0].id}"}}]) {what}.'
