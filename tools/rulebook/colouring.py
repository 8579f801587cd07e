"""The colours that a caption names: a rose is a flower, "in rose" a colour."""

from __future__ import annotations

import re
from functools import lru_cache

from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS
from loradeck.tools.rulebook.scene import DATA, unnamed

HUES: dict[str, frozenset[str]] = {hue: frozenset(text.split()) for hue, text in DATA["hues"].items()}
NAMES = frozenset[str]().union(*HUES.values())
THINGS = frozenset(DATA["colours"]["things"].split())
OWN = frozenset(DATA["colours"]["own"].split())
TINTS = frozenset(DATA["colours"]["tints"].split())
ALWAYS = frozenset({"gold", "silver", "orange", "violet", "turquoise", "emerald", "rose", "copper", "bronze", "lilac"})
"""Of things those that are heard as a colour behind another: rose gold, burnt orange."""
LEADS = frozenset({"in", "to", "into", "from", "on", "and", "or", "of", "with", "all", "between"})
ARTICLES = frozenset({"a", "an", "one", "two", "three", "four", "five", "some", "its", "his", "her"})
TOKEN = re.compile(r"#[0-9a-f]{6}\b|[^\W_]+(?:['-][^\W_]+)*|[,.;:—()]")
IDIOMS = re.compile(rf"\b(?:{'|'.join(DATA['colours']['idioms'])})\b")
HEX = re.compile(r"#[0-9a-f]{6}\b")


def hues(name: str) -> frozenset[str]:
    """The hues that a colour's name may stand for; of a compound ("steel-grey") those of its last part."""
    whole = frozenset(hue for hue, names in HUES.items() if name in names)
    return whole or frozenset(hue for hue, names in HUES.items() if name.rsplit("-", 1)[-1] in names)


def _is_name(token: str) -> bool:
    return token in NAMES or ("-" in token and token.rsplit("-", 1)[-1] in NAMES - THINGS)


def _is_thing(tokens: list[str], place: int, plain: bool) -> bool:
    """True where a word that is a colour and a thing stands for the thing."""
    before = tokens[place - 1] if place else "."
    after = tokens[place + 1] if place + 1 < len(tokens) else "."
    ends = not after[0].isalnum() or after in FUNCTION_WORDS
    if before in TINTS or _is_name(after):
        return False
    if after in OWN and tokens[place] not in ALWAYS:
        return True
    if ends and _is_name(before) and tokens[place] not in ALWAYS:
        return True
    if ends and before == "one" and ("other" in tokens or tokens.count("one") > 1):
        return False
    if before in {"into", "to", "from"} and not plain and sum(map(_is_name, tokens)) == 1:
        return True
    if before == "of" and place > 1 and tokens[place - 2] not in TINTS:
        return True
    if ends:
        return before in ARTICLES or not (before in LEADS or before in {",", "—", "the"} or _is_name(before) or plain)
    return not (plain or before in LEADS or before in {",", ".", "the", *ARTICLES})


@lru_cache(maxsize=20_000)
def colours(text: str) -> tuple[str, ...]:
    """The names of colours in a text, in order."""
    tokens = TOKEN.findall(IDIOMS.sub(" ", unnamed(text)))
    plain = any(_is_name(token) and token not in THINGS for token in tokens)
    found = [
        token
        for place, token in enumerate(tokens)
        if HEX.fullmatch(token) or (_is_name(token) and not (token in THINGS and _is_thing(tokens, place, plain)))
    ]
    return tuple(found)
