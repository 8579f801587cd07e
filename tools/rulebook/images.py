"""The rules on images, as they concern the kept set. Curation rejects with the same ids before an image is kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.rule import ERROR, WARNING, Remark, Scope, everywhere, set_rule


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
