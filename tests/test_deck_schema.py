"""The schema that editors and clients get accepts what loradeck accepts, and refuses what it refuses."""

from __future__ import annotations

import ast
import copy
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel

from loradeck.tools import contracts
from loradeck.tools.errors import BadArgument
from loradeck.tools.render_deck_visuals.complaints import PARTS
from loradeck.tools.render_deck_visuals.deck_file import checked, deck_in, read_deck
from loradeck.tools.render_deck_visuals.deck_schema import LAYOUTS, as_text, deck_schema
from loradeck.tools.render_deck_visuals.frames import frames
from loradeck.tools.render_deck_visuals.wish import keys_of

ROOT = Path(__file__).parents[1]
FILE = ROOT / "examples" / "decks" / "deck.schema.json"
SCHEMA = deck_schema()
EDITOR = Draft202012Validator(SCHEMA)
PANELS = [{"prompt": "a bell"}, {"name": "cup", "prompt": "a cup", "caption": "Pause", "seed": 3}]
WHOLE: dict[str, Any] = {
    "title": "T",
    "subtitle": "S",
    "theme": {"background": "#121212", "text": "#f2efe6", "accent": "#c9a227", "font": None, "aspect": "2:1"},
    "defaults": {
        "loras": [{"lora_id": "icons", "strength": 0.8}],
        "engine": "auto",
        "base_model": "preview",
        "width": 1024,
        "steps": 8,
        "guidance": 2.5,
        "seed": 1,
        "before": "a",
        "after": "b",
    },
    "slides": [
        {"name": "cover", "prompt": "a boat", "heading": "H", "body": "- b", "notes": "n", "seed": 4, "width": 512},
        {"name": "icons", "panels": PANELS, "layout": "icon_sheet"},
        {"name": "hero", "prompt": "a cat", "layout": "reference_sheet"},
        {"name": "book", "prompt": "a moon", "panels": PANELS, "layout": "spread"},
    ],
}
ODD = [None, True, -1, 0, 1, 2.5, 99999, "", "x", "Grid", "grid", "card", "#12", "#121212", "preview", [], {}, PANELS]


def editor_accepts(data: Any) -> bool:
    return bool(EDITOR.is_valid(data))


def loradeck_accepts(data: Any) -> bool:
    try:
        checked(copy.deepcopy(data), "The deck")
    except BadArgument as error:
        return "more than one" in str(error)  # that names come once, no schema can say
    return True


def test_the_file_of_the_examples_is_made_from_the_model() -> None:
    assert FILE.read_text(encoding="utf-8") == as_text(), "write it anew, as tools/.../deck_schema.py says"


def test_it_is_a_schema_of_draft_2020_12_in_which_every_field_says_what_it_is() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    fields = [
        (name, field)
        for part in (SCHEMA, *SCHEMA["$defs"].values())
        for name, field in part.get("properties", {}).items()
    ]
    assert len(fields) >= 40
    assert [name for name, field in fields if not field.get("description")] == []


def test_an_editor_offers_each_layout_with_when_to_take_it() -> None:
    layout = SCHEMA["$defs"]["Slide"]["properties"]["layout"]
    assert layout["enum"] == list(get_args(contracts.Layout)) == list(LAYOUTS)
    assert len(layout["enumDescriptions"]) == len(layout["enum"])
    assert layout["default"] == "full_bleed"


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"$schema": "deck.schema.json"},
        {"seed": 3, "width": 512, "height": 288, "defaults": {}},
        {"slides": [{"name": "a", "panels": [{"prompt": "x"}], "layout": "lookbook"}]},
        {"slides": [{"name": "a", "prompt": "x", "panels": []}]},
        {"defaults": {"loras": []}},
        {"title": "#set page(fill: red) *not bold* <w:p/>"},
    ],
)
def test_what_is_right_is_right_for_both(change: dict[str, Any]) -> None:
    assert editor_accepts(WHOLE | change)
    assert loradeck_accepts(WHOLE | change)


@pytest.mark.parametrize(
    "change",
    [
        {"slides": []},
        {"slides": [{"name": "a"}]},
        {"slides": [{"name": "a", "prompt": None}]},
        {"slides": [{"name": "a", "prompt": "x", "layout": "grid"}]},
        {"slides": [{"name": "a", "prompt": "x", "panels": [], "layout": "storyboard"}]},
        {"slides": [{"name": "a", "prompt": "x", "panels": PANELS}]},
        {"slides": [{"name": "a", "prompt": "x", "panels": PANELS, "layout": "card"}]},
        {"slides": [{"name": "a", "prompt": "x", "panels": PANELS * 9, "layout": "grid"}]},
        {"slides": [{"name": f"s{n}", "prompt": "x"} for n in range(61)]},
        {"slides": [{"name": "../a", "prompt": "x"}]},
        {"slides": [{"name": "a", "prompt": "x" * 2001}]},
        {"theme": {"background": None}},
        {"defaults": {"steps": True}},
        {"defaults": {"seed": "7"}},
        {"defaults": {"references": ["/etc/passwd"]}},
        {"output_dir": "/tmp"},
        {"width": 512},
    ],
)
def test_what_is_wrong_is_wrong_for_both(change: dict[str, Any]) -> None:
    assert not editor_accepts(WHOLE | change)
    assert not loradeck_accepts(WHOLE | change)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, child in inner for place in places(child, (*path, key)))]


