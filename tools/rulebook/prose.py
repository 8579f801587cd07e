"""CAP-PROSE: sentences, not a tag list."""

from __future__ import annotations

import re
from collections.abc import Iterable

from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import FUNCTION_WORDS, VERBS
from loradeck.tools.rulebook.rule import ERROR, GUIDE, WARNING, Remark, caption_rule, graded
from loradeck.tools.rulebook.words import body, words

SHORT_SEGMENT = 3
PROMPT_WEIGHT = re.compile(r"\([^()]*:\s*\d+(?:\.\d+)?\)")


def tag_list_reason(text: str) -> str | None:
    """Why a text (trigger removed) is a tag list rather than sentences, or None."""
    if PROMPT_WEIGHT.search(text):
        return "it carries prompt weights such as (word:1.2)"
    if len(re.findall(r"\w_\w", text)) > 1:
        return "it joins words with underscores"
    segments = [words(part) for part in re.split(r"[,;|\n]", text) if words(part)]
    spoken = words(text)
    functions = sum(word in FUNCTION_WORDS for word in spoken)
    short = sum(len(segment) <= SHORT_SEGMENT for segment in segments)
    sentence_like = any(word in VERBS for word in spoken) or text.rstrip().endswith((".", "!", "?"))
    if len(segments) > 3 and 2 * short >= len(segments) and functions < 0.25 * len(spoken):
        return f"{short} of its {len(segments)} comma-separated parts are {SHORT_SEGMENT} words or shorter"
    if len(segments) > 2 and not sentence_like:
        return f"its {len(segments)} comma-separated parts hold no verb and no full stop"
    if spoken and short == len(segments) and not functions and not sentence_like:
        return f"it is {len(spoken)} bare word{'' if len(spoken) == 1 else 's'} without a verb or a full stop"
    return None


@caption_rule("CAP-PROSE", graded(ERROR, WARNING), f"{GUIDE}: text encoders were trained on sentences")
def prose(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """Sentences, not a comma-separated tag list."""
    reason = tag_list_reason(body(caption, facts.trigger))
    if reason:
        yield Remark(
            f"The caption reads as a tag list: {reason}; sentences are wanted.",
            "write_captions again in one to three plain sentences that say the same.",
        )
