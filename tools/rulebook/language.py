"""CAP-LANGUAGE: the vocabulary rules know English words alone, and say nothing of a caption in another language."""

from __future__ import annotations

from collections.abc import Iterable

from loradeck.tools.rulebook.english import is_english
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.rule import GUIDE, INFO, Remark, caption_rule, everywhere
from loradeck.tools.rulebook.words import body


@caption_rule("CAP-LANGUAGE", everywhere(INFO), f"{GUIDE}: captions are English")
def told_when_not_english(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """Not English: told, since the rules that look for words say nothing of it; trigger, form and length are judged."""
    if not is_english(body(caption, facts.trigger)):
        yield Remark(
            "The caption is not English: the vocabulary rules, which know English words alone, did not judge it.",
            "write_captions again in English; or keep it, and let someone who reads it look for what they would find.",
        )
