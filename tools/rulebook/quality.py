"""The rules on how good a picture is: sharp, free of blocks, its tones kept. Each says of one picture why it is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loradeck.tools.rulebook.facts import Measured, SetFacts
from loradeck.tools.rulebook.rule import WARNING, Remark, Scope, everywhere, set_rule
from loradeck.tools.rulebook.tables import Thresholds

Why = Callable[[Measured, Thresholds], str | None]
MOST_NUMBERS = 12
FLAT = 4.0
"""A picture whose lights lie no further than this above its mean is one even tone, which is no fault of exposure."""


def why_blurred(image: Measured, limits: Thresholds) -> str | None:
    """Why a picture is too soft, None where it is sharp enough, has no edges or was not measured."""
    if image.sharpness is not None and image.sharpness < limits.sharpness:
        return (
            f"its sharpest edges are soft: sharpness {image.sharpness:.2f}, at least {limits.sharpness:g} is wanted "
            "(blurred, shaken, or enlarged from a smaller picture)"
        )
    if image.enlarged is not None and image.enlarged > limits.enlarged:
        return (
            f"half its pixels would hold all that it shows: enlarged {image.enlarged:.2f}, at most "
            f"{limits.enlarged:g} is wanted (enlarged from a smaller picture, or out of focus)"
        )
    return None


def why_blocky(image: Measured, limits: Thresholds) -> str | None:
    """Why JPEG damaged a picture too much, None where it did not or was not measured."""
    if image.jpeg_quality is not None and image.jpeg_quality < limits.jpeg_quality:
        return f"its file is JPEG of quality {image.jpeg_quality}, at least {limits.jpeg_quality} is wanted"
    if image.blocking is not None and image.blocking > limits.blocking:
        return (
            f"it shows JPEG blocks {image.blocking:.1f} times as coarse as at quality 50, at most {limits.blocking:g} "
            "times is wanted (saving it again does not mend that)"
        )
    return None


def why_badly_exposed(image: Measured, limits: Thresholds) -> str | None:
    """Why tones of a picture are lost, None where they are not or were not measured. Dark alone is no fault."""
    if image.blown is not None and image.blown > limits.blown:
        return f"{image.blown:.0%} of it is lost in white, at most {limits.blown:.0%} is wanted"
    if image.crushed is not None and image.crushed > limits.crushed:
        return f"{image.crushed:.0%} of it is lost in black, at most {limits.crushed:.0%} is wanted"
    mean, highlight = limits.dark
    if image.brightness is None or image.highlight is None:
        return None
    is_flat = image.highlight - image.brightness < FLAT
    if image.brightness < mean and image.highlight < highlight and not is_flat:
        return (
            f"it is dark all over: mean brightness {image.brightness:.0f} and highlights {image.highlight:.0f} of 255, "
            f"wanted {mean:.0f} or {highlight:.0f}"
        )
    return None


def _remarks(facts: SetFacts, why: Why, what: str, fix: str) -> Iterable[Remark]:
    """One remark for all images of which there is something to say, with the first one's own numbers."""
    found = [(image, said) for image in facts.images if (said := why(image.measured, facts.limits)) is not None]
    if found:
        numbers = ", ".join(str(image.number) for image, _ in found[:MOST_NUMBERS])
        first, said = found[0]
        yield Remark(
            f"{len(found)} images {what} (numbers {numbers}); image {first.number}: {said}.",
            fix,
            tuple(image.id for image, _ in found),
        )


@set_rule("IMG-SHARP", Scope.IMAGE, everywhere(WARNING), "a blurred picture teaches blur")
def sharp_enough(facts: SetFacts) -> Iterable[Remark]:
    """Edges are sharp, and no picture is an enlargement of a smaller one. What has no edges has none to lose."""
    return _remarks(facts, why_blurred, "are blurred or enlarged", "Use the sharp originals, or reject them.")


@set_rule("IMG-JPEG", Scope.IMAGE, everywhere(WARNING), "compression blocks are learned as texture")
def no_blocks(facts: SetFacts) -> Iterable[Remark]:
    """No JPEG blocks: neither a file of low quality nor the traces of one that was saved again."""
    fix = "Use the originals before compression (quality 90 or more), or reject them."
    return _remarks(facts, why_blocky, "are damaged by JPEG", fix)


@set_rule("IMG-EXPOSURE", Scope.IMAGE, everywhere(WARNING), "lost tones cannot be learned")
def tones_are_kept(facts: SetFacts) -> Iterable[Remark]:
    """Neither shadows nor lights are lost over much of the picture, a plain ground left out; a night with a lamp in it
    is not too dark.
    """
    fix = "Develop them again from the originals, or reject them."
    return _remarks(facts, why_badly_exposed, "are badly exposed", fix)
