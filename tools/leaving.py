"""Images that may not leave this machine stay here (IMG-RIGHTS), and so do files of them and what learned from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from loradeck.engines.base import Engine
from loradeck.state.records import DeckRecord, ImageRecord, LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.errors import Refused

MOST_NUMBERS = 12


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
    """How many of these hashes are of images that may not leave."""
    staying = {
        digest
        for image in store.where(ImageRecord, "rights like '%may_leave%'")
        if image.rights.get("may_leave") is False
        for digest in (image.sha256, image.copy_sha256)
        if digest is not None
    }
    return len(staying.intersection(hashes))


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
        run = store.find(RunRecord, following.run_id) if following.run_id else None
        found |= {pair["image"] for pair in (run.spec.get("pairs") or [] if run is not None else [])}
        following = store.find(LoraRecord, following.parent_lora_id) if following.parent_lora_id else None
    return found
