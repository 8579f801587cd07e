"""The JSON schema of a deck file, for editors and clients: loradeck://schemas/deck, examples/decks/deck.schema.json.

It is made from `DeckSpec` and says what pydantic's own cannot: which layouts want panels and which one picture. That
names are not given twice no JSON schema can say; reading the file does. To write the file of the examples anew:

    python -m loradeck.tools.render_deck_visuals.deck_schema > examples/decks/deck.schema.json
"""

from __future__ import annotations

import json
import sys
from typing import Any

from loradeck.tools.contracts import MANY_PICTURES, ONE_PICTURE, DeckSpec, Layout

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
LAYOUTS: dict[Layout, str] = {
    "full_bleed": "One picture fills the page, the words on it; for covers and turning points.",
    "image_left": "The picture on the left half, the words beside it.",
    "image_right": "The picture on the right half, the words beside it.",
    "card": "A framed picture with its words under it, for a thing to look at by itself.",
    "background": "A texture behind the whole page, faint, with the words large; for words that matter most.",
    "grid": "Panels of one size in rows; for moods, places, variants.",
    "reference_sheet": "A figure from all sides on plain white; with a prompt alone it has the usual five views.",
    "storyboard": "Panels in reading order, a caption under each; for a scene shot by shot.",
    "icon_sheet": "Many small square pictures with their names; for a family of icons.",
    "lookbook": "A large picture and smaller ones beside it; for a character, a place or a product.",
    "spread": "Two facing pages of a book: one picture over both, or one on each; take the aspect 2:1.",
}
"""When to take each layout."""
HAS_PROMPT: Schema = {"required": ["prompt"], "properties": {"prompt": {"type": "string"}}}
HAS_PANELS: Schema = {"required": ["panels"], "properties": {"panels": {"minItems": 1}}}
NO_PANELS: Schema = {"properties": {"panels": {"maxItems": 0}}}
ONCE_BESIDE_THE_TITLE = ("seed", "width", "height")


def deck_schema() -> Schema:
    """The schema in JSON Schema's draft 2020-12."""
    made = _node(DeckSpec.model_json_schema())
    parts: Schema = made.pop("$defs")
    parts["Slide"] |= {"anyOf": [HAS_PROMPT, HAS_PANELS], "allOf": _layouts()}
    parts["Slide"]["properties"]["layout"]["enumDescriptions"] = list(LAYOUTS.values())
    fields: Schema = {"$schema": {"type": "string", "description": "Of editors; it says nothing of the deck."}}
    fields |= made["properties"]
    for name in ONCE_BESIDE_THE_TITLE:
        fields[name] = {**parts["DeckDefaults"]["properties"][name], "deprecated": True}
        fields[name]["description"] = f"Write defaults.{name} instead."
    once = {"properties": fields, "allOf": [_once(name) for name in ONCE_BESIDE_THE_TITLE], "$defs": parts}
    return {"$schema": DIALECT, "title": "A deck of loradeck", **made, **once}


def as_text() -> str:
    """The schema as the file of the examples holds it."""
    return json.dumps(deck_schema(), indent=2, ensure_ascii=False) + "\n"


def _once(name: str) -> Schema:
    """What stands beside the title must not stand under defaults too."""
    return {"if": {"required": [name]}, "then": {"properties": {"defaults": {"properties": {name: False}}}}}


def _layouts() -> list[Schema]:
    """One picture, or panels, as the layout wants them; a slide that names none is full bleed."""
    one = {"properties": {"layout": {"enum": sorted(ONE_PICTURE)}}}
    many = {"required": ["layout"], "properties": {"layout": {"enum": sorted(MANY_PICTURES)}}}
    return [{"if": one, "then": NO_PANELS}, {"if": many, "then": HAS_PANELS}]


def _node(node: Any) -> Any:
    """Without the titles that only repeat names, and with `T or null` said as editors show it best."""
    if isinstance(node, list):
        return [_node(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept: Schema = {}
    for key, value in node.items():
        if key in {"properties", "$defs"}:
            kept[key] = {name: _node(child) for name, child in value.items()}
        elif key != "title" and not (key == "default" and value is None):
            kept[key] = _node(value)
    return _nullable(kept)


def _nullable(node: Schema) -> Schema:
    arms = [arm for arm in node.get("anyOf", []) if arm != {"type": "null"}]
    if len(arms) != 1 or "type" not in arms[0]:
        return node
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    return {**arms[0], "type": [arms[0]["type"], "null"], **rest}


if __name__ == "__main__":
    sys.stdout.write(as_text())
