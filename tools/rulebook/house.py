"""A team's `loradeck.toml`: numbers other than the rulebook's, forbidden and allowed phrases (see `EXAMPLE`)."""

from __future__ import annotations

import difflib
import math
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields, replace
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from loradeck.tools.contracts import Profile, TargetModel
from loradeck.tools.rulebook.tables import PROFILES, House, ProfileRow, Thresholds
from loradeck.tools.rulebook.words import tidy

FILE = "loradeck.toml"
EXAMPLE = """[thresholds]
size_warning = 768
[images.character]       # block_below, warn_below, best, warn_above
block_below = 12
[caption_words]          # by target model: fewest and most
flux2-dev = [20, 90]
[phrases]
forbidden = ["Acme Corporation"]   # told by CAP-CONSTANT
allowed = ["oil painting"]         # no rule on single words minds them
"""
SECTIONS = ("thresholds", "images", "caption_words", "phrases")
IMAGE_COUNTS = ("block_below", "warn_below", "best", "warn_above")
PHRASES = ("forbidden", "allowed")
RULE_OF = {item.name: str(item.metadata["rule"]) for item in fields(Thresholds)}
TYPES = get_type_hints(Thresholds)


class BadHouse(ValueError):
    """What is wrong in a `loradeck.toml`, in one sentence without the file's name."""


def read_house(text: str) -> House:
    """The numbers and phrases of a file. Raises BadHouse for what is no TOML, unknown names and impossible values."""
    try:
        told = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise BadHouse(f"It is no valid TOML: {error}.") from error
    for name in told:
        _known(name, SECTIONS, "section")
    changes: defaultdict[str, list[str]] = defaultdict(list)
    house = House(
        thresholds=_thresholds(_table(told, "thresholds"), changes),
        profiles=_profiles(_table(told, "images"), changes),
        caption_words=_caption_words(_table(told, "caption_words"), changes),
        forbidden=_phrases(_table(told, "phrases"), "forbidden"),
        allowed=_phrases(_table(told, "phrases"), "allowed"),
    )
    for phrase in house.forbidden:
        changes["CAP-CONSTANT"].append(f'"{phrase}" is forbidden')
    return replace(house, changes={rule: tuple(said) for rule, said in changes.items()})


def _known(name: str, names: Iterable[str], what: str) -> None:
    if name not in set(names):
        near = difflib.get_close_matches(name, list(names), n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}."
        raise BadHouse(f"There is no {what} {name!r}; {hint}")


def _table(told: dict[str, Any], name: str) -> dict[str, Any]:
    found = told.get(name, {})
    if not isinstance(found, dict):
        raise BadHouse(f"{name} is a section: write [{name}] on a line of its own, and what it holds below.")
    return found


def _read(kind: Any, value: Any, name: str) -> Any:
    if any(isinstance(part, bool) or (isinstance(part, float) and not math.isfinite(part)) for part in _parts(value)):
        raise BadHouse(f"{name} = {value!r} does not fit: a finite number is wanted.")
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise BadHouse(f"{name} = {value!r} does not fit: {error.errors()[0]['msg']}.") from error


def _parts(value: Any) -> Iterator[Any]:
    """A value, and what the lists in it hold."""
    if isinstance(value, list):
        for part in value:
            yield from _parts(part)
    else:
        yield value


# --------------------------------------------------------------------------- numbers


def _thresholds(given: dict[str, Any], changes: dict[str, list[str]]) -> Thresholds:
    usual, read = asdict(Thresholds()), {}
    for name, value in given.items():
        _known(name, usual, "threshold")
        read[name] = _read(TYPES[name], value, name)
        _check_range(name, read[name], usual[name])
        changes[RULE_OF[name]].append(f"{name} = {value}")
    return replace(Thresholds(), **read)


def _check_range(name: str, value: Any, usual: Any) -> None:
    """No negative numbers, and no share above one where the usual value is a share; names stay what they are."""
    if isinstance(usual, tuple):
        if len(value) != len(usual):
            raise BadHouse(f"{name} has {len(usual)} parts, not {len(value)}.")
        for part, usual_part in zip(value, usual, strict=True):
            _check_range(name, part, usual_part)
    elif isinstance(usual, str):
        if value != usual:
            raise BadHouse(f"{name} names {value!r} where {usual!r} belongs; keep names and order as in the rulebook.")
    elif value < 0 or (isinstance(usual, float) and usual <= 1 < value):
        raise BadHouse(f"{name} = {value} is out of range; the rulebook has {usual}.")


def _profiles(given: dict[str, Any], changes: dict[str, list[str]]) -> dict[Profile, ProfileRow]:
    rows = dict(PROFILES)
    for name, counts in given.items():
        _known(name, [str(profile) for profile in Profile], "profile")
        profile = Profile(name)
        if not isinstance(counts, dict):
            raise BadHouse(f"images.{name} is a section: write [images.{name}], and the counts below.")
        hints = get_type_hints(ProfileRow)
        for count, value in counts.items():
            _known(count, IMAGE_COUNTS, "image count")
            rows[profile] = replace(rows[profile], **{count: _read(hints[count], value, count)})
            changes["COV-COUNT"].append(f"{name}.{count} = {value}")
        row = rows[profile]
        if not 1 <= row.block_below <= row.warn_below <= row.best[0] <= row.best[1] <= row.warn_above:
            raise BadHouse(
                f"The image counts of {name} go up from block_below over warn_below and best to warn_above; here they "
                f"are {row.block_below}, {row.warn_below}, {list(row.best)}, {row.warn_above}."
            )
    return rows


def _caption_words(given: dict[str, Any], changes: dict[str, list[str]]) -> dict[TargetModel, tuple[int, int]]:
    read = {}
    for name, value in given.items():
        _known(name, [str(target) for target in TargetModel], "target model")
        low, high = read[TargetModel(name)] = _read(tuple[int, int], value, name)
        if not 0 <= low <= high:
            raise BadHouse(f"{name} = [{low}, {high}] is out of range; the fewest words come first.")
        changes["CAP-LENGTH"].append(f"{name} = [{low}, {high}]")
    return read


# --------------------------------------------------------------------------- phrases


def _phrases(given: dict[str, Any], name: str) -> tuple[str, ...]:
    for key in given:
        _known(key, PHRASES, "list of phrases")
    read = [tidy(phrase) for phrase in _read(list[str], given.get(name, []), name)]
    if not all(read):
        raise BadHouse(f"{name} holds an empty phrase; write the words that are meant.")
    return tuple(dict.fromkeys(read))
