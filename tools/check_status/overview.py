"""Everything at a glance, newest first, and the one call that brings it on: for a chat that knows no ids."""

from __future__ import annotations

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
from loradeck.tools.run_lookup import resume_call

EACH = 8
"""Rows of each kind: an overview, not a listing."""


def overview(store: Store) -> CheckStatusResult:
    """The newest datasets, runs, LoRAs and decks."""
    rows = [*_datasets(store), *_runs(store), *_loras(store), *_decks(store)]
    rows.sort(key=lambda row: row.updated_at, reverse=True)
    return CheckStatusResult(summary=_summary(store), next_step=_next_step(store), overview=rows)


def _datasets(store: Store) -> list[Glance]:
    return [
        Glance(
            kind="dataset",
            id=dataset.id,
            name=dataset.name,
            state=_stage(store, dataset),
            about=_set(store, dataset),
            updated_at=dataset.updated_at,
        )
        for dataset in store.where(DatasetRecord, order="updated_at desc", limit=EACH)
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


def _runs(store: Store) -> list[Glance]:
    return [
        Glance(
            kind="run",
            id=run.id,
            name=run.name,
            state=run.state,
            about=f"{run.kind}, step {run.step} of {run.steps}" if run.steps else run.kind,
            updated_at=run.updated_at,
        )
        for run in store.where(RunRecord, order="updated_at desc", limit=EACH)
    ]


def _loras(store: Store) -> list[Glance]:
    return [
        Glance(
            kind="lora",
            id=lora.id,
            name=f"{lora.name}-v{lora.version}",
            state="active" if lora.active else "ready",
            about=f"on {lora.base_model}, trigger {lora.trigger!r}" if lora.trigger else f"on {lora.base_model}",
            updated_at=lora.updated_at,
        )
        for lora in store.where(LoraRecord, "deleted_at is null", order="updated_at desc", limit=EACH)
    ]


def _decks(store: Store) -> list[Glance]:
    return [
        Glance(
            kind="deck",
            id=deck.id,
            name=deck.title,
            state=f"{store.count(VisualRecord, 'deck_id = ?', [deck.id])} visuals",
            about=f"{len(deck.spec.get('slides', []))} slides",
            updated_at=deck.updated_at,
        )
        for deck in store.where(DeckRecord, order="updated_at desc", limit=EACH)
    ]


def _summary(store: Store) -> str:
    kinds = (("dataset", DatasetRecord), ("run", RunRecord), ("LoRA", LoraRecord), ("deck", DeckRecord))
    counts = [
        (name, store.count(kind, "deleted_at is null" if kind is LoraRecord else "1 = 1")) for name, kind in kinds
    ]
    if not any(count for _, count in counts):
        return "The workspace is empty: no dataset, run, LoRA or deck yet. Everything starts with a folder of images."
    said = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in counts)
    busy = store.count(RunRecord, "state in ('queued', 'preparing', 'running', 'paused')")
    return f"The workspace holds {said}. " + (
        f"{busy} run{'s' * (busy != 1)} under way." if busy else "Nothing runs now."
    )


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
