"""CAP-ORIGIN: a caption that a machine worded as it liked is not trusted: one that came along, or a host's own.

An auto-caption describes what the pixels teach (faces, hair, medium, mood). Who looked and says the same in a call of
their own vouches for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from loradeck.tools.contracts import HOSTED, IMPORTED
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import any_of, vocabulary
from loradeck.tools.rulebook.rule import ERROR, GUIDE, WARNING, Remark, caption_rule, graded
from loradeck.tools.rulebook.words import body

_DATA = vocabulary("origin")["patterns"]
SURELY = any_of(_DATA["surely"])
OPENING = re.compile(any_of(_DATA["opening"]).pattern)
LIKELY = [any_of([pattern]) for pattern in _DATA["likely"]]
TAGS = frozenset(_DATA["shots"])
FEWEST_SIGNS = 2
FEWEST_TAGS = 3
LONGEST_TAG = 3
"""Words in a tag of a booru list."""


def machine_words(text: str) -> str | None:
    """What in a caption, the trigger left out, betrays a captioner or a tagger; None where nothing does."""
    lower = text.lower()
    sure = SURELY.search(lower) or OPENING.match(lower)
    if sure is not None:
        return sure[0]
    if (tags := _tags(lower)) is not None:
        return tags
    signs = [found[0] for pattern in LIKELY if (found := pattern.search(lower)) is not None]
    return " ... ".join(signs[:FEWEST_SIGNS]) if len(signs) >= FEWEST_SIGNS else None


def _tags(lower: str) -> str | None:
    """The tags that a tagger lists: short parts between commas, several of them from its own vocabulary."""
    parts = [part.strip(" ._") for part in re.split(r"[,\n]", lower) if part.strip(" ._")]
    short = [part for part in parts if len(part.replace("_", " ").split()) <= LONGEST_TAG]
    known = [part for part in short if part.replace("_", " ") in TAGS or "_" in part]
    if len(known) >= FEWEST_TAGS and 2 * len(short) >= len(parts):
        return ", ".join(known[:FEWEST_TAGS])
    return None


@caption_rule("CAP-ORIGIN", graded(ERROR, WARNING), f"{GUIDE}: identity is learned from the pixels")
def not_worded_by_a_machine(caption: str, image: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """A caption is no trainer's, tagger's, hub's or host's auto-caption: those describe what the pixels teach. Written
    again by someone who looked, the same words are theirs.
    """
    if image.mode == HOSTED and not image.seen:
        yield Remark(
            "A host's own captioner worded it, which knows nothing of what this set teaches and describes that too.",
            "Look with view_images, then write_captions again in your own words (overwrite=true).",
        )
    if image.mode != IMPORTED or image.seen:
        return
    found = machine_words(body(caption, facts.trigger))
    if found is not None:
        yield Remark(
            f"It came along with the picture and reads like a machine's caption ({found!r}).",
            "Look with view_images, then write_captions again in your own words (overwrite=true).",
        )
