"""CAP-PHYSICAL: an emotion comes with what it looks like, not as a bare label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile

from loradeck.tools.contracts import Profile
from loradeck.tools.rulebook.alternation import WholeWords
from loradeck.tools.rulebook.captions import quoted
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS, LIGHT_WORDS, PLACE_WORDS, VERBS, any_of, vocabulary
from loradeck.tools.rulebook.rule import GUIDE, INFO, Remark, caption_rule
from loradeck.tools.rulebook.tables import STRICT
from loradeck.tools.rulebook.words import body
from loradeck.tools.rulebook.written import BLANK, own_words

_DATA = vocabulary("physical")
_WORDS = {name: frozenset(text.split()) for name, text in _DATA["words"].items()}
_FAMILIES = _DATA["families"]

LOOKS: dict[str, str] = {family: told["looks"] for family, told in _FAMILIES.items()}
"""Family of emotions -> what it looks like, for whoever mends the caption."""
STATES: dict[str, str] = {word: family for family, told in _FAMILIES.items() for word in told["states"].split()}
FEELINGS: dict[str, str] = {word: family for family, told in _FAMILIES.items() for word in told["feelings"].split()}
CUED_ONLY = _DATA["words"]["cued_only"]
FACES, PEOPLE, VIEWS, COPULAS = (_WORDS[name] for name in ("faces", "people", "views", "copulas"))
SCENERY = _WORDS["scenery"] | PLACE_WORDS | LIGHT_WORDS
SOMEONE = PEOPLE | {"he", "she", "they", "his", "her", "him", "their", "someone", "who", "whose"}

NOT_DESCRIBED = FUNCTION_WORDS | {
    "next",
    "close",
    "alone",
    "again",
    "today",
    "now",
    "still",
    "together",
    "away",
    "back",
}
TOKEN = re.compile(r"[^\W_]+(?:['-][^\W_]+)*|[^\w\s]")
CLAUSE_END = re.compile(r"[,.;:!?()|/—–\n]")
FAR = 4
"""Most words between a part of the body and what it does."""
AHEAD = 3
"""Most words between an adjective and its noun."""


def _adverb(state: str) -> str:
    if state.endswith("y"):
        return state[:-1] + "ily"
    if state.endswith("le"):
        return state[:-1] + "y"
    return state + ("ally" if state.endswith("ic") else "ly")


MANNERS = {_adverb(word): family for word, family in STATES.items() if family != CUED_ONLY}

PHRASES = {family: any_of(phrases) for family, phrases in _DATA["phrases"].items()}
OTHER_MEANINGS = any_of(_DATA["other"]["meanings"])
ACTS = any_of([*_DATA["signs"]["acts"], *_DATA["signs"]["postures"]])
PARTS = re.compile(rf"{any_of(_DATA['signs']['strong_parts']).pattern}(?! of (?:an?|the|this) )")
DOINGS = any_of(_DATA["signs"]["strong_states"])
TOLD_BEFORE = re.compile(
    rf"(?:{any_of(_DATA['nouns']['before']).pattern}|^) (?:an? |the |his |her |such |this )?(?:\w+ )?$"
)
TOLD_AFTER = re.compile(rf"^ {any_of(_DATA['nouns']['after']).pattern}")

_DEPICTIONS = "|".join(map(re.escape, sorted(_WORDS["depictions"], key=len, reverse=True)))
_PEOPLE = "|".join(sorted(PEOPLE, key=len, reverse=True))
DEPICTED = re.compile(
    rf"(?:(?<!\w)(?!(?:an?|the|his|her|its|their|with|in|of|on|at|by|beside|next|to|and|behind) )[\w'-]+ ){{0,2}}"
    rf"(?<![\w-])(?:{_DEPICTIONS})(?![\w-])"
    r"(?: (?:of|with|showing|depicting|bearing)(?: (?!next to|beside|behind|under|above|in front)[\w'-]+){1,8})?"
)
"""A poster of a smiling woman, a grinning pumpkin: a face, but not one's own."""
BYSTANDER = re.compile(
    r"(?<!\w)(?:beside|next to|behind|with|facing|to|at|towards?|past|by|between|from|of|and|while|as|near|against) "
    rf"(?:an?|another|two|three|four|several|some|the other|other) (?:[\w'-]+ ){{0,3}}(?:{_PEOPLE})(?!\w)"
    r"(?:(?!\b(?:her|his|she|he|its|their)\b)[^,.;:])*"
)
"""Someone else, up to the end of the clause: "next to a laughing man"."""

