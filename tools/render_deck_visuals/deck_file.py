"""A deck file in JSON or YAML, read into a `DeckSpec`, or one sentence that names the line of what is wrong."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from loradeck.tools.contracts import DeckSpec
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.render_deck_visuals.complaints import said
from loradeck.tools.render_deck_visuals.frames import keyed_panels

if TYPE_CHECKING:
    from loradeck.tools.render_deck_visuals.marked import Loc, Marked

SUFFIXES = (".json", ".yaml", ".yml")
MOST_BYTES = 1_000_000


def read_deck(path: Path) -> DeckSpec:
    """The deck in a file. Raises NotFound or BadArgument with the line and the field that are wrong."""
    return deck_in(_text(path), repr(path.name), is_json=path.suffix.lower() == ".json")


def deck_in(text: str, where: str, *, is_json: bool) -> DeckSpec:
    """The deck in JSON or YAML text. Raises BadArgument with the line and the field that are wrong."""
    from loradeck.tools.render_deck_visuals.marked import from_json, from_yaml  # late: a start does without YAML

    marked = from_json(text, where) if is_json else from_yaml(text, where)
    return checked(marked.data, where, marked)


def checked(data: Any, where: str, marked: Marked | None = None) -> DeckSpec:
    """A deck from plain data, which is told its lines where it came from a text.

    Numbers must be numbers and text text, as the schema says: JSON's rules hold, so that `steps: true` is not one step.
    Raises BadArgument naming each field that is wrong, and slides or panels that share a name.
    """
    try:
        deck = DeckSpec.model_validate_json(json.dumps(data, ensure_ascii=False).encode(), strict=True)
    except UnicodeEncodeError:
        raise BadArgument(f"{where} holds half of a sign, such as \\ud83d without its other half; remove it.") from None
    except ValidationError as error:
        raise BadArgument(said(error, data, where, marked)) from None
    _names_once(where, "slide", [slide.name for slide in deck.slides], ("slides",), marked)
    for place, slide in enumerate(deck.slides):
        keys = [key for key, _ in keyed_panels(slide)]
        _names_once(f"{where}, slide {slide.name}", "panel", keys, ("slides", place, "panels"), marked)
    return deck


def _text(path: Path) -> str:
    """What a file says. Raises NotFound, or BadArgument where it is too large, unreadable or no UTF-8."""
    name = repr(path.name[:60])
    try:
        there = path.is_file()
        large = there and path.stat().st_size > MOST_BYTES
        data = path.read_bytes() if there and not large else b""
    except (OSError, ValueError) as error:
        raise BadArgument(f"{name} cannot be read: {getattr(error, 'strerror', error)}.") from None
    if not there:
        raise NotFound(f"There is no deck file {name} at that path; give its full path, or the deck itself.")
    if path.suffix.lower() not in SUFFIXES:
        raise BadArgument(f"{name} is no deck file; give a .json or .yaml file, or the deck itself.")
    if large:
        raise BadArgument(f"{name} is larger than a deck of 60 slides can be; check that it is the right file.")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise BadArgument(f"{name} is UTF-16 text; save it as UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadArgument(f"{name}, line {line}: this is not UTF-8 text; save the file as UTF-8.") from None


def _names_once(where: str, what: str, names: list[str], loc: Loc, marked: Marked | None) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if not twice:
        return
    again = [place for place, name in enumerate(names) if name == twice[0]][1]
    line = f", line {marked.place((*loc, again, 'name'))[0]}" if marked else ""
    raise BadArgument(f"{where}{line}: more than one {what} is called {', '.join(twice)}; give each its own name.")
