"""COV-DECK: what the slides of a deck ask for and the set has never seen, as sentences and as shots to add.

A view is learned together with the light and the face that it is seen with, so these are asked for in one picture;
settings and clothes compose freely, so each is asked for alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loradeck.tools.contracts import DeckSpec, Finding, Severity
from loradeck.tools.render_deck_visuals.frames import frames
from loradeck.tools.rulebook.facts import SetFacts
from loradeck.tools.rulebook.rule import SET
from loradeck.tools.validate_coverage.asked import Wish, wishes

RULE = "COV-DECK"
MOST_TOLD = 20
TOGETHER = ({"angle", "lighting"}, {"angle", "expression"})
"""Attributes that are looked for in one picture, where a slide asks for both."""


@dataclass(frozen=True)
class Wanted:
    """One cell that slides want and no kept image fills: the slides, the words for it, attributes for a shot."""

    slides: tuple[str, ...]
    said: str
    attributes: Mapping[str, str]


def wanted_by(deck: DeckSpec, facts: SetFacts) -> list[Wanted]:
    """What slides ask for that the set lacks, what more slides want first, else in the order of the slides."""
    cells: dict[str, Wanted] = {}
    for frame in frames(deck):
        asked = wishes(frame.prompt, facts)
        lacking = _lacking(asked, facts)
        if lacking:
            said, name = _worded(lacking), f"{frame.number} ({frame.key})"
            before = cells.get(said)
            slides = (*before.slides, name) if before else (name,)
            cells[said] = Wanted(slides, said, before.attributes if before else attributes_of(asked, facts))
    return sorted(cells.values(), key=lambda cell: -len(cell.slides))


def findings(cells: Sequence[Wanted]) -> list[Finding]:
    """A sentence a cell; beyond twenty, how many more there are."""
    told = [f"{_named(cell.slides)} {cell.said}; the set has none." for cell in cells[:MOST_TOLD]]
    if len(cells) > MOST_TOLD:
        told.append(f"{len(cells) - MOST_TOLD} more slides ask for something that the set has none of.")
    fix = "Add it (shot_list of validate_coverage), or change the slide's prompt to what the set shows."
    return [Finding(rule_id=RULE, severity=Severity.INFO, where=[SET], why=why, fix=fix) for why in told]


def summed_up(deck: DeckSpec, cells: Sequence[Wanted], facts: SetFacts) -> str:
    """One sentence on the deck as a whole."""
    slides = sum(len(cell.slides) for cell in cells)
    if slides:
        return f"{slides} of the {len(frames(deck))} slides of {deck.title!r} ask for what the set lacks ({RULE})."
    known = any(_judged(wish, facts) for frame in frames(deck) for wish in wishes(frame.prompt, facts))
    if not known:
        return (
            f"What the slides of {deck.title!r} ask for cannot be compared with the set, of which too little is known."
        )
    return f"The set has seen all that the slides of {deck.title!r} ask for, as far as their prompts tell."


def _lacking(asked: Sequence[Wish], facts: SetFacts) -> list[Wish]:
    """The wishes that no kept image meets, alone or in one picture; of what is unknown everywhere nothing is said."""
    judged = [wish for wish in asked if _judged(wish, facts)]
    lacking = {wish for wish in judged if not _is_met([wish], facts)}
    for names in TOGETHER:
        both = [wish for wish in judged if wish.attribute in names]
        if len(both) == len(names) and not lacking.issuperset(both) and not _is_met(both, facts):
            lacking |= set(both)
    return [wish for wish in asked if wish in lacking]


def _is_met(together: Sequence[Wish], facts: SetFacts) -> bool:
    """True when one kept image meets all of these."""
    return any(all(wish.met_by(image, facts.trigger) for wish in together) for image in facts.images)


def _judged(wish: Wish, facts: SetFacts) -> bool:
    return facts.has(wish.attribute) or bool(facts.captioned)


def _named(slides: Sequence[str]) -> str:
    if len(slides) == 1:
        return f"Slide {slides[0]} needs"
    return f"Slides {', '.join(slides[:-1])} and {slides[-1]} need"


def _worded(lacking: Sequence[Wish]) -> str:
    """The wishes as one noun phrase: "a close-up, a back view at night and the setting "church nave""."""
    light = next((wish.said for wish in lacking if wish.attribute == "lighting"), "")
    things = [wish.said for wish in lacking if wish.attribute != "lighting"]
    if light:
        views = [place for place, wish in enumerate(lacking) if wish.attribute in {"angle", "framing"}]
        if views:
            things[views[-1]] += f" {light}"
        else:
            things.append(f"a picture {light}")
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"


def attributes_of(asked: Sequence[Wish], facts: SetFacts) -> dict[str, str]:
    """A shot's attributes: all that the slide asks for; of several that serve, the one that the set shows least."""
    return {wish.attribute: wish.value or _rarest(wish, facts) for wish in asked}


def _rarest(wish: Wish, facts: SetFacts) -> str:
    counts = facts.values(wish.attribute)
    return min(sorted(wish.options), key=lambda value: counts[value.replace("_", " ")])
