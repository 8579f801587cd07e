"""What to add next: missing pictures, concrete enough to make, most valuable first.

The list is planned picture by picture: each one is chosen for what the set, with those before it, still lacks, until
the rules on coverage have nothing left to say that adding could mend. So the set passes them once all are there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from loradeck.tools.contracts import Angle, Framing, Severity, Shot
from loradeck.tools.rulebook.coverage import LIT_PROFILES, NEUTRAL, expression_family, expressions
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.keystones import missing_keystones
from loradeck.tools.rulebook.manifest import RULES
from loradeck.tools.rulebook.rule import Scope
from loradeck.tools.rulebook.tables import BRAND

MOST_SHOTS = 40
MOST_ASKED = 20
"""Shots of a deck, so that the set's own have room."""
ASKED_WORTH = 1.0
"""Of a picture that a deck wants: a missing keystone is worth more, what balances the set less."""
LARGE = 1000
"""Sets above this size get no list: what they lack is not a picture or two."""
MENDED_BY_ADDING = [
    rule for rule in RULES if rule.scope == Scope.COVERAGE and rule.id not in {"COV-KNOWN", "COV-SOURCE"}
]
VIEWS = {
    "close_up": (Angle.FRONT, Angle.THREE_QUARTER_LEFT, Angle.THREE_QUARTER_RIGHT),
    "medium": (
        Angle.FRONT, Angle.THREE_QUARTER_RIGHT, Angle.PROFILE_LEFT, Angle.THREE_QUARTER_LEFT, Angle.LOW,
        Angle.PROFILE_RIGHT, Angle.HIGH,
    ),
    "full_body": (Angle.FRONT, Angle.THREE_QUARTER_LEFT, Angle.LOW, Angle.THREE_QUARTER_RIGHT, Angle.HIGH),
    "back_or_other": (Angle.BACK, Angle.BACK_LEFT, Angle.BACK_RIGHT),
}  # fmt: skip
"""The angles that are worth adding in each framing."""
READABLE = {Angle.FRONT, Angle.THREE_QUARTER_LEFT, Angle.THREE_QUARTER_RIGHT}
"""Angles from which an expression can be read; elsewhere neutral is enough."""
EXPRESSIONS = ("tired", "focused", "smiling", "worried", "angry", "surprised")
"""What is asked for beside neutral, of a family each."""
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


def shot_list(facts: SetFacts, asked: Sequence[Mapping[str, str]] = ()) -> list[Shot]:
    """Up to forty missing pictures, the most valuable first; empty when adding pictures mends nothing.

    `asked` are attributes of pictures that a deck wants, each completed to a shot. Those that are a missing keystone
    too come first, the others behind the keystones and before all else; what they mend is not planned again.
    """
    wanted: list[Shot] = []
    grown = facts
    for attributes in asked[:MOST_ASKED]:
        shot = _said({**_next(grown, attributes), **attributes})
        before, grown = _keystones(grown), _with(grown, shot)
        wanted.append(_shot(shot, ASKED_WORTH + before - _keystones(grown)))
    planned: list[dict[str, str]] = []
    keystones = _keystones(grown)
    while len(wanted) + len(planned) < MOST_SHOTS and len(facts.images) <= LARGE and _lacks(grown):
        planned.append(_said(_next(grown)))
        grown = _with(grown, planned[-1])
    ranked = [_shot(shot, _worth(place, len(planned), keystones)) for place, shot in enumerate(planned)]
    return sorted([*wanted, *ranked], key=lambda shot: -shot.worth)


def _keystones(facts: SetFacts) -> int:
    """How many keystones are missing."""
    return len(missing_keystones(facts)) if facts.is_figure else 0


def _said(shot: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in shot.items() if value}


def _with(facts: SetFacts, shot: dict[str, str]) -> SetFacts:
    """The set once the picture is there."""
    number = 1 + len(facts.images)
    return replace(facts, images=(*facts.images, _as_image(shot, number)))


def _lacks(facts: SetFacts) -> bool:
    """True while a rule finds something that another picture could mend; in a full set, only an error counts."""
    found = {finding.severity for rule in MENDED_BY_ADDING for finding in rule.judge(facts)}
    return Severity.ERROR in found or (Severity.WARNING in found and len(facts.images) < facts.row.warn_above)


def _next(facts: SetFacts, asked: Mapping[str, str] | None = None) -> dict[str, str]:
    """The picture to add next; with `asked`, the one that completes what is asked for."""
    return _figure(facts, asked or {}) if facts.is_figure else _look(facts)


def _worth(place: int, planned: int, keystones: int) -> float:
    """From 1 down to 0; a keystone is worth one more."""
    return (planned - place) / planned + (place < keystones)


def _shot(said: dict[str, str], worth: float) -> Shot:
    return Shot(
        text=", ".join(value.replace("_", " ") for value in said.values()), attributes=said, worth=round(worth, 2)
    )


