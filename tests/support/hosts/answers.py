"""Answers by a JSON schema, and what structured output does not take of one."""

from __future__ import annotations

from typing import Any

NOT_TAKEN = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems"),
}
"""Keywords that structured output refuses, by type."""


def unsupported(schema: Any) -> str:
    """The API's words on the first thing in a schema that it does not take; nothing where it takes all."""
    if isinstance(schema, list):
        return next((words for one in schema if (words := unsupported(one))), "")
    if not isinstance(schema, dict):
        return ""
    kind = schema.get("type")
    if kind == "object" and schema.get("additionalProperties") is not False:
        return "For 'object' type, 'additionalProperties' must be explicitly set to false"
    taken = NOT_TAKEN.get(kind, ()) if isinstance(kind, str) else ()
    if found := [name for name in taken if name in schema]:
        return f"For '{kind}' type, property '{found[0]}' is not supported"
    return unsupported(list(schema.values()))


def invented(schema: dict[str, Any], root: dict[str, Any] | None = None) -> Any:
    """The plainest value that a schema allows: the first of an enum, every property of an object."""
    root = root or schema
    if "$ref" in schema:
        return invented(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return invented(schema["anyOf"][0], root)
    match schema.get("type"):
        case "object":
            return {name: invented(inner, root) for name, inner in schema.get("properties", {}).items()}
        case "array":
            return [invented(schema["items"], root)] if schema.get("minItems") else []
        case "integer":
            return 0
        case "number":
            return 0.0
        case "boolean":
            return False
    return "words" if schema.get("type") == "string" else None
