"""Text that several images of a set carry at one place belongs to none of their scenes: a watermark (IMG-TEXT)."""

from __future__ import annotations

from typing import Any

from loradeck.state.records import DatasetRecord, ImageRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import ImageStatus, Profile
from loradeck.tools.datasets import kept_images, place_for
from loradeck.tools.facts import letterings, with_the_same_text


def set_aside_repeated(store: Store, dataset: DatasetRecord) -> int:
    """Reject the kept images that carry the same text as others, unless they were kept on purpose; returns how many."""
    if dataset.profile == Profile.LOGO:
        return 0
    images = {image.id: image for image in kept_images(store, dataset.id)}
    alike = with_the_same_text(list(images.values()))
    marked = [image for image in images.values() if image.id in alike or image.facts.get("mark")]
    fresh = [image for image in marked if not any(reason["rule_id"] == "IMG-TEXT" for reason in image.reasons)]
    with store.transaction():
        for image in fresh:
            store.change(ImageRecord, image.id, **_rejected(image))
    return len(fresh)


def _rejected(image: ImageRecord) -> dict[str, Any]:
    words = image.facts.get("mark") or next((line.words for line in letterings(image) if line.words), "")
    reason = {"rule_id": "IMG-TEXT", "why": f"It carries the same text at the same place as others do: {words!r}."}
    status = ImageStatus.REJECTED
    return {"status": str(status), "file": place_for(image.file, status), "reasons": [*image.reasons, reason]}
