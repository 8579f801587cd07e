"""CAP-COVERS: a caption names what varies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from loradeck.tools.contracts import SubjectKind
from loradeck.tools.rulebook.captions import is_bare
from loradeck.tools.rulebook.colouring import colours
from loradeck.tools.rulebook.english import is_english
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.named import (
    TONES,
    hides_face,
    names_composition,
    names_expression,
    names_light,
    names_place,
    names_subject,
    names_view,
)
from loradeck.tools.rulebook.rule import BRAND_GUIDE, ERROR, GUIDE, WARNING, Remark, caption_rule, everywhere
from loradeck.tools.rulebook.tables import BRAND
from loradeck.tools.rulebook.words import body, content, lemmas, words

COLOURED = re.compile(r"\b[a-z]+-colou?red\b")
Facet = Callable[[str, KeptImage], bool]


def _says_attribute(text: str, image: KeptImage, name: str) -> bool:
    """True when the text shares a content word with the image's own attribute."""
    value = image.known(name)
    return bool(value) and not set(content(lemmas(str(value)))).isdisjoint(lemmas(text))


def _expression(text: str, image: KeptImage) -> bool:
    return names_expression(text) or hides_face(text) or _says_attribute(text, image, "expression")


def _view(text: str, _: KeptImage) -> bool:
    return names_view(text)


def _setting(text: str, image: KeptImage) -> bool:
    return names_place(text) or _says_attribute(text, image, "background")


def _lighting(text: str, image: KeptImage) -> bool:
    return names_light(text) or _says_attribute(text, image, "lighting")


def _lighting_or_composition(text: str, image: KeptImage) -> bool:
    return _lighting(text, image) or names_composition(text)


def _subject(text: str, image: KeptImage) -> bool:
    return names_subject(text) or _says_attribute(text, image, "subject")


def _colours(text: str, image: KeptImage) -> bool:
    listed = image.attributes.get("colors") or []
    named = {str(colour).lower() for colour in (listed if isinstance(listed, list) else [listed])}
    told = colours(text) or TONES.search(text.lower()) or COLOURED.search(text.lower())
    return bool(told) or not named.isdisjoint(words(text))


def _is_constant(facts: SetFacts, image: KeptImage, name: str) -> bool:
    """True for what half the set has too: the redundancy rule wants it unsaid."""
    value = image.known(name)
    alike = facts.values(name)[value] if value else 0
    return alike > 1 and alike >= facts.limits.redundant_warning * len(facts.images)


def facets(facts: SetFacts, image: KeptImage) -> dict[str, Facet]:
    """What a caption of this image has to name, and how to tell that it does."""
    if facts.profile in BRAND:
        return {"the subject": _subject, "its colours": _colours}
    if not facts.is_figure:
        wanted: dict[str, Facet] = {"the subject": _subject}
        if not _is_constant(facts, image, "background"):
            wanted["the setting"] = _setting
        if not _is_constant(facts, image, "lighting"):
            wanted["the lighting or the composition"] = _lighting_or_composition
        return wanted
    views: dict[str, Facet] = {
        "the camera angle or framing": _view,
        "the environment": _setting,
        "the lighting": _lighting,
    }
    has_face = facts.emotes or facts.subject_kind == SubjectKind.CREATURE
    return {"the expression": _expression, **views} if has_face and image.face_shows else views


@caption_rule("CAP-COVERS", everywhere(WARNING), f"{GUIDE}: say what varies; {BRAND_GUIDE}: subject and colours")
def covers(caption: str, image: KeptImage, facts: SetFacts) -> Iterable[Remark]:
    """Names what varies. A figure: expression, view, setting, light; a look: subject, setting, light or composition
    that vary; brand profiles: subject and colours. Two missing is an error.
    """
    text = body(caption, facts.trigger)
    if is_bare(caption, facts.trigger) or not is_english(text):
        return
    missing = [name for name, said in facets(facts, image).items() if not said(text, image)]
    if missing:
        yield Remark(
            f"The caption does not name {' or '.join(missing)}.",
            f"write_captions again and say {' and '.join(missing)}.",
            severity=ERROR if len(missing) >= facts.limits.covers_error_missing else None,
        )
