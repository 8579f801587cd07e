"""What a caption says of the scene itself: not of pictures that hang in it, signs to read in it, people named in it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from loradeck.tools.rulebook.alternation import WholeWords
from loradeck.tools.rulebook.english import unquoted
from loradeck.tools.rulebook.lexicon import COLOURS, any_of, vocabulary

DATA: dict[str, Any] = vocabulary("covers")
WORD_LISTS: dict[str, frozenset[str]] = {name: frozenset(text.split()) for name, text in DATA["words"].items()}


def _alternatives(words: frozenset[str]) -> str:
    return "(?:" + "|".join(sorted(words, key=len, reverse=True)) + ")"


def heard(patterns: list[str]) -> WholeWords:
    """One pattern of many, with the lists that they name put in."""
    lists = {"PART": WORD_LISTS["parts"], "GARMENT": WORD_LISTS["garments"], "COLOUR": COLOURS}
    lists["STATE"] = frozenset(DATA["faces"]["state"].split())
    for name, words in lists.items():
        patterns = [pattern.replace(name, _alternatives(words)) for pattern in patterns]
    return any_of(patterns)


_PICTURE = _alternatives(frozenset(DATA["pictured"]["picture"].split()))
_NEAR = (
    r"(?!(?:in|at|on|beside|behind|hangs?|taped|pinned|stuck|hung|on|near|slides?|screams?|is|stands?|against|to)\b)"
)
PICTURED = re.compile(
    rf"(?<=\w)\s+(?:a |an |the |\w+ )?{_PICTURE} (?:of|for|with|showing|depicting|that shows)"
    rf"((?: {_NEAR}[\w’'-]+){{1,7}})"
)
_SCREEN = _alternatives(frozenset(DATA["pictured"]["carrier"].split()))
SHOWN_ON = re.compile(
    rf"(?:(?<=, )|(?<=and )|(?<=with )|(?<=of )|(?<=at )|(?<=to )|^)(?:an?|the|some|two|three) (?:[\w’'-]+ ){{1,4}}"
    rf"(?:print\w*|shown|showing|painted|drawn|stitched|sewn|embroidered|tattooed|playing|flickering|stencilled)? ?"
    rf"(?:on|across|in|inside) (?:an?|the|his|her|its|their|someone's|one)(?: [\w’'-]+)? {_SCREEN}\b"
)
LIKENED = re.compile(
    r"(?<!looks )(?<!\blook )\b(?:like|as if|as though|as (?:\w+) as)"
    r" (?:an?|the|some|one|in|at|on|under|of|she|he|it|they|two|his|her|for|from|to)\b[^,.;:—]*"
)
THOUGHT_OF = re.compile(rf"\b(?:{'|'.join(DATA['pictured']['thought'])})\b (?!(?:the )?(?:camera|lens))[^,.;:—]*")
PICTURED_WHERE = re.compile(rf"(?<=\w)\s+(?:\w+ )?{_PICTURE} (?:on|in|from) (?:which|whose)\b[^,.;:—]*")
PICTURE_SHOWS = re.compile(
    rf"(?:\b(?:a|an|the|one|another) )?(?:[\w'-]+ )?{_PICTURE} (?:shows?|depicts?|advertis\w+)\b[^,.;:—]*"
)
COMPOUND = re.compile(r"\b[\w’'-]+-(?:shaped|patterned|printed|themed|scented|print|motif)\b")
DECORATED = re.compile(rf"\b(?:{'|'.join(DATA['pictured']['decorated'])})\b[^,.;:—]*")
LOADED = re.compile(rf"\b(?:{'|'.join(DATA['stock']['load'])})\b[^,.;:—]*")
NAMED = re.compile(r"(?<![.!?:]\s)(?<!^)(?<=\s)(?:(?![A-Z]-)[A-ZÀ-ÖØ-Þ][\w’'-]+(?:\s|(?=[,.;:!?—)]|$)))+")


@lru_cache(maxsize=20_000)
def shown(text: str) -> str:
    """A text (trigger removed) without what is only quoted, or shown by a picture or a print in the scene."""
    text = unquoted(text).replace("’", "'")
    for other in (COMPOUND, PICTURE_SHOWS, PICTURED_WHERE, PICTURED, SHOWN_ON, DECORATED, LIKENED, THOUGHT_OF):
        text = other.sub(" ", text)
    return text


@lru_cache(maxsize=20_000)
def unnamed(text: str) -> str:
    """What is shown, in lower case, without names: Dawn is a friend, Moonlight a diner, Black Forest a region."""
    return NAMED.sub(" ", shown(text)).lower()


_COMING = "|".join(DATA["directions"]["coming"])
_SEEN = "|".join(DATA["directions"]["seen"])
_WHENCE = "|".join(DATA["directions"]["whence"])
LIT_FROM = re.compile(rf"\b((?:{_COMING})\b(?: (?!(?:{_SEEN})\b)[\w'’-]+){{0,8}}?) (?:{_WHENCE})(?!\w)")


@lru_cache(maxsize=20_000)
def directed(text: str) -> str:
    """What is shown, without the directions that light, wind or others come from: "lit from behind" is no view."""
    return LIT_FROM.sub(r"\1 ", unnamed(text))


_OTHERS = {name: _alternatives(frozenset(text.split())) for name, text in DATA["others"].items()}
_LEADS = rf"(?:{_OTHERS['leads']}|next to|in front of)"
_NOT_FROM = "".join(rf"(?<!{word})" for word in ("from", "directly", "straight", "right", "squarely", "low"))
_NOT_OWN = r"(?! (?:the|his|her|their|its) (?:head|back|neck|ears?))"
_ELSEWHERE = "and|with|behind|beyond|below|above|nearby|overhead|outside|inside"
CLAUSE = re.compile(
    r"[,;:—–.!?]+\s*"
    rf"|\s(?={_LEADS} {_OTHERS['articles']} )"
    rf"|\s(?=and (?:{_OTHERS['articles']}|\w+ \w+s (?:are|is)) )"
    rf"|{_NOT_FROM}\s(?=(?:behind{_NOT_OWN}|full of|with (?:a|an|two|his|her) (?:\w+ )?{_OTHERS['company']}) )"
)
OTHERS = re.compile(
    rf"(?:(?:{_ELSEWHERE}|{_LEADS}),? )*(?:{_OTHERS['articles']}|someone's|full of|behind|on the wall) "
    r"([\w'’ -]+)"
)
HEAD_ENDS = re.compile(
    r" (?:with|in|at|on|of|who|that|is|are|was|were|has|and|by|from|behind|beside|to|under|over|near|against|asleep"
    r"|leaning|waiting) "
)
OF_THE_FIGURE = WORD_LISTS["faces"] | WORD_LISTS["parts"] | frozenset(DATA["others"]["own"].split())


@lru_cache(maxsize=20_000)
def own(text: str) -> str:
    """The clauses that may speak of the figure itself: not of a waiter behind it, or of two boys on the mat."""
    return ", ".join(clause for clause in CLAUSE.split(unnamed(text)) if clause and not _is_others(clause.strip()))


def _is_others(clause: str) -> bool:
    opening = OTHERS.match(clause)
    if opening is None:
        return False
    head = HEAD_ENDS.split(f"{opening[1]} ", maxsplit=1)[0].split()
    worn = clause.startswith("and ") and head[-1:] and head[-1] in WORD_LISTS["garments"]  # in a hat and a duffel coat
    return OF_THE_FIGURE.isdisjoint(head) and not worn
