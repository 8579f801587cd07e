"""Images that may not leave this machine stay here (IMG-RIGHTS), and so do files of them and what learned from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from loradeck.engines.base import Engine
from loradeck.state.records import CheckpointRecord, DeckRecord, ImageRecord, LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.datasets import images_of_run
from loradeck.tools.errors import Refused

MOST_NUMBERS = 12
EXPORT_OF, CHECKPOINT_OF = "export_of", "checkpoint_of"
"""In the `meta` of a LoRA whose file loradeck wrote itself: the LoRA that was exported, the run that left it."""


def must_not_leave(engine: Engine, images: Sequence[ImageRecord]) -> None:
    """Raises Refused (IMG-RIGHTS) where an engine elsewhere would get an image that is marked as not to leave."""
    staying = [str(image.number) for image in images if image.rights.get("may_leave") is False]
    if staying and engine.capabilities.leaves_machine:
        raise Refused(
            f"IMG-RIGHTS: {len(staying)} of the images may not leave this machine (numbers "
            f"{', '.join(staying[:MOST_NUMBERS])}), and {engine.name} is elsewhere; nothing was sent. Use "
            "engine=local, reject these images, or record other rights with curate_dataset."
        )


def files_must_not_leave(store: Store, engine: Engine, hashes: Iterable[str], what: str) -> None:
    """Raises Refused (IMG-RIGHTS) where a file that an engine elsewhere would get is an image that may not leave.

    `hashes` are SHA-256 of the files' bytes, `what` names the files.
    """
    if not engine.capabilities.leaves_machine:
        return
    count = _staying(store, hashes)
    if count:
        raise Refused(
            f"IMG-RIGHTS: {what}: {count} of the images are marked as not to leave this machine, and {engine.name} is "
            "elsewhere; nothing was sent. Use engine=local, choose others, or record other rights with curate_dataset."
        )


def references_must_not_leave(store: Store, engine: Engine, hashes: Iterable[str]) -> None:
    """Raises Refused (IMG-RIGHTS) where what is seen in references, told by SHA-256, is an image that may not leave.

    Copies that decks cut out before such files told what they were made from are known by what the decks say of them.
    """
    if not engine.capabilities.leaves_machine:
        return
    seen = set(hashes)
    kept = [one for deck in store.where(DeckRecord) for one in _kept_by(deck)]
    seen |= {one["original"] for one in kept if one["sha256"] in seen and one.get("original")}
    files_must_not_leave(store, engine, seen, "references")


def _kept_by(deck: DeckRecord) -> list[dict[str, Any]]:
    """The references of a deck and of its slides, as its record tells them."""
    styles = [deck.settings, *deck.settings.get("slides", {}).values()]
    return [one for style in styles for one in style.get("references") or []]


def _staying(store: Store, hashes: Iterable[str]) -> int:
    """How many images that may not leave these hashes are of, by their originals or by their copies of today."""
    asked = set(hashes)
    staying = store.where(ImageRecord, "rights like '%may_leave%'")
    return len(
        {
            image.sha256
            for image in staying
            if image.rights.get("may_leave") is False and not asked.isdisjoint({image.sha256, image.copy_sha256})
        }
    )


def may_be_published(store: Store, lora: LoraRecord) -> None:
    """Raises Refused (IMG-RIGHTS) where a LoRA, or one that it goes on from, learned images that may not leave."""
    count = _staying(store, _learned(store, lora))
    if count:
        raise Refused(
            f"IMG-RIGHTS: {lora.name} v{lora.version} learned from {count} images that are marked as not to leave this "
            "machine, so it is not published and nothing was sent; record other rights with curate_dataset(rights=...) "
            "if they have changed, or export it to a folder."
        )


def loras_must_not_leave(store: Store, engine: Engine, loras: Iterable[LoraRecord]) -> None:
    """Raises Refused (IMG-RIGHTS) where a LoRA, or one that it goes on from, learned images that may not leave."""
    for lora in loras:
        files_must_not_leave(store, engine, _learned(store, lora), f"what {lora.name} v{lora.version} learned from")


def _learned(store: Store, lora: LoraRecord) -> set[str]:
    """SHA-256 of the images that a LoRA saw, as far as they are known here."""
    found: set[str] = set()
    following: LoraRecord | None = lora
    while following is not None:
        run_id = following.run_id or following.meta.get(CHECKPOINT_OF)
        run = store.find(RunRecord, run_id) if run_id else None
        found |= learned_in(store, run) if run is not None else set()
        before = following.parent_lora_id or following.meta.get(EXPORT_OF)
        following = store.find(LoraRecord, before) if before else None
    return found


def learned_in(store: Store, run: RunRecord) -> set[str]:
    """SHA-256 of the copies that a training was given and of their originals; copies are made anew, originals stay."""
    return {pair["image"] for pair in run.spec.get("pairs") or []} | {
        image.sha256 for image in images_of_run(store, run)
    }


def made_here(store: Store, digest: str) -> dict[str, Any]:
    """For the `meta` of an imported LoRA: the LoRA that its file was exported from, or the run whose checkpoint it is.

    `digest` is the file's SHA-256. Empty for a file that loradeck did not write.
    """
    exported = store.where(LoraRecord, "meta like ?", [f'%"{digest}"%'], order="rowid", limit=1)
    if exported:
        return {EXPORT_OF: exported[0].id}
    left = store.where(CheckpointRecord, "sha256 = ?", [digest], limit=1)
    return {CHECKPOINT_OF: left[0].run_id} if left else {}
