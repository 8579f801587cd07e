"""From rows to what the rules look at: a dataset's kept images and captions as `SetFacts`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord
from loradeck.tools.contracts import AttributeSource, Profile, SubjectKind, TargetModel
from loradeck.tools.curate_dataset.overlays import Lettering, overlay_of, placed, repeated
from loradeck.tools.rulebook.facts import UNKNOWN, KeptImage, Measured, SetFacts
from loradeck.tools.rulebook.tables import House
from loradeck.tools.rulebook.words import tidy

RANK = {source: rank for rank, source in enumerate(AttributeSource)}
NUMBERS = ("sharpness", "enlarged", "blocking", "jpeg_quality", "brightness", "highlight", "crushed", "blown")
SIDES = (1000, 1000)
CopySize = Callable[[ImageRecord], tuple[int, int] | None]


def set_facts(
    dataset: DatasetRecord,
    images: Sequence[ImageRecord],
    captions: Mapping[str, CaptionRecord],
    target_model: TargetModel | None = None,
    copy_size: CopySize | None = None,
    house: House | None = None,
    hashes: Mapping[str, str] | None = None,
    strangeness: Mapping[str, float] | None = None,
) -> SetFacts:
    """The dataset as the rules see it. `copy_size` measures a copy in pixels; without it copies count as written.

    `house` is what its `loradeck.toml` says, where it has one; by image id, `hashes` are those of the copies as they
    lie on the disk, and `strangeness` is how far each looks from the rest.
    """
    side = (dataset.resolution, dataset.resolution)
    again = with_the_same_text(images)
    return SetFacts(
        profile=Profile(dataset.profile),
        target_model=target_model or TargetModel(dataset.target_model),
        trigger=tidy(dataset.trigger) if dataset.trigger else None,
        images=tuple(
            replace(
                kept_image(
                    image, captions.get(image.id), copy_size(image) if copy_size else side, (hashes or {}).get(image.id)
                ),
                measured=measured(image, image.id in again, (strangeness or {}).get(image.id)),
            )
            for image in images
        ),
        resolution=dataset.resolution,
        subject_kind=SubjectKind(dataset.subject_kind),
        subject=dataset.subject,
        categories=tuple(dataset.categories),
        house=house or House(),
    )


def kept_image(
    image: ImageRecord, caption: CaptionRecord | None, copy_size: tuple[int, int] | None, sha256: str | None
) -> KeptImage:
    """One image and its caption as the rules see them; `sha256` is its copy's on the disk, where that was looked at."""
    return KeptImage(
        id=image.id,
        number=image.number,
        sha256=sha256 or image.copy_sha256 or image.sha256,
        original_size=(int(image.facts.get("width", 0)), int(image.facts.get("height", 0))),
        copy_size=copy_size,
        attributes=image.attributes,
        sources=image.sources,
        caption=caption.text if caption else None,
        mode=caption.mode if caption else None,
        seen=caption.seen if caption else False,
        plain_background=image.facts.get("plain_background"),
        crop=image.crop,
        overruled=frozenset(str(reason["rule_id"]) for reason in image.reasons if "rule_id" in reason),
        measured=measured(image),
        has_rights=bool(image.rights.get("source") or image.rights.get("licence")),
    )


def measured(image: ImageRecord, repeats: bool = False, strangeness: float | None = None) -> Measured:
    """What curation measured on an image; `repeats` where others of its set carry the same text."""
    facts = image.facts
    laid = overlay_of(letterings(image), SIDES)
    mark = str(facts.get("mark") or "")
    overlay = "repeated" if mark or (laid and repeats) else laid.kind if laid else None
    return Measured(
        **{name: facts.get(name) for name in NUMBERS},
        faces=len(facts["faces"]) if facts.get("faces") is not None else None,
        overlay=overlay,
        words=mark or (laid.words if laid else ""),
        loras=tuple(facts.get("loras") or ()),
        strangeness=strangeness,
    )


def letterings(image: ImageRecord) -> list[Lettering]:
    """The lines of text in an image's training copy, in thousandths of its side."""
    return [Lettering(**line | {"box": tuple(line["box"])}) for line in image.facts.get("text") or []]


def with_the_same_text(images: Sequence[ImageRecord]) -> set[str]:
    """Ids of the images that carry the same text at the same place as others: a watermark."""
    return repeated({image.id: placed(letterings(image), SIDES) for image in images})


def merged(
    attributes: Mapping[str, Any], sources: Mapping[str, str], given: Mapping[str, Any], source: AttributeSource
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """(attributes, sources, names left as they were) after a source has told what it knows.

    A later source of `AttributeSource` wins over an earlier one; the same source corrects itself; "unknown" takes a
    value back and is remembered as that, so that a weaker source does not put it in again.
    """
    values, origins, kept = dict(attributes), dict(sources), []
    for name, value in given.items():
        holder = origins.get(name)
        if holder is not None and RANK[AttributeSource(holder)] > RANK[source]:
            kept.append(name)
            continue
        taken_back = isinstance(value, str) and value.strip().lower() == UNKNOWN
        values[name] = UNKNOWN if taken_back else value
        origins[name] = str(source)
    return values, origins, kept
