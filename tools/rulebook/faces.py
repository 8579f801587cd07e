"""What is told of a figure's expressions beside their numbers: near-synonyms, extremes, and from where each shows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from loradeck.tools.contracts import Angle, Framing
from loradeck.tools.rulebook.coverage import NEUTRAL, expression_family
from loradeck.tools.rulebook.facts import THREE_QUARTERS, KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import EXTREME
from loradeck.tools.rulebook.rule import GUIDE, INFO, Remark, Scope, for_figures, set_rule

NEUTRAL_ALONE = frozenset({Angle.PROFILE_LEFT, Angle.PROFILE_RIGHT, Angle.LOW, Angle.HIGH})
MILD_ONES = 2


def _worn(facts: SetFacts) -> list[tuple[KeptImage, str]]:
    """Images in which a face shows, with what it expresses."""
    if not facts.emotes:
        return []
    said = [(image, image.known("expression")) for image in facts.images if image.face_shows]
    return [(image, expression) for image, expression in said if expression]


def _numbers(images: Iterable[KeptImage]) -> str:
    return ", ".join(str(image.number) for image in images)


@set_rule("COV-OVERLAP", Scope.COVERAGE, for_figures(INFO), f"{GUIDE}: near-synonyms are one expression")
def near_synonyms_are_told(facts: SetFacts) -> Iterable[Remark]:
    """Near-synonyms ("intense", "defiant") count as one family of expression."""
    families: defaultdict[str, set[str]] = defaultdict(set)
    for _, expression in _worn(facts):
        families[expression_family(expression)].add(expression)
    for family, wordings in sorted(families.items()):
        if len(wordings) > 1:
            listed = ", ".join(f'"{wording}"' for wording in sorted(wordings))
            yield Remark(
                f"{listed} count as one expression ({family}).",
                "Add an expression of another family, where more kinds are wanted.",
            )


@set_rule("COV-EXTREME", Scope.COVERAGE, for_figures(INFO), f"{GUIDE}: no theatrical extremes")
def extremes_are_told(facts: SetFacts) -> Iterable[Remark]:
    """Theatrical extremes distort the face, so that it is learned distorted."""
    extreme = [(image, expression) for image, expression in _worn(facts) if EXTREME.search(expression)]
    if extreme:
        listed = ", ".join(f'"{expression}"' for expression in dict.fromkeys(wording for _, wording in extreme))
        yield Remark(
            f"Images {_numbers(image for image, _ in extreme)} show theatrical extremes ({listed}), which distort the "
            "face.",
            "Replace them with a moderate version of the same expression.",
            tuple(image.id for image, _ in extreme),
        )


@set_rule("COV-COUPLING", Scope.COVERAGE, for_figures(INFO), f"{GUIDE}: expressions stay readable and uncoupled")
def expressions_are_readable_and_uncoupled(facts: SetFacts) -> Iterable[Remark]:
    """The full range belongs on front views and close-ups; one or two mild expressions beside neutral on three-quarter
    views; neutral alone on profile, low and high. No expression is seen from one angle only that shows only it.
    """
    worn = [(image, image.angle, expression_family(expression)) for image, expression in _worn(facts) if image.angle]
    yield from _unreadable(worn)
    yield from _crowded(worn)
    yield from _coupled(worn)


Worn = list[tuple[KeptImage, Angle, str]]


def _unreadable(worn: Worn) -> Iterable[Remark]:
    far = [
        image
        for image, angle, family in worn
        if angle in NEUTRAL_ALONE and family != NEUTRAL and image.framing != Framing.CLOSE_UP
    ]
    if far:
        yield Remark(
            f"Images {_numbers(far)} carry an expression where it is hardly read (profile, low or high).",
            "Show it from the front or in a close-up; neutral is best from these sides.",
            tuple(image.id for image in far),
        )


def _crowded(worn: Worn) -> Iterable[Remark]:
    shown = {
        family
        for image, angle, family in worn
        if angle in THREE_QUARTERS and family != NEUTRAL and image.framing != Framing.CLOSE_UP
    }
    if len(shown) > MILD_ONES:
        yield Remark(
            f"Three-quarter views carry {len(shown)} expressions beside neutral ({', '.join(sorted(shown))}), wanted "
            f"{MILD_ONES} mild ones at most.",
            "Move the others to front views and close-ups.",
        )


def _coupled(worn: Worn) -> Iterable[Remark]:
    """Expressions that only one angle shows, while it shows nothing else: neither can be had without the other."""
    angles: defaultdict[str, set[Angle]] = defaultdict(set)
    families: defaultdict[Angle, set[str]] = defaultdict(set)
    for _, angle, family in worn:
        angles[family].add(angle)
        families[angle].add(family)
    for family, seen in sorted(angles.items()):
        (angle, *others) = seen
        if len(angles) > 1 and not others and families[angle] == {family}:
            yield Remark(
                f'"{family}" is seen from {angle.replace("_", " ")} only, and {angle.replace("_", " ")} shows nothing '
                "else, so that one calls the other.",
                f'Add "{family}" from another side, or another expression from this one.',
            )