# --------------------------------------------------------------------------- whose face


def own_face(text: str, is_figure: bool) -> str:
    """A text without other faces: those of pictures, masks and prints, and beside a figure those of bystanders."""
    rest = DEPICTED.sub(BLANK, OTHER_MEANINGS.sub(BLANK, text))
    return BYSTANDER.sub(BLANK, rest) if is_figure else rest


def peopled(text: str) -> bool:
    """True when somebody is there to feel: a park is melancholy, a sea is furious, without one."""
    return not SOMEONE.isdisjoint(TOKEN.findall(text.lower())) or own_words(text).count(BLANK) > 0


# --------------------------------------------------------------------------- emotions that are named


def labels(text: str) -> list[tuple[str, str]]:
    """The emotions that a text (lower case) names, each with its family."""
    spots = [(match.group(), match.end(), match.start()) for match in TOKEN.finditer(text)]
    tokens = [token for token, _, _ in spots]
    single = [
        (token, family)
        for place, (token, end, start) in enumerate(spots)
        if (family := _family(tokens, place, text[:start], text[end:]))
    ]
    return single + [(match.group(), family) for family, said in PHRASES.items() for match in said.finditer(text)]


def _family(tokens: Sequence[str], place: int, before: str, after: str) -> str | None:
    token = tokens[place]
    if token in STATES and _of_a_person(tokens, place):
        return STATES[token]
    if token in FEELINGS and (TOLD_BEFORE.search(before[-40:]) or TOLD_AFTER.search(after[:60])):
        return FEELINGS[token]
    return MANNERS.get(token)


def _of_a_person(tokens: Sequence[str], place: int) -> bool:
    """True when the adjective is said of somebody, or of a face, rather than of the thing that follows it."""
    modified = list(takewhile(_goes_on, tokens[place + 1 : place + 1 + AHEAD]))
    if not FACES.isdisjoint(modified):
        return True
    said = place > 0 and tokens[place - 1] in COPULAS
    if STATES[tokens[place]] == CUED_ONLY and not said:
        return False
    if said and place > 1 and tokens[place - 2] in SCENERY:
        return False
    if tokens[place] == "content" and not (said or (place > 0 and not tokens[place - 1].isalnum())):
        return False
    alone = not modified or modified[0] in VERBS | VIEWS or (len(modified) == 1 and modified[0].endswith("ing"))
    return alone or not PEOPLE.isdisjoint(modified)


def _goes_on(token: str) -> bool:
    """True for a word that an adjective in front of it may describe."""
    return token[0].isalnum() and token not in NOT_DESCRIBED


# --------------------------------------------------------------------------- emotions that are shown


def shown(text: str) -> bool:
    """True when a text (lower case) has a sign of emotion that can be seen: a scowl, a set jaw, a bowed head."""
    return ACTS.search(text) is not None or any(_moves(clause) for clause in CLAUSE_END.split(text))


def _moves(clause: str) -> bool:
    """True when a part of the face does something, in one stretch of words."""
    if not PARTS.search(clause):
        return False
    doings = list(_places(DOINGS, clause))
    return any(abs(part - doing) <= FAR + 1 for part in _places(PARTS, clause) for doing in doings if part != doing)


def _places(pattern: re.Pattern[str] | WholeWords, clause: str) -> Iterator[int]:
    """How many words stand before each match."""
    return (clause.count(" ", 0, match.start()) for match in pattern.finditer(clause))


# --------------------------------------------------------------------------- the rule


@caption_rule("CAP-PHYSICAL", dict.fromkeys(STRICT, INFO), f"{GUIDE}: an emotion anchor and two or three descriptors")
def shown_not_labelled(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """An emotion comes with what it looks like ("heavy-lidded eyes", "jaw set"), not as a bare label."""
    said = facts.judged_words(body(caption, facts.trigger))
    if facts.profile == Profile.STYLE and not peopled(said):
        return
    text = own_face(own_words(said), facts.is_figure)
    named = labels(text)
    if named and not shown(text):
        looks = "; ".join(f"{family}: {LOOKS[family]}" for family in dict.fromkeys(family for _, family in named))
        yield Remark(
            f"The caption names an emotion ({quoted(word for word, _ in named)}) and nothing that it looks like.",
            f"write_captions again with what the image shows of it, such as {looks}.",
        )
