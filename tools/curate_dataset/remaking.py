"""Copies made again from their originals: at another resolution, by another crop, on another ground, or since they are
gone. What is measured on the square is measured again with it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from loradeck.state.records import DatasetRecord, ImageRecord, LookRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import AttributeSource, Crop, ImageFacts, ImageStatus, Profile
from loradeck.tools.curate_dataset.adding import hash_of
from loradeck.tools.curate_dataset.answer import Told
from loradeck.tools.curate_dataset.colour import hexed
from loradeck.tools.curate_dataset.measure import in_square, square_facts, text_laid_over
from loradeck.tools.curate_dataset.outliers import look_vector
from loradeck.tools.curate_dataset.picture import Unfit, Upright, enough_for, open_upright
from loradeck.tools.curate_dataset.prepare import cut, legible, save
from loradeck.tools.curate_dataset.recipe import recipe
from loradeck.tools.curate_dataset.replacing import colour_name, edge_colours, on_ground, solid_ground, subject_mask
from loradeck.tools.curate_dataset.watch import Watch
from loradeck.tools.datasets import copy_path, place_copies, place_for, staging
from loradeck.tools.house_file import house_of
from loradeck.tools.image_changes import SOLID

SEED = "loradeck"
"""Where the walk through the colours of grounds begins, the same for every set."""
OWN = "own_background"
"""Under this name the facts keep what the attribute `background` was before the ground was replaced."""


@dataclass(frozen=True)
class Remade:
    """A copy that was made again: its bytes' hash, and the columns that follow from it."""

    copy_sha256: str
    columns: dict[str, Any] = field(default_factory=dict)
    vector: bytes | None = None


def remake(store: Store, dataset: DatasetRecord, resolution: int, watch: Watch, told: Told) -> None:
    """Make the copies again that are missing or made by another recipe than their row's."""
    rows = [row for row in place_copies(store, dataset.id) if row.copy_sha256 is not None]
    stale = [row for row in rows if is_stale(row, resolution) or not copy_path(store, row).exists()]
    if not stale and resolution == dataset.resolution:
        return
    staged = staging(store, dataset.id, resolution)
    limit = house_of(store, dataset.id).thresholds.megapixels
    made: dict[str, Remade] = {}
    for done, row in enumerate(stale, 1):
        watch.check()
        again = _again(store, dataset, row, resolution, staged / Path(row.file).name, limit, told)
        if again is not None:
            made[row.id] = again
        watch.tell(done, len(stale), f"{done} of {len(stale)} copies made again")
    with store.transaction():
        for image_id, again in made.items():
            store.change(ImageRecord, image_id, copy_sha256=again.copy_sha256, **again.columns)
            look = store.find(LookRecord, image_id)
            if look is not None and again.vector is not None:
                store.change(LookRecord, image_id, vector=again.vector)
        if resolution != dataset.resolution:
            store.change(DatasetRecord, dataset.id, resolution=resolution)


def is_stale(row: ImageRecord, resolution: int) -> bool:
    """True when the copy was made by another recipe than the row's."""
    return row.made is not None and row.made != recipe(row, resolution)


def _again(
    store: Store, dataset: DatasetRecord, row: ImageRecord, resolution: int, copy: Path, most: float, told: Told
) -> Remade | None:
    """One copy from the original; from the present copy where the original is gone or changed, and told."""
    original = Path(row.original_path)
    if row.crop is not None and hash_of(original) == row.sha256:
        with suppress(Unfit):  # then it counts as gone
            upright = open_upright(original, most, _enough(row, resolution))
            return _from_original(dataset, row, upright, resolution, copy, told)
    told.gone.append(row.id)
    present = copy_path(store, row)
    if not present.exists():
        return None
    with Image.open(present) as old:
        square = old.convert("RGB").resize((resolution, resolution), Image.Resampling.LANCZOS)
    return Remade(save(square, copy), {"made": recipe(row, resolution)})


def _enough(row: ImageRecord, resolution: int) -> float:
    """How much of the original the copy is cut from: the same as the first time."""
    return enough_for((row.facts["width"], row.facts["height"]), Crop.model_validate(row.crop).width, resolution)


