"""The one place where a call's arguments become a model, and whatever goes wrong becomes one sentence.

The MCP server and `loradeck call` both go through here, so that they accept and refuse the same things.
Knows no MCP: what leaves here is an answer or a `LoradeckError`.
"""

from __future__ import annotations

import difflib
import errno
import json
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from loradeck import LoradeckError
from loradeck.state.files import Workspace, explained
from loradeck.tools.errors import BadArgument, Crashed
from loradeck.tools.spec import Pictures, ToolSpec
from loradeck.tools.workbench import Workbench

log = logging.getLogger(__name__)
MOST_PROBLEMS = 4
LONGEST_ECHO = 40
SUBJECT = re.compile(r"^(Input|List|String|Dictionary|Value error,) ")
"""How pydantic's messages begin; the place of the problem stands there already."""
Schema = dict[str, Any]


def perform(spec: ToolSpec, raw: Mapping[str, Any], opened: Callable[[], Workbench]) -> BaseModel | Pictures:
    """Do one call. Raises only a LoradeckError, whose text is a sentence for the caller.

    Arguments are looked at before the workspace is opened: what is wrong with them is told first.
    """
    try:
        arguments = parse(spec, raw)
        bench = opened()
        with bench.store.explained(), _denials_told(bench.store.workspace):
            return spec.handler(arguments, bench)
    except LoradeckError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
            raise explained(error, Path("the workspace")) from error
        # No stack trace, secret or path may pass this line.
        log.exception("%s failed in a way that was not foreseen", spec.name)
        raise Crashed(
            f"{spec.name} failed in a way that loradeck did not foresee; the details are in its log. "
            "Run `loradeck doctor`, then make the same call once more."
        ) from error


@contextmanager
def _denials_told(workspace: Workspace) -> Iterator[None]:
    """Say which path of the workspace may not be written. A source that may not be read is the handler's to tell."""
    try:
        yield
    except PermissionError as error:
        if not isinstance(error.filename, str) or not workspace.holds(Path(error.filename)):
            raise
        raise explained(error, Path(error.filename)) from error


def parse(spec: ToolSpec, raw: Mapping[str, Any]) -> BaseModel:
    """The argument model of a call. Raises BadArgument with everything that is wrong in one sentence.

    A list or an object that arrives as JSON text is read, since some clients send them so.
    """
    schema = _schema(spec.args)
    unknown = [name for name in raw if name not in schema["properties"]]
    if unknown:
        said = "; ".join(_unknown(name, schema["properties"]) for name in unknown[:MOST_PROBLEMS])
        raise BadArgument(f"{spec.name} cannot take this: {said}. Correct it and call again.")
    given = {name: _unpacked(value, name, schema) for name, value in raw.items()}
    _require_whole_signs(spec, given)
    try:
        return spec.args.model_validate(given)
    except ValidationError as error:
        raise BadArgument(f"{spec.name} cannot take this: {_said(error, schema)}. Correct it and call again.") from None


def _require_whole_signs(spec: ToolSpec, given: Mapping[str, Any]) -> None:
    """Raise BadArgument for text that JSON's escapes can hold and nothing can be written down of."""
    try:
        json.dumps(given, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise BadArgument(
            f"{spec.name} cannot take this: a text holds half of a sign, such as \\ud83d without its other half; "
            "remove it and call again."
        ) from None


@cache
def _schema(model: type[BaseModel]) -> Schema:
    return model.model_json_schema()


def _unpacked(value: Any, name: str, schema: Schema) -> Any:
    """JSON text where a list or an object is wanted, read; everything else as it came."""
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    if not any(arm.get("type") in {"array", "object"} for arm in _arms(schema["properties"][name], schema)):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


# --------------------------------------------------------------------------- what was wrong, in words


def _said(error: ValidationError, schema: Schema) -> str:
    """All problems of a validation, one clause a place."""
    places: dict[str, list[str]] = {}
    echoes: dict[str, str] = {}
    for problem in error.errors(include_url=False):
        if problem["loc"][-1] == "str" and isinstance(problem["input"], dict):
            continue  # of "text or fields" fields were given, and what is wrong with those is told
        place, node = _place(problem["loc"], schema)
        clauses = places.setdefault(place, [])
        clause = _clause(problem["type"], problem["msg"], str(problem["loc"][-1]), node, schema)
        if clause not in clauses:
            clauses.append(clause)
        if problem["type"] not in {"extra_forbidden", "missing"}:
            echoes[place] = _echo(problem["input"])
    said = [f"{place}: {' or '.join(clauses)}{echoes.get(place, '')}" for place, clauses in places.items()]
    more = len(said) - MOST_PROBLEMS
    return "; ".join(said[:MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")


def _clause(kind: str, message: str, name: str, node: Schema, schema: Schema) -> str:
    """What is wrong at one place, without the place."""
    if kind == "extra_forbidden":
        return _unknown(name, _names(node, schema))
    return "is missing" if kind == "missing" else SUBJECT.sub("", message)


def _echo(value: Any) -> str:
    """The refused value, where it is short enough to help."""
    text = repr(value)
    return f" (got {text})" if isinstance(value, str | int | float | bool) and len(text) <= LONGEST_ECHO else ""


def _unknown(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return (
        f"there is no {name!r} (did you mean {near[0]!r}?)"
        if near
        else (f"there is no {name!r} (known: {', '.join(names)})")
    )


def _place(loc: tuple[int | str, ...], schema: Schema) -> tuple[str, Schema]:
    """Where a problem is, as a person writes it (images[3].caption), and the schema of that place.

    pydantic's own locations also name the arm of a union, which says nothing to a caller: those are left out.
    """
    text, node = "", schema
    for part in loc:
        found = _step(part, node, schema)
        if found is not None:
            node = found
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix("."), node


def _step(part: int | str, node: Schema, schema: Schema) -> Schema | None:
    """The schema one step further in, or None where the step leads nowhere."""
    for arm in _arms(node, schema):
        found = arm.get("items") if isinstance(part, int) else arm.get("properties", {}).get(part)
        if isinstance(found, dict):
            return found
    return None


def _names(node: Schema, schema: Schema) -> set[str]:
    return {name for arm in _arms(node, schema) for name in arm.get("properties", {})}


def _arms(node: Schema, schema: Schema) -> list[Schema]:
    """The alternatives of a schema node, references followed."""
    if "$ref" in node:
        return _arms(schema["$defs"][node["$ref"].rsplit("/", 1)[-1]], schema)
    return [deep for arm in node["anyOf"] for deep in _arms(arm, schema)] if "anyOf" in node else [node]
