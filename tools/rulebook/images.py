"""The rules on images, as they concern the kept set. Curation rejects with the same ids before an image is kept."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import islice
from textwrap import shorten

from loradeck.tools.contracts import Angle, Framing, Profile, SubjectKind
from loradeck.tools.rulebook.facts import THREE_QUARTERS, KeptImage, SetFacts
from loradeck.tools.rulebook.rule import (
    ERROR,
    GUIDE,
    INFO,
    WARNING,
    Remark,
    Scope,
    but,
    everywhere,
    for_figures,
    set_rule,
)
from loradeck.tools.rulebook.tables import FIGURES

MOST_NUMBERS = 12
LONGEST_WORDS = 60
"""How many images a fix names, and how much it quotes."""


def _ids(images: Iterable[KeptImage]) -> tuple[str, ...]:
    return tuple(image.id for image in images)


@set_rule("IMG-READABLE", Scope.IMAGE, everywhere(ERROR), "what cannot be read cannot train")
def copies_are_readable(facts: SetFacts) -> Iterable[Remark]:
    """Every kept image has a copy that opens."""
    broken = [image for image in facts.images if image.copy_size is None]
    if broken:
        yield Remark(
            f"The training copies of {len(broken)} kept images are missing or cannot be read.",
            "curate_dataset with their source again, or reject them.",
            _ids(broken),
        )


@set_rule("IMG-UNIFORM", Scope.IMAGE, everywhere(ERROR), "mixed resolutions make training unstable")
def one_size(facts: SetFacts) -> Iterable[Remark]:
    """All training copies have the dataset's resolution."""
    wanted = (facts.resolution, facts.resolution)
    other = [image for image in facts.images if image.copy_size not in {wanted, None}]
    if other:
        sizes = Counter(f"{size[0]}x{size[1]}" for image in other if (size := image.copy_size))
        yield Remark(
            f"{len(other)} copies are {', '.join(sorted(sizes))}, wanted {wanted[0]}x{wanted[1]}.",
            f"curate_dataset(dataset_id=..., resolution={facts.resolution}) writes all copies again.",
            _ids(other),
        )


@set_rule("IMG-SIZE", Scope.IMAGE, everywhere(WARNING), "1024 pixels or more on the shorter side")
def large_enough(facts: SetFacts) -> Iterable[Remark]:
    """The shorter side of the original is 1024 pixels or more; under 512 is an error unless it was kept on purpose."""
    limits = facts.limits
    for low, high, grave in ((0, limits.size_error, True), (limits.size_error, limits.size_warning, False)):
        small = [image for image in facts.images if low <= min(image.original_size) < high]
        for purpose in (False, True):
            group = [image for image in small if (grave and "IMG-SIZE" in image.overruled) == purpose]
            if group:
                smallest = min(min(image.original_size) for image in group)
                kept = ", kept on purpose" if purpose else ""
                yield Remark(
                    f"{len(group)} images have a shorter side under {high} pixels (smallest {smallest}){kept}.",
                    "Use larger originals where there are any.",
                    _ids(group),
                    ERROR if grave and not purpose else None,
                )


@set_rule("IMG-DUPLICATE", Scope.IMAGE, everywhere(ERROR), "near-duplicates add weight, not variety")
def no_equal_copies(facts: SetFacts) -> Iterable[Remark]:
    """No two kept images are the same; a pair that was kept on purpose is a warning."""
    same: dict[str, list[KeptImage]] = defaultdict(list)
    for image in facts.images:
        same[image.sha256].append(image)
    for group in same.values():
        if len(group) > 1:
            numbers = ", ".join(str(image.number) for image in group)
            purpose = any("IMG-DUPLICATE" in image.overruled for image in group)
            yield Remark(
                f"Images {numbers} have the same pixels{', kept on purpose' if purpose else ''}.",
                f"curate_dataset(dataset_id=..., reject={[str(image.number) for image in group[1:]]}).",
                _ids(group),
                WARNING if purpose else None,
            )


@set_rule("IMG-TEXT", Scope.IMAGE, but(everywhere(ERROR), Profile.LOGO), "text laid over a picture is learned with it")
def no_text_laid_over(facts: SetFacts) -> Iterable[Remark]:
    """No watermark, caption bar, date or credit lies over a picture: at its margin, or the same on several, is an error
    unless it was kept on purpose; text elsewhere, which may belong to the scene, is a warning.
    """
    laid = [image for image in facts.images if image.measured.overlay in {"margin", "repeated"}]
    for purpose in (False, True):
        group = [image for image in laid if ("IMG-TEXT" in image.overruled) == purpose]
        if group:
            kept = ", kept on purpose" if purpose else ""
            yield Remark(
                f"{len(group)} images have text laid over them{kept}, such as {_read(group)}.",
                "Crop it off (curate_dataset(dataset_id=..., crops=[{image, x, y, side}])), use clean originals, or "
                f"curate_dataset(dataset_id=..., reject={_numbers(group)}).",
                _ids(group),
                WARNING if purpose else None,
            )
    scene = [image for image in facts.images if image.measured.overlay == "scene" and "IMG-TEXT" not in image.overruled]
    if scene:
        yield Remark(
            f"{len(scene)} images hold text, such as {_read(scene)}; it is right only where it belongs to the scene.",
            f'Look with view_images(of=dataset_id, what="image", image_ids={_numbers(scene)}); where it belongs, '
            f"curate_dataset(dataset_id=..., keep={_numbers(scene)}), else reject them.",
            _ids(scene),
            WARNING,
        )