def _from_original(
    dataset: DatasetRecord, row: ImageRecord, upright: Upright, resolution: int, copy: Path, told: Told
) -> Remade:
    crop = Crop.model_validate(row.crop)
    square = cut(upright.picture, crop, resolution, upright.reduced)
    ground = row.ground
    if ground is not None:
        square, ground = _on_ground(row, upright, square, crop, resolution, told)
    on_square = square_facts(square, square if ground else legible(upright, crop, square))
    facts = row.facts | ImageFacts.model_validate(row.facts | on_square).model_dump(mode="json")
    columns = _attributes(row, facts, ground) | _standing(dataset, row, facts)
    made = recipe(replace(row, ground=ground), resolution)
    return Remade(save(square, copy), columns | {"ground": ground, "made": made}, look_vector(square).tobytes())


def _on_ground(
    row: ImageRecord, upright: Upright, square: Image.Image, crop: Crop, resolution: int, told: Told
) -> tuple[Image.Image, str | None]:
    """The square on its new ground, and that ground; as it is, and None, where the subject cannot be cut out."""
    alpha = cut(upright.alpha, crop, resolution, upright.reduced) if upright.alpha is not None else None
    mask = subject_mask(square, _face_in(row, crop, resolution), alpha)
    if mask is None or row.ground is None:
        told.uncut.append(row.id)
        return square, None
    if mask is not alpha and not row.facts.get("plain_background"):
        told.guessed.append(row.id)
    colour = _rgb(row.ground) if row.ground != SOLID else solid_ground(SEED, row.number, edge_colours(square, mask))
    return on_ground(square, mask, colour), hexed(colour)


def _rgb(text: str) -> tuple[int, int, int]:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _face_in(row: ImageRecord, crop: Crop, resolution: int) -> tuple[int, int, int, int] | None:
    """The largest face as (left, top, right, bottom) in pixels of the copy."""
    faces = row.facts.get("faces") or []
    if not faces:
        return None
    x, y, width, height = in_square(faces[0]["box"], crop, resolution)
    return x, y, x + width, y + height


def _attributes(row: ImageRecord, facts: dict[str, Any], ground: str | None) -> dict[str, Any]:
    """The attribute `background` follows the ground, and comes back as it was with the own one."""
    attributes, sources = dict(row.attributes), dict(row.sources)
    before = facts.get(OWN)
    if ground is not None:
        if before is None:
            facts[OWN] = [attributes.get("background"), sources.get("background")]
        attributes["background"] = f"plain {colour_name(_rgb(ground))} background"
        sources["background"] = str(AttributeSource.DETECTOR)
    elif before is not None:
        facts[OWN] = None
        for table, value in ((attributes, before[0]), (sources, before[1])):
            table.pop("background", None)
            if value is not None:
                table["background"] = value
    return {"facts": facts, "attributes": attributes, "sources": sources}


def _standing(dataset: DatasetRecord, row: ImageRecord, facts: dict[str, Any]) -> dict[str, Any]:
    """Text that another crop leaves out no longer speaks against an image, and text that it brings in does."""
    others = [reason for reason in row.reasons if reason["rule_id"] != "IMG-TEXT"]
    before = next((reason for reason in row.reasons if reason["rule_id"] == "IMG-TEXT"), None)
    laid = text_laid_over(ImageFacts.model_validate(facts)) if dataset.profile != Profile.LOGO else None
    if laid is not None and before is not None and before.get("waived"):
        return {}
    reasons = [*others, *([{"rule_id": "IMG-TEXT", "why": laid}] if laid is not None else [])]
    waived = all(reason.get("waived") for reason in reasons)
    fit = ImageStatus.PROPOSED if row.status == ImageStatus.PROPOSED else ImageStatus.KEPT
    status = row.status if reasons == row.reasons else fit if waived else ImageStatus.REJECTED
    return {"reasons": reasons, "status": str(status), "file": place_for(row.file, status)}
