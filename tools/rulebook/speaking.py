"""Sentences that speak of the picture rather than of what is in it: "The image shows ...", "It is a crisp image."."""

from __future__ import annotations

import re
from collections.abc import Iterator

from loradeck.tools.rulebook.lexicon import vocabulary

_WORDS = vocabulary("constant")["speaking"]
_PICTURE = "|".join(_WORDS["picture"].split())
_MANNER = "|".join(_WORDS["manner"])
_SHOW = "|".join(_WORDS["show"].split())
_TELL = "|".join(_WORDS["tell"].split())
_SENTENCE = re.compile(r"(?:[^.!?\n]|[.!?](?!\s|$))+")
_CLAUSE = r"(?:^|(?<=, and )|(?<= and )|(?<=; )|(?<=, ))"
SHOWS = re.compile(
    rf"{_CLAUSE}(?:the|this) (?:\w+ )?({_PICTURE})(?: here)?(?: \w+ly)? "
    rf"(?:(?:{_SHOW})|(?:is|was) (?:taken|shot|captured|photographed|drawn|seen|viewed|of))(?: of| that| us)?(?!\w)"
)
"""Only these words say nothing; what follows them is the scene."""
TELLS = re.compile(
    rf"{_CLAUSE}(?:(?:the|this) (?:[\w-]+ )?(?:{_PICTURE})(?:'s)?(?: (?!frame|book)\w+)? "
    rf"|the (?:[\w-]+ )?(?:{_MANNER}) )"
    rf"(?:itself )?(?:\w+ly )?(?:{_TELL})(?!\w).*"
)
IS_ONE = re.compile(
    rf"{_CLAUSE}(?:this|it|(here))(?: is| was|'s|’s| (?:appears|seems|looks) to be) (?:an? |the )?"
    rf"(?:[\w'’-]+,? ){{0,6}}?(?:{_PICTURE})"
    r"(?: (?:of|showing|depicting|that shows|in which|where|capturing|featuring)(?!\w)|(?(1)(?!))$)"
)


def of_the_picture(text: str) -> Iterator[tuple[int, int]]:
    """Where a lower-case text speaks of the picture, as far as it says nothing of the scene."""
    for sentence in _SENTENCE.finditer(text):
        start = sentence.start() + len(sentence[0]) - len(sentence[0].lstrip())
        for pattern in (SHOWS, IS_ONE, TELLS):
            match = pattern.search(sentence[0].lstrip())
            if match and not _named_before(text[: start + match.start()], match[1] if pattern is SHOWS else ""):
                yield start + match.start(), start + match.end()
                break


def _named_before(text: str, noun: str) -> bool:
    """True when the word stands before: "the photograph" is then the one on the table."""
    return bool(noun) and re.search(rf"\b{noun}", text) is not None
