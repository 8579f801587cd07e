"""The live schema of a model at Replicate (OpenAPI, as cog writes it), as fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loradeck.engines.hosted.host import LiveField

PREDICTION, TRAINING = "Input", "TrainingInput"
"""The names of the two inputs in a schema; only a trainer has the second."""


def fields(openapi: Any, training: bool) -> dict[str, LiveField] | None:
    """The inputs by name, or None where the schema has none of that kind."""
    schemas = _mapping(_mapping(_mapping(openapi).get("components")).get("schemas"))
    whole = _mapping(schemas.get(TRAINING if training else PREDICTION))
    properties = _mapping(whole.get("properties"))
    if not properties:
        return None
    required = whole.get("required") or ()
    return {name: _field(name, _resolved(one, schemas), name in required) for name, one in properties.items()}


def _field(name: str, one: Mapping[str, Any], required: bool) -> LiveField:
    return LiveField(
        name=name,
        required=required,
        minimum=one.get("minimum"),
        maximum=one.get("maximum"),
        choices=tuple(one.get("enum") or ()),
        default=one.get("default"),
    )


def _resolved(one: Any, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """A property with what it refers to: cog writes choices as `{"allOf": [{"$ref": ...}]}`."""
    found: dict[str, Any] = {}
    for part in _mapping(one).get("allOf") or ():
        found |= _mapping(schemas.get(str(_mapping(part).get("$ref", "")).rpartition("/")[2]))
    return found | _mapping(one)


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
