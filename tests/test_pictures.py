"""The pictures that loradeck draws: read back as pixels, since a chart that is wrong still opens."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from loradeck.tools.pictures.canvas import BLUE, ORANGE, fitted, font, shortened, wrapped
from loradeck.tools.pictures.chart import PLOT, loss_chart, smoothed
from loradeck.tools.pictures.grid import CELL, MAX_ROWS, sample_grid, spread
from loradeck.tools.pictures.jpeg import SIDE, jpeg
from loradeck.tools.pictures.sheet import THUMBNAILS, Tile, contact_sheet


def colored(picture: Image.Image, color: str, tolerance: int = 40) -> np.ndarray:
    wanted = [int(color[n : n + 2], 16) for n in (1, 3, 5)]
    return np.abs(np.asarray(picture.convert("RGB")).astype(int) - wanted).max(axis=2) < tolerance


def plain(path: Path, color: str = "red", size: tuple[int, int] = (64, 64)) -> Path:
    Image.new("RGB", size, color).save(path)
    return path


# --------------------------------------------------------------------------- loss chart


def test_the_held_out_line_falls_where_the_loss_fell(tmp_path: Path) -> None:
    loss_chart([], [(0, 1.0), (100, 0.5), (200, 0.25)], tmp_path / "loss.png")
    picture = Image.open(tmp_path / "loss.png")
    assert picture.size == (1200, 675)
    line = colored(picture, ORANGE)[PLOT[1] - 6 : PLOT[3]]
    heights = [float(np.where(line[:, x])[0].mean()) for x in (PLOT[0], (PLOT[0] + PLOT[2]) // 2, PLOT[2] - 1)]
    assert heights == sorted(heights)
    span = PLOT[3] - PLOT[1]
    assert heights[1] - heights[0] == pytest.approx(span * 0.5 / 1.08, abs=4)


def test_one_spike_does_not_flatten_the_rest(tmp_path: Path) -> None:
    train = [(step, 0.5) for step in range(100)]
    loss_chart([*train, (100, 400.0)], [], tmp_path / "loss.png")
    line = colored(Image.open(tmp_path / "loss.png"), BLUE)
    rows = np.where(line[PLOT[1] : PLOT[3], PLOT[0] : PLOT[0] + 200])[0]
    assert rows.mean() < (PLOT[3] - PLOT[1]) / 2


@pytest.mark.parametrize("train", [[], [(1, 0.5)], [(1, float("nan")), (2, float("inf"))], [(1, 0.0), (2, 0.0)]])
def test_a_chart_of_almost_nothing_is_still_a_chart(tmp_path: Path, train: list[tuple[int, float]]) -> None:
    loss_chart(train, [], tmp_path / "loss.png")
    assert Image.open(tmp_path / "loss.png").size == (1200, 675)


def test_the_running_mean_keeps_the_steps_and_calms_the_noise() -> None:
    rng = random.Random(1)
    points = [(step, 1.0 + rng.gauss(0, 0.2)) for step in range(300)]
    calm = smoothed(points)
    assert [step for step, _ in calm] == [step for step, _ in points]
    assert np.std([loss for _, loss in calm]) < 0.06
    assert smoothed([]) == []


# --------------------------------------------------------------------------- grids and sheets


def test_samples_stand_by_step_and_prompt(tmp_path: Path) -> None:
    red, blue = plain(tmp_path / "r.png", "red"), plain(tmp_path / "b.png", "blue")
    sample_grid([(100, "one", red), (0, "two", blue), (0, "one", red), (100, "two", blue)], tmp_path / "grid.png")
    picture = Image.open(tmp_path / "grid.png")
    columns = np.where(colored(picture, "#ff0000").any(axis=0))[0], np.where(colored(picture, "#0000ff").any(axis=0))[0]
    assert columns[0].max() < columns[1].min()
    assert colored(picture, "#ff0000").any(axis=1).sum() == 2 * CELL


def test_many_steps_are_thinned_and_the_first_and_last_stay(tmp_path: Path) -> None:
    path = plain(tmp_path / "r.png")
    steps = list(range(0, 1000, 10))
    assert (spread(steps, MAX_ROWS)[0], spread(steps, MAX_ROWS)[-1]) == (0, 990)
    sample_grid([(step, "p", path) for step in steps], tmp_path / "grid.png")
    assert Image.open(tmp_path / "grid.png").height < (MAX_ROWS + 1) * (CELL + 20)


def test_a_sample_that_is_gone_leaves_the_others(tmp_path: Path) -> None:
    path = plain(tmp_path / "r.png")
    sample_grid([(0, "p", path), (0, "q", tmp_path / "gone.png")], tmp_path / "grid.png")
    assert colored(Image.open(tmp_path / "grid.png"), "#ff0000").any()


def test_a_tile_that_was_set_aside_has_no_colour_left_but_its_ribbon(tmp_path: Path) -> None:
    path = plain(tmp_path / "b.png", "blue", (300, 300))
    kept = contact_sheet([Tile(path, 1, "img_a")], title="t")
    aside = contact_sheet([Tile(path, 1, "img_a", note="IMG-DUPLICATE")], title="t")
    assert colored(kept, "#0000ff").sum() > 10_000
    assert colored(aside, "#0000ff").sum() == 0
    assert colored(aside, "#b3261e").sum() > 1_000


def test_twenty_five_tiles_fit_what_a_client_shows_without_scaling(tmp_path: Path) -> None:
    path = plain(tmp_path / "b.png")
    sheet = contact_sheet([Tile(path, n, "img_abcd2345") for n in range(1, 26)], title="t", code="sh_abc234")
    assert max(sheet.size) <= SIDE
    assert font(THUMBNAILS.text).getlength("img_mmmmmmmm") <= THUMBNAILS.cell[0]


def test_a_tile_whose_file_is_gone_says_so_and_the_sheet_is_whole(tmp_path: Path) -> None:
    sheet = contact_sheet([Tile(tmp_path / "gone.png", 1, "img_a")], title="t")
    assert colored(sheet, "#b3261e").any()


def test_pictures_are_shown_upright_whole_and_on_white(tmp_path: Path) -> None:
    turned = Image.new("RGB", (40, 20), "red")
    exif = turned.getexif()
    exif[274] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert fitted(tmp_path / "turned.jpg", 100, 100).size == (50, 100)
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert fitted(tmp_path / "clear.png", 20, 20).getpixel((5, 5)) == (255, 255, 255)


# --------------------------------------------------------------------------- words and thumbnails


def test_words_are_cut_to_their_room_with_an_ellipsis() -> None:
    face = font(14)
    assert shortened("short", 100, face) == "short"
    cut = shortened("a very long line of words " * 9, 100, face)
    assert cut.endswith("…")
    assert face.getlength(cut) <= 110
    lines = wrapped("a very long line of words " * 9, 100, face, 3)
    assert len(lines) == 3
    assert all(face.getlength(line) <= 110 for line in lines)


def test_the_worst_picture_still_fits_an_answer() -> None:
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (1500, 2000, 3), dtype=np.uint8))
    data = jpeg(noise, 60_000)
    assert len(data) <= 60_000
    assert max(Image.open(io.BytesIO(data)).size) <= SIDE


def test_an_id_is_drawn_with_the_letters_that_it_has() -> None:
    face = font(40)
    drawn = [np.asarray(mask_of(face, text)) for text in ("8x5", "8\N{MULTIPLICATION SIGN}5")]
    assert drawn[0].shape != drawn[1].shape or (drawn[0] != drawn[1]).any()


def mask_of(face: ImageFont.FreeTypeFont, text: str) -> Image.Image:
    picture = Image.new("L", (120, 60))
    ImageDraw.Draw(picture).text((4, 4), text, fill=255, font=face)
    return picture
