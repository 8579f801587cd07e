"""The rules on the form of single captions. A caption that is the bare trigger is CAP-EMPTY's business alone."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.rule import (
    BRAND_GUIDE,
    ERROR,
    GUIDE,
    INFO,
    WARNING,
    Remark,
    caption_rule,
    everywhere,
    for_brand,
    graded,
)
from loradeck.tools.rulebook.words import Opening, body, opening, words


def is_bare(caption: str, trigger: str | None) -> bool:
    """True when nothing but the trigger is there."""
    return not words(body(caption, trigger))


# --------------------------------------------------------------------------- the trigger


@caption_rule("CAP-TRIGGER", everywhere(ERROR), f"{GUIDE}: the trigger comes first")
def trigger_first(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """The trigger (a word or a phrase) comes first, exactly as registered, and only once."""
    if facts.trigger is None:
        return
    kind, times = opening(caption, facts.trigger)
    first = f"start the caption with {facts.trigger!r}"
    why = {
        Opening.ABSENT: f"The trigger {facts.trigger!r} is not in the caption, wanted first.",
        Opening.LATER: f"The trigger {facts.trigger!r} is in the caption but not first.",
        Opening.OTHER_CASE: f"The caption starts with the trigger spelled otherwise; {facts.trigger!r} is registered.",
        Opening.GLUED: f"The trigger {facts.trigger!r} is glued to what follows by a mark without a space.",
    }.get(kind)
    if why:
        fix = "put a space behind the mark that follows the trigger" if kind == Opening.GLUED else first
        yield Remark(why, f"write_captions again: {fix}.")
    if times > 1:
        yield Remark(
            f"The trigger {facts.trigger!r} stands {times} times, wanted once.",
            "write_captions again with the trigger only at the start.",
        )


@caption_rule("CAP-EMPTY", graded(INFO, ERROR), f"{GUIDE}: trigger-only captions")
def not_empty(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """A caption that is the bare trigger: told, since the image teaches the look with all that is in it."""
    if is_bare(caption, facts.trigger):
        yield Remark(
            "The caption is the bare trigger, so all that the image shows is learned as the look.",
            "write_captions with a caption or with attributes for this image.",
        )


# --------------------------------------------------------------------------- length


@caption_rule("CAP-LENGTH", everywhere(WARNING), f"{GUIDE}: words per target model")
def length(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """Within the target model's words, counted after the trigger; below half or above double is an error."""
    if is_bare(caption, facts.trigger):
        return
    count = len(words(body(caption, facts.trigger)))
    low, high = facts.caption_words
    if low <= count <= high:
        return
    far = count < low * facts.limits.length_error_below or count > high * facts.limits.length_error_above
    change = "add what else varies (setting, light, pose, parts)" if count < low else "cut it to what varies"
    yield Remark(
        f"The caption has {count} word{'' if count == 1 else 's'} after the trigger; {facts.target_model} wants "
        f"{low} to {high}.",
        f"write_captions again: {change}.",
        severity=ERROR if far else None,
    )


@caption_rule("CAP-DETAIL", for_brand(ERROR), f"{BRAND_GUIDE}: caption quality")
def detail(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """Between 10 and 700 characters after the trigger: "icon" alone teaches nothing."""
    if is_bare(caption, facts.trigger):
        return
    count = len(body(caption, facts.trigger))
    low, high = facts.limits.detail_characters
    if not low <= count <= high:
        yield Remark(
            f"The caption has {count} characters after the trigger, wanted {low} to {high}.",
            "write_captions again: name the thing drawn, its colours and its parts.",
        )


def quoted(found: Iterable[str]) -> str:
    """Up to five phrases in quotation marks, each once."""
    return ", ".join(f'"{phrase}"' for phrase in islice(dict.fromkeys(found), 5))
