"""The words of a deck by their place, in its specification and in the files that a person can edit.

Places are "title", "subtitle", "cover/heading", "cover/body", "cover/notes" and "icons-star/caption".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loradeck.tools.contracts import DeckSpec
from loradeck.tools.render_deck_visuals.frames import keyed_panels
from loradeck.tools.render_deck_visuals.typst_parts import (
    Argument,
    Call,
    Untidy,
    arguments_at,
    calls,
    literal,
    parts_of,
)
from loradeck.tools.render_deck_visuals.typst_titles import plain

Words = dict[str, str]
OPENING = {"opening/title": "title", "opening/subtitle": "subtitle"}
"""The text boxes of the title page."""
BOXES = ("heading", "body", "caption")
SETTING = re.compile(r"\bdeck\.with\(")
DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
MOST_BYTES = 400_000_000
"""Unpacked; a deck of 60 slides has less, and a file that claims more is not read."""


class Unreadable(ValueError):
    """A file that cannot be read as what its name says; the message is half a sentence."""


def same(one: str, other: str) -> bool:
    """True for words that differ in white space and in invisible places to break at alone."""
    return tidy(one) == tidy(other)


def tidy(text: str) -> str:
    """Words line by line, without what is not seen."""
    lines = (" ".join(line.split()) for line in text.replace("\u200b", "").splitlines())
    return "\n".join(line for line in lines if line)


def words_of(deck: DeckSpec) -> Words:
    """Every text of a deck's specification; empty where there is none."""
    words = {"title": deck.title, "subtitle": deck.subtitle or ""}
    for slide in deck.slides:
        words |= {f"{slide.name}/{box}": getattr(slide, box) or "" for box in ("heading", "body", "notes")}
        words |= {f"{key}/caption": panel.caption or "" for key, panel in keyed_panels(slide)}
    return words


def with_words(deck: DeckSpec, place: str, text: str) -> DeckSpec:
    """The deck with other words at one place. Raises ValidationError where they do not fit, KeyError for no place."""
    spec = deck.model_dump(mode="json")
    owner, _, box = place.partition("/")
    if not box:
        spec[place] = text or None
        return DeckSpec.model_validate(spec)
    slide = next((one for one in deck.slides if owner in {one.name, *(key for key, _ in keyed_panels(one))}), None)
    if slide is None:
        raise KeyError(place)
    number = deck.slides.index(slide)
    if box == "caption":
        panel = [key for key, _ in keyed_panels(slide)].index(owner)
        spec["slides"][number]["panels"] = [one.model_dump(mode="json") for _, one in keyed_panels(slide)]
        spec["slides"][number]["panels"][panel]["caption"] = text or None
    else:
        spec["slides"][number][box] = text or None
    return DeckSpec.model_validate(spec)


# --------------------------------------------------------------------------- deck.typ


def in_typst(source: str) -> tuple[Words, dict[str, tuple[int, int]]]:
    """The words in a deck.typ, and where those stand that are plain strings; markup counts as the words it shows.

    Raises Unreadable.
    """
    words: Words = {}
    places: dict[str, tuple[int, int]] = {}
    try:
        for place, one in _arguments(source):
            given = source[one.start : one.end]
            value = literal(given)
            if value is not None:
                words[place] = value if isinstance(value, str) else "\n".join(value)
                places[place] = (one.start, one.end)
            elif given.startswith("["):
                words[place] = plain(given[1:-1], parts_of(given[1:-1]))
    except Untidy:
        raise Unreadable("it is nested too deeply") from None
    return words, places


def _arguments(source: str) -> Iterator[tuple[str, Argument]]:
    for call in calls(parts_of(source)):
        if call.name == "show" and (setting := SETTING.search(source, call.start, call.end)):
            for one in arguments_at(source, setting.end() - 1)[0]:
                if one.name in {"title", "subtitle"}:
                    yield str(one.name), one
        elif call.name == "slide":
            name = _name(source, call)
            yield from ((f"{name}/{one.name}", one) for one in call.arguments if name and one.name in BOXES)


def _name(source: str, call: Call) -> str:
    first = next((one for one in call.arguments if one.name is None), None)
    value = literal(source[first.start : first.end]) if first else None
    return value if isinstance(value, str) else ""


# --------------------------------------------------------------------------- deck.pptx


def in_pptx(path: Path) -> Words:
    """The words in the boxes of a deck.pptx that loradeck named, and all of a slide's notes. Raises Unreadable."""
    from zipfile import BadZipFile, ZipFile

    from pptx import Presentation
    from pptx.exc import PythonPptxError

    try:
        with ZipFile(path) as packed:
            if sum(one.file_size for one in packed.infolist()) > MOST_BYTES:
                raise Unreadable("it is far larger than a deck can be")
        return dict(_boxes(Presentation(str(path))))
    except (BadZipFile, SyntaxError, PythonPptxError, KeyError, ValueError, AttributeError, OSError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable("it is damaged, or was saved by half") from error  # lxml's is a SyntaxError


def _boxes(presentation: Any) -> Iterator[tuple[str, str]]:
    for slide in presentation.slides:
        owners = []
        for shape in slide.shapes:
            owner, _, box = shape.name.partition("/")
            if shape.name in OPENING:
                yield OPENING[shape.name], _text(shape)
            elif box in BOXES and shape.has_text_frame:
                yield shape.name, _text(shape)
            if box and shape.name not in OPENING:
                owners.append(owner.partition("-")[0])
        if owners and slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            yield f"{owners[0]}/notes", slide.notes_slide.notes_text_frame.text


def _text(shape: Any) -> str:
    """The paragraphs of a box, bullets as a body writes them; a line break within one is a line."""
    lines = []
    for paragraph in shape.text_frame.paragraphs:
        properties = paragraph._p.pPr
        marks = {child.tag for child in properties} if properties is not None else set()
        bullet = bool(marks & {f"{DRAWING}buChar", f"{DRAWING}buAutoNum"})
        text = paragraph.text.replace("\v", "\n")
        lines.append(f"- {text}" if bullet and text.strip() else text)
    return "\n".join(lines)
