"""Where a LoRA came from and what became of it: dataset, run, parents, children, decks, repositories, its file."""

from __future__ import annotations

from collections.abc import Iterator

from loradeck.state.records import DatasetRecord, LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.datasets import kept_images
from loradeck.tools.leaving import CHECKPOINT_OF, EXPORT_OF
from loradeck.tools.library import SOURCE, called, trouble, weights
from loradeck.tools.manage_loras.publishing import PUBLISHED
from loradeck.tools.manage_loras.trash import decks_with


def origin(store: Store, lora: LoraRecord) -> str:
    """One sentence on what it was made from."""
    if SOURCE in lora.meta:
        return f"It was imported from {lora.meta[SOURCE]}{_made_here(store, lora)}."
    dataset = store.find(DatasetRecord, lora.dataset_id) if lora.dataset_id else None
    run = store.find(RunRecord, lora.run_id) if lora.run_id else None
    what = f" {dataset.name!r} ({dataset.id}, {len(kept_images(store, dataset.id))} images now)" if dataset else ""
    images = (run.spec.get("plan") or {}).get("images") if run is not None else None
    count = f" on {images} images of" if images else " on"
    by = f" by {run.id} at {run.engine}" if run is not None else ""
    steps = f" in {lora.steps} steps" if lora.steps else ""
    return f"It was trained{count}{what or ' a dataset that is gone'}{steps}{by}."


def _made_here(store: Store, lora: LoraRecord) -> str:
    """The end of a sentence, for an imported file that loradeck wrote itself."""
    if run_id := lora.meta.get(CHECKPOINT_OF):
        return f", a checkpoint of {run_id}"
    exported = store.find(LoraRecord, lora.meta[EXPORT_OF]) if EXPORT_OF in lora.meta else None
    return f", an export of {called(exported)}" if exported is not None else ""


def family(store: Store, lora: LoraRecord) -> Iterator[str]:
    """Further sentences, one a fact."""
    if parents := list(_parents(store, lora)):
        yield f"It goes on from {', which goes on from '.join(parents)}."
    children = store.where(LoraRecord, "parent_lora_id = ?", [lora.id], order="created_at")
    if children:
        yield f"Trained further as {', '.join(called(child) for child in children)}."
    decks = decks_with(store, lora)
    yield f"Decks drawn with it: {', '.join(decks)}." if decks else "No deck is drawn with it."
    for repository, noted in lora.meta.get(PUBLISHED, {}).items():
        if sent := noted.get("sent"):
            yield f"Published to the private repository {repository} on {sent[:10]}."
    if found := trouble(lora):
        yield f"Its file {found[1]}: {found[0]}."
    elif len(weights(lora)) > 1:
        yield "Its two files are whole: their hashes are as they came."
    else:
        yield "Its file is whole: its hash is as it came."
    if lora.deleted_at is not None:
        yield f'It is deleted; manage_loras(action="restore", lora_id="{lora.id}") brings it back.'


def _parents(store: Store, lora: LoraRecord) -> Iterator[str]:
    """The LoRAs that it goes on from, nearest first."""
    seen = {lora.id}
    while lora.parent_lora_id and lora.parent_lora_id not in seen:
        parent = store.find(LoraRecord, lora.parent_lora_id)
        if parent is None:
            yield f"{lora.parent_lora_id}, which is gone"
            return
        seen.add(parent.id)
        yield called(parent)
        lora = parent
