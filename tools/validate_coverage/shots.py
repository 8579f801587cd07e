"""What to add next: missing pictures, concrete enough to make, most valuable first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle, islice

from loradeck.tools.contracts import Angle, Framing, Shot
from loradeck.tools.rulebook.coverage import LIT_PROFILES, NEUTRAL, expression_family, expressions
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.tables import BRAND, PROFILES, THRESHOLDS

MOST_SHOTS = 12
KEYSTONES: tuple[tuple[Framing, Angle], ...] = (
    (Framing.CLOSE_UP, Angle.FRONT),
    (Framing.CLOSE_UP, Angle.THREE_QUARTER_RIGHT),
    (Framing.CLOSE_UP, Angle.THREE_QUARTER_LEFT),
    (Framing.MEDIUM, Angle.PROFILE_LEFT),
    (Framing.MEDIUM, Angle.PROFILE_RIGHT),
    (Framing.FULL_BODY, Angle.FRONT),
    (Framing.FULL_BODY, Angle.BACK),
    (Framing.FULL_BODY, Angle.THREE_QUARTER_RIGHT),
)
"""The eight views that anchor an identity, all neutral, in this order of worth."""
VIEWS = {
    "close_up": (Angle.FRONT, Angle.THREE_QUARTER_LEFT, Angle.THREE_QUARTER_RIGHT),
    "medium": (Angle.THREE_QUARTER_RIGHT, Angle.PROFILE_LEFT, Angle.LOW, Angle.PROFILE_RIGHT, Angle.HIGH),
    "full_body": (Angle.FRONT, Angle.THREE_QUARTER_LEFT, Angle.LOW),
    "back_or_other": (Angle.BACK, Angle.BACK_LEFT, Angle.BACK_RIGHT),
}
READABLE = {Angle.FRONT, Angle.THREE_QUARTER_LEFT, Angle.THREE_QUARTER_RIGHT}
"""Angles from which an expression can be read; elsewhere neutral is enough."""
EXPRESSIONS = (NEUTRAL, "tired", "focused", "smiling", "worried", "angry")
ENVIRONMENTS = (
    "city street",
    "forest path",
    "kitchen",
    "industrial corridor",
    "seaside",
    "library",
    "rooftop",
    "foggy field",
    "workshop",
    "train platform",
)
LIGHTS = ("soft daylight", "warm lamp light", "cool overhead light", "low evening sun", "overcast sky")
OUTFITS = ("main outfit", "second outfit", "third outfit")
THINGS = (
    "bell", "camera", "key", "envelope", "magnifying glass", "umbrella", "bicycle", "tree", "cup", "rocket", "lock",
    "compass", "guitar", "apple", "chair", "globe", "hammer", "leaf", "map", "telephone", "wallet", "ladder",
)  # fmt: skip


def shot_list(facts: SetFacts) -> list[Shot]:
    """Up to twelve missing pictures, the most valuable first; empty when nothing is missing."""
    found = _figure(facts) if facts.is_figure else [*_categories(facts), *_subjects(facts)]
    return list(islice(found, MOST_SHOTS))


def _shot(worth: float, **attributes: str) -> Shot:
    said = {name: value for name, value in attributes.items() if value}
    return Shot(
        text=", ".join(value.replace("_", " ") for value in said.values()), attributes=said, worth=round(worth, 2)
    )


# --------------------------------------------------------------------------- one identity


def _figure(facts: SetFacts) -> Iterator[Shot]:
    """Missing keystones, then the framings that fall short, each in surroundings, light and clothes that are rare."""
    rotation = _surroundings(facts)
    views = list(_missing_views(facts))
    wanted = _missing_expressions(facts)
    for place, (framing, angle, keystone) in enumerate(views):
        readable = angle in READABLE and not keystone
        expression = (next(wanted, NEUTRAL) if readable else NEUTRAL) if facts.emotes else ""
        background, lighting, wardrobe = next(rotation)
        yield _shot(
            (len(views) - place) / len(views) + keystone,
            framing=str(framing),
            angle=str(angle),
            expression=expression,
            background=background,
            lighting=lighting,
            wardrobe=wardrobe,
        )


def _missing_views(facts: SetFacts) -> Iterator[tuple[Framing, Angle, bool]]:
    """(framing, angle, is a keystone) of the views to add."""
    have = {(image.framing, image.angle) for image in facts.images}
    added: Counter[str] = Counter()
    for framing, angle in KEYSTONES:
        if (framing, angle) not in have:
            added["back_or_other" if angle == Angle.BACK else str(framing)] += 1
            yield framing, angle, True
    goal = max(PROFILES[facts.profile].best[0], len(facts.images) + added.total())
    counts = Counter(image.framing_class for image in facts.images)
    for name, low, _ in THRESHOLDS.framing_bands:
        short = round(low * goal) - counts[name] - added[name]
        framing = Framing.MEDIUM if name == "back_or_other" else Framing(name)
        for angle in islice(_rarest_first(facts, VIEWS[name]), max(0, short)):
            yield framing, angle, False


def _rarest_first(facts: SetFacts, angles: Sequence[Angle]) -> Iterator[Angle]:
    seen = Counter(image.angle for image in facts.images)
    return cycle(sorted(angles, key=lambda angle: (seen[angle], angles.index(angle))))


def _missing_expressions(facts: SetFacts) -> Iterator[str]:
    """Expressions that nobody wears yet, then all in turn."""
    families = expressions(facts)
    fresh = [name for name in EXPRESSIONS if expression_family(name) not in families]
    return cycle([*fresh, *(name for name in EXPRESSIONS if name not in fresh)])


def _surroundings(facts: SetFacts) -> Iterator[tuple[str, str, str]]:
    """(environment, light, outfit), the ones not in the set first, each at its own pace."""
    environments = cycle(_unused(ENVIRONMENTS, facts, "background"))
    lights = cycle(_unused(LIGHTS, facts, "lighting"))
    outfits = cycle(OUTFITS if facts.wears else ("",))
    return zip(environments, lights, outfits, strict=False)


def _unused(pool: Sequence[str], facts: SetFacts, name: str) -> list[str]:
    said = " | ".join(image.known(name) or "" for image in facts.images)
    return [value for value in pool if value not in said] or list(pool)


# --------------------------------------------------------------------------- a look or a family


def _categories(facts: SetFacts) -> Iterator[Shot]:
    """One picture for each that a declared category lacks."""
    names = list(dict.fromkeys(name.strip().lower() for name in facts.categories))
    if len(names) < 2:
        return
    counts = Counter(image.known("category") for image in facts.images)
    goal = max(len(facts.images), PROFILES[facts.profile].warn_below)
    short = {name: round(goal / len(names)) - counts[name.replace("_", " ")] for name in names}
    for name, missing in sorted(short.items(), key=lambda item: -item[1]):
        for _ in range(max(0, missing)):
            yield _shot(1 + missing / goal, category=name, background=_place(facts), lighting=_light(facts))


def _subjects(facts: SetFacts) -> Iterator[Shot]:
    """Things or places that are not in the set yet, as many as it is short of a good number or of variety."""
    name, pool = ("subject", THINGS) if facts.profile in BRAND else ("background", ENVIRONMENTS)
    different = len({image.known(name) for image in facts.images} - {None})
    missing = PROFILES[facts.profile].best[0] - len(facts.images)
    variety = THRESHOLDS.backgrounds[1] - different if facts.has(name) else 0
    short = max(missing, variety)
    fresh = _unused(pool, facts, name)
    for place in range(min(max(0, short), len(fresh))):
        yield _shot((short - place) / short, **{name: fresh[place]}, lighting=_light(facts, place))


def _place(facts: SetFacts) -> str:
    return "" if facts.profile in BRAND else _unused(ENVIRONMENTS, facts, "background")[0]


def _light(facts: SetFacts, place: int = 0) -> str:
    if facts.profile not in LIT_PROFILES:
        return ""
    lights = _unused(LIGHTS, facts, "lighting")
    return lights[place % len(lights)]
