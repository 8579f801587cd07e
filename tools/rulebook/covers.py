"""CAP-COVERS: a caption names what varies."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from loradeck.tools.rulebook.captions import is_bare
from loradeck.tools.rulebook.english import is_english
from loradeck.tools.rulebook.facts import KeptImage, SetFacts
from loradeck.tools.rulebook.lexicon import COLOURS, EXPRESSION_WORDS, LIGHT_WORDS, PICTURE_WORDS, PLACE_WORDS, VIEW
from loradeck.tools.rulebook.rule import BRAND_GUIDE, ERROR, GUIDE, WARNING, Remark, caption_rule, everywhere
from loradeck.tools.rulebook.tables import BRAND
from loradeck.tools.rulebook.words import body, content, lemmas, mentions, words


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
    if not is_english(text):
        return
    missing = [name for name, said in facets(facts, image).items() if not said(text, image)]
    if missing:
        yield Remark(
            f"The caption does not name {' or '.join(missing)}.",
            f"write_captions again and say {' and '.join(missing)}.",
            severity=ERROR if len(missing) >= facts.limits.covers_error_missing else None,
        )
