"""The twelve views of a figure: where the camera goes for each, which faces it shows by default, in how many passes.

Few faces are read from the side, and none from behind; what a base already knows of expressions need not be taught from
every angle. The pass that changes a face would turn a head that looks away, so back views go without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loradeck.engines.base import CameraTurn
from loradeck.tools.contracts import Angle, Framing
from loradeck.tools.rulebook.coverage import NEUTRAL, expression_family
from loradeck.tools.rulebook.facts import BACKS, THREE_QUARTERS, KeptImage
from loradeck.tools.rulebook.keystones import KEYSTONES

ALL_FACES = (NEUTRAL, "tired", "focused", "wary", "furious")
"""One of each of five families: neutral, three moderate ones and a single intense one."""
MILD_FACES = (NEUTRAL, "tired", "focused")
NEUTRAL_ALONE = frozenset({Angle.PROFILE_LEFT, Angle.PROFILE_RIGHT, Angle.LOW, Angle.HIGH})
TWELVE: tuple[tuple[Framing, Angle], ...] = (
    (Framing.CLOSE_UP, Angle.FRONT),
    (Framing.CLOSE_UP, Angle.THREE_QUARTER_RIGHT),
    (Framing.MEDIUM, Angle.FRONT),
    (Framing.MEDIUM, Angle.THREE_QUARTER_LEFT),
    (Framing.MEDIUM, Angle.THREE_QUARTER_RIGHT),
    (Framing.MEDIUM, Angle.PROFILE_LEFT),
    (Framing.MEDIUM, Angle.PROFILE_RIGHT),
    (Framing.FULL_BODY, Angle.LOW),
    (Framing.FULL_BODY, Angle.HIGH),
    (Framing.FULL_BODY, Angle.BACK),
    (Framing.MEDIUM, Angle.BACK_LEFT),
    (Framing.MEDIUM, Angle.BACK_RIGHT),
)
"""What "all" means; with the default faces these are 28 pictures."""

AROUND: dict[Angle, float] = {
    Angle.FRONT: 0, Angle.THREE_QUARTER_RIGHT: 45, Angle.PROFILE_RIGHT: 90, Angle.BACK_RIGHT: 135, Angle.BACK: 180,
    Angle.BACK_LEFT: 225, Angle.PROFILE_LEFT: 270, Angle.THREE_QUARTER_LEFT: 315, Angle.LOW: 0, Angle.HIGH: 0,
}  # fmt: skip
"""Degrees; at 90 the subject's right side is seen."""
HEIGHT: dict[Angle, float] = {Angle.LOW: -30, Angle.HIGH: 60}
"""Degrees, as the multi-angle editors learned a low and a high camera; all others are at eye level."""
ZOOM: dict[Framing, float] = {Framing.CLOSE_UP: 10, Framing.MEDIUM: 5, Framing.FULL_BODY: 0}
A_STEP_WIDER, A_STEP_CLOSER = 60.0, 15.0
"""How many degrees of turning a step of framing weighs: what a close-up does not show has to be made up, while from a
wide picture it is only cut."""
SIZES = (Framing.CLOSE_UP, Framing.MEDIUM, Framing.FULL_BODY)


@dataclass(frozen=True)
class View:
    """One of the views."""

    framing: Framing
    angle: Angle

    @property
    def faces(self) -> tuple[str, ...]:
        """The expressions that are worth making of it."""
        if self.angle in BACKS:
            return ()
        if self.angle in NEUTRAL_ALONE:
            return (NEUTRAL,)
        return MILD_FACES if self.angle in THREE_QUARTERS and self.framing != Framing.CLOSE_UP else ALL_FACES

    def turn_from(self, image: KeptImage) -> CameraTurn:
        """Where the camera goes, from where it stands in an image."""
        middle = ZOOM[Framing.MEDIUM]
        there = AROUND[image.angle] if image.angle is not None else 0.0
        before = ZOOM.get(image.framing, middle) if image.framing is not None else middle
        height, zoom = HEIGHT.get(self.angle, 0.0), ZOOM.get(self.framing, middle)
        return CameraTurn(AROUND[self.angle], height, zoom, there, before)

    def is_restyled(self, face: str | None) -> bool:
        """True where the second pass is worth its price: not for a back, nor for a neutral face from the side."""
        if self.angle in BACKS:
            return False
        neutral = face is None or expression_family(face) == NEUTRAL
        return not (self.angle in NEUTRAL_ALONE and neutral)


def away(view: View, image: KeptImage) -> float:
    """How far an image is from a view, in degrees of turning; infinite where its angle is not known."""
    if image.angle is None:
        return float("inf")
    apart = abs(AROUND[view.angle] - AROUND[image.angle]) % 360
    lifted = abs(HEIGHT.get(view.angle, 0.0) - HEIGHT.get(image.angle, 0.0))
    return min(apart, 360 - apart) + lifted + _wider(view.framing, image.framing)


def _wider(wanted: Framing, there: Framing | None) -> float:
    if wanted not in SIZES or there not in SIZES:
        return A_STEP_CLOSER
    steps = SIZES.index(wanted) - SIZES.index(there)
    return steps * A_STEP_WIDER if steps > 0 else -steps * A_STEP_CLOSER


def anchors(images: Iterable[KeptImage]) -> list[KeptImage]:
    """The images that may stand for the identity: those marked as keystones, else the neutral ones of a known angle.

    The order is that of the keystones' worth, so that of two that are equally near the better one is taken.
    """
    known = [image for image in images if image.angle is not None]
    marked = [image for image in known if image.attributes.get("keystone") is True]
    neutral = [image for image in known if expression_family(image.known("expression") or NEUTRAL) == NEUTRAL]
    return sorted(marked or neutral, key=lambda image: (_worth(image), image.number))


def _worth(image: KeptImage) -> int:
    places = (place for place, keystone in enumerate(KEYSTONES) if keystone.shown_by(image))
    return next(places, len(KEYSTONES))


def nearest(view: View, images: Iterable[KeptImage]) -> KeptImage | None:
    """Of the anchors, the one that the camera has to move the least from; None where there is none."""
    return min(images, key=lambda image: away(view, image), default=None)


def references(view: View, images: Iterable[KeptImage], most: int) -> list[KeptImage]:
    """Identity references of a view: the front always first, then what is nearest to the view, at most so many."""
    pool = list(images)
    front = nearest(View(Framing.CLOSE_UP, Angle.FRONT), pool)
    if front is None:
        return []
    others = sorted((image for image in pool if image.id != front.id), key=lambda image: away(view, image))
    return [front, *others][:most]
