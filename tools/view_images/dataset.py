"""A dataset to look at: numbered sheets with a code, single images, what it covers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from loradeck.state.records import DatasetRecord, ImageRecord, ReportRecord
from loradeck.state.store import Store
from loradeck.tools.aside import deciding_rule, why_aside
from loradeck.tools.contracts import Crop, ImageStatus, TargetModel
from loradeck.tools.datasets import all_images, copy_path, select
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.pictures.cut import Cut
from loradeck.tools.pictures.heatmap import coverage_pictures
from loradeck.tools.pictures.sheet import Tile, contact_sheet
from loradeck.tools.rulebook.fingerprint import fingerprint
from loradeck.tools.spec import Pictures
from loradeck.tools.validate_coverage.matrix import matrix
from loradeck.tools.validate_coverage.panels import panels
from loradeck.tools.validate_coverage.tool import facts_now
from loradeck.tools.view_images.answer import jpegs, large, paged, pieces, sheet_code

A_PAGE = 50
A_SHEET = 25
MOST_WANTED = 12
PROPOSED = "proposed"
WHOLE = "whole"
"""The reason of a crop that cuts nothing off."""


def show_dataset(store: Store, dataset: DatasetRecord, what: str, refs: list[str] | None, page: int) -> Pictures:
    """The pictures that are asked for. Raises NotFound or BadArgument."""
    if what == "image":
        if not refs:
            raise BadArgument("Name the images with image_ids: ids, sheet numbers or file names, at most 12.")
        return _images(store, dataset, refs)
    if what == "coverage":
        return _coverage(store, dataset)
    if what != "sheet":
        raise BadArgument(f"A dataset has no {what}; its views are sheet, image and coverage.")
    return _sheet(store, dataset, page)


def _sheet(store: Store, dataset: DatasetRecord, page: int) -> Pictures:
    images = all_images(store, dataset.id)
    if not images:
        raise NotFound(
            f"{dataset.name} has no images yet; add some with curate_dataset(dataset_id={dataset.id!r}, source=...)."
        )
    here, pages = paged(images, page, A_PAGE)
    known = {image.id: image for image in images}
    code = sheet_code(store, dataset.id, [image.id for image in here])
    title = f"{dataset.name}: {_counted(images)}, page {page} of {pages}"
    sheets = [
        contact_sheet([_tile(store, image, known) for image in part], title=title, code=code)
        for part in pieces(here, A_SHEET)
    ]
    rows = "; ".join(f"{image.number} {image.id} {image.original_name}{_aside(image, known)}" for image in here)
    more = f" Call again with page={page + 1} for more." if page < pages else ""
    text = f"{title}, code {code} (give it to write_captions as sheet_code).{more} Images: {rows}"
    return Pictures(text, jpegs(sheets))


def _counted(images: Sequence[ImageRecord]) -> str:
    """How many are kept and set aside, and how many proposed where there are any."""
    counts = Counter(image.status for image in images)
    proposed = counts[ImageStatus.PROPOSED]
    said = f"{counts[ImageStatus.KEPT]} kept, {counts[ImageStatus.REJECTED]} set aside"
    return f"{said}, {proposed} proposed" if proposed else said


def _images(store: Store, dataset: DatasetRecord, refs: list[str]) -> Pictures:
    images = all_images(store, dataset.id)
    known = {image.id: image for image in images}
    images = select(images, refs)[:12]
    there = [image for image in images if copy_path(store, image).is_file()]
    if not there:
        raise NotFound("None of these images can be shown, since they could not be read; choose others from the sheet.")
    code = sheet_code(store, dataset.id, [image.id for image in there])
    shown = [large(copy_path(store, image), f"{image.number}  {image.id}  code {code}") for image in there]
    rows = "; ".join(f"{image.number} {image.id} {image.original_name}{_aside(image, known)}" for image in there)
    return Pictures(
        f"{dataset.name}, code {code} (give it to write_captions as sheet_code). Images: {rows}", jpegs(shown)
    )


def _coverage(store: Store, dataset: DatasetRecord) -> Pictures:
    facts = facts_now(store, dataset)
    if not facts.images:
        raise NotFound(
            f"{dataset.name} keeps no images, so there is nothing to count; add some with "
            f"curate_dataset(dataset_id={dataset.id!r}, source=...)."
        )
    shown = matrix(facts) if facts.is_figure else None
    standing, todo = _standing(store, dataset)
    title = f"{dataset.name}: what {len(facts.images)} kept images cover ({facts.profile})"
    pictures = coverage_pictures(title, standing, shown, panels(facts))
    wanted = [f"{row} {column}".replace("_", " ") for row, column in shown.wanted] if shown else []
    more = f" and {len(wanted) - MOST_WANTED} more" if len(wanted) > MOST_WANTED else ""
    listed = f" Wanted and not there: {', '.join(wanted[:MOST_WANTED])}{more}." if wanted else ""
    return Pictures(f"{title}. {standing}{todo}.{listed}", jpegs(pictures))


def _standing(store: Store, dataset: DatasetRecord) -> tuple[str, str]:
    """The last verdict and whether the set is still what it judged; what to call where it is not."""
    call = f"; call validate_coverage(dataset_id={dataset.id!r})"
    reports = store.where(ReportRecord, "dataset_id = ?", [dataset.id], order="created_at desc, rowid desc", limit=1)
    if not reports:
        return "This set was never judged", call
    report = reports[0]
    if report.fingerprint != fingerprint(facts_now(store, dataset, TargetModel(report.target_model))):
        return f"The last report, {report.id} (verdict {report.verdict}), is older than this set", call
    return f"The last report, {report.id}, judged this very set: verdict {report.verdict}", ""


def _tile(store: Store, image: ImageRecord, known: Mapping[str, ImageRecord]) -> Tile:
    mark = PROPOSED if image.status == ImageStatus.PROPOSED else ""
    return Tile(copy_path(store, image), image.number, image.id, why_aside(image, known), _cut(image), mark)


def _cut(image: ImageRecord) -> Cut | None:
    """What was cut from the original, where that is not all of it and its file is still there."""
    if image.crop is None:
        return None
    crop = Crop.model_validate(image.crop)
    size = (int(image.facts.get("width", 0)), int(image.facts.get("height", 0)))
    original = Path(image.original_path)
    if crop.reason == WHOLE or (crop.width, crop.height) == size or not original.is_file():
        return None
    return Cut(original, size, (crop.x, crop.y, crop.width, crop.height), crop.reason)


def _aside(image: ImageRecord, known: Mapping[str, ImageRecord]) -> str:
    if image.status == ImageStatus.PROPOSED:
        return f" ({PROPOSED})"
    reason, rule = why_aside(image, known), deciding_rule(image)
    return f" (set aside: {reason}{f', {rule}' if rule else ''})" if reason else ""
