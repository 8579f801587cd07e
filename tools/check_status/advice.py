"""What a chat that knows no ids does next: follow what runs, go on with what was lost, bring on the newest dataset."""

from __future__ import annotations

from loradeck.state.records import DatasetRecord, ImageRecord, LoraRecord, RunRecord
from loradeck.state.runs import ACTIVE
from loradeck.state.store import Store
from loradeck.tools.check_status.standing import Standing, standing
from loradeck.tools.contracts import ImageStatus, RunKind
from loradeck.tools.run_lookup import resume_call

LOST = """state = 'lost' and not exists (
  select 1 from runs as later where later.rowid > runs.rowid and later.state = 'succeeded' and later.kind = runs.kind
  and later.dataset_id is runs.dataset_id and later.deck_id is runs.deck_id
)"""
"""Lost runs, but those whose work a later run has done."""
NAMED = 3
"""Further runs that are named beside the first."""


def next_step(store: Store) -> str:
    """The one call that brings things on, and where a run was lost what else there is to do."""
    newest = "created_at desc, rowid desc"
    active = store.where(RunRecord, f"state in ({', '.join('?' for _ in ACTIVE)})", ACTIVE, order=newest)
    if active:
        further = _further("Under way too", active[1:])
        return f'check_status(run_id="{active[0].id}", wait_seconds=20) follows the run under way.{further}'
    sets = _next_of_the_sets(store)
    lost = store.where(RunRecord, LOST, order=newest)
    if lost:
        first, further = lost[0], _further("Lost too", lost[1:])
        return f"The {first.kind} run {first.id} was lost; to go on: {resume_call(first)}.{further} Else: {sets}"
    return sets


def _further(what: str, rest: list[RunRecord]) -> str:
    """The other runs of a kind, by id; the first few and how many more."""
    if not rest:
        return ""
    more = f" and {len(rest) - NAMED} more" if len(rest) > NAMED else ""
    return f" {what}: {', '.join(run.id for run in rest[:NAMED])}{more}."


def _next_of_the_sets(store: Store) -> str:
    newest = store.where(DatasetRecord, order="updated_at desc", limit=1)
    if not newest:
        return 'curate_dataset(source="/path/to/a/folder/of/images", name=..., trigger=...) makes the first dataset.'
    return _next_for(store, newest[0])


def _next_for(store: Store, dataset: DatasetRecord) -> str:
    """The step that a dataset waits for."""
    now = standing(store, dataset)
    proposed = store.count(ImageRecord, "dataset_id = ? and status = ?", [dataset.id, ImageStatus.PROPOSED])
    if proposed:
        return (
            f'view_images(of="{dataset.id}") shows what is proposed ({proposed}); then curate_dataset('
            f'dataset_id="{dataset.id}", keep=[...], reject=[...]).'
        )
    if now.kept == 0:
        return f'curate_dataset(dataset_id="{dataset.id}", source=...) fills the dataset.'
    if not now.complete:
        return f'view_images(of="{dataset.id}"), then write_captions(dataset_id="{dataset.id}", images=[...]).'
    loras = store.where(
        LoraRecord, "dataset_id = ? and deleted_at is null", [dataset.id], order="created_at desc, rowid desc", limit=1
    )
    return _next_with(store, dataset, now, loras[0] if loras else None)


def _next_with(store: Store, dataset: DatasetRecord, now: Standing, lora: LoraRecord | None) -> str:
    """The step that a captioned dataset waits for, with its newest LoRA."""
    if lora is not None and lora.fingerprint in {None, now.fingerprint}:
        drawn = store.count(RunRecord, "kind = ?", [RunKind.RENDER])
        what = "renders more of it" if drawn else "puts it into a deck"
        return f'render_deck_visuals(deck=..., loras=[{{"lora_id": "{lora.id}"}}]) {what}.'
    train = f'start_training(dataset_id="{dataset.id}") trains it.'
    if lora is not None and lora.base_model == dataset.target_model:
        train = (
            f'start_training(dataset_id="{dataset.id}", continue_from="{lora.id}") trains {lora.name} v{lora.version} '
            "further on the set as it is now."
        )
    if now.passed:
        return train
    judge = f'validate_coverage(dataset_id="{dataset.id}") says what is still missing'
    return f"{judge}; then {train}" if lora is not None else f"{judge}."
