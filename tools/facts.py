"""From rows to what the rules look at: a dataset's kept images and captions as `SetFacts`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord
from loradeck.tools.contracts import AttributeSource, Profile, SubjectKind, TargetModel
from loradeck.tools.rulebook.facts import UNKNOWN, KeptImage, SetFacts
from loradeck.tools.rulebook.tables import House
from loradeck.tools.rulebook.words import tidy

RANK = {source: rank for rank, source in enumerate(AttributeSource)}
CopySize = Callable[[ImageRecord], tuple[int, int] | None]


def set_facts(
    dataset: DatasetRecord,
    images: Sequence[ImageRecord],
    captions: Mapping[str, CaptionRecord],
    target_model: TargetModel | None = None,
    copy_size: CopySize | None = None,
    house: House | None = None,
    hashes: Mapping[str, str] | None = None,
) -> SetFacts:
    """The dataset as the rules see it. `copy_size` measures a copy in pixels; without it copies count as written.

    `house` is what its `loradeck.toml` says, where it has one; `hashes` (by image id) are those of the copies as they
    lie on the disk.
    """
    side = (dataset.resolution, dataset.resolution)
    return SetFacts(
        profile=Profile(dataset.profile),
        target_model=target_model or TargetModel(dataset.target_model),
        trigger=tidy(dataset.trigger) if dataset.trigger else None,
        images=tuple(
            kept_image(
                image, captions.get(image.id), copy_size(image) if copy_size else side, (hashes or {}).get(image.id)
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
    )


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
