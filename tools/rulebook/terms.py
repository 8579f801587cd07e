"""CAP-TERMS: one thing has one name, so that a set does not teach three words for one street."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import combinations

from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.lexicon import vocabulary
from loradeck.tools.rulebook.rule import GUIDE, INFO, Remark, Scope, everywhere, set_rule
from loradeck.tools.rulebook.words import content, lemmas

NAMES = {"background": "environment", "wardrobe": "outfit", "lighting": "light"}
MOST_VALUES = 60
"""Sets with more wordings than this have no vocabulary to be consistent with."""
MOST_TOLD = 5


@cache
def _groups(attribute: str) -> dict[str, str]:
    """Word -> the first word of its row of synonyms."""
    same = vocabulary("terms")["same"]
    rows = [row.split() for row in (*same[attribute], *same["any"])]
    return {word: row[0] for row in reversed(rows) for word in row}


def _meaning(value: str, attribute: str) -> frozenset[str]:
    """The content words of a wording, synonyms brought to one."""
    groups = _groups(attribute)
    return frozenset(groups.get(word, word) for word in content(lemmas(value)))


def same_meanings(values: Iterable[str], attribute: str) -> Iterator[tuple[str, str]]:
    """Pairs of wordings that say the same in other words. Another word order alone is no other name."""
    meant = [(value, frozenset(content(lemmas(value))), _meaning(value, attribute)) for value in sorted(values)]
    for (one, own, meaning), (other, others, its) in combinations(meant, 2):
        if meaning and meaning == its and own != others:
            yield one, other


@set_rule("CAP-TERMS", Scope.CAPTION_SET, everywhere(INFO), f"{GUIDE}: one thing has one name")
def one_name_for_one_thing(facts: SetFacts) -> Iterable[Remark]:
    """One environment, outfit or light has one name: synonyms in the attributes, from which captions are built, are
    pointed out.
    """
    for attribute, called in NAMES.items():
        values = facts.values(attribute)
        if len(values) > MOST_VALUES:
            continue
        for one, other in list(same_meanings(values, attribute))[:MOST_TOLD]:
            usual, rare = sorted((one, other), key=lambda value: (-values[value], value))
            yield Remark(
                f'"{usual}" and "{rare}" name one {called} ({values[usual]} and {values[rare]} images).',
                f'Call it "{usual}" in all of them: write_captions(dataset_id=..., images=[{{image_id, attributes: '
                f'{{{attribute}: "{usual}"}}}}]), and in their captions.',
                tuple(image.id for image in facts.images if image.known(attribute) == rare),
            )
