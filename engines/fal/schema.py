"""The inputs of an endpoint, out of the OpenAPI schema that fal serves for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loradeck.engines.hosted.host import LiveField

MOST_REFERENCES = 8
"""How many times a reference leads on to another one before it is given up."""


def fields(openapi: Any) -> dict[str, LiveField] | None:
    """What the endpoint takes, by name; None where the schema tells nothing that can be read."""
    body = next(_bodies(openapi), None) if isinstance(openapi, Mapping) else None
    if body is None:
        return None
    whole = _resolved(openapi, body)
    properties, required = whole.get("properties"), whole.get("required") or []
    if not isinstance(properties, Mapping):
        return None
    return {name: _field(openapi, name, schema, name in required) for name, schema in properties.items()}


def _bodies(openapi: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas of what is posted as JSON."""
    for path in _mapping(openapi.get("paths")).values():
        content = _mapping(_mapping(_mapping(_mapping(path).get("post")).get("requestBody")).get("content"))
        for kind in content.values():
            yield _mapping(kind).get("schema")


def _field(openapi: Mapping[str, Any], name: str, schema: Any, required: bool) -> LiveField:
    whole = _resolved(openapi, schema)
    # An input that may be left out, or be one of several things, tells its bounds in its alternatives.
    kinds = [whole, *(_resolved(openapi, kind) for key in ("anyOf", "oneOf", "allOf") for kind in whole.get(key) or [])]
    choices = [] if _open(kinds) else [value for kind in kinds for value in kind.get("enum") or []]
    return LiveField(
        name=name,
        required=required,
        minimum=_first(kinds, "minimum"),
        maximum=_first(kinds, "maximum"),
        choices=tuple(choices),
        default=whole.get("default"),
    )


def _open(kinds: list[Mapping[str, Any]]) -> bool:
    """Whether something beside the listed values is taken, such as a size in pixels beside its names."""
    named = [kind for kind in kinds[1:] if kind.get("type") != "null"]
    return any("enum" not in kind and "const" not in kind for kind in named)


def _first(kinds: list[Mapping[str, Any]], key: str) -> float | None:
    return next((float(kind[key]) for kind in kinds if isinstance(kind.get(key), int | float)), None)


def _resolved(openapi: Mapping[str, Any], schema: Any) -> Mapping[str, Any]:
    """A schema, with the reference followed that it may be."""
    for _ in range(MOST_REFERENCES):
        reference = _mapping(schema).get("$ref")
        if not isinstance(reference, str):
            break
        schema = openapi
        for key in reference.removeprefix("#/").split("/"):
            schema = _mapping(schema).get(key)
    return _mapping(schema)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
