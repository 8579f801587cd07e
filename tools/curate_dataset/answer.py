"""The answer of curate_dataset, shaped from rows: what is kept, what was set aside and why, what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
    Rights,
    Severity,
    TargetModel,
)
from loradeck.tools.curate_dataset.triggers import is_ordinary, suggested
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.judge import gravest_first, judge_images, to_rewrite
from loradeck.tools.wording import addressed

PAGE = 50
CAPTION_CHARACTERS = 200
"""How much of a caption a row tells: an answer is for reading in one go."""
MOST_NAMED = 20


@dataclass
class Told:
    """What happened in this call and stands in no row. Lists hold image ids."""

    added: int = 0
    already: int = 0
    adopted: int = 0
    repeated: int = 0
    changed: int | None = None
    recut: int | None = None
    regrounded: int | None = None
    rights: int | None = None
    not_kept: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    uncut: list[str] = field(default_factory=list)
    guessed: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Standing:
    """A dataset after the call: all its images, its captions by image, and the kept ones as rules see them."""

    dataset: DatasetRecord
    images: Sequence[ImageRecord]
    captions: Mapping[str, CaptionRecord]
    facts: SetFacts

    @cached_property
    def kept(self) -> list[ImageRecord]:
        """The images that train."""
        return [image for image in self.images if image.status == ImageStatus.KEPT]


def answer(stands: Standing, folder: str, told: Told, *, page: int, detail: bool, rejudge: bool) -> CurateResult:
    """The result for a dataset as it stands. Lists are cut at 50 entries; the summary has the true counts.

    With `rejudge` every caption is judged again, since what they are judged by changed.
    """
    dataset, images, captions, kept = stands.dataset, stands.images, stands.captions, stands.kept
    pages = max(1, -(-len(images) // PAGE))
    shown = images[(min(page, pages) - 1) * PAGE : min(page, pages) * PAGE]
    refused = [Rejected(image_id="", file=file, rule_id="IMG-READABLE", why=why) for file, why in told.refused]
    rewrite = addressed(to_rewrite(stands.facts), dataset.id) if rejudge else []
    return CurateResult(
        summary=_summary(dataset, images, kept, told),
        next_step=_rewrite_step(dataset, rewrite) or _proposals_step(stands) or _next_step(stands),
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
        findings=[*rewrite, *addressed(findings(stands, told), dataset.id)],
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
        rights=_rights(image) if detail else None,
        background=image.ground,
    )


def _rights(image: ImageRecord) -> Rights:
    return Rights.model_validate({name: image.rights.get(name) for name in Rights.model_fields})


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
        keeper, passed = reason["of"], {image_id}
        while keeper in reasons and keeper not in passed:  # a circle ends where it began
            passed.add(keeper)
            keeper = reasons[keeper]["of"]
        group = groups.setdefault(keeper, DuplicateGroup(kept=keeper, dropped=[], how=reason["how"]))
        group.dropped.append(image_id)
        group.how = "near" if "near" in {group.how, reason["how"]} else "exact"
    return list(groups.values())


# --------------------------------------------------------------------------- findings


def findings(stands: Standing, told: Told) -> list[Finding]:
    """What the rules have to say about the kept images and this call; errors first, and only an error blocks."""
    kept = stands.kept
    found = [
        *judge_images(stands.facts),
        *_crop_findings(kept),
        *_format_findings(kept),
        *_trigger_findings(stands.dataset.trigger),
        *_call_findings(told),
    ]
    strangers = [one.id for one in kept if one.facts.get("imported_caption") and one.id not in stands.captions]
    if strangers:
        why = f"{len(strangers)} pictures came with captions that do not begin with the trigger; they are not trusted."
        fix = "Write new ones with write_captions after looking at view_images(what='sheet')."
        found.append(_finding("CAP-ORIGIN", Severity.INFO, strangers, why, fix))
    return [one.model_copy(update={"where": one.where[:MOST_NAMED]}) for one in gravest_first(found)]


CUTS = {
    "face": "{} pictures are not square; they were cut so that the face stays",
    "upper centre": "{} pictures are not square and show no face that the detector knows; the upper centre was cut",
    "asked": "{} pictures are cut where it was asked",
}


def _crop_findings(kept: Sequence[ImageRecord]) -> Iterator[Finding]:
    fix = (
        'Look at view_images(of=dataset_id, what="sheet"), which shows each crop; cut elsewhere with '
        "curate_dataset(dataset_id=..., crops=[{image, x, y, side}])."
    )
    for reason, said in CUTS.items():
        cut = [image.id for image in kept if image.crop and image.crop["reason"] == reason and _is_cut(image)]
        if cut:
            yield _finding("IMG-CROP", Severity.INFO, cut, f"{said.format(len(cut))}.", fix)
    trimmed = [image.id for image in kept if image.facts.get("content")]
    if trimmed:
        why = f"{len(trimmed)} pictures have bars or margins, which were trimmed before the square was cut."
        yield _finding("IMG-CROP", Severity.INFO, trimmed, why, fix)


def _is_cut(image: ImageRecord) -> bool:
    """True when the square leaves something of the picture out."""
    crop, facts = image.crop or {}, image.facts
    return bool((crop.get("width"), crop.get("height")) != (facts.get("width"), facts.get("height")))


def _format_findings(kept: Sequence[ImageRecord]) -> Iterator[Finding]:
    where: dict[str, list[str]] = {}
    for image in kept:
        for change in image.facts.get("converted") or []:
            where.setdefault(change, []).append(image.id)
    for change, ids in where.items():
        fix = "Nothing to do; the originals are untouched."
        yield _finding("IMG-FORMAT", Severity.INFO, ids, f"{len(ids)} pictures: {change}.", fix)


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
    if told.guessed:
        why = (
            f"The subjects of {len(told.guessed)} pictures were cut out of busy grounds by guess, which may leave "
            "something out."
        )
        fix = (
            'Look at each with view_images(of=dataset_id, what="image"); bring a ground back with '
            "curate_dataset(dataset_id=..., backgrounds={images, make: original}), or undo."
        )
        found.append(_finding("IMG-FORMAT", Severity.INFO, told.guessed, why, fix))
    if told.uncut:
        why = (
            f"The ground of {len(told.uncut)} pictures stays as it was, since the subject cannot be cut out of it "
            "cleanly."
        )
        fix = "Give originals with a transparent or plain ground, or leave these as they are."
        found.append(_finding("IMG-FORMAT", Severity.INFO, told.uncut, why, fix))
    if told.gone:
        why = f"{len(told.gone)} originals are gone or changed, so their copies were made again from the old copies."
        fix = "Add the pictures' new folder with curate_dataset(dataset_id=..., source=...) to link them again."
        found.append(_finding("IMG-UNIFORM", Severity.WARNING, told.gone, why, fix))
    return found


def _finding(rule_id: str, severity: Severity, where: Sequence[str], why: str, fix: str) -> Finding:
    return Finding(rule_id=rule_id, severity=severity, where=list(where[:MOST_NAMED]), why=why, fix=fix)


# --------------------------------------------------------------------------- words


def _summary(dataset: DatasetRecord, images: Sequence[ImageRecord], kept: Sequence[ImageRecord], told: Told) -> str:
    rejected = [image for image in images if image.status == ImageStatus.REJECTED]
    aside = Counter(image.reasons[-1]["rule_id"] for image in rejected if image.reasons)
    listed = ", ".join(f"{count} {short_reason(rule, count > 1)}" for rule, count in aside.most_common())
    first = f"Dataset {dataset.name!r} ({dataset.id}) keeps {len(kept)} of {len(images)} images"
    first += f"; {len(rejected)} set aside ({listed})" if listed else ""
    proposed = len(images) - len(kept) - len(rejected)
    first += f"; {proposed} proposed, to be looked at and kept or rejected" if proposed else ""
    return f"{first}. {_what_happened(dataset, told)}"


def _what_happened(dataset: DatasetRecord, told: Told) -> str:
    """The second sentence: what this call did."""
    parts: list[str] = []
    if told.added or told.already:
        parts.append(f"{told.added} new" + (f", {told.already} were there already" if told.already else ""))
    if told.refused:
        parts.append(f"{len(told.refused)} files or addresses could not be taken")
    if told.changed is not None:
        parts.append(f"{told.changed} changed place" if told.changed else "nothing to change, they stood so already")
    laid = None if told.regrounded is None else max(0, told.regrounded - len(told.uncut))
    for count, said in ((told.recut, "crops"), (laid, "backgrounds")):
        if count is not None:
            parts.append(f"{count} {said} changed" if count else f"no {said} changed")
    if told.rights is not None:
        parts.append(f"rights of {told.rights} images recorded")
    if told.repeated:
        parts.append(f"{told.repeated} set aside for the same text on several")
    if told.adopted:
        parts.append(f"{told.adopted} captions came along")
    copies = f"the training copies are {dataset.resolution}x{dataset.resolution} PNG files"
    sentence = "; ".join([*parts, copies])
    return f"{sentence[0].upper()}{sentence[1:]}."


def _rewrite_step(dataset: DatasetRecord, rewrite: Sequence[Finding]) -> str:
    """The call for captions that no longer hold the rules; empty where they all do."""
    errors = [finding for finding in rewrite if finding.severity == Severity.ERROR]
    if not rewrite:
        return ""
    rules = ", ".join(dict.fromkeys(finding.rule_id for finding in errors or rewrite))
    return (
        f"Rewrite what no longer holds {rules} (`findings` names the images) with write_captions("
        f"dataset_id={dataset.id!r}, images=[...], overwrite=true), then validate_coverage."
    )


def _proposals_step(stands: Standing) -> str:
    """The calls for proposals that nobody looked at yet; empty where there are none."""
    proposed = [str(image.number) for image in stands.images if image.status == ImageStatus.PROPOSED]
    if not proposed:
        return ""
    more = f" and {len(proposed) - MOST_NAMED} more" if len(proposed) > MOST_NAMED else ""
    numbers = ", ".join(proposed[:MOST_NAMED]) + more
    return (
        f"Look at the proposals (numbers {numbers}) with view_images(of={stands.dataset.id!r}, what='sheet'), then "
        f"curate_dataset(dataset_id={stands.dataset.id!r}, keep=[...], reject=[...])."
    )


def _next_step(stands: Standing) -> str:
    dataset, kept = stands.dataset, stands.kept
    ref = f"dataset_id={dataset.id!r}"
    if not stands.images:
        return (
            f"Add pictures with curate_dataset({ref}, source=...), or draw them from captions of yours with "
            f"generate_candidates({ref}, captions=[...])."
        )
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
    missing = sum(image.id not in stands.captions for image in kept)
    if missing:
        return (
            f"{first}Look with view_images(of={dataset.id!r}, what='sheet'), then write_captions for {missing} images."
        )
    return f"{first}Judge the set with validate_coverage({ref})."
