"""The answer of curate_dataset, shaped from rows: what is kept, what was set aside and why, what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import shorten

from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord
from loradeck.tools.aside import short_reason
from loradeck.tools.contracts import (
    Crop,
    CurateResult,
    DuplicateGroup,
    Finding,
    ImageFacts,
    ImageRow,
    ImageStatus,
    Profile,
    Rejected,
    Severity,
    TargetModel,
)
from loradeck.tools.curate_dataset.triggers import is_ordinary, suggested

PAGE = 50
CAPTION_CHARACTERS = 200
"""How much of a caption a row tells: an answer is for reading in one go."""
MOST_NAMED = 20
GOOD_SIDE = 1024


@dataclass
class Told:
    """What happened in this call and stands in no row."""

    added: int = 0
    already: int = 0
    adopted: int = 0
    changed: int | None = None
    not_kept: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def answer(
    dataset: DatasetRecord,
    images: Sequence[ImageRecord],
    captions: Mapping[str, CaptionRecord],
    folder: str,
    told: Told,
    *,
    page: int,
    detail: bool,
) -> CurateResult:
    """The result for a dataset as its rows stand. Lists are cut at 50 entries; the summary has the true counts."""
    kept = [image for image in images if image.status == ImageStatus.KEPT]
    pages = max(1, -(-len(images) // PAGE))
    shown = images[(min(page, pages) - 1) * PAGE : min(page, pages) * PAGE]
    refused = [Rejected(image_id="", file=file, rule_id="IMG-READABLE", why=why) for file, why in told.refused]
    return CurateResult(
        summary=_summary(dataset, images, kept, told),
        next_step=_next_step(dataset, kept, captions),
        dataset_id=dataset.id,
        name=dataset.name,
        trigger=dataset.trigger,
        profile=Profile(dataset.profile),
        target_model=TargetModel(dataset.target_model),
        kept=len(kept),
        rejected=[*refused, *(_rejected(image) for image in images if image.status == ImageStatus.REJECTED)][:PAGE],
        duplicates=duplicate_groups(images)[:PAGE],
        images=[_image_row(image, captions.get(image.id), detail) for image in shown],
        page=min(page, pages),
        pages=pages,
        findings=findings(dataset, kept, captions, told),
        folder=folder,
    )


def _image_row(image: ImageRecord, caption: CaptionRecord | None, detail: bool) -> ImageRow:
    facts = ImageFacts.model_validate(image.facts)
    waived = " (kept on request)"
    return ImageRow(
        image_id=image.id,
        number=image.number,
        file=Path(image.file).name,
        status=ImageStatus(image.status),
        reasons=[f"{one['rule_id']}: {one['why']}{waived if one.get('waived') else ''}" for one in image.reasons],
        size=f"{facts.width}x{facts.height}",
        attributes=image.attributes,
        attribute_sources=image.sources,
        caption=shorten(caption.text, CAPTION_CHARACTERS) if caption else None,
        facts=facts if detail else None,
        crop=Crop.model_validate(image.crop) if detail and image.crop else None,
    )


def _rejected(image: ImageRecord) -> Rejected:
    last = image.reasons[-1] if image.reasons else {"rule_id": "ASKED", "why": "Set aside."}
    return Rejected(image_id=image.id, file=image.original_name, rule_id=last["rule_id"], why=last["why"])


def duplicate_groups(images: Sequence[ImageRecord]) -> list[DuplicateGroup]:
    """Groups of images that show the same, by the one that stays; a chain of better copies ends at its last."""
    reasons = {
        image.id: reason
        for image in images
        for reason in image.reasons
        if reason["rule_id"] == "IMG-DUPLICATE" and not reason.get("waived")
    }
    groups: dict[str, DuplicateGroup] = {}
    for image_id, reason in reasons.items():
        keeper = reason["of"]
        while keeper in reasons:
            keeper = reasons[keeper]["of"]
        group = groups.setdefault(keeper, DuplicateGroup(kept=keeper, dropped=[], how=reason["how"]))
        group.dropped.append(image_id)
        group.how = "near" if "near" in {group.how, reason["how"]} else "exact"
    return list(groups.values())


# --------------------------------------------------------------------------- findings


def findings(
    dataset: DatasetRecord, kept: Sequence[ImageRecord], captions: Mapping[str, CaptionRecord], told: Told
) -> list[Finding]:
    """What the rules have to say about the kept images and this call; nothing here blocks."""
    found = [*_image_findings(kept), *_trigger_findings(dataset.trigger), *_call_findings(told)]
    strangers = [one.id for one in kept if one.facts.get("imported_caption") and one.id not in captions]
    if strangers:
        why = f"{len(strangers)} pictures came with captions that do not begin with the trigger; they are not trusted."
        fix = "Write new ones with write_captions after looking at view_images(what='sheet')."
        found.append(_finding("CAP-ORIGIN", Severity.INFO, strangers, why, fix))
    return found


def _image_findings(kept: Sequence[ImageRecord]) -> list[Finding]:
    found: list[Finding] = []
    facts = {image.id: ImageFacts.model_validate(image.facts) for image in kept}
    small = [image_id for image_id, fact in facts.items() if min(fact.width, fact.height) < GOOD_SIDE]
    if small:
        least = min(min(facts[image_id].width, facts[image_id].height) for image_id in small)
        why = f"{len(small)} pictures have a shorter side under 1024 pixels (the smallest {least}); they are enlarged."
        found.append(_finding("IMG-SIZE", Severity.WARNING, small, why, "Replace them with larger originals."))
    cropped = [image.id for image in kept if image.crop and image.crop["reason"] == "upper centre"]
    if cropped:
        why = f"{len(cropped)} pictures are not square; the upper centre was cut, since there is no face detector yet."
        fix = "Look at view_images(what='sheet'); crop a picture yourself where the subject is cut, and add it again."
        found.append(_finding("IMG-CROP", Severity.INFO, cropped, why, fix))
    for change, count in Counter(change for fact in facts.values() for change in fact.converted).items():
        where = [image_id for image_id, fact in facts.items() if change in fact.converted]
        found.append(
            _finding(
                "IMG-FORMAT",
                Severity.INFO,
                where,
                f"{count} pictures: {change}.",
                "Nothing to do; the originals are untouched.",
            )
        )
    return found


def _trigger_findings(trigger: str | None) -> list[Finding]:
    if not trigger or not is_ordinary(trigger):
        return []
    why = f"The trigger {trigger!r} is made of ordinary words, which the base model has its own idea of."
    fix = f"Choose a made-up word, such as {suggested(trigger)!r}, with curate_dataset(dataset_id=..., trigger=...)."
    return [_finding("CAP-TRIGGER", Severity.WARNING, ["set"], why, fix)]


def _call_findings(told: Told) -> list[Finding]:
    found = [
        _finding("IMG-READABLE", Severity.INFO, ["set"], remark, "Nothing, if that was meant.")
        for remark in told.remarks
    ]
    if told.not_kept:
        why = f"{len(told.not_kept)} pictures cannot be kept, since they cannot be read."
        found.append(_finding("IMG-READABLE", Severity.WARNING, told.not_kept, why, "Export them again and add them."))
    if told.gone:
        why = f"{len(told.gone)} originals are gone or changed, so their copies were made again from the old copies."
        fix = "Add the pictures' new folder with curate_dataset(dataset_id=..., source=...) to link them again."
        found.append(_finding("IMG-UNIFORM", Severity.WARNING, told.gone, why, fix))
    return found


def _finding(rule_id: str, severity: Severity, where: Sequence[str], why: str, fix: str) -> Finding:
    return Finding(rule_id=rule_id, severity=severity, where=list(where[:MOST_NAMED]), why=why, fix=fix)


# --------------------------------------------------------------------------- words


def _summary(dataset: DatasetRecord, images: Sequence[ImageRecord], kept: Sequence[ImageRecord], told: Told) -> str:
    aside = Counter(
        image.reasons[-1]["rule_id"] for image in images if image.status != ImageStatus.KEPT and image.reasons
    )
    listed = ", ".join(f"{count} {short_reason(rule, count > 1)}" for rule, count in aside.most_common())
    first = f"Dataset {dataset.name!r} ({dataset.id}) keeps {len(kept)} of {len(images)} images"
    first += f"; {len(images) - len(kept)} set aside ({listed})." if listed else "."
    return f"{first} {_what_happened(dataset, told)}"


def _what_happened(dataset: DatasetRecord, told: Told) -> str:
    """The second sentence: what this call did."""
    parts: list[str] = []
    if told.added or told.already:
        parts.append(f"{told.added} new" + (f", {told.already} were there already" if told.already else ""))
    if told.refused:
        parts.append(f"{len(told.refused)} files or addresses could not be taken")
    if told.changed is not None:
        parts.append(f"{told.changed} changed place" if told.changed else "nothing to change, they stood so already")
    if told.adopted:
        parts.append(f"{told.adopted} captions came along")
    copies = f"the training copies are {dataset.resolution}x{dataset.resolution} PNG files"
    sentence = "; ".join([*parts, copies])
    return f"{sentence[0].upper()}{sentence[1:]}."


def _next_step(dataset: DatasetRecord, kept: Sequence[ImageRecord], captions: Mapping[str, CaptionRecord]) -> str:
    ref = f"dataset_id={dataset.id!r}"
    if not kept:
        return f"Add pictures that fit with curate_dataset({ref}, source=...); `rejected` says what was wrong."
    if not dataset.trigger:
        return (
            f"Ask for a made-up trigger word (a suggestion: {suggested(dataset.name)!r}) and set it with "
            f"curate_dataset({ref}, trigger=...); then view_images(of={dataset.id!r}, what='sheet')."
        )
    first = ""
    if is_ordinary(dataset.trigger):
        first = (
            f"First change the trigger, unless the person insists on {dataset.trigger!r}: "
            f"curate_dataset({ref}, trigger={suggested(dataset.trigger)!r}). "
        )
    missing = sum(image.id not in captions for image in kept)
    if missing:
        return (
            f"{first}Look with view_images(of={dataset.id!r}, what='sheet'), then write_captions for {missing} images."
        )
    return f"{first}Judge the set with validate_coverage({ref})."
