"""What changes single images: keep, reject, where they are cut, their grounds, their rights; and undo.

Each change is one step of the dataset's history, with the columns as they were, so that undo gives them back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from loradeck.state.files import now
from loradeck.state.records import DatasetRecord, ImageRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import BackgroundOf, Crop, CropOf, ImageFacts, ImageStatus, RightsOf, as_box
from loradeck.tools.datasets import References, all_images, find_dataset, place_for, resolve_images
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.rulebook.words import tidy

LONGEST_HISTORY = 20
MOST_REMEMBERED = 20_000
"""Rows in all the steps together: four steps that each change 5000 images."""
ASKED = "ASKED"
SOLID = "solid"
"""The ground of an image whose colour is still to be chosen, when its copy is made."""


# --------------------------------------------------------------------------- keep and reject


@dataclass
class Choice:
    """What keep, reject or undo did: how many rows changed, and the images that could not be kept."""

    changed: int = 0
    not_kept: list[str] = field(default_factory=list)


def choose(store: Store, dataset_id: str, keep: Sequence[str], reject: Sequence[str]) -> Choice:
    """Keep and set aside what the references mean, as one step that `undo` takes back.

    Raises NotFound for references that mean nothing, BadArgument for an image that is to be both.
    """
    wanted = resolve_images(store, dataset_id, keep) if keep else []
    unwanted = resolve_images(store, dataset_id, reject) if reject else []
    both = {image.id for image in wanted} & {image.id for image in unwanted}
    if both:
        raise BadArgument(f"keep and reject both name {', '.join(sorted(both))}; name each image in one of them.")
    choice = Choice(not_kept=[image.id for image in wanted if image.copy_sha256 is None])
    after = [_kept(image) for image in wanted if image.copy_sha256 is not None] + [_rejected(one) for one in unwanted]
    choice.changed = _apply(store, dataset_id, after, "keep/reject")
    return choice


def _kept(image: ImageRecord) -> ImageRecord:
    """The row as kept on request: what rules had against it, or may have against text in it, stays on it as waived."""
    reasons = [reason | {"waived": True} for reason in image.reasons if reason["rule_id"] != ASKED]
    if image.facts.get("text") and not any(reason["rule_id"] == "IMG-TEXT" for reason in reasons):
        reasons.append({"rule_id": "IMG-TEXT", "why": "It holds text, which belongs to the picture.", "waived": True})
    return _with(image, ImageStatus.KEPT, reasons)


def _rejected(image: ImageRecord) -> ImageRecord:
    """The row as set aside on request."""
    if image.status == ImageStatus.REJECTED:
        return image
    return _with(image, ImageStatus.REJECTED, [*image.reasons, {"rule_id": ASKED, "why": "Set aside on request."}])


def _with(image: ImageRecord, status: ImageStatus, reasons: Iterable[dict[str, Any]]) -> ImageRecord:
    return replace(image, status=status, reasons=list(reasons), file=place_for(image.file, status))


# --------------------------------------------------------------------------- crops and grounds


def crop(store: Store, dataset_id: str, wanted: Sequence[CropOf]) -> int:
    """Cut images elsewhere; their copies are stale then. Returns how many changed; of two crops of one the last counts.

    Raises NotFound for references that mean nothing, BadArgument for a square that does not lie in its picture.
    """
    after: dict[str, ImageRecord] = {}
    named = References(all_images(store, dataset_id))
    for one in wanted:
        for image in named.select([one.image]):
            if image.crop is None:
                raise BadArgument(
                    f"Image {image.number} could not be read, so it cannot be cut; leave it out of crops."
                )
            _needs_original(image, "cut elsewhere")
            after[image.id] = replace(image, crop=_cut(image, one).model_dump())
    return _apply(store, dataset_id, list(after.values()), "crops")


def _needs_original(image: ImageRecord, what: str) -> None:
    """Raises BadArgument for an image whose copy cannot be made anew."""
    if not Path(image.original_path).is_file():
        raise BadArgument(
            f"The original of image {image.number} is gone ({image.original_path}), so it cannot be {what}; put it "
            "back, or leave the image out."
        )


def _cut(image: ImageRecord, wanted: CropOf) -> Crop:
    """The square that is asked for, or the one that the detector would choose."""
    facts = ImageFacts.model_validate(image.facts)
    given = (wanted.x, wanted.y, wanted.side)
    if given == (None, None, None):
        from loradeck.tools.curate_dataset.cropping import square_crop  # here, since they load the detector
        from loradeck.tools.curate_dataset.faces import Face

        faces = [Face(as_box(face.box), face.confidence, face.angle) for face in facts.faces or []]
        return square_crop(facts.width, facts.height, faces, as_box(facts.content) if facts.content else None)
    if wanted.x is None or wanted.y is None or wanted.side is None:
        raise BadArgument(
            f"The crop of image {image.number} needs x, y and side, or none of them to cut as the detector would."
        )
    if wanted.x + wanted.side > facts.width or wanted.y + wanted.side > facts.height:
        raise BadArgument(
            f"The crop of image {image.number} does not lie in its {facts.width}x{facts.height} pixels; x + side is at "
            f"most {facts.width} and y + side at most {facts.height}."
        )
    return Crop(x=wanted.x, y=wanted.y, width=wanted.side, height=wanted.side, reason="asked")


def lay_on_grounds(store: Store, dataset_id: str, wanted: BackgroundOf) -> int:
    """Replace the grounds of images by solid colours of their own, or bring them back; their copies are stale then.

    Returns how many changed. Raises NotFound for references that mean nothing, BadArgument where an original is gone.
    """
    images = [image for image in resolve_images(store, dataset_id, wanted.images) if image.copy_sha256 is not None]
    ground = SOLID if wanted.make == "solid" else None
    for image in images:
        _needs_original(image, "laid on another ground")
    after = [replace(image, ground=ground) for image in images if ground is None or image.ground is None]
    return _apply(store, dataset_id, after, "backgrounds")


# --------------------------------------------------------------------------- rights


def record_rights(store: Store, dataset_id: str, rights: RightsOf, added: Sequence[str]) -> int:
    """Write down rights for the images that are named, else those just added, else all; returns for how many."""
    told = rights.model_dump(exclude={"images"}, exclude_none=True)
    said = {name: tidy(value) if isinstance(value, str) else value for name, value in told.items()}
    if not said:
        raise BadArgument("rights says nothing; give source, licence, consent or may_leave.")
    every, new = all_images(store, dataset_id), set(added)
    if rights.images is not None:
        meant = References(every).select(rights.images)
    else:
        meant = [image for image in every if image.id in new] or every
    with store.transaction():
        for image in meant:
            store.change(ImageRecord, image.id, rights=image.rights | said)
    return len(meant)


# --------------------------------------------------------------------------- history


def _apply(store: Store, dataset_id: str, after: Sequence[ImageRecord], what: str) -> int:
    """Write the rows that differ and remember what they were, as one step that `undo` takes back."""
    with store.transaction():
        rows = {image.id: image for image in all_images(store, dataset_id)}
        changed = [image for image in after if _state_of(image) != _state_of(rows[image.id])]
        if not changed:
            return 0
        before = {image.id: _state_of(rows[image.id]) for image in changed}
        dataset = find_dataset(store, dataset_id)
        history = _bounded([*dataset.history, {"at": now(), "what": what, "before": before}])
        for image in changed:
            store.change(ImageRecord, image.id, **_state_of(image))
        store.change(DatasetRecord, dataset_id, history=history)
    return len(changed)


def _bounded(history: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last steps, as many as stay quick to read: every call reads them all."""
    kept = list(history[-LONGEST_HISTORY:])
    while len(kept) > 1 and sum(len(step["before"]) for step in kept) > MOST_REMEMBERED:
        del kept[0]
    return kept


def _state_of(image: ImageRecord) -> dict[str, Any]:
    """The columns that these changes change; what is measured on the copy follows when it is made again."""
    return {
        "status": str(image.status),
        "reasons": image.reasons,
        "file": image.file,
        "crop": image.crop,
        "ground": image.ground,
    }


def undo(store: Store, dataset_id: str) -> Choice:
    """Take back the last keep, reject, crop or ground. Raises Refused when there is none."""
    with store.transaction():
        dataset = find_dataset(store, dataset_id)
        if not dataset.history:
            raise Refused(f"There is nothing to take back in {dataset.name!r}; it stands as it was made.")
        before = dataset.history[-1]["before"]
        for image_id, state in before.items():
            store.change(ImageRecord, image_id, **state)
        store.change(DatasetRecord, dataset_id, history=dataset.history[:-1])
    return Choice(changed=len(before))