def _read(images: Iterable[KeptImage]) -> str:
    """What the first of them says, and where."""
    first = next((image for image in images if image.measured.words), None)
    if first is None:
        return "letters that could not be read"
    return f"{shorten(first.measured.words, LONGEST_WORDS, placeholder='...')!r} on image {first.number}"


def _numbers(images: Iterable[KeptImage]) -> list[str]:
    return [str(image.number) for image in islice(images, MOST_NUMBERS)]


@set_rule("IMG-OCCLUDED", Scope.IMAGE, for_figures(WARNING), f"{GUIDE}: a face that is named is a face that shows")
def faces_show_where_they_must(facts: SetFacts) -> Iterable[Remark]:
    """A person's face shows in close-ups and medium shots from the front and three-quarter views. Judged where the
    detector finds the face in most of them: a drawing or a mask it cannot know.
    """
    if facts.subject_kind != SubjectKind.PERSON:
        return
    must = [
        image
        for image in facts.images
        if image.framing in {Framing.CLOSE_UP, Framing.MEDIUM}
        and image.angle in {Angle.FRONT, *THREE_QUARTERS}
        and image.measured.faces is not None
    ]
    hidden = [image for image in must if image.measured.faces == 0]
    if hidden and 2 * len(hidden) < len(must):
        yield Remark(
            f"No face was found in {len(hidden)} of {len(must)} images that should show one: it is covered, turned "
            "away or in the dark.",
            f'Look with view_images(of=dataset_id, what="image", image_ids={_numbers(hidden)}); mend the angle or the '
            "framing with write_captions, or reject what hides the face.",
            _ids(hidden),
        )


@set_rule(
    "IMG-OUTLIER", Scope.IMAGE, but(everywhere(WARNING), *FIGURES), "one look is learned from pictures that share it"
)
def none_looks_unlike_the_rest(facts: SetFacts) -> Iterable[Remark]:
    """No image looks unlike the rest in colour, texture and flatness: an older brand style, another medium. A figure's
    set is not judged: its grounds and lights should differ, and who a person is cannot be told by this.
    """
    limit = facts.limits.strangeness
    strange = [image for image in facts.images if (image.measured.strangeness or 0) > limit]
    if strange:
        furthest = max(image.measured.strangeness or 0 for image in strange)
        yield Remark(
            f"{len(strange)} images look unlike the rest (up to {furthest:.1f} robust deviations away, {limit:g} is "
            "usual).",
            f'Look with view_images(of=dataset_id, what="image", image_ids={_numbers(strange)}); reject those of '
            "another look.",
            _ids(strange),
        )


def is_drawn_by_a_lora(image: KeptImage) -> bool:
    """True where an image's own metadata, or its attribute source_engine, says that a LoRA drew it."""
    return bool(image.measured.loras) or "lora" in re.split(r"\W+", image.known("source_engine") or "")


@set_rule("IMG-ORIGIN", Scope.IMAGE, everywhere(ERROR), "what a LoRA drew teaches its own mistakes back")
def not_drawn_by_a_lora(facts: SetFacts) -> Iterable[Remark]:
    """No image was made with a LoRA: what it got wrong would be learned again. Read from the file's own metadata and
    from the attribute source_engine; a warning where it was kept on purpose.
    """
    drawn = [image for image in facts.images if is_drawn_by_a_lora(image)]
    for purpose in (False, True):
        group = [image for image in drawn if ("IMG-ORIGIN" in image.overruled) == purpose]
        if group:
            names = sorted({name for image in group for name in image.measured.loras})
            by = f" ({shorten(', '.join(names), LONGEST_WORDS, placeholder='...')})" if names else ""
            kept = ", kept on purpose" if purpose else ""
            yield Remark(
                f"{len(group)} images were made with a LoRA{by}{kept}.",
                f"curate_dataset(dataset_id=..., reject={_numbers(group)}), and add originals or what a base model "
                "drew without one.",
                _ids(group),
                WARNING if purpose else None,
            )


@set_rule("IMG-RIGHTS", Scope.IMAGE, everywhere(INFO), "where it comes from, and who may use it")
def rights_are_known(facts: SetFacts) -> Iterable[Remark]:
    """Where each image comes from and who may use it is recorded; unknown is told. An image that may not leave this
    machine stops every upload to a hosted engine (an error of start_training).
    """
    unknown = [image for image in facts.images if not image.has_rights]
    if unknown:
        yield Remark(
            f"Source and licence of {len(unknown)} of {len(facts.images)} images are not recorded.",
            "curate_dataset(dataset_id=..., rights={source, licence, consent, may_leave}).",
            _ids(unknown),
        )
