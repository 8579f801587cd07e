"""The decks that are shipped are read, are what their heads say, and can be laid out."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from PIL import Image
from pypdf import PdfReader

from loradeck.tools.contracts import DeckSpec, RenderArgs
from loradeck.tools.render_deck_visuals.deck_file import read_deck
from loradeck.tools.render_deck_visuals.deck_schema import deck_schema
from loradeck.tools.render_deck_visuals.frames import frames, frames_of
from loradeck.tools.render_deck_visuals.pages import Page, PagePicture
from loradeck.tools.render_deck_visuals.typeset import compile_deck
from loradeck.tools.render_deck_visuals.wish import keys_of
from loradeck.tools.render_deck_visuals.written import Written

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "decks"
VOCABULARY = ROOT / "engines" / "local" / "preview" / "weights" / "tokenizer" / "tokenizer.json"
NAMES = ("the_baker", "brand_icons", "character_lookbook", "storyboard", "picture_book")
COLOURS = ((201, 120, 60), (70, 130, 180), (90, 150, 90), (150, 90, 160), (220, 190, 90))

example = pytest.mark.parametrize("name", NAMES)


def text_of(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def deck_of(name: str) -> DeckSpec:
    return read_deck(FOLDER / f"{name}.yaml")


def calls_in(text: str) -> list[dict[str, Any]]:
    """The arguments of the calls that the comments of an example tell."""
    comments = "\n".join(line.removeprefix("#").strip() for line in text.splitlines() if line.startswith("#"))
    found = re.findall(r"render_deck_visuals\((?:[^()]|\n)*\)", comments)
    trees = [ast.parse(call, mode="eval").body for call in found]
    return [{word.arg: ast.literal_eval(word.value) for word in tree.keywords} for tree in trees]  # type: ignore


def test_every_deck_of_the_folder_is_looked_at_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(NAMES)


@example
def test_an_editor_finds_the_schema_beside_it_and_nothing_to_complain_of(name: str) -> None:
    text = text_of(name)
    (schema,) = re.findall(r"\A# yaml-language-server: \$schema=(\S+)$", text, flags=re.MULTILINE)
    assert json.loads((FOLDER / schema).read_text(encoding="utf-8")) == deck_schema()
    assert list(Draft202012Validator(deck_schema()).iter_errors(yaml.safe_load(text))) == []


@example
def test_the_calls_that_its_head_tells_fit_the_tool_and_the_deck(name: str) -> None:
    deck, calls = deck_of(name), calls_in(text_of(name))
    assert calls[0]["deck"] == f"examples/decks/{name}.yaml"
    for call in calls:
        args = RenderArgs.model_validate(call)
        assert args.deck_id in {None, deck.title}
        for key in [*(args.only or []), *(edit.slide for edit in args.edits)]:
            assert keys_of(deck, key)
        for pick in args.pick:
            assert keys_of(deck, pick.slide) == [pick.slide]


def test_the_baker_has_the_thirteen_visuals_of_the_film_s_plan() -> None:
    deck = deck_of("the_baker")
    assert [f"{frame.stem}.png" for frame in frames(deck)] == [
        "01_cover.png",
        "02_the_bargain.png",
        "03_the_story.png",
        "04_fault_line.png",
        "05_opening_wound.png",
        "06_fredric.png",
        "07_magda.png",
        "08_billy.png",
        "09_communion.png",
        "10_lebanon.png",
        "11_theme.png",
        "12_audience.png",
        "13_closing.png",
    ]
    assert {(frame.width, frame.height) for frame in frames(deck)} == {(1024, 576)}
    assert deck.theme.background == "#121212"


def test_between_them_the_examples_show_every_layout() -> None:
    used = {slide.layout for name in NAMES for slide in deck_of(name).slides}
    assert used == set(deck_schema()["$defs"]["Slide"]["properties"]["layout"]["enum"])


@pytest.mark.parametrize("name", ["brand_icons", "character_lookbook", "storyboard"])
def test_what_is_to_be_made_on_the_preview_base_is_told_in_words_that_it_knows(name: str) -> None:
    known = json.loads(VOCABULARY.read_text(encoding="utf-8"))["model"]["vocab"]
    deck = deck_of(name)
    prompts = " ".join([*(frame.prompt for frame in frames(deck)), deck.defaults.after or ""])
    assert sorted(word for word in set(re.findall(r"[a-z]+", prompts.lower())) if word not in known) == []


@example
def test_it_is_laid_out_with_every_picture_and_word_in_place(name: str, tmp_path: Path) -> None:
    deck = deck_of(name)
    pages = pages_of(deck, tmp_path)
    compiled = compile_deck(deck, pages, Written(tmp_path))
    assert [sentence for sentence in compiled.told if "too many" in sentence] == []
    assert [one.name for one in compiled.placed if not one.fits] == []
    reader = PdfReader(tmp_path / "deck.pdf")
    assert len(reader.pages) == 1 + len(deck.slides)
    shown = {one.file for one in compiled.placed if one.kind == "picture"}
    assert shown >= {picture.file for page in pages for picture in page.pictures}
    for page, pdf in zip(pages, reader.pages[1:], strict=True):
        words = squeezed(pdf.extract_text())
        wanted = [page.slide.heading or "", *(picture.caption for picture in page.pictures)]
        assert [one for one in wanted if squeezed(one) not in words] == []


def pages_of(deck: DeckSpec, folder: Path) -> list[Page]:
    """The pages of a deck with a picture of one colour, a quarter of the size, for each that it asks for."""
    made = []
    for number, slide in enumerate(deck.slides):
        pictures = []
        for place, frame in enumerate(frames_of(deck, slide)):
            path = folder / f"{frame.stem}.png"
            size = (frame.width // 4, frame.height // 4)
            Image.new("RGB", size, COLOURS[(number + place) % len(COLOURS)]).save(path)
            pictures.append(PagePicture(frame.key, path, size, frame.prompt, frame.seed, frame.caption))
        made.append(Page(slide, tuple(pictures)))
    return made


def squeezed(text: str) -> str:
    """Letters and digits alone: lines break where a layout wants them to."""
    return re.sub(r"\W+", "", text).casefold()
