"""The eight keystones: the views, all neutral, that anchor an identity; and what else is told of a set's make-up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from loradeck.tools.contracts import Angle, Framing
from loradeck.tools.rulebook.coverage import NEUTRAL, expression_family, same_thing
from loradeck.tools.rulebook.facts import BACKS, THREE_QUARTERS, KeptImage, SetFacts
from loradeck.tools.rulebook.rule import GUIDE, INFO, WARNING, Remark, Scope, for_figures, set_rule

MOST_TOLD = 5


@dataclass(frozen=True)
class Keystone:
    """One view that anchors an identity. Any of `angles` will do, and any framing where `framing` is None.

    `made_as` is the view to make where it is missing.
    """

    name: str
    framing: Framing | None
    angles: frozenset[Angle]
    made_as: tuple[Framing, Angle]

    def shown_by(self, image: KeptImage) -> bool:
        """True for an image of this view that is neutral, as far as is known."""
        expression = image.known("expression") if image.face_shows else None
        neutral = expression is None or expression_family(expression) == NEUTRAL
        return neutral and image.angle in self.angles and self.framing in {None, image.framing}


def _view(name: str, framing: Framing, angle: Angle) -> Keystone:
    return Keystone(name, framing, frozenset({angle}), (framing, angle))


KEYSTONES: tuple[Keystone, ...] = (
    _view("front close-up", Framing.CLOSE_UP, Angle.FRONT),
    _view("three-quarter right close-up", Framing.CLOSE_UP, Angle.THREE_QUARTER_RIGHT),
    _view("three-quarter left close-up", Framing.CLOSE_UP, Angle.THREE_QUARTER_LEFT),
    Keystone("profile left", None, frozenset({Angle.PROFILE_LEFT}), (Framing.MEDIUM, Angle.PROFILE_LEFT)),
    Keystone("profile right", None, frozenset({Angle.PROFILE_RIGHT}), (Framing.MEDIUM, Angle.PROFILE_RIGHT)),
    _view("full body front", Framing.FULL_BODY, Angle.FRONT),
    Keystone("back or over the shoulder", None, BACKS, (Framing.FULL_BODY, Angle.BACK)),
    Keystone(
        "full body three-quarter",
        Framing.FULL_BODY,
        THREE_QUARTERS,
        (Framing.FULL_BODY, Angle.THREE_QUARTER_RIGHT),
    ),
)
"""In this order of worth."""


def missing_keystones(facts: SetFacts) -> list[Keystone]:
    """The keystones that no kept image shows, the most valuable first."""
    return [keystone for keystone in KEYSTONES if not any(keystone.shown_by(image) for image in facts.images)]


@set_rule("COV-KEYSTONE", Scope.COVERAGE, for_figures(WARNING), f"{GUIDE}: the eight keystones")
def keystones_are_there(facts: SetFacts) -> Iterable[Remark]:
    """The eight keystones, all neutral: front close-up; three-quarter close-ups right and left; both profiles; full
    body front; back or over the shoulder; full body three-quarter. Judged once an angle is known.
    """
    missing = missing_keystones(facts) if facts.has("angle") else []
    if missing:
        yield Remark(
            f"{len(missing)} of the {len(KEYSTONES)} keystones, neutral, are missing: "
            f"{', '.join(keystone.name for keystone in missing)}.",
            "Add them first (shot_list of validate_coverage begins with them).",
        )


@set_rule("COV-COMBO", Scope.COVERAGE, for_figures(INFO), f"{GUIDE}: no combination twice")
def no_combination_twice(facts: SetFacts) -> Iterable[Remark]:
    """The same framing, angle and expression in the same light twice is told: the second adds little."""
    alike: defaultdict[tuple[str, ...], list[KeptImage]] = defaultdict(list)
    for image in facts.images:
        if image.angle and image.framing:
            expression = expression_family(image.known("expression") or NEUTRAL) if image.face_shows else ""
            light = same_thing(image.known("lighting") or "")
            alike[image.framing, image.angle, expression, light].append(image)
    for view, images in islice(((view, images) for view, images in alike.items() if len(images) > 1), MOST_TOLD):
        numbers = ", ".join(str(image.number) for image in images)
        shown = ", ".join(part.replace("_", " ") for part in dict.fromkeys(view) if part)
        yield Remark(
            f"Images {numbers} show the same: {shown}.",
            "Vary the light or the expression in one of them, or leave it out.",
            tuple(image.id for image in images),
        )


@set_rule("COV-SOURCE", Scope.COVERAGE, for_figures(WARNING), f"{GUIDE}: more than one engine")
def candidates_come_from_more_than_one_engine(facts: SetFacts) -> Iterable[Remark]:
    """Where half of the set or more was made by engines, more than one made it; one alone leaves its own look in."""
    engines = facts.values("source_engine")
    made = engines.total()
    if len(engines) == 1 and made > 1 and 2 * made >= len(facts.images):
        keystones = any(image.attributes.get("keystone") for image in facts.images)
        yield Remark(
            f"{made} of {len(facts.images)} images were made by {next(iter(engines))} alone"
            f"{'' if keystones else ', and none is marked as a keystone'}; its own look would be learned too.",
            "Add images from another engine, or photographs; mark the references with attributes {keystone: true}.",
        )
