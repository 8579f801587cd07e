"""What a machine sees at once: the rules on renders, on pictures made to break them, and how a contact sheet tells."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageColor, ImageDraw
from support.decks import deck, render
from support.painter import Painter, trained
from support.painter import bench as studio
from support.rules import breaks, passes
from support.training import pictures, queued

from loradeck.state.files import sha256_file
from loradeck.state.records import RunRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import Finding, Severity, VisualRow
from loradeck.tools.pictures.canvas import ORANGE
from loradeck.tools.pictures.sheet import Shape, Tile, contact_sheet
from loradeck.tools.render_deck_visuals import report
from loradeck.tools.render_deck_visuals.looks import Copied, Style, call_of, judge, short
from loradeck.tools.render_deck_visuals.measure import contrast, facts, ground, readable, veil
from loradeck.tools.start_training.snapshot import Pair

SIZE = (320, 180)
WARNING = Severity.WARNING


def made(path: Path, ground: str, disc: str | None, x: int = 100, size: tuple[int, int] = SIZE) -> Path:
    picture = Image.new("RGB", size, ground)
    if disc:
        ImageDraw.Draw(picture).ellipse((x, 40, x + 80, 120), fill=disc)
    picture.save(path)
    return path


def told(*paths: Path, asked: tuple[int, int] = SIZE) -> list[Finding]:
    found = judge([facts(path.stem, path, asked) for path in paths])
    assert all(finding.where == [slide] for slide, findings in found.items() for finding in findings)
    return [finding for findings in found.values() for finding in findings]


def slides(findings: list[Finding]) -> list[str]:
    return [finding.where[0] for finding in findings]


@passes("RND-SIZE", "RND-BLANK", "RND-DARK", "RND-COPY", "RND-OFFSTYLE", "RND-TWIN")
def test_a_good_picture_has_nothing_to_be_said(tmp_path: Path) -> list[Finding]:
    return told(made(tmp_path / "a.png", "white", "red"), made(tmp_path / "b.png", "white", "red", 200))


@breaks("RND-SIZE", WARNING)
def test_another_size_than_asked(tmp_path: Path) -> list[Finding]:
    found = told(made(tmp_path / "a.png", "white", "red"), asked=(1024, 576))
    assert slides(found) == ["a"]
    return found


@breaks("RND-BLANK", WARNING)
@pytest.mark.parametrize("colour", ["#f7f7f9", "#000000"])
def test_one_even_colour(colour: str, tmp_path: Path) -> list[Finding]:
    found = told(made(tmp_path / "a.png", colour, None))
    assert slides(found) == ["a"]
    return found


@breaks("RND-DARK", WARNING)
def test_dark_all_over(tmp_path: Path) -> list[Finding]:
    found = told(made(tmp_path / "a.png", "#0a0a12", "#30303a"))
    assert slides(found) == ["a"]
    return found


@passes("RND-DARK")
def test_a_night_with_a_light_in_it_is_not_too_dark(tmp_path: Path) -> list[Finding]:
    return told(made(tmp_path / "b.png", "#0a0a12", "#ffe0a0"))


def test_a_dark_picture_comes_with_the_way_to_draw_it_brighter(tmp_path: Path) -> None:
    path = made(tmp_path / "cover.png", "#0a0a12", "#30303a")
    finding = judge([facts("cover", path, SIZE)])["cover"][0]
    assert "bright daylight" in finding.fix
    assert 'only=["cover"], edits=[{"slide": "cover"' in finding.fix
    assert "mean brightness 1" in finding.why


@breaks("RND-TWIN", WARNING)
def test_two_slides_that_show_the_same(tmp_path: Path) -> list[Finding]:
    one, two = made(tmp_path / "a.png", "white", "red"), made(tmp_path / "b.png", "#fefefe", "#fe0000")
    found = told(one, two, made(tmp_path / "c.png", "white", "blue"))
    assert slides(found) == ["b"]
    return found


@breaks("RND-BLANK", WARNING)
def test_a_black_picture_is_told_as_withheld_with_milder_words_as_the_next_call(tmp_path: Path) -> list[Finding]:
    found = told(made(tmp_path / "a.png", "#000000", None))
    assert "safety filter withheld" in found[0].why
    assert '"prompt": "<milder words>"' in found[0].fix
    assert 'only=["a"]' in found[0].fix
    return found


@breaks("RND-BLANK", WARNING)
def test_a_plate_with_grey_words_in_place_of_a_picture_is_told_as_withheld(tmp_path: Path) -> list[Finding]:
    plate = Image.new("RGB", SIZE, "black")
    ImageDraw.Draw(plate).text((100, 80), "NSFW content", fill="#bbbbbb")
    plate.save(tmp_path / "a.png")
    found = told(tmp_path / "a.png")
    assert "black but for a few grey marks" in found[0].why
    return found


@passes("RND-BLANK", "RND-DARK")
def test_a_golden_thing_on_black_is_no_plate(tmp_path: Path) -> list[Finding]:
    return told(made(tmp_path / "a.png", "#000000", "#c9a227"))


def seen(path: Path, **values: Any) -> list[Finding]:
    return judge([replace(facts(path.stem, path, SIZE), **values)])[path.stem]


@breaks("RND-COPY", WARNING)
def test_a_copy_is_told_with_the_training_image_and_another_prompt(tmp_path: Path) -> list[Finding]:
    found = seen(made(tmp_path / "a.png", "white", "red"), copied=Copied("07_star", 0.981))
    assert '"07_star"' in found[0].why
    assert "0.98" in found[0].why
    assert short(found) == "copy of 07_star"
    return found


@breaks("RND-OFFSTYLE", WARNING)
def test_an_off_style_picture_is_told_how_far_it_is_with_a_stronger_lora(tmp_path: Path) -> list[Finding]:
    found = seen(made(tmp_path / "a.png", "white", "red"), style=Style(3.1, 2.7, 4.3, "lora_ab", 1.0))
    assert "3.1 times as far" in found[0].why
    assert "4.3 times as far" in found[0].why
    assert call_of(found[0], "deck_x") == (
        'render_deck_visuals(deck_id="deck_x", only=["a"], loras=[{"lora_id": "lora_ab", "strength": 1.6}])'
    )
    return found


def test_where_the_base_is_not_known_nothing_is_said_of_it(tmp_path: Path) -> None:
    found = seen(made(tmp_path / "a.png", "white", "red"), style=Style(3.1, 2.7, None, "lora_ab", 2.0))
    assert "base" not in found[0].why
    assert '"strength": 2.5' in found[0].fix


@passes("RND-COPY", "RND-OFFSTYLE")
def test_of_a_blank_picture_nothing_but_that_is_said(tmp_path: Path) -> list[Finding]:
    far = Style(9, 2, 4, "lora_ab", 1)
    return seen(made(tmp_path / "a.png", "black", None), copied=Copied("star", 1), style=far)


@breaks("REF-CLEAN", WARNING)
@pytest.mark.parametrize(("ground", "words"), [("#dfe8f5", "#dfe8f5 and not white"), ("", "not plain")])
def test_a_panel_of_a_reference_sheet_that_is_not_on_white(ground: str, words: str, tmp_path: Path) -> list[Finding]:
    found = seen(made(tmp_path / "a.png", "white", "red"), ground=ground)
    assert words in found[0].why
    assert '"add": "on pure white' in found[0].fix
    return found


@passes("REF-CLEAN")
def test_a_panel_on_white_is_clean(tmp_path: Path) -> list[Finding]:
    path = made(tmp_path / "a.png", "#fefdfd", "red")
    assert ground(path) == "#fefdfd"
    return seen(path, ground=ground(path))


def test_sixty_pictures_are_compared_in_no_time(tmp_path: Path) -> None:
    one = facts("a", made(tmp_path / "a.png", "white", "red"), SIZE)
    many = [replace(one, slide=f"s{n}", tiny=tuple((value + 7 * n) % 256 for value in one.tiny)) for n in range(60)]
    started = time.process_time()
    judge(many)
    assert time.process_time() - started < 1.5


def rows(*findings: list[Finding]) -> list[VisualRow]:
    return [
        VisualRow(
            slide=f"s{number}",
            take=1,
            path="",
            prompt="",
            seed=1,
            width=64,
            height=64,
            picked=True,
            fresh=True,
            findings=found,
        )
        for number, found in enumerate(findings)
    ]


def test_the_foot_of_a_sheet_tells_the_first_flag_and_its_call(tmp_path: Path) -> None:
    path = made(tmp_path / "s1.png", "#0a0a12", "#30303a")
    found = judge([facts("s1", path, SIZE)])["s1"]
    told = rows([], found, found)
    assert report.flags(told) == {"s1": "dark", "s2": "dark"}
    assert report.foot("deck_x", told) == (
        's1 is marked dark; 1 more of 3 are marked. Next: render_deck_visuals(deck_id="deck_x", only=["s1"], '
        'edits=[{"slide": "s1", "add": "bright daylight", "guidance": 2.5}])'
    )
    assert report.foot("deck_x", rows([], [])) == ""


def test_a_flagged_tile_is_framed_and_not_greyed_and_the_foot_stands_below(tmp_path: Path) -> None:
    tile = Tile(made(tmp_path / "a.png", "#00c000", None), None, "a", flag="dark")
    sheet = contact_sheet([tile], title="t", foot="a is marked dark. Next: a call", shape=Shape(1, (320, 180)))
    plain = contact_sheet([replace(tile, flag="")], title="t", shape=Shape(1, (320, 180)))
    left, top = 8, 40
    assert sheet.getpixel((left, top)) == ImageColor.getrgb(ORANGE)
    assert sheet.getpixel((left + 160, top + 60)) == (0, 192, 0)
    assert sheet.height > plain.height
    below = ImageChops.invert(sheet.crop((0, plain.height, *sheet.size)))
    assert below.getbbox() is not None  # words stand there
    assert plain.getpixel((left, top)) == (0, 192, 0)


def taught(store: Store, count: int) -> tuple[RunRecord, Path]:
    """A LoRA, and the run that taught it `count` even pictures; returns the folder that holds them."""
    run = queued(store)
    folder = store.workspace.run(run.id) / "dataset"
    teach(store, run, [path for path, *_ in pictures(folder, count)])
    trained(store, run_id=run.id)
    return run, folder


def teach(store: Store, run: RunRecord, paths: list[Path]) -> None:
    pairs = [Pair(path.name, sha256_file(path), "").as_row() for path in paths]
    store.change(RunRecord, run.id, spec={**run.spec, "pairs": pairs}, state="succeeded")


def test_a_render_is_held_against_what_its_lora_learned_from_once(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    run, folder = taught(store, 6)
    result = render(studio(store, Painter()), deck=deck())
    story = store.where(VisualRecord, "slide = 'story'")[0]
    Image.open(story.path).resize((640, 360)).save(folder / "by_heart.png")
    teach(store, run, sorted(folder.glob("*.png")))
    again = report.looked_at(store, deck(), str(result.deck_id), set(), set())
    assert "copy of by_heart" in report.flags(again)["story"]
    assert "copy" not in report.flags(again).get("cover", "")
    shutil.rmtree(store.workspace.cache)
    for path in folder.glob("*.png"):
        path.write_bytes(b"no picture any more")  # so that whoever looked again would find nothing
    assert report.flags(report.looked_at(store, deck(), str(result.deck_id), set(), set())) == report.flags(again)


def test_training_images_that_cannot_be_read_any_more_cost_no_render(tmp_path: Path) -> None:
    store = Store(tmp_path / "home")
    _, folder = taught(store, 6)
    for path in folder.glob("*.png"):
        path.write_bytes(b"no picture any more")
    result = render(studio(store, Painter()), deck=deck())
    assert report.flags(result.visuals) == {}


def test_a_reference_sheet_off_white_is_flagged_and_other_slides_are_not(tmp_path: Path) -> None:
    sheet = {"name": "hero", "prompt": "a knight", "layout": "reference_sheet", "width": 128, "height": 128}
    told = deck(slides=[{"name": "cover", "prompt": "a house"}, sheet])
    result = render(studio(Store(tmp_path / "home"), Painter()), deck=told)
    flagged = {row.slide for row in result.visuals for one in row.findings if one.rule_id == "REF-CLEAN"}
    assert flagged == {f"hero-{view}" for view in ("front", "three_quarter", "profile", "back", "close_up")}


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_a_veil_is_as_thin_as_the_picture_allows(tmp_path: Path) -> None:
    dark, white = made(tmp_path / "a.png", "#101010", None), made(tmp_path / "b.png", "#101010", "white")
    assert veil(dark, "#f2efe6", "#121212") == 0.6
    assert veil(white, "#f2efe6", "#121212") > 0.6
    assert veil(white, "#f2efe6", "#121212", wanted=30) == 1.0


def test_a_text_colour_that_would_not_be_read_is_replaced() -> None:
    assert readable("#f2efe6", "#121212") == "#f2efe6"
    assert readable("#333333", "#121212") == "#ffffff"
    assert readable("#ffff99", "#ffffff") == "#000000"
