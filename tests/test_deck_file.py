"""A deck file that is wrong is answered with the line or the field, and one that is right is read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.render_deck_visuals.deck_file import read_deck

ROOT = Path(__file__).parent.parent
GOOD = {"title": "T", "slides": [{"name": "cover", "prompt": "a boat"}, {"name": "end", "prompt": "a key"}]}


def refused(path: Path, text: str | bytes) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadArgument) as caught:
        read_deck(path)
    assert str(path.parent) not in str(caught.value)
    return str(caught.value)


def test_the_decks_that_are_shipped_are_read() -> None:
    film = read_deck(ROOT / "examples" / "decks" / "the_baker.yaml")
    assert [slide.name for slide in film.slides][:3] == ["cover", "the_bargain", "the_story"]
    assert len(film.slides) == 13
    assert len(read_deck(ROOT / "server" / "demo_data" / "deck.json").slides) == 8


def test_json_and_yaml_of_the_same_deck_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(GOOD))
    (tmp_path / "a.yml").write_text(
        "title: T\nslides:\n- {name: cover, prompt: a boat}\n- {name: end, prompt: a key}\n"
    )
    assert read_deck(tmp_path / "a.json") == read_deck(tmp_path / "a.yml")


def test_broken_json_names_line_and_column(tmp_path: Path) -> None:
    assert "'a.json', line 2, column" in refused(tmp_path / "a.json", '{"title": "T",\n"slides": [}')


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    assert "line 3" in refused(tmp_path / "a.yaml", "title: T\nslides:\n  - {name: cover, prompt: a: b}\n")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"slides": []}, "slides: "),
        ({"titel": "x"}, "titel is not known (did you mean 'title'?)"),
        ({"slides": [{"name": "cover"}]}, "slides[1] (cover).prompt is missing"),
        ({"slides": [{"name": "The Cover", "prompt": "x"}]}, "slides[1] (The Cover).name"),
        ({"slides": [{"name": "a", "prompt": "x", "promt": "y"}]}, "did you mean 'prompt'?"),
        ({"slides": [{"name": "a", "prompt": "x"}] * 2}, "more than one slide is called a"),
        ({"theme": {"background": "black"}}, "theme.background"),
        ({"slides": [{"name": "a", "prompt": "x", "layout": "collage"}]}, "'full_bleed'"),
    ],
)
def test_a_wrong_field_is_named_with_its_slide(tmp_path: Path, change: dict[str, object], says: str) -> None:
    assert says in refused(tmp_path / "deck.json", json.dumps(GOOD | change))


def test_a_file_that_is_no_deck_is_refused(tmp_path: Path) -> None:
    assert "no deck file" in refused(tmp_path / "deck.pptx", "x")
    assert "UTF-8" in refused(tmp_path / "deck.json", b"\xff\xfe\x00")
    assert "larger" in refused(tmp_path / "deck.json", "[" + " " * 1_000_001)
    assert "the deck: " in refused(tmp_path / "deck.yaml", "just words")
    with pytest.raises(NotFound, match=r"deck2\.yaml"):
        read_deck(tmp_path / "deck2.yaml")


def test_yaml_that_would_run_code_is_refused(tmp_path: Path) -> None:
    assert "could not determine a constructor" in refused(tmp_path / "a.yaml", "!!python/object/apply:os.getcwd []")
