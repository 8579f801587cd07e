"""What breaks curation on purpose: strange pictures, lying zips, knots of links, odd notes, changes that clash."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from support.images import bench, bomb, curate, folder_of, picture, save

from loradeck.state.files import sha256_file
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord
from loradeck.tools import image_changes
from loradeck.tools.contracts import CurateArgs, CurateResult
from loradeck.tools.curate_dataset import prepare as preparing
from loradeck.tools.curate_dataset import tool
from loradeck.tools.curate_dataset.answer import duplicate_groups
from loradeck.tools.curate_dataset.beside import Beside
from loradeck.tools.curate_dataset.downloads import Downloader, NotFetched, _suffix
from loradeck.tools.curate_dataset.outliers import standing_apart
from loradeck.tools.curate_dataset.overlays import Placed, repeated
from loradeck.tools.curate_dataset.picture import Unfit, Upright, open_upright
from loradeck.tools.curate_dataset.prepare import Prepared, Task, prepare
from loradeck.tools.curate_dataset.provenance import loras_of
from loradeck.tools.curate_dataset.sources import survey
from loradeck.tools.dataset_changes import create
from loradeck.tools.datasets import select
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.house_file import house_of
from loradeck.tools.rulebook.house import BadHouse, read_house
from loradeck.tools.workbench import Workbench

SIDE = 520


def png(seed: int = 1, side: int = SIDE) -> bytes:
    held = io.BytesIO()
    picture(seed, side).save(held, "PNG", compress_level=1)
    return held.getvalue()


def prepared(path: Path) -> Prepared:
    return prepare(Task(path, path.parent / "copies" / f"{path.name}.png", 64, closely=True))


def why(path: Path) -> str:
    with pytest.raises(Unfit) as refused:
        open_upright(path)
    return refused.value.why


def upright(image: Image.Image, path: Path, **options: Any) -> Upright:
    return open_upright(save(image, path, **options))


# --------------------------------------------------------------------------- pictures


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 2), (3, 9), (4, 600), (17, 33)])
def test_the_smallest_and_thinnest_pictures_are_measured_and_too_small(tmp_path: Path, size: tuple[int, int]) -> None:
    done = prepared(save(picture(1, *size), tmp_path / "thin.png"))
    assert [rule for rule, _ in done.unfit] == ["IMG-SIZE"]
    assert (done.facts.width, done.facts.height) == size


def test_a_picture_that_the_measures_cannot_take_is_set_aside_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking = preparing.look_at

    def fails_on_one(image: Image.Image) -> Any:
        if image.width == SIDE + 1:
            raise cv2.error("(-215:Assertion failed)")
        return looking(image)

    monkeypatch.setattr(preparing, "look_at", fails_on_one)
    source = folder_of(tmp_path / "in", 2, width=SIDE)
    save(picture(7, SIDE + 1), source / "a01b.png")
    done = curate(bench(tmp_path), source=source)
    assert (done.kept, [one.file for one in done.rejected]) == (2, ["a01b.png"])
    assert "cannot be measured; export it again" in done.rejected[0].why


@pytest.mark.parametrize("suffix", [".webp", ".png", ".tif", ".avif"])
def test_of_every_kind_of_moving_picture_the_first_frame_is_taken_and_told(tmp_path: Path, suffix: str) -> None:
    frames = [picture(number, 64) for number in range(3)]
    seen = upright(frames[0], tmp_path / f"moving{suffix}", save_all=True, append_images=frames[1:])
    assert "first frame taken" in seen.converted
    apart = np.abs(np.asarray(seen.picture, np.int16) - np.asarray(frames[0], np.int16))
    assert apart.mean() < 12


def test_the_second_picture_of_a_stereo_camera_is_no_animation(tmp_path: Path) -> None:
    seen = upright(picture(1), tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[picture(2)])
    assert (seen.format, seen.converted) == ("JPEG", [])


@pytest.mark.parametrize(
    ("suffix", "orientation"),
    [*((".jpg", number) for number in range(1, 9)), *((suffix, 6) for suffix in (".png", ".webp", ".avif", ".heic"))],
)
def test_a_crop_is_in_pixels_of_the_upright_picture(tmp_path: Path, suffix: str, orientation: int) -> None:
    """A red square at the upper left of what a person sees, wherever it lies in the file."""
    seen = Image.new("RGB", (640, 520), "white")
    seen.paste((255, 0, 0), (0, 0, 128, 128))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    stored = seen.transpose(Image.Transpose(back[orientation])) if orientation > 1 else seen
    exif = Image.Exif()
    exif[0x112] = orientation
    save(stored, tmp_path / "in" / f"a{suffix}", exif=exif.tobytes())
    on = bench(tmp_path)
    made = curate(on, source=tmp_path / "in")
    assert made.images[0].size == "640x520"
    curate(on, dataset_id=made.dataset_id, crops=[{"image": "1", "x": 0, "y": 0, "side": 128}])
    copy = np.asarray(Image.open(Path(str(made.folder)) / "a.png").convert("RGB"), np.int16)[4:-4, 4:-4]
    assert np.abs(copy - (255, 0, 0)).max() < 40


def test_grey_values_of_more_than_16_bits_are_refused_instead_of_burnt_out(tmp_path: Path) -> None:
    grey = np.asarray(picture(1).convert("L")).astype(np.int32)
    Image.fromarray(grey * 60_000).save(tmp_path / "deep.tif")
    assert "32-bit values; export it with 8 bits" in why(tmp_path / "deep.tif")
    Image.fromarray(np.full((64, 64), np.nan, np.float32)).save(tmp_path / "nan.tif")
    assert "floating-point values" in why(tmp_path / "nan.tif")


@pytest.mark.parametrize("kind", ["text", "profile"])
def test_a_png_whose_texts_or_profile_unpack_to_megabytes_says_so(tmp_path: Path, kind: str) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "x" * 50_000_000, zip=True)
    options = {"pnginfo": texts} if kind == "text" else {"icc_profile": bytes(20_000_000)}
    save(picture(1), tmp_path / "a.png", **options)
    assert why(tmp_path / "a.png") == "Its texts or its profile unpack to megabytes; export it without."


def test_what_a_file_says_of_its_loras_can_be_printed_and_stored(tmp_path: Path) -> None:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", "<lora:a\x07b:1>")
    texts.add_itxt("invokeai_metadata", '{"loras": [{"name": "\\ud83d bad"}]}')
    path = save(picture(1), tmp_path / "in" / "a.png", pnginfo=texts)
    with Image.open(path) as raw:
        assert loras_of(raw) == ["a\N{REPLACEMENT CHARACTER}b", "\N{REPLACEMENT CHARACTER} bad"]
    done = curate(bench(tmp_path), source=tmp_path / "in")
    assert [one.rule_id for one in done.rejected] == ["IMG-ORIGIN"]
    assert b"bad" in done.model_dump_json().encode()
    on = bench(tmp_path)
    kept = curate(on, dataset_id=done.dataset_id, keep=["1"])
    assert (kept.kept, kept.images[0].reasons[0].endswith("(kept on request)")) == (1, True)


def test_damaged_exif_says_nothing_of_loras() -> None:
    class Damaged:
        def __init__(self) -> None:
            self.info: dict[str, str] = {}

        def getexif(self) -> Any:
            raise struct.error("unpack requires a buffer of 4 bytes")

    assert loras_of(Damaged()) == []  # type: ignore[arg-type]


def test_more_megapixels_than_are_ever_decoded_are_not_promised(tmp_path: Path) -> None:
    path = bomb(tmp_path / "a.png", 20_000, 20_000)
    with pytest.raises(Unfit, match="at most 178 are decoded"):
        open_upright(path, 500)


# --------------------------------------------------------------------------- folders


@pytest.mark.parametrize("name", ["loop.png", "a00.txt", "metadata.jsonl", "loradeck.toml", "loop"])
def test_a_link_that_leads_to_itself_is_told_and_the_rest_is_taken(tmp_path: Path, name: str) -> None:
    source = folder_of(tmp_path / "in", 2, width=SIDE)
    (source / name).symlink_to(name)
    done = curate(bench(tmp_path), source=source)
    assert (done.kept, [one.file for one in done.rejected]) == (2, [name])


def test_a_subfolder_that_cannot_be_read_is_told_and_the_others_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(tmp_path / "in" / "open", 1, width=64)
    (tmp_path / "in" / "shut").mkdir()
    listed = os.listdir

    def denied(path: Any) -> list[str]:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "listdir", denied)
    seen = survey([str(tmp_path / "in")])
    assert [found.name for found in seen.found] == ["open/a00.png"]
    assert seen.refused == [("shut", "The folder cannot be read; check its permissions.")]


def test_folders_in_folders_may_be_as_deep_as_the_system_takes(tmp_path: Path) -> None:
    here = Path.cwd()
    deepest = tmp_path / "in"
    folder_of(deepest / "e", 1, width=64)
    os.chdir(deepest)
    try:
        for _ in range(1500):
            Path("d").mkdir()
            os.chdir("d")
        os.chdir(here)
        assert [found.name for found in survey([str(deepest)]).found] == ["e/a00.png"]
    finally:
        os.chdir(here)
        subprocess.run(["rm", "-rf", str(deepest)], check=True)  # Python's own removal goes no deeper than it recurses


# --------------------------------------------------------------------------- zips


def zipped(path: Path, *members: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, data in members:
            file.writestr(name, data)
    return path


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_that_a_zip_holds_twice_loses_no_picture(tmp_path: Path) -> None:
    path = zipped(tmp_path / "in.zip", ("a.png", png(1)), ("a.png", png(2)), ("a_2.png", png(3)), ("A.PNG", png(4)))
    on = bench(tmp_path)
    done = curate(on, source=path)
    assert done.kept == 4
    curate(on, dataset_id=done.dataset_id, source=path)
    assert len(on.store.where(ImageRecord)) == 4


@pytest.mark.parametrize("names", [("a.png", "a.png/b.png"), ("a.png/b.png", "a.png")])
def test_a_folder_called_as_a_picture_is_called_stands_in_no_ones_way(tmp_path: Path, names: tuple[str, str]) -> None:
    path = zipped(tmp_path / "in.zip", *((name, png(number)) for number, name in enumerate(names)))
    assert curate(bench(tmp_path), source=path).kept == 2


def test_a_path_that_no_system_takes_is_shortened(tmp_path: Path) -> None:
    path = zipped(tmp_path / "in.zip", ("/".join(["d" * 80] * 60) + "/a.png", png(1)), ("b.png", png(2)))
    assert curate(bench(tmp_path), source=path).kept == 2


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_is_damaged_is_told_whatever_it_was_packed_by(tmp_path: Path, compression: int) -> None:
    path = zipped(tmp_path / "in.zip", *((f"{n}.png", png(n)) for n in range(3)), compression=compression)
    with zipfile.ZipFile(path) as file:
        start = file.infolist()[1].header_offset + 60
    data = bytearray(path.read_bytes())
    data[start : start + 140] = bytes(byte ^ 0x5A for byte in data[start : start + 140])
    path.write_bytes(data)
    done = curate(bench(tmp_path), source=path)
    assert (done.kept, [one.file for one in done.rejected]) == (2, ["1.png"])


DIRECTORY = {
    "version": (6, b"\xff\xff"),
    "flags": (8, b"\x40\x00"),
    "method": (10, b"\x63\x00"),
    "checksum": (16, b"\x01\x02\x03\x04"),
    "packed size": (20, b"\x01\x00\x00\x00"),
    "size": (24, b"\x01\x00\x00\x00"),
    "length of the name": (28, b"\xff\xff"),
    "offset": (42, b"\xff\xff\xff\x7f"),
}


@pytest.mark.parametrize("lie", DIRECTORY)
def test_a_directory_that_lies_ends_in_one_sentence(tmp_path: Path, lie: str) -> None:
    path = zipped(tmp_path / "in.zip", ("a.png", png(1)), ("b.png", png(2)), compression=zipfile.ZIP_DEFLATED)
    at, value = DIRECTORY[lie]
    data = bytearray(path.read_bytes())
    entry = data.find(b"PK\x01\x02")
    data[entry + at : entry + at + len(value)] = value
    path.write_bytes(data)
    if lie in {"version", "length of the name"}:
        with pytest.raises(BadArgument, match=r"'in\.zip'"):
            curate(bench(tmp_path), source=path)
        return
    done = curate(bench(tmp_path), source=path)
    assert (done.kept, [one.file for one in done.rejected]) == (1, ["a.png"])


# --------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    "url", ["https://[", "https://[::1/a.png", "https://a:b/c", "https://\x00/a", "https://" + "a" * 70_000]
)
def test_what_is_no_address_at_all_is_told(tmp_path: Path, url: str) -> None:
    with pytest.raises(NotFetched):
        Downloader().fetch(url, tmp_path)


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"hevc", b"hevx", b"heis", b"mif1", b"msf1"])
def test_what_phones_write_is_known_by_its_first_bytes(brand: bytes) -> None:
    assert _suffix(b"\x00\x00\x00\x18ftyp" + brand + bytes(100)) == ".heic"


# --------------------------------------------------------------------------- what lies beside


def noted(tmp_path: Path, line: str) -> CurateResult:
    """A set of one picture with a line of metadata."""
    source = folder_of(tmp_path / "in", 1, width=SIDE)
    (source / "metadata.jsonl").write_text(line + "\n", encoding="utf-8")
    return curate(bench(tmp_path), source=source, detail=True)


def test_half_a_surrogate_pair_in_metadata_loses_nothing(tmp_path: Path) -> None:
    line = {
        "file_name": "a00.png",
        "subject": "a \ud800 b",
        "text": "c \ud83d",
        "source": "\udfff",
        "colors": ["\ud800"],
    }
    done = noted(tmp_path, json.dumps(line))
    assert done.images[0].attributes["subject"] == "a ? b"
    assert b"subject" in done.model_dump_json().encode()


def test_metadata_of_odd_types_counts_where_it_fits(tmp_path: Path) -> None:
    line = {
        "file_name": "a00.png", "source": 12, "author": "Jane\u0007\nDoe", "licence": ["x"], "license": "CC0",
        "consent": {"a": 1}, "may_leave": "maybe", "subject": "a\u0000b\nc", "pose": 5, "text": 5,
    }  # fmt: skip
    row = noted(tmp_path, json.dumps(line)).images[0]
    assert row.attributes == {"subject": "ab c"}
    assert row.rights is not None
    assert (row.rights.source, row.rights.licence, row.rights.consent, row.rights.may_leave) == (
        "Jane Doe", "CC0", None, None,
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32", "cp1252"])
def test_a_caption_beside_a_picture_is_read_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "a.txt").write_bytes(f"{mark}zorbik, a café\r\nat night".encode(encoding))
    assert Beside(tmp_path).notes(tmp_path / "a.png", "a.png").caption == "zorbik, a café at night"


@pytest.mark.parametrize("value", ["nan", "inf", "true", "[1.0]", "1979-05-27", '"x"', "-1", "{a = 1}"])
def test_a_threshold_that_is_no_finite_number_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(BadHouse, match="megapixels"):
        read_house(f"[thresholds]\nmegapixels = {value}\n")
    with pytest.raises(BadHouse, match="dark"):
        read_house(f"[thresholds]\ndark = [64.0, {value}]\n")
    source = folder_of(tmp_path / "in", 1, width=SIDE)
    (source / "loradeck.toml").write_text(f"[thresholds]\nmegapixels = {value}\n")
    on = bench(tmp_path)
    done = curate(on, source=source)
    assert done.kept == 1
    assert any("Not taken along" in finding.why for finding in done.findings)
    assert house_of(on.store, str(done.dataset_id)).thresholds.megapixels == 64


# --------------------------------------------------------------------------- changes that clash


def disagreements(on: Workbench) -> list[str]:
    """Where rows, copies, sidecars and metadata.jsonl of the datasets say different things."""
    found: list[str] = []
    for dataset in on.store.where(DatasetRecord):
        folder = on.store.workspace.dataset(dataset.id)
        rows = on.store.where(ImageRecord, "dataset_id = ?", [dataset.id], order="number")
        captions = {row.image_id: row.text for row in on.store.where(CaptionRecord, "dataset_id = ?", [dataset.id])}
        kept = [row for row in rows if row.status == "kept"]
        for row in rows:
            copy = folder / row.file
            if row.copy_sha256 and (not copy.is_file() or sha256_file(copy) != row.copy_sha256):
                found.append(f"copy of {row.number}")
            sidecar = (folder / row.file).with_suffix(".txt")
            told = sidecar.read_text(encoding="utf-8") if sidecar.exists() else None
            if row.status == "kept" and told != captions.get(row.id):
                found.append(f"sidecar of {row.number}")
        if {path.name for path in folder.glob("*.png")} != {row.file for row in kept}:
            found.append("pictures in the folder")
        lines = (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines()
        if [json.loads(line)["file_name"] for line in lines] != [row.file for row in kept]:
            found.append("metadata.jsonl")
        if len({row.number for row in rows}) != len(rows) or list(folder.glob(".next-*")):
            found.append("numbers or staging")
    return found


@pytest.fixture
def wide(tmp_path: Path) -> tuple[Workbench, str]:
    """A set of three pictures of 640x520."""
    on = bench(tmp_path)
    return on, str(curate(on, source=folder_of(tmp_path / "in", 3, width=640, height=520)).dataset_id)


def test_a_call_that_cannot_be_done_as_a_whole_brings_in_its_pictures_and_changes_nothing(
    tmp_path: Path, wide: tuple[Workbench, str]
) -> None:
    on, ds = wide
    more = folder_of(tmp_path / "more", 2, first_seed=50, width=640, height=520)
    impossible = [{"image": "1", "x": 600, "y": 1, "side": 300}]
    with pytest.raises(BadArgument, match=r"does not lie in .* 2 new pictures were brought in .* nothing else"):
        curate(on, dataset_id=ds, source=more, reject=["3"], crops=impossible)
    assert [row.status for row in on.store.where(ImageRecord, order="number")] == ["kept"] * 5
    assert disagreements(on) == []
    with pytest.raises(BadArgument, match="does not lie in") as refused:
        curate(on, dataset_id=ds, reject=["3"], crops=impossible)
    assert "brought in" not in str(refused.value)
    assert disagreements(on) == []


def test_of_two_crops_of_one_image_the_last_counts(wide: tuple[Workbench, str]) -> None:
    on, ds = wide

    def left() -> list[int | None]:
        return [row.crop and row.crop["x"] for row in on.store.where(ImageRecord, order="number")]

    before = left()
    first, last = {"image": "1", "x": 5, "y": 0, "side": 400}, {"image": "1", "x": 9, "y": 0, "side": 400}
    assert "1 crops changed" in curate(on, dataset_id=ds, crops=[first, last]).summary
    assert left() == [9, *before[1:]]
    assert "No crops changed" in curate(on, dataset_id=ds, crops=[first, last]).summary
    curate(on, dataset_id=ds, undo=True)
    assert left() == before
    assert disagreements(on) == []


@pytest.mark.parametrize(
    "change", [{"crops": [{"image": "1", "x": 9, "y": 0, "side": 300}]}, {"backgrounds": {"images": ["all"]}}]
)
def test_an_image_whose_original_is_gone_is_neither_cut_nor_laid_on_another_ground(
    tmp_path: Path, wide: tuple[Workbench, str], change: dict[str, Any]
) -> None:
    on, ds = wide
    (tmp_path / "in" / "a00.png").unlink()
    before = on.store.where(ImageRecord, order="number")
    with pytest.raises(BadArgument, match=r"original of image 1 is gone .*put it back, or leave the image out"):
        curate(on, dataset_id=ds, **change)
    assert on.store.where(ImageRecord, order="number") == before
    assert disagreements(on) == []


def test_a_dataset_that_another_process_makes_meanwhile_is_not_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on, source = bench(tmp_path), folder_of(tmp_path / "in", 2, width=SIDE)
    usual = tool._is_long

    def meanwhile(*args: Any) -> bool:
        asked = CurateArgs(source=str(source), resolution=64)
        create(on.store, asked, "in", [str(source)])
        return usual(*args)

    monkeypatch.setattr(tool, "_is_long", meanwhile)
    assert curate(on, source=source).kept == 2
    assert len(on.store.where(DatasetRecord)) == 1
    assert disagreements(on) == []


def test_duplicates_that_name_each_other_end_in_an_answer() -> None:
    def row(number: int, twin: int) -> ImageRecord:
        reason = {"rule_id": "IMG-DUPLICATE", "why": "", "of": f"img_{twin}", "how": "near"}
        return ImageRecord(
            id=f"img_{number}", dataset_id="ds_a", number=number, file=f"{number}.png", original_path="",
            original_name="", sha256="", status="rejected", reasons=[reason],
        )  # fmt: skip

    assert [group.how for group in duplicate_groups([row(1, 2), row(2, 1)])] == ["near", "near"]


# --------------------------------------------------------------------------- many


class Unhurried(list[ImageRecord]):
    """Images that count how often they are gone through."""

    rounds = 0

    def __iter__(self) -> Iterator[ImageRecord]:
        self.rounds += 1
        return super().__iter__()


def many(count: int) -> Unhurried:
    return Unhurried(
        ImageRecord(
            id=f"img_{number}", dataset_id="ds_a", number=number, file=f"p{number}.png", original_path="",
            original_name=f"P {number}.jpg", sha256="", status="kept",
        )
        for number in range(1, count + 1)
    )  # fmt: skip


def test_thousands_of_references_do_not_go_through_all_images_each() -> None:
    images = many(300)
    refs = [f"p{number}.png" for number in range(1, 100)] + [f"img_{number}" for number in range(100, 200)]
    assert len(select(images, [*refs, *(str(number) for number in range(200, 300)), "P 300"])) == 300
    assert images.rounds < 5
    with pytest.raises(NotFound, match=r"'q19' and 280 more; use image ids"):
        select(images, [f"q{number}" for number in range(300)])


def test_how_strange_thousands_of_pictures_look_takes_no_table_of_all_pairs() -> None:
    looks = np.random.default_rng(0).normal(size=(3000, 60)).astype(np.float32)
    tracemalloc.start()
    away = standing_apart(looks)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert away.shape == (3000,)
    assert most < 60_000_000


def test_a_mark_on_thousands_of_pictures_is_found_without_comparing_words_pair_by_pair() -> None:
    here = Placed("shotstock", 0.1, 0.1, 0.3, 0.15)
    with_mark = {f"img_{number}": [here] for number in range(3000)}
    assert repeated(with_mark | {"img_other": [Placed("something", 0.1, 0.1, 0.3, 0.15)]}) == set(with_mark)


def test_the_history_of_a_large_set_stays_short(wide: tuple[Workbench, str], monkeypatch: pytest.MonkeyPatch) -> None:
    on, ds = wide
    monkeypatch.setattr(image_changes, "MOST_REMEMBERED", 5)
    for _ in range(2):
        curate(on, dataset_id=ds, reject=["all"])
        curate(on, dataset_id=ds, keep=["all"])
    history = on.store.where(DatasetRecord)[0].history
    assert [len(step["before"]) for step in history] == [3]
    assert curate(on, dataset_id=ds, undo=True).kept == 0
