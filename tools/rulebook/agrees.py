"""CAP-AGREES: a caption does not contradict what is known of its image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from loradeck.tools.rulebook.captions import is_bare
from loradeck.tools.rulebook.claims import MATTERS
from loradeck.tools.rulebook.english import is_english
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.rule import ERROR, GUIDE, WARNING, Remark, caption_rule, graded
from loradeck.tools.rulebook.tables import BRAND
from loradeck.tools.rulebook.wear import colours_contradiction, subject_contradiction, wardrobe_contradiction
from loradeck.tools.rulebook.words import body


def value_of(image: KeptImage, name: str) -> str | None:
    """An attribute as text, a list as its items in a row."""
    value = image.attributes.get(name)
    return ", ".join(str(one).lower() for one in value) if isinstance(value, list) and value else image.known(name)


def contradictions(text: str, image: KeptImage, facts: SetFacts) -> Iterator[tuple[str, str, str]]:
    """The words of a text that contradict an attribute of its image, the attribute, and its value."""
    for matter in MATTERS:
        value = value_of(image, matter.attribute)
        if value and (said := matter.contradiction(text, value)):
            yield said, matter.attribute, value
    others = {"wardrobe": wardrobe_contradiction} if facts.is_figure else {"subject": subject_contradiction}
    if facts.profile in BRAND:
        others["colors"] = colours_contradiction
    for name, contradiction in others.items():
        value = value_of(image, name)
        if value and (said := contradiction(text, value)):
            yield said, name, value


@caption_rule("CAP-AGREES", graded(ERROR, WARNING), f"{GUIDE}: captions are true of their image")
def agrees(caption: str, image: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """Does not contradict the image's own attributes; what is unknown, or left unsaid, is no contradiction."""
    text = body(caption, facts.trigger)
    if is_bare(caption, facts.trigger) or not is_english(text):
        return
    told = dict.fromkeys(contradictions(text, image, facts))
    if told:
        both = "; ".join(f'says "{said}", the {name} is {value}' for said, name, value in told)
        names = " and ".join(dict.fromkeys(name for _, name, _ in told))
        yield Remark(
            f"The caption {both}.",
            f"Look at the image: write_captions again, or correct its {names}.",
        )
