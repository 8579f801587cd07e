"""A deck file in JSON or YAML, read into a `DeckSpec`, or one sentence that names the place of what is wrong."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from loradeck.tools.contracts import DeckSpec, Slide, Theme
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.render_deck_visuals.frames import keyed_panels

SUFFIXES = (".json", ".yaml", ".yml")
MOST_BYTES = 1_000_000


def read_deck(path: Path) -> DeckSpec:
    """The deck in a file. Raises NotFound or BadArgument with the line or the field that is wrong."""
    if not path.is_file():
        raise NotFound(f"There is no deck file {path.name!r} at that path; give its full path, or the deck itself.")
    if path.suffix.lower() not in SUFFIXES:
        raise BadArgument(f"{path.name!r} is no deck file; give a .json or .yaml file, or the deck itself.")
    if path.stat().st_size > MOST_BYTES:
        raise BadArgument(f"{path.name!r} is larger than a deck of 60 slides can be; check that it is the right file.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadArgument(f"{path.name!r} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None
    return checked(_parsed(text, path), path.name)


def checked(data: Any, where: str) -> DeckSpec:
    """A deck from plain data. Raises BadArgument naming each field that is wrong, and two slides of one name."""
    try:
        deck = DeckSpec.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(_problem(one, data) for one in error.errors(include_url=False)[:5])
        raise BadArgument(f"{where}: {problems}. Mend this and call again.") from None
    _names_once(where, "slide", [slide.name for slide in deck.slides])
    for slide in deck.slides:
        _names_once(f"{where}, slide {slide.name}", "panel", [key for key, _ in keyed_panels(slide)])
    return deck


def _names_once(where: str, what: str, names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadArgument(f"{where}: more than one {what} is called {', '.join(twice)}; give each its own name.")


def _parsed(text: str, path: Path) -> Any:
    import yaml  # late: a server's start does without

    try:
        return json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise BadArgument(f"{path.name!r}, line {error.lineno}, column {error.colno}: {error.msg}.") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadArgument(f"{path.name!r}, line {line}: {error.problem or 'this is no YAML'}.") from None
    except (yaml.YAMLError, RecursionError):
        raise BadArgument(
            f"{path.name!r} cannot be read as {path.suffix[1:].upper()}; check it for stray signs."
        ) from None


def _problem(error: Any, data: Any) -> str:
    """One clause: the place as a person writes it, and what is wrong there."""
    place, node = "", data
    for part in error["loc"]:
        place += f"[{part + 1}]" if isinstance(part, int) else f".{part}"
        node = _inside(node, part)
        if isinstance(part, int) and isinstance(node, dict) and isinstance(node.get("name"), str):
            place += f" ({node['name'][:41]})"
    place = place.lstrip(".") or "the deck"
    if error["type"] == "extra_forbidden":
        return f"{place} is not known{_nearest(str(error['loc'][-1]), _fields(error['loc']))}"
    if error["type"] == "missing":
        return f"{place} is missing"
    return f"{place}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _inside(node: Any, part: int | str) -> Any:
    try:
        return node[part]
    except (KeyError, IndexError, TypeError):
        return None


def _fields(loc: tuple[int | str, ...]) -> Iterable[str]:
    """The names that are known where an unknown one stands."""
    models: dict[str, type[BaseModel]] = {"slides": Slide, "theme": Theme}
    return models.get(str(loc[0]), DeckSpec).model_fields if len(loc) > 1 else DeckSpec.model_fields


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else f" (known: {', '.join(known)})"
