"""Pictures that a retrained LoRA would change: those drawn with one of which there is a newer version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from loradeck.state.records import LoraRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.library import library


def stale(store: Store, shown: Mapping[str, VisualRecord]) -> dict[str, LoraRecord]:
    """By the key of a frame, the newest version of a LoRA that its shown picture was drawn with in an older one.

    A newer version has the same name and base, or was trained on from the older one. Missing keys are up to date.
    """
    there = library(store)
    newest: dict[str, LoraRecord | None] = {}
    found: dict[str, LoraRecord] = {}
    for key, row in shown.items():
        for lora_id in _loras(row):
            if lora_id not in newest:
                newest[lora_id] = _newest_after(store.find(LoraRecord, lora_id), there)
            newer = newest[lora_id]
            if newer is not None:
                found[key] = newer
    return found


def told(deck_id: str, outdated: Mapping[str, LoraRecord]) -> list[str]:
    """A sentence for each newer LoRA: how many of these pictures it would change, and the call that draws them."""
    loras = {lora.id: lora for lora in outdated.values()}
    sentences = []
    for lora_id, count in Counter(lora.id for lora in outdated.values()).items():
        lora, are = loras[lora_id], "picture is" if count == 1 else "pictures are"
        sentences.append(
            f"{count} {are} stale, since {lora.name} v{lora.version} is newer than what drew them: "
            f'render_deck_visuals(deck_id="{deck_id}", loras=[{{"lora_id": "{lora_id}"}}]) draws with it.'
        )
    return sentences


def waiting_for(store: Store, lora: LoraRecord) -> dict[str, int]:
    """The decks that a LoRA would change, by id: how many of their shown pictures were drawn with an older version."""
    counts: dict[str, int] = {}
    shown: dict[str, dict[str, VisualRecord]] = {}
    for row in store.where(VisualRecord, "picked = 1"):
        shown.setdefault(row.deck_id, {})[row.slide] = row
    for deck_id, rows in shown.items():
        count = sum(newer.id == lora.id for newer in stale(store, rows).values())
        if count:
            counts[deck_id] = count
    return counts


def _newest_after(lora: LoraRecord | None, there: list[LoraRecord]) -> LoraRecord | None:
    """The newest LoRA that came out of this one, or None."""
    if lora is None:
        return None
    line, last = {lora.id}, None
    for one in sorted(there, key=lambda one: (one.created_at, one.version)):
        again = (one.name, one.base_model) == (lora.name, lora.base_model) and one.version > lora.version
        if again or (one.parent_lora_id in line and one.base_model == lora.base_model):
            line.add(one.id)
            last = one if one.sha256 != lora.sha256 else last
    return last


def _loras(row: VisualRecord) -> list[str]:
    return [str(use["lora_id"]) for use in row.meta.get("loras", [])]