def _as_image(shot: dict[str, str], number: int) -> KeptImage:
    """The planned picture as the rules will see it."""
    return KeptImage(f"shot_{number}", -number, f"shot_{number}", (1024, 1024), (1024, 1024), shot)


# --------------------------------------------------------------------------- one identity


def _figure(facts: SetFacts, asked: Mapping[str, str]) -> dict[str, str]:
    """The view that is missing most, with an expression, surroundings, light and clothes that are rare."""
    framing, angle, neutral = _asked_view(facts, asked) if asked else _view(facts)
    expression = NEUTRAL if neutral or angle not in READABLE else _expression(facts)
    return {
        "framing": str(framing),
        "angle": str(angle),
        "expression": expression if facts.emotes else "",
        "background": _rarest(ENVIRONMENTS, facts, "background"),
        "lighting": _rarest(LIGHTS, facts, "lighting"),
        "wardrobe": _rarest(OUTFITS, facts, "wardrobe") if facts.wears else "",
    }


def _view(facts: SetFacts) -> tuple[Framing, Angle, bool]:
    """(framing, angle, must be neutral): the first missing keystone, else the rarest angle in the framing that lies
    furthest below its band.
    """
    for keystone in missing_keystones(facts):
        return *keystone.made_as, True
    counts = Counter(image.framing_class for image in facts.images)
    bands = {name: (low + high) / 2 for name, low, high in facts.limits.framing_bands}
    total = sum(counts[name] for name in bands) or 1
    name = max(bands, key=lambda band: bands[band] - counts[band] / total)
    angle = _rarest_angle(facts, name)
    return Framing.MEDIUM if name == "back_or_other" else Framing(name), angle, False


def _asked_view(facts: SetFacts, asked: Mapping[str, str]) -> tuple[Framing, Angle, bool]:
    """The view that is asked for, what is left open chosen so that it shows what is asked: a face from the front."""
    said = asked.get("angle") or (Angle.FRONT if "expression" in asked else None)
    if said is not None:
        angle = Angle(said)
        name = asked.get("framing") or next((band for band, angles in VIEWS.items() if angle in angles), "medium")
    elif "framing" in asked:
        name = asked["framing"]
        angle = _rarest_angle(facts, name)
    else:
        return _view(facts)
    return Framing.MEDIUM if name == "back_or_other" else Framing(name), angle, False


def _rarest_angle(facts: SetFacts, name: str) -> Angle:
    """Of the angles worth adding in a framing, the one that the fewest images show."""
    seen = Counter(image.angle for image in facts.images if image.framing_class == name)
    return min(VIEWS[name], key=lambda one: (seen[one], VIEWS[name].index(one)))


def _expression(facts: SetFacts) -> str:
    """Neutral where it is not the commonest or too rare, else the expression that the fewest images wear."""
    families = expressions(facts)
    low, high = facts.limits.neutral
    most = max((count for family, count in families.items() if family != NEUTRAL), default=0)
    if families[NEUTRAL] <= most or families[NEUTRAL] < (low + high) / 2 * (families.total() + 1):
        return NEUTRAL
    room = len(families) < facts.limits.expressions[1]
    pool = [name for name in EXPRESSIONS if room or expression_family(name) in families] or list(EXPRESSIONS)
    return min(pool, key=lambda name: families[expression_family(name)])


def _rarest(pool: Sequence[str], facts: SetFacts, name: str) -> str:
    """A value that the set does not have yet, else the one that the fewest images have."""
    said = facts.values(name)
    unused = [value for value in pool if not any(value in other for other in said)]
    return unused[0] if unused else min(pool, key=lambda value: sum(said[other] for other in said if value in other))


# --------------------------------------------------------------------------- a look or a family


def _look(facts: SetFacts) -> dict[str, str]:
    """Of the category that lacks most, something new in a rare light."""
    brand = facts.profile in BRAND
    return {
        "category": _category(facts),
        "subject": _new_thing(facts) if brand else "",
        "background": "" if brand else _rarest(ENVIRONMENTS, facts, "background"),
        "lighting": _rarest(LIGHTS, facts, "lighting") if facts.profile in LIT_PROFILES else "",
    }


def _category(facts: SetFacts) -> str:
    """The declared category that the fewest images hold; none where fewer than two are declared."""
    names = list(dict.fromkeys(name.strip().lower() for name in facts.categories))
    counts = facts.values("category")
    return min(names, key=lambda name: counts[name.replace("_", " ")]) if len(names) > 1 else ""


def _new_thing(facts: SetFacts) -> str:
    """A subject that no image shows; those of the pool in turn, and again in other company once all are there."""
    known = facts.values("subject")
    return next(name for name in _things() if name not in known)


def _things() -> Iterator[str]:
    yield from THINGS
    for other in THINGS:
        yield from (f"{thing} and {other}" for thing in THINGS if thing != other)
