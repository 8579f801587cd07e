"""The inputs of an endpoint as a JSON schema, written shortly, and what is wrong with an input by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

Schema = dict[str, Any]


def text(default: str | None = None, **more: Any) -> Schema:
    """A string."""
    return _with_default({"type": "string", **more}, default)


def url(**more: Any) -> Schema:
    """The address of a file."""
    return {"type": "string", "format": "uri", **more}


def urls(most: int | None = None) -> Schema:
    """Addresses of files."""
    return {"type": "array", "items": url(), **({"maxItems": most} if most else {})}


def flag(default: bool | None = None) -> Schema:
    """True or false."""
    return _with_default({"type": "boolean"}, default)


def whole(low: int | None = None, high: int | None = None, default: int | None = None) -> Schema:
    """A whole number within its ends."""
    return _with_default({"type": "integer", **_ends(low, high)}, default)


def number(low: float | None = None, high: float | None = None, default: float | None = None) -> Schema:
    """A number within its ends."""
    return _with_default({"type": "number", **_ends(low, high)}, default)


def choice(*values: str, default: str | None = None) -> Schema:
    """One of some words."""
    return _with_default({"type": "string", "enum": list(values)}, default)


def inputs(*required: str, **properties: Schema) -> Schema:
    """The whole input; what is not named in it is refused."""
    titled = {
        name: {"title": name.replace("_", " ").title(), "x-order": order, **schema}
        for order, (name, schema) in enumerate(properties.items())
    }
    whole = {"type": "object", "title": "Input", "properties": titled, "additionalProperties": False}
    return {**whole, "required": list(required)} if required else whole


@dataclass(frozen=True)
class Problem:
    """One thing wrong: where, in which words, by pydantic's name for it, and the value."""

    place: tuple[str | int, ...]
    words: str
    kind: str
    value: Any


def problems(schema: Schema, given: Any) -> list[Problem]:
    """What is wrong with an input, in the order of the schema."""
    return [_problem(one) for one in Draft202012Validator(schema).iter_errors(given)]


def _problem(error: ValidationError) -> Problem:
    place, limit, value = tuple(error.absolute_path), error.validator_value, error.instance
    match error.validator:
        case "required":
            missing = next(name for name in limit if name not in value and f"'{name}'" in error.message)
            return Problem((*place, missing), "Field required", "missing", value)
        case "additionalProperties":
            unknown = next(name for name in value if name not in error.schema["properties"])
            return Problem((*place, unknown), "Extra inputs are not permitted", "extra_forbidden", value[unknown])
        case "minimum":
            return Problem(place, f"Input should be greater than or equal to {limit}", "greater_than_equal", value)
        case "maximum":
            return Problem(place, f"Input should be less than or equal to {limit}", "less_than_equal", value)
        case "enum":
            allowed = " or ".join(f"'{one}'" for one in limit)
            return Problem(place, f"Input should be {allowed}", "literal_error", value)
        case "maxItems":
            words = f"List should have at most {limit} items after validation, not {len(value)}"
            return Problem(place, words, "too_long", value)
        case "minItems":
            words = f"List should have at least {limit} items after validation, not {len(value)}"
            return Problem(place, words, "too_short", value)
        case "type":
            return Problem(place, f"Input should be a valid {limit}", f"{limit}_type", value)
    return Problem(place, error.message, "value_error", value)


def _with_default(schema: Schema, default: Any) -> Schema:
    return schema if default is None else {**schema, "default": default}


def _ends(low: float | None, high: float | None) -> Schema:
    return {key: value for key, value in (("minimum", low), ("maximum", high)) if value is not None}
