"""The rules on single captions. A caption that is the bare trigger is CAP-EMPTY's business alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice

from loradeck.tools.contracts import SubjectKind
from loradeck.tools.rulebook.facts import KeptImage, SetFacts, phrase_pattern
from loradeck.tools.rulebook.lexicon import (
    BOILERPLATE,
    COLOURS,
    CREATURE_IDENTITY,
    EXPRESSION_WORDS,
    FUNCTION_WORDS,
    IDENTITY,
    IDENTITY_ALLOWED,
    LIGHT_WORDS,
    PICTURE_WORDS,
    PLACE_WORDS,
    PROMPT_WEIGHT,
    VERBS,
    VIEW,
)
from loradeck.tools.rulebook.rule import (
    ERROR,
    INFO,
    WARNING,
    Remark,
    caption_rule,
    everywhere,
    for_brand,
    for_figures,
    graded,
)
from loradeck.tools.rulebook.tables import BRAND
from loradeck.tools.rulebook.words import Opening, body, content, lemmas, mentions, opening, words

GUIDE = "character LoRA practice"
BRAND_GUIDE = "brand icon training guide"
SHORT_SEGMENT = 3


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


# --------------------------------------------------------------------------- form


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


# --------------------------------------------------------------------------- what must not be said


def _quoted(found: Iterable[str]) -> str:
    return ", ".join(f'"{phrase}"' for phrase in islice(dict.fromkeys(found), 5))


@caption_rule("CAP-CONSTANT", graded(ERROR, WARNING), f"{GUIDE}: the redundancy rule")
def no_boilerplate(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """No style, camera, film-stock or quality boilerplate: the LoRA takes from the pixels what never varies."""
    text = body(caption, facts.trigger)
    found = [match.group() for match in BOILERPLATE.finditer(facts.judged_words(text).lower())]
    barred = [phrase for phrase in facts.house.forbidden if phrase_pattern(phrase).search(text)]
    if barred:
        yield Remark(
            f"The caption says {_quoted(barred)}, which this team forbids.", "write_captions again without it."
        )
    if found:
        yield Remark(
            f"The caption says {_quoted(found)}: style, camera or quality words that are learned from the pixels.",
            "write_captions again without them; say what differs from image to image.",
        )


def identity_words(text: str, kind: SubjectKind) -> dict[str, list[str]]:
    """Family -> phrases of a text that describe who the subject is; allow-listed phrases are taken out first."""
    rest = IDENTITY_ALLOWED.sub(" ", text.lower())
    patterns = dict(IDENTITY)
    if kind == SubjectKind.CREATURE:
        patterns["body of a creature"] = CREATURE_IDENTITY
    found = {family: [match.group() for match in pattern.finditer(rest)] for family, pattern in patterns.items()}
    return {family: phrases for family, phrases in found.items() if phrases}


@caption_rule("CAP-IDENTITY", for_figures(ERROR), f"{GUIDE}: identity is learned from the pixels")
def no_identity(caption: str, _: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """No identity features of the subject: face, body, scars, hair, eyes, skin, age, armour that is the body."""
    found = identity_words(facts.judged_words(body(caption, facts.trigger)), facts.subject_kind)
    if found:
        phrases = [phrase for family in found.values() for phrase in family]
        yield Remark(
            f"The caption describes the subject itself ({', '.join(found)}): {_quoted(phrases)}.",
            "write_captions again without them: the trigger stands for who it is.",
        )


# --------------------------------------------------------------------------- what must be said


def _says_attribute(text: str, image: KeptImage, name: str) -> bool:
    """True when the text shares a content word with the image's own attribute."""
    value = image.known(name)
    return bool(value) and not set(content(lemmas(str(value)))).isdisjoint(lemmas(text))


def _expression(text: str, image: KeptImage) -> bool:
    return mentions(text, EXPRESSION_WORDS) or _says_attribute(text, image, "expression")


def _view(text: str, _: KeptImage) -> bool:
    return VIEW.search(text.lower()) is not None


def _setting(text: str, image: KeptImage) -> bool:
    return mentions(text, PLACE_WORDS) or _says_attribute(text, image, "background")


def _lighting(text: str, image: KeptImage) -> bool:
    return mentions(text, LIGHT_WORDS) or _says_attribute(text, image, "lighting")


def _subject(text: str, image: KeptImage) -> bool:
    things = set(content(lemmas(text))) - COLOURS - PICTURE_WORDS - LIGHT_WORDS
    return bool(things) or _says_attribute(text, image, "subject")


def _colours(text: str, image: KeptImage) -> bool:
    named = {str(colour).lower() for colour in image.attributes.get("colors") or []}
    return mentions(text, COLOURS) or not named.isdisjoint(words(text))


Facet = Callable[[str, KeptImage], bool]


def facets(facts: SetFacts, image: KeptImage) -> dict[str, Facet]:
    """What a caption of this image has to name, and how to tell that it does."""
    if facts.profile in BRAND:
        return {"the subject": _subject, "its colours": _colours}
    if not facts.is_figure:
        wanted: dict[str, Facet] = {"the subject": _subject, "the setting": _setting, "the lighting": _lighting}
        constant = {
            "the setting": len(facts.values("background")) == 1,
            "the lighting": len(facts.values("lighting")) < 2,
        }
        return {name: test for name, test in wanted.items() if not constant.get(name, False)}
    views: dict[str, Facet] = {
        "the camera angle or framing": _view,
        "the environment": _setting,
        "the lighting": _lighting,
    }
    return {"the expression": _expression, **views} if facts.emotes and image.face_shows else views


@caption_rule("CAP-COVERS", everywhere(WARNING), f"{GUIDE}: say what varies; {BRAND_GUIDE}: subject and colours")
def covers(caption: str, image: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """Names what varies. A figure: expression, view, setting, light; a look: subject, setting, light that varies;
    brand profiles: subject and colours. Two missing is an error.
    """
    if is_bare(caption, facts.trigger):
        return
    text = body(caption, facts.trigger)
    missing = [name for name, said in facets(facts, image).items() if not said(text, image)]
    if missing:
        yield Remark(
            f"The caption does not name {' or '.join(missing)}.",
            f"write_captions again and say {' and '.join(missing)}.",
            severity=ERROR if len(missing) >= facts.limits.covers_error_missing else None,
        )