NAMES = sorted({name for part in SCHEMA["$defs"].values() for name in part.get("properties", {})} | {"title", "nmae"})


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.sampled_from(places(WHOLE)[1:]), st.sampled_from(["set", "drop", "add"]), st.sampled_from(ODD),
                  st.sampled_from(NAMES)),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_however_a_deck_is_bent_both_say_the_same(changes: list[tuple[tuple[Any, ...], str, Any, str]]) -> None:
    data = copy.deepcopy(WHOLE)
    for path, how, value, name in changes:
        bend(data, path, how, copy.deepcopy(value), name)
    assert editor_accepts(data) == loradeck_accepts(data), json.dumps(data)


def bend(data: Any, path: tuple[Any, ...], how: str, value: Any, name: str) -> None:
    *outer, last = path
    node = data
    for part in outer:
        if not holds(node, part):
            return
        node = node[part]
    if how == "add" and isinstance(node, dict):
        node[name] = value
    elif holds(node, last):
        if how == "drop":
            del node[last]
        else:
            node[last] = value


def holds(node: Any, part: Any) -> bool:
    return part in node if isinstance(node, dict) else isinstance(node, list) and part in range(len(node))


def test_nothing_in_a_deck_names_a_file_or_an_address() -> None:
    parts: tuple[type[BaseModel], ...] = (contracts.DeckSpec, *PARTS.values())
    words = {word for model in parts for name in model.model_fields for word in name.split("_")}
    assert not words & {"path", "file", "folder", "dir", "directory", "url", "uri", "image", "references", "output"}


# --------------------------------------------------------------------------- docs/decks.md

PAGE = (ROOT / "docs" / "decks.md").read_text(encoding="utf-8")


def first_columns(section: str) -> list[list[str]]:
    """The names in the first column of each table of a section of the page."""
    (text,) = re.findall(rf"^#+ {section}$(.*?)(?=^#|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
    tables = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    return [re.findall(r"^\| `([^`]+)`", table, flags=re.MULTILINE) for table in tables]


def test_the_page_has_every_field_in_its_order() -> None:
    parts = SCHEMA["$defs"]
    assert first_columns("The deck") == [list(SCHEMA["properties"])]
    assert first_columns("theme") == [list(parts["Theme"]["properties"])]
    assert first_columns("defaults") == [
        list(parts["DeckDefaults"]["properties"]),
        list(parts["LoraUse"]["properties"]),
    ]
    assert first_columns("slides") == [list(parts["Slide"]["properties"])]
    assert first_columns("panels") == [list(parts["Panel"]["properties"])]


def test_the_page_and_the_schema_say_the_same_of_layouts() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (one|panels|either) \| (.+) \|$", PAGE, flags=re.MULTILINE)
    assert {name: when for name, _, when in rows} == LAYOUTS
    assert {name for name, pictures, _ in rows if pictures == "one"} == contracts.ONE_PICTURE
    assert {name for name, pictures, _ in rows if pictures == "panels"} == contracts.MANY_PICTURES


def test_the_deck_and_the_calls_on_the_page_are_accepted() -> None:
    (shown,) = re.findall(r"```yaml\n(.+?)```", PAGE, flags=re.DOTALL)
    deck = deck_in(shown, "docs/decks.md", is_json=False)
    assert [frame.stem for frame in frames(deck)][-1] == "03_places-market"
    calls = re.findall(r"^render_deck_visuals\((.*?)\)(?: |$)", PAGE, flags=re.MULTILINE)
    assert len(calls) >= 6
    for call in calls:
        words = ast.parse(f"f({call})", mode="eval").body.keywords  # type: ignore[attr-defined]
        args = contracts.RenderArgs.model_validate({word.arg: ast.literal_eval(word.value) for word in words})
        for key in [*(args.only or []), *(edit.slide for edit in args.edits), *(pick.slide for pick in args.pick)]:
            assert keys_of(deck, key)


def test_the_mistake_on_the_page_is_told_as_it_says(tmp_path: Path) -> None:
    (shown,) = re.findall(r"```yaml\n(.+?)```", PAGE, flags=re.DOTALL)
    before, _, after = shown.rpartition("prompt: the cat asleep")
    file = tmp_path / "saffron.yaml"
    file.write_text(f"{before}promt: the cat asleep{after}", encoding="utf-8")
    with pytest.raises(BadArgument) as caught:
        read_deck(file)
    assert f"```\n{caught.value}\n```" in PAGE
