"""What a machine sees at once: RND-SIZE, RND-BLANK, RND-DARK and RND-TWIN on pictures made to break them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from support.rules import breaks, passes

from loradeck.tools.contracts import Finding, Severity
from loradeck.tools.render_deck_visuals.looks import judge
from loradeck.tools.render_deck_visuals.measure import contrast, facts, readable, veil

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


@passes("RND-SIZE", "RND-BLANK", "RND-DARK", "RND-TWIN")
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
