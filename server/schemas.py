"""JSON schemas for `tools/list`, as small as they can be said: an assistant pays for every word of them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from loradeck.tools.contracts import BRIEF

Schema = dict[str, Any]


def of_arguments(model: type[BaseModel]) -> Schema:
    """The input schema of a tool: descriptions and bounds of numbers stay, titles and docstrings go."""
    schema = _slim(model.model_json_schema(), keep_words=True)
    used = _referred({key: value for key, value in schema.items() if key != "$defs"}, schema.get("$defs", {}))
    parts = {name: part for name, part in schema.pop("$defs", {}).items() if name in used}
    return {"$defs": parts, **schema} if parts else schema


def _referred(node: Any, definitions: Schema) -> set[str]:
    """The definitions that a node needs, and those that they need: a brief schema leaves some out."""
    if isinstance(node, list):
        return {name for item in node for name in _referred(item, definitions)}
    if not isinstance(node, dict):
        return set()
    found = {name for value in node.values() for name in _referred(value, definitions)}
    name = str(node.get("$ref", "")).removeprefix("#/$defs/")
    return found | {name} | _referred(definitions[name], definitions) if name in definitions else found


def of_result(model: type[BaseModel]) -> Schema:
    """The output schema of a tool. Fields that may be missing are not required: answers leave them out.

    Of the parts of an answer nothing is said to be required, and of a word not which ones there are: answers are whole
    as they come, and the lists of names cost more than they tell.
    """
    schema = _slim(model.model_json_schema(mode="serialization"), keep_words=False)
    definitions = schema.pop("$defs", {})
    for definition in definitions.values():
        definition.pop("required", None)
    words = {f"#/$defs/{name}" for name, definition in definitions.items() if "enum" in definition}
    parts = {name: definition for name, definition in definitions.items() if "enum" not in definition}
    whole: Schema = _as_words({"$defs": parts, **schema} if parts else schema, words)
    return whole


def _as_words(node: Any, words: set[str]) -> Any:
    """A schema in which what refers to an enumeration is a string."""
    if isinstance(node, list):
        return [_as_words(item, words) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("$ref") in words:
        return {"type": "string"}
    return {key: _as_words(value, words) for key, value in node.items()}


def _slim(schema: Schema, *, keep_words: bool) -> Schema:
    slim: Schema = _node(schema, keep_words=keep_words)
    slim.pop("description", None)
    for definition in slim.get("$defs", {}).values():
        definition.pop("description", None)
    return slim


def _node(node: Any, *, keep_words: bool) -> Any:
    """One schema node without title, without null and without what follows from that."""
    if isinstance(node, list):
        return [_node(item, keep_words=keep_words) for item in node]
    if not isinstance(node, dict):
        return node
    if BRIEF in node:
        node = {**node[BRIEF], **{key: value for key, value in node.items() if key not in {"anyOf", BRIEF}}}
    slim: Schema = {}
    for key, value in node.items():
        if key in {"properties", "$defs"}:
            slim[key] = {name: _node(child, keep_words=keep_words) for name, child in value.items()}
        elif key == "default":
            if keep_words and value not in (None, [], {}):
                slim[key] = value
        elif key not in {"title", "maxLength"} and (keep_words or key not in {"description", "pattern"}):
            slim[key] = _node(value, keep_words=keep_words)
    return _required(_without_null(slim), node)


def _without_null(slim: Schema) -> Schema:
    """`T or null` said as `T`: a value that is not there is left out on both sides."""
    arms = slim.get("anyOf")
    if arms is None:
        return slim
    left = [arm for arm in arms if arm != {"type": "null"}]
    rest = {key: value for key, value in slim.items() if key != "anyOf"}
    return {**left[0], **rest} if len(left) == 1 else {"anyOf": left, **rest}


def _required(slim: Schema, node: Schema) -> Schema:
    """Required names, but those that may be null."""
    if "required" not in slim:
        return slim
    nullable = {name for name, child in node["properties"].items() if {"type": "null"} in child.get("anyOf", ())}
    slim["required"] = [name for name in slim["required"] if name not in nullable]
    return slim
