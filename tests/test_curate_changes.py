"""Changes to single images: where they are cut, their grounds, their rights, undo; and two programs at one dataset."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from support.images import SIDE, bench, curate, folder_of, picture, save

from loradeck.state.records import ImageRecord
from loradeck.tools.contracts import CurateResult, ImageRow
from loradeck.tools.datasets import editing
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.workbench import Workbench

RED, BLUE, WHITE = (220, 30, 30), (30, 60, 200), (255, 255, 255)


def halves(path: Path) -> Path:
    """A wide picture, red on the left and blue on the right, with some texture."""
    wide = Image.new("RGB", (1200, 600), RED)
    wide.paste(BLUE, (600, 0, 1200, 600))
    for place in range(0, 1200, 24):
        ImageDraw.Draw(wide).line((place, 0, place + 11, 600), fill=(90, 90, 90), width=2)
    return save(wide, path)


def disc(path: Path) -> Path:
    """A red disc with a dark rim on plain white."""
    plain = Image.new("RGB", (SIDE, SIDE), WHITE)
    ImageDraw.Draw(plain).ellipse((120, 120, 390, 390), fill=RED, outline=(60, 0, 0), width=8)
    return save(plain, path)


def copy_of(result: CurateResult, row: ImageRow) -> Image.Image:
    with Image.open(Path(str(result.folder)) / row.file) as opened:
        return opened.convert("RGB")


def mean(image: Image.Image) -> tuple[int, ...]:
    pixel = image.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return pixel


def only(on: Workbench, dataset_id: str | None) -> ImageRow:
    return curate(on, dataset_id=dataset_id, detail=True).images[0]


# --------------------------------------------------------------------------- crops


def test_a_picture_is_cut_where_it_is_asked_and_undo_cuts_it_as_before(tmp_path: Path) -> None:
    on = bench(tmp_path)
    halves(tmp_path / "in" / "a.png")
    ds = curate(on, source=tmp_path / "in").dataset_id
    middle = mean(copy_of(curate(on, dataset_id=ds), only(on, ds)))
    moved = curate(on, dataset_id=ds, crops=[{"image": "1", "x": 600, "y": 0, "side": 600}], detail=True)
    assert moved.images[0].crop is not None
    assert (moved.images[0].crop.x, moved.images[0].crop.reason) == (600, "asked")
    red, _, blue = mean(copy_of(moved, moved.images[0]))
    assert blue > red + 50
    assert "1 crops changed" in moved.summary
    back = curate(on, dataset_id=ds, undo=True)
    assert mean(copy_of(back, back.images[0])) == middle


def test_a_crop_without_numbers_is_the_detectors_own(tmp_path: Path) -> None:
    on = bench(tmp_path)
    halves(tmp_path / "in" / "a.png")
    ds = curate(on, source=tmp_path / "in").dataset_id
    first = only(on, ds).crop
    curate(on, dataset_id=ds, crops=[{"image": "a.png", "x": 0, "y": 0, "side": 100}])
    assert curate(on, dataset_id=ds, crops=[{"image": "a.png"}], detail=True).images[0].crop == first


def test_a_crop_stays_when_the_resolution_changes(tmp_path: Path) -> None:
    on = bench(tmp_path)
    halves(tmp_path / "in" / "a.png")
    ds = curate(on, source=tmp_path / "in").dataset_id
    curate(on, dataset_id=ds, crops=[{"image": "1", "x": 0, "y": 0, "side": 400}])
    larger = curate(on, dataset_id=ds, resolution=128, detail=True)
    red, _, blue = mean(copy_of(larger, larger.images[0]))
    assert red > blue + 50
    assert copy_of(larger, larger.images[0]).size == (128, 128)


@pytest.mark.parametrize(
    ("crop", "said"),
    [
        ({"image": "1", "x": 700, "y": 0, "side": 600}, "does not lie in its 1200x600 pixels"),
        ({"image": "1", "x": 0}, "needs x, y and side"),
    ],
)
def test_a_crop_that_cannot_be_is_one_sentence_and_changes_nothing(
    tmp_path: Path, crop: dict[str, object], said: str
) -> None:
    on = bench(tmp_path)
    halves(tmp_path / "in" / "a.png")
    ds = curate(on, source=tmp_path / "in").dataset_id
    before = only(on, ds).crop
    with pytest.raises(BadArgument, match=said):
        curate(on, dataset_id=ds, crops=[crop])
    assert only(on, ds).crop == before


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_crop_of_a_large_photograph_is_in_its_own_pixels_however_it_is_decoded(
    tmp_path: Path, orientation: int
) -> None:
    on = bench(tmp_path)
    wide = Image.new("RGB", (4000, 3000), (90, 110, 90))
    wide.paste(RED, (3000, 200, 3600, 800))
    exif = Image.Exif()
    exif[0x0112] = orientation
    save(wide, tmp_path / "in" / "a.jpg", exif=exif, quality=90)
    ds = curate(on, source=tmp_path / "in").dataset_id
    x, y = (3000, 200) if orientation == 1 else (3000 - 800, 3000)  # turned clockwise: (x, y) goes to (height - y, x)
    row = curate(on, dataset_id=ds, crops=[{"image": "1", "x": x, "y": y, "side": 600}], detail=True)
    assert row.images[0].size == ("4000x3000" if orientation == 1 else "3000x4000")
    copy = copy_of(row, row.images[0])
    for place in ((2, 2), (61, 2), (2, 61), (61, 61), (32, 32)):
        assert max(abs(a - b) for a, b in zip(copy.getpixel(place), RED, strict=True)) < 20  # type: ignore[arg-type]


# --------------------------------------------------------------------------- grounds


def test_a_plain_ground_becomes_a_solid_colour_and_comes_back(tmp_path: Path) -> None:
    on = bench(tmp_path)
    disc(tmp_path / "in" / "a.png")
    made = curate(on, source=tmp_path / "in")
    ds = made.dataset_id
    laid = curate(on, dataset_id=ds, backgrounds={"images": ["1"]})
    row, copy = laid.images[0], copy_of(laid, laid.images[0])
    corner = copy.getpixel((1, 1))
    assert row.background == "#{:02x}{:02x}{:02x}".format(*corner)  # type: ignore[misc]
    assert corner != WHITE
    assert max(abs(a - b) for a, b in zip(copy.getpixel((32, 32)), RED, strict=True)) < 12  # type: ignore[arg-type]
    assert str(row.attributes["background"]).startswith("plain ")
    assert row.attribute_sources["background"] == "detector"
    back = curate(on, dataset_id=ds, backgrounds={"images": ["1"], "make": "original"})
    assert copy_of(back, back.images[0]).getpixel((1, 1)) == WHITE
    assert back.images[0].background is None
    assert "background" not in back.images[0].attributes


def test_the_same_picture_always_gets_the_same_ground_and_several_get_several(tmp_path: Path) -> None:
    on = bench(tmp_path)
    grounds = []
    for name in ("one", "two"):
        for shade in range(4):
            plain = Image.new("RGB", (SIDE, SIDE), WHITE)
            ImageDraw.Draw(plain).rectangle(
                (100 + 20 * shade, 100, 300, 300 + 30 * shade), fill=RED, outline=BLUE, width=9
            )
            save(plain, tmp_path / name / f"{shade}.png")
        ds = curate(on, source=tmp_path / name).dataset_id
        grounds.append([row.background for row in curate(on, dataset_id=ds, backgrounds={"images": ["all"]}).images])
    assert grounds[0] == grounds[1]
    assert None not in grounds[0]
    assert len(set(grounds[0])) > 1


def test_undo_gives_the_ground_back(tmp_path: Path) -> None:
    on = bench(tmp_path)
    disc(tmp_path / "in" / "a.png")
    ds = curate(on, source=tmp_path / "in").dataset_id
    curate(on, dataset_id=ds, backgrounds={"images": ["1"]})
    back = curate(on, dataset_id=ds, undo=True)
    assert back.images[0].background is None
    assert copy_of(back, back.images[0]).getpixel((1, 1)) == WHITE


def test_a_picture_that_cannot_be_cut_out_keeps_its_ground_and_that_is_told(tmp_path: Path) -> None:
    on = bench(tmp_path)
    save(picture(5), tmp_path / "in" / "a.png")
    made = curate(on, source=tmp_path / "in")
    before = copy_of(made, made.images[0]).tobytes()
    tried = curate(on, dataset_id=made.dataset_id, backgrounds={"images": ["1"]})
    assert copy_of(tried, tried.images[0]).tobytes() == before
    assert tried.images[0].background is None
    assert any("cannot be cut out" in finding.why for finding in tried.findings)


# --------------------------------------------------------------------------- rights


def test_rights_are_recorded_for_what_a_call_adds_and_for_what_it_names(tmp_path: Path) -> None:
    on = bench(tmp_path)
    ds = curate(on, source=folder_of(tmp_path / "in", 2), rights={"source": "shot by Ada", "licence": "own"}).dataset_id
    folder_of(tmp_path / "more", 2, first_seed=10)
    curate(on, dataset_id=ds, source=tmp_path / "more", rights={"source": "Flickr", "licence": "CC-BY 4.0"})
    named = curate(on, dataset_id=ds, rights={"images": ["2"], "may_leave": False}, detail=True)
    told = [row.rights for row in named.images]
    assert [one.source for one in told if one] == ["shot by Ada", "shot by Ada", "Flickr", "Flickr"]
    assert [one.may_leave for one in told if one] == [None, False, None, None]
    assert not any(finding.rule_id == "IMG-RIGHTS" for finding in named.findings)


def test_rights_beside_the_pictures_come_along(tmp_path: Path) -> None:
    save(picture(1), tmp_path / "in" / "a.png")
    (tmp_path / "in" / "metadata.jsonl").write_text(
        '{"file_name": "a.png", "license": "CC0", "author": "Ada", "may_leave": false}\n'
    )
    made = curate(bench(tmp_path), source=tmp_path / "in", detail=True)
    assert made.images[0].rights is not None
    assert (made.images[0].rights.licence, made.images[0].rights.source) == ("CC0", "Ada")
    assert made.images[0].rights.may_leave is False


def test_rights_are_kept_in_one_line_of_what_can_be_shown(tmp_path: Path) -> None:
    on = bench(tmp_path)
    ds = curate(on, source=folder_of(tmp_path / "in", 1), rights={"source": "Ada\n\x00 \u200bLovelace "}).dataset_id
    told = only(on, ds).rights
    assert told is not None
    assert told.source == "Ada Lovelace"


def test_rights_that_say_nothing_are_refused(tmp_path: Path) -> None:
    on = bench(tmp_path)
    ds = curate(on, source=folder_of(tmp_path / "in", 1)).dataset_id
    with pytest.raises(BadArgument, match="rights says nothing"):
        curate(on, dataset_id=ds, rights={"images": ["1"]})


# --------------------------------------------------------------------------- two at once


def test_while_another_program_changes_a_set_a_call_waits_and_then_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = bench(tmp_path)
    ds = str(curate(on, source=folder_of(tmp_path / "in", 2)).dataset_id)
    hold = f"""
import sys
from pathlib import Path
from loradeck.state.store import Store
from loradeck.tools.datasets import editing
with editing(Store(Path({str(tmp_path / "home")!r})), {ds!r}):
    print("held", flush=True)
    sys.stdin.read()
"""
    other = subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    monkeypatch.setattr("loradeck.tools.datasets.EDIT_SECONDS", 0.3)
    with pytest.raises(Refused, match="changing this dataset"):
        curate(on, dataset_id=ds, reject=["1"])
    other.kill()  # the lock of a process that died holds nobody up
    other.wait()
    assert curate(on, dataset_id=ds, reject=["1"]).kept == 1


def test_two_threads_that_change_one_set_lose_nothing(tmp_path: Path) -> None:
    on = bench(tmp_path)
    ds = str(curate(on, source=folder_of(tmp_path / "in", 6)).dataset_id)

    def reject(number: int) -> None:
        curate(on, dataset_id=ds, reject=[str(number)])

    threads = [threading.Thread(target=reject, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.status for row in on.store.where(ImageRecord, order="number")] == ["rejected"] * 3 + ["kept"] * 3
    with editing(on.store, ds):
        pass
