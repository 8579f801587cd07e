"""What is wrong with a deck's data, in the words of a person: the line, the place, what is there and what is wanted."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from loradeck.tools.contracts import DeckDefaults, DeckSpec, LoraUse, Panel, Slide, Theme

if TYPE_CHECKING:
    from loradeck.tools.render_deck_visuals.marked import Loc, Marked

MOST_PROBLEMS = 5
LONGEST_ECHO = 40
PARTS: dict[str, type[BaseModel]] = {
    "theme": Theme,
    "defaults": DeckDefaults,
    "slides": Slide,
    "panels": Panel,
    "loras": LoraUse,
}
"""What stands under a field of that name."""
OF_A_SLIDE = {"title": "heading", "subtitle": "heading", "text": "body", "description": "body"}
"""What other tools call the fields of a slide."""
NO_WORD = re.compile(r"[\s\x00-\x1f\x7f]+")
"""What a sentence does not hold, though the name of a field may."""
COLOUR = 'a colour is written as "#121212", in quotes, since # begins a comment in YAML'
NAME = "a name is small letters, digits and underscores, at most 41 of them (fault_line)"


def said(error: ValidationError, data: Any, where: str, marked: Marked | None) -> str:
    """Every problem with its line, as in "deck.yaml, line 9, column 5: slides[2] (magda).promt is not known"."""
    found = [_located(one, data, marked) for one in error.errors(include_url=False)]
    found.sort(key=lambda one: one[0])
    told = "; ".join(clause for _, clause in found[:MOST_PROBLEMS])
    more = f"; and {len(found) - MOST_PROBLEMS} more" if len(found) > MOST_PROBLEMS else ""
    sentence = f"{where}{', ' if marked else ': '}{told}{more}. Mend this and call again."
    return NO_WORD.sub(" ", sentence)


def place_of(loc: Loc, data: Any) -> str:
    """A place as a person writes it: slides[3] (magda).panels[2].prompt."""
    place, node = "", data
    for part in loc:
        place += f"[{part + 1}]" if isinstance(part, int) else f".{part[:LONGEST_ECHO]}"
        node = inside(node, part)
        if isinstance(part, int) and isinstance(node, dict) and isinstance(node.get("name"), str):
            place += f" ({node['name'][: LONGEST_ECHO + 1]})"
    return place.lstrip(".") or "the deck"


def inside(node: Any, part: int | str) -> Any:
    """What a part of a place names in plain data, or None."""
    try:
        return node[part]
    except (KeyError, IndexError, TypeError):
        return None


def _located(error: ErrorDetails, data: Any, marked: Marked | None) -> tuple[tuple[int, int], str]:
    """Line and column, for order, and the clause that begins with them."""
    loc = error["loc"]
    if loc[:1] == ("defaults",) and "defaults" not in (data if isinstance(data, dict) else {}):
        loc = loc[1:]  # a seed or a size that stands beside the title, as it once did
    clause = f"{place_of(loc, data)}{_clause(error, loc, marked)}"
    if marked is None:
        return (0, 0), clause
    line, column = marked.place(loc, key=error["type"] == "extra_forbidden")
    return (line, column), f"line {line}, column {column}: {clause}"


def _clause(error: ErrorDetails, loc: Loc, marked: Marked | None) -> str:
    """What is wrong at a place, without the place."""
    kind, given, ctx = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return f" is not known{_meant(loc)}"
    if kind == "missing":
        return " is missing"
    if kind == "string_too_long":
        return f" is {len(given):,} characters long; at most {ctx['max_length']:,} are taken"
    if kind in {"too_long", "too_short"} and isinstance(given, list):
        count = f"at most {ctx['max_length']}" if kind == "too_long" else f"at least {ctx['min_length']}"
        return f" has {len(given)} entries; {count} can be there"
    if kind == "string_too_short":
        return " is empty"
    if kind == "string_pattern_mismatch":
        return f" is {_shown(given)}; {COLOUR if ctx['pattern'].startswith('^#') else NAME}"
    if kind == "string_type":
        return _no_text(loc, given, marked)
    if kind in {"literal_error", "enum"}:
        known = re.findall("'([^']+)'", str(ctx["expected"]))
        return f": {_lowered(error['msg'])}{_nearest(str(given), known, 0.8)}"
    echo = f" (got {_shown(given)})" if isinstance(given, str | int | float | bool | None) else ""
    return f": {_lowered(error['msg'])}{echo}"


def _no_text(loc: Loc, given: Any, marked: Marked | None) -> str:
    """A number, a colour that became a comment, or a list where words are wanted."""
    if given is None and loc[:1] == ("theme",):
        return f" is empty; {COLOUR}"
    if given is None:
        return " is empty; write its words, or leave the field out"
    if isinstance(given, bool | int | float):
        written = (marked.written(loc) if marked else None) or str(given)
        return f' is {written[:LONGEST_ECHO]}, which is no text; put it in quotes: "{written[:LONGEST_ECHO]}"'
    return f" should be words, and is {'a list' if isinstance(given, list) else 'a group of fields'}"


def _meant(loc: Loc) -> str:
    """The name that was meant, the part of a deck that has this name, or all that there are."""
    name, above = str(loc[-1]), [part for part in loc[:-1] if isinstance(part, str)]
    known = list((PARTS.get(above[-1], DeckSpec) if above else DeckSpec).model_json_schema()["properties"])
    near = _nearest(name, known)
    if above[-1:] == ["slides"] and name in OF_A_SLIDE:
        return f" (did you mean {OF_A_SLIDE[name]!r}?)"
    homes = [part for part, model in PARTS.items() if name in model.model_fields]
    if name in DeckSpec.model_fields:
        return " here (it stands beside the title)"
    if homes:
        return f" here (it stands under {homes[0]})"
    return near or f" (known: {', '.join(known)})"


def _nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_ECHO + 2 else f"{text[:LONGEST_ECHO]} ..."


def _lowered(message: str) -> str:
    return f"{message[0].lower()}{message[1:]}"
