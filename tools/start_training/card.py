"""A LoRA's card: what it learned, from what, and which rules were set aside for it. Markdown beside the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loradeck.state.files import write_text
from loradeck.state.records import DatasetRecord, ImageRecord, LoraRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import Waiver
from loradeck.tools.datasets import kept_images


def card_path(lora: LoraRecord) -> Path:
    """Where the card of a LoRA lies."""
    return Path(lora.path).with_suffix(".md")


def write_card(store: Store, lora: LoraRecord, images: int, waived: Sequence[Waiver]) -> Path:
    """Write the card, atomically; returns where it lies. Raises DiskFull, WorkspaceReadOnly or StateError."""
    dataset = store.find(DatasetRecord, lora.dataset_id) if lora.dataset_id else None
    credits = credited(kept_images(store, dataset.id)) if dataset is not None else []
    path = card_path(lora)
    write_text(path, _text(lora, dataset, images, credits, waived))
    return path


def credited(images: Sequence[ImageRecord]) -> list[str]:
    """Sources and licences of a set in lines, each once, the commonest first; what is not recorded is told."""
    counts: dict[str, int] = {}
    for image in images:
        said = [str(image.rights[name]) for name in ("source", "licence", "consent") if image.rights.get(name)]
        line = ", ".join(said) or "not recorded"
        counts[line] = counts.get(line, 0) + 1
    return [f"{line} ({count} images)" for line, count in sorted(counts.items(), key=lambda item: -item[1])]


def _text(
    lora: LoraRecord,
    dataset: DatasetRecord | None,
    images: int,
    credits: Sequence[str],
    waived: Sequence[Waiver],
) -> str:
    about = [
        ("trigger", f"`{lora.trigger}`"),
        ("base model", lora.base_model),
        ("rank", str(lora.rank)),
        ("steps", str(lora.steps)),
        ("trained on", f"{images} images of {dataset.name if dataset else 'a dataset that is gone'}"),
        ("fingerprint of what passed", f"`{lora.fingerprint}`"),
        ("goes on from", lora.parent_lora_id or "nothing"),
        ("SHA-256", f"`{lora.sha256}`"),
    ]
    lines = [f"# {lora.name} v{lora.version}", "", *(f"- {name}: {value}" for name, value in about), ""]
    lines += ["## Images", "", *(f"- {line}" for line in credits or ["not recorded"]), ""]
    lines += ["## Rules set aside", ""]
    lines += [f"- {waiver.rule_id}: {waiver.reason}" for waiver in waived] or ["None: everything held."]
    return "\n".join(lines) + "\n"
