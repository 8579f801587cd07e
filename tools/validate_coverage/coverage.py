"""What the kept images show, counted: attribute -> value -> images."""

from __future__ import annotations

from collections import Counter

from loradeck.tools.rulebook.coverage import expression_family, needed_attributes
from loradeck.tools.rulebook.facts import UNKNOWN, KeptImage, SetFacts

MOST_VALUES = 20
OTHERS = "others"


def coverage(facts: SetFacts) -> dict[str, dict[str, int]]:
    """Each attribute that matters here or is known of any image, its values by how often they occur.

    Framing and angle are counted in the classes of the rules; at most 20 values are named, the rest as "others".
    """
    names = dict.fromkeys([*needed_attributes(facts), "background", "lighting", "category", "wardrobe", "subject"])
    shown = [name for name in names if name in needed_attributes(facts) or facts.has(name)]
    table = {name: _counted(Counter(_class(image, name) for image in facts.images)) for name in shown}
    colours = Counter(str(colour) for image in facts.images for colour in _colours(image))
    return {**table, "colors": _counted(colours)} if colours else table


def _class(image: KeptImage, name: str) -> str:
    if name == "framing":
        return image.framing_class or UNKNOWN
    if name == "angle":
        return image.angle_class or UNKNOWN
    value = image.known(name)
    if value is None:
        return UNKNOWN
    return expression_family(value) if name == "expression" else value


def _colours(image: KeptImage) -> list[str]:
    value = image.attributes.get("colors")
    return value if isinstance(value, list) else []


def _counted(counts: Counter[str]) -> dict[str, int]:
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ranked[MOST_VALUES:])
    return dict(ranked[:MOST_VALUES]) | ({OTHERS: rest} if rest else {})
