"""One picture: opened safely, brought to one form, cut, measured, and named."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw
from support.images import bomb, picture, save

from loradeck.tools.curate_dataset.colour import dominant_colours
from loradeck.tools.curate_dataset.names import copy_name, natural, safe_stem, shown
from loradeck.tools.curate_dataset.picture import Unfit, open_upright
from loradeck.tools.curate_dataset.prepare import Task, prepare, square_crop


def why(path: Path) -> str:
    """Why a file is refused."""
    with pytest.raises(Unfit) as refused:
        open_upright(path)
    assert refused.value.rule_id == "IMG-READABLE"
    return refused.value.why


# --------------------------------------------------------------------------- opening


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif", ".bmp", ".gif"])
def test_every_promised_format_is_read(tmp_path: Path, suffix: str) -> None:
    upright = open_upright(save(picture(1, 96, 64), tmp_path / f"a{suffix}"))
    assert upright.picture.size == (96, 64)
    assert upright.picture.mode == "RGB"


def test_a_truncated_jpeg_is_refused(tmp_path: Path) -> None:
    path = save(picture(1), tmp_path / "cut.jpg", quality=90)
    path.write_bytes(path.read_bytes()[:-400])
    assert "cut short" in why(path)


@pytest.mark.parametrize("suffix", [".png", ".webp", ".tif", ".avif", ".gif"])
def test_a_file_that_ends_in_the_middle_is_refused(tmp_path: Path, suffix: str) -> None:
    path = save(picture(1), tmp_path / f"cut{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "damaged" in why(path)


@pytest.mark.parametrize("side", [30_000, 9_000])
def test_a_bomb_is_refused_by_its_header_without_decoding(tmp_path: Path, side: int) -> None:
    path = bomb(tmp_path / "bomb.png", side, side)
    tracemalloc.start()
    said = why(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "megapixels" in said
    assert peak < 5_000_000


def test_a_file_that_is_not_what_its_suffix_says_is_refused(tmp_path: Path) -> None:
    path = save(picture(1), tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert "is PNG inside" in why(path)


def test_text_called_png_and_an_empty_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("not a picture at all")
    (tmp_path / "b.png").touch()
    assert "no picture" in why(tmp_path / "a.png")
    assert "no picture" in why(tmp_path / "b.png")


def test_postscript_is_never_tried(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n")
    assert "no picture" in why(path)


def test_a_raw_photograph_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "a.cr3").write_bytes(b"x")
    assert "PNG or JPEG" in why(tmp_path / "a.cr3")


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_what_phones_write_is_read_and_a_cut_one_is_told(tmp_path: Path, suffix: str) -> None:
    path = save(picture(1, 640, 480), tmp_path / f"a{suffix}", quality=90)
    upright = open_upright(path)
    assert upright.picture.size == (640, 480)
    assert np.abs(np.asarray(upright.picture, int) - np.asarray(picture(1, 640, 480), int)).mean() < 8
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "damaged" in why(path)


# --------------------------------------------------------------------------- one form


def test_exif_orientation_is_applied_and_told(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = open_upright(save(picture(1, 80, 40), tmp_path / "a.jpg", exif=exif))
    assert upright.picture.size == (40, 80)
    assert upright.converted == ["turned upright (EXIF)"]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_does_not_lose_the_picture(tmp_path: Path) -> None:
    path = save(picture(1, 64), tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert open_upright(path).picture.size == (64, 64)


def test_alpha_is_flattened_on_white_and_told(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    clear.paste((200, 0, 0, 255), (16, 16, 48, 48))
    upright = open_upright(save(clear, tmp_path / "a.png"))
    assert upright.picture.getpixel((0, 0)) == (255, 255, 255)
    assert upright.picture.getpixel((32, 32)) == (200, 0, 0)
    assert upright.converted == ["alpha flattened on #ffffff"]


def test_alpha_that_hides_nothing_is_dropped_without_a_word(tmp_path: Path) -> None:
    assert open_upright(save(picture(1, 64).convert("RGBA"), tmp_path / "a.png")).converted == []


def test_a_palette_with_a_clear_colour_is_flattened(tmp_path: Path) -> None:
    image = Image.new("P", (64, 64), 0)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.paste(1, (0, 0, 32, 64))
    upright = open_upright(save(image, tmp_path / "a.png", transparency=0))
    assert upright.picture.getpixel((60, 5)) == (255, 255, 255)
    assert upright.picture.getpixel((5, 5)) == (10, 20, 30)


def test_a_wide_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    lab_like = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    plain = open_upright(save(picture(1, 64), tmp_path / "plain.png"))
    odd = open_upright(save(picture(1, 64), tmp_path / "odd.png", icc_profile=lab_like))
    assert len(odd.converted) == 1
    assert "sRGB" in odd.converted[0]
    assert np.asarray(plain.picture).shape == np.asarray(odd.picture).shape


def test_a_broken_profile_does_not_lose_the_picture(tmp_path: Path) -> None:
    upright = open_upright(save(picture(1, 64), tmp_path / "a.png", icc_profile=b"nonsense"))
    assert upright.converted == ["colour profile did not fit, taken as sRGB"]


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64 * 64, dtype=np.uint16).reshape(64, 64)
    upright = open_upright(save(Image.fromarray(values), tmp_path / "a.png"))
    assert upright.converted == ["reduced to 8 bits"]
    assert upright.picture.getpixel((63, 63)) == (255, 255, 255)
    assert 100 < upright.picture.getpixel((0, 32))[0] < 150  # type: ignore[index]


def test_cmyk_becomes_rgb_and_is_told(tmp_path: Path) -> None:
    upright = open_upright(save(picture(1, 64).convert("CMYK"), tmp_path / "a.jpg"))
    assert upright.picture.mode == "RGB"
    assert "CMYK" in upright.converted[0]


# --------------------------------------------------------------------------- copy and facts


def test_the_copy_is_a_square_png_without_metadata_and_the_original_is_untouched(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    original = save(picture(1, 600, 800), tmp_path / "a.jpg", exif=exif)
    before = hashlib.sha256(original.read_bytes()).hexdigest()
    prepared = prepare(Task(original, tmp_path / "out" / "a.png", 128))
    with Image.open(tmp_path / "out" / "a.png") as copy:
        assert (copy.format, copy.size, copy.mode) == ("PNG", (128, 128), "RGB")
    assert b"secret" not in (tmp_path / "out" / "a.png").read_bytes()
    assert prepared.sha256 == before == hashlib.sha256(original.read_bytes()).hexdigest()
    assert prepared.copy_sha256 == hashlib.sha256((tmp_path / "out" / "a.png").read_bytes()).hexdigest()
    assert (prepared.facts.width, prepared.facts.height) == (600, 800)


def test_the_crop_is_all_of_a_square_and_else_the_upper_centre() -> None:
    assert square_crop(700, 700).reason == "whole"
    wide, tall = square_crop(900, 600), square_crop(600, 900)
    assert (wide.x, wide.y, wide.width) == (150, 0, 600)
    assert (tall.x, tall.width) == (0, 600)
    assert 0 < tall.y < 150
    assert wide.reason == tall.reason == "upper centre"


@pytest.mark.parametrize(("side", "rule"), [(511, "IMG-SIZE"), (512, None)])
def test_under_512_pixels_is_unfit_and_512_is_not(tmp_path: Path, side: int, rule: str | None) -> None:
    prepared = prepare(Task(save(picture(1, side, 700), tmp_path / "a.png"), tmp_path / "out.png", 64))
    assert [rule_id for rule_id, _ in prepared.unfit] == ([rule] if rule else [])
    assert prepared.copy_sha256, "a small picture gets its copy too, so that a person can keep it"


def test_background_and_colours_are_measured(tmp_path: Path) -> None:
    icon = Image.new("RGB", (512, 512), "#fefefe")
    ImageDraw.Draw(icon).ellipse((100, 100, 400, 400), fill="#2060c0")
    facts = prepare(Task(save(icon, tmp_path / "a.png"), tmp_path / "out.png", 128)).facts
    assert (facts.plain_background, facts.background_color) == (True, "#fefefe")
    assert facts.dominant_colors == ["#2060c0"]
    busy = prepare(Task(save(picture(3), tmp_path / "b.png"), tmp_path / "out.png", 128)).facts
    assert (busy.plain_background, busy.background_color) == (False, None)
    assert len(dominant_colours(picture(3), None)) >= 2


# --------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("original", "copy"),
    [
        ("chat_add.png", "chat_add.png"),
        ("Žluťoučký kůň.JPG", "Zlutoucky_kun.png"),
        ("line\nbreak.png", "line_break.png"),
        ("🍎 apple.png", "apple.png"),
        ("🍎.png", "image.png"),
        ("CON.png", "image_CON.png"),
        ("lpt1.final.jpg", "image_lpt1.final.png"),
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\pictures\\a.png", "a.png"),
        (".hidden.png", "hidden.png"),
        ("-rf.png", "rf.png"),
        ("close_y+000.jpg", "close_y+000.png"),
    ],
)
def test_names_of_copies_are_safe(original: str, copy: str) -> None:
    assert copy_name(original, set()) == copy


@given(st.lists(st.text(max_size=120), max_size=6))
def test_copies_of_any_names_are_plain_and_unique(originals: list[str]) -> None:
    taken: set[str] = set()
    for original in originals:
        name = copy_name(original, taken)
        assert name.casefold() not in taken
        taken.add(name.casefold())
        assert name.isascii()
        assert name.endswith(".png")
        assert not set(name) & set('/\\:*?"<>|\n\r\t\0 ')
        assert name[0] not in ".-"
        assert len(name) < 100


@given(st.text(max_size=60))
def test_a_safe_stem_stays_as_it_is(text: str) -> None:
    stem = safe_stem(text)
    assert safe_stem(stem) == stem


@given(st.text(alphabet=st.characters(), max_size=40))
def test_what_is_shown_can_be_printed_and_stored(text: str) -> None:
    shown(text).encode("utf-8")
    assert "\n" not in shown(text)


def test_image2_comes_before_image10() -> None:
    assert sorted(["image10.png", "Image2.png", "a.png"], key=natural) == ["a.png", "Image2.png", "image10.png"]
