"""What goes to a host in a zip, and what is taken out of an archive that comes back."""

from __future__ import annotations

import gzip
import hashlib
import io
import random
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from loradeck.engines import files, tensor_file
from loradeck.engines.base import DatasetFolder, DatasetItem
from loradeck.engines.errors import BadSpec, BadWeights, CannotWrite
from loradeck.engines.hosted.unpack import Limits, unpack
from loradeck.engines.hosted.zipping import captioned, pack

WEIGHTS = tensor_file.written({"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, {}) + b"\0\0\0\0"


def image(path: Path, seed: int) -> DatasetItem:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 8), (seed, 7 * seed % 256, 99)).save(path)
    return DatasetItem(path, f"zorvex, a square number {seed}", hashlib.sha256(path.read_bytes()).hexdigest())


def dataset(folder: Path, *names: str) -> DatasetFolder:
    items = tuple(image(folder / name, seed) for seed, name in enumerate(names))
    return DatasetFolder(folder, items, "zorvex", "fp-1")


# --------------------------------------------------------------------------- going out


def test_the_zip_is_flat_and_holds_each_picture_beside_its_caption_and_nothing_else(tmp_path: Path) -> None:
    given = dataset(tmp_path / "in", "a.png", "Élan vital.jpg", "c.webp")
    packed = pack(given, tmp_path / "set.zip")
    with zipfile.ZipFile(packed.path) as archive:
        assert archive.testzip() is None
        assert tuple(archive.namelist()) == packed.names
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        roots = sorted({name.partition(".")[0] for name in packed.names})
        assert roots == ["0001", "0002", "0003"]
        held = {
            hashlib.sha256(archive.read(name)).hexdigest(): archive.read(f"{name.partition('.')[0]}.txt").decode()
            for name in packed.names
            if not name.endswith(".txt")
        }
    assert held == {item.sha256: item.caption for item in given.items}
    assert packed.bytes == packed.path.stat().st_size
    assert packed.sha256 == hashlib.sha256(packed.path.read_bytes()).hexdigest()


def test_the_same_pictures_and_captions_give_the_same_bytes_whatever_the_files_are_called(tmp_path: Path) -> None:
    one = dataset(tmp_path / "one", "a.png", "b.png", "c.png")
    other = dataset(tmp_path / "other", "z.png", "y.png", "x.png")
    shuffled = replace(other, items=other.items[::-1])
    first, second = pack(one, tmp_path / "1.zip"), pack(shuffled, tmp_path / "2.zip")
    assert first.sha256 == second.sha256
    changed = replace(one, items=(replace(one.items[0], caption="zorvex, else"), *one.items[1:]))
    assert pack(changed, tmp_path / "3.zip").sha256 != first.sha256


@pytest.mark.parametrize(
    ("caption", "wanted"),
    [
        ("zorvex, a disc", "zorvex, a disc"),
        ("  zorvex a disc\n", "zorvex a disc"),
        ("a disc", "zorvex, a disc"),
        ("zorvexian, a disc", "zorvex, zorvexian, a disc"),
        ("Über allen Gipfeln", "zorvex, Über allen Gipfeln"),
        ("", "zorvex"),
    ],
)
def test_every_caption_begins_with_the_trigger(caption: str, wanted: str, tmp_path: Path) -> None:
    given = dataset(tmp_path, "a.png")
    packed = pack(replace(given, items=(replace(given.items[0], caption=caption),)), tmp_path / "set.zip")
    with zipfile.ZipFile(packed.path) as archive:
        assert archive.read("0001.txt") == wanted.encode()


def test_without_a_trigger_captions_stay_as_they_are() -> None:
    assert captioned(" a disc ", "") == "a disc"


def test_the_suffix_tells_what_is_in_the_file_and_not_what_it_was_called(tmp_path: Path) -> None:
    item = image(tmp_path / "a.jpeg", 3)
    disguised = tmp_path / "b.png"
    disguised.write_bytes(item.image.read_bytes())
    given = DatasetFolder(tmp_path, (replace(item, image=disguised),), "", "fp")
    assert pack(given, tmp_path / "set.zip").names == ("0001.jpg", "0001.txt")


def test_what_cannot_be_sent_is_told_and_leaves_no_zip(tmp_path: Path) -> None:
    given, out = dataset(tmp_path / "in", "a.png", "b.png"), tmp_path / "set.zip"
    first = given.items[0]
    (tmp_path / "note.png").write_text("no picture")
    cases = {
        r"holds no image": replace(given, items=()),
        r"gone\.png cannot be read": replace(given, items=(replace(first, image=tmp_path / "gone.png"),)),
        r"note\.png is no JPEG": replace(given, items=(replace(first, image=tmp_path / "note.png"),)),
        r"a\.png was changed": replace(given, items=(replace(first, sha256="0" * 64),)),
    }
    for told, case in cases.items():
        with pytest.raises(BadSpec, match=rf"{told}.*\.$"):
            pack(case, out)
    assert not out.exists()


def test_a_disk_that_gives_back_other_bytes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, out = dataset(tmp_path / "in", "a.png"), tmp_path / "set.zip"
    honest = zipfile.ZipFile.open

    def failing(self: zipfile.ZipFile, name: str, mode: str = "r", **more: object) -> object:
        return io.BytesIO(b"else") if mode == "r" else honest(self, name, mode, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(zipfile.ZipFile, "open", failing)
    with pytest.raises(CannotWrite, match="gave back something else"):
        pack(given, out)
    assert not out.exists()


def test_two_hundred_pictures_take_no_more_memory_than_a_few(tmp_path: Path) -> None:
    start = image(tmp_path / "a.png", 1).image.read_bytes()
    items = []
    for number in range(200):
        path = tmp_path / f"{number}.png"
        path.write_bytes(start + bytes([number]) * 200_000)
        items.append(DatasetItem(path, "zorvex, a square", files.sha256_file(path)))
    tracemalloc.start()
    packed = pack(DatasetFolder(tmp_path, tuple(items), "zorvex", "fp"), tmp_path / "set.zip")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert packed.bytes > 40_000_000
    assert peak < 4_000_000


# --------------------------------------------------------------------------- coming back

Build = Callable[[dict[str, bytes], Path], Path]


def tarred(entries: dict[str, bytes], path: Path, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in entries.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def tar_gz(entries: dict[str, bytes], path: Path) -> Path:
    return tarred(entries, path, "w:gz")


def zipped(entries: dict[str, bytes], path: Path) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


every_archive = pytest.mark.parametrize("build", [tarred, tar_gz, zipped])


@every_archive
def test_the_lora_is_taken_out_and_nothing_else(build: Build, tmp_path: Path) -> None:
    entries = {
        "output/flux_train_replicate/lora.safetensors": WEIGHTS,
        "output/flux_train_replicate/config.yaml": b"steps: 1000",
        "output/flux_train_replicate/captions/a.txt": b"zorvex, a disc",
        "__MACOSX/output/._lora.safetensors": b"mac",
    }
    (taken,) = unpack(build(entries, tmp_path / "trained"), tmp_path / "out")
    assert taken == tmp_path / "out" / "lora.safetensors"
    assert taken.read_bytes() == WEIGHTS
    assert list((tmp_path / "out").iterdir()) == [taken]


@every_archive
def test_several_files_of_one_name_all_keep_one_of_their_own(build: Build, tmp_path: Path) -> None:
    entries = {"low/lora.safetensors": WEIGHTS, "high/LoRA.safetensors": WEIGHTS + b"", "ü ber/~.safetensors": WEIGHTS}
    taken = unpack(build(entries, tmp_path / "trained"), tmp_path / "out")
    assert [path.name for path in taken] == ["lora.safetensors", "LoRA-2.safetensors", "lora-3.safetensors"]


def test_a_bare_file_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "pytorch_lora_weights.safetensors").write_bytes(WEIGHTS)
    (taken,) = unpack(tmp_path / "pytorch_lora_weights.safetensors", tmp_path / "out")
    assert taken.read_bytes() == WEIGHTS
    assert taken.name == "pytorch_lora_weights.safetensors"


@every_archive
@pytest.mark.parametrize(
    "name",
    ["/etc/lora.safetensors", "../lora.safetensors", "a/../../b.txt", "..\\b.txt", "C:\\b.txt", "\\\\host\\b.txt"],
)
def test_an_archive_that_names_files_outside_of_itself_is_refused(build: Build, name: str, tmp_path: Path) -> None:
    entries = {"lora.safetensors": WEIGHTS, name: b"x"}
    with pytest.raises(BadWeights, match=r"outside of itself.*nothing was taken out.*\.$"):
        unpack(build(entries, tmp_path / "trained"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind: bytes, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "trained.tar", "w") as archive:
        info = tarfile.TarInfo("lora.safetensors")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(BadWeights, match="a link, a device"):
        unpack(tmp_path / "trained.tar", tmp_path / "out")


@pytest.mark.parametrize(("attribute", "locked"), [(0o120777 << 16, False), (0o100644 << 16, True)])
def test_links_and_locked_files_in_a_zip_are_refused(attribute: int, locked: bool, tmp_path: Path) -> None:
    path = tmp_path / "trained.zip"
    with zipfile.ZipFile(path, "w") as archive:
        entry = zipfile.ZipInfo("lora.safetensors")
        entry.external_attr, entry.create_system = attribute, 3
        archive.writestr(entry, b"/etc/passwd")
    if locked:
        content = bytearray(path.read_bytes())
        content[content.index(b"PK\x01\x02") + 8] |= 1
        path.write_bytes(content)
    with pytest.raises(BadWeights, match="locked file"):
        unpack(path, tmp_path / "out")


@every_archive
def test_more_or_larger_entries_than_weights_have_are_refused(build: Build, tmp_path: Path) -> None:
    path = build({"lora.safetensors": WEIGHTS, "a.txt": b"a", "b.txt": b"b" * 5000}, tmp_path / "trained")
    for limits, told in (
        (Limits(entries=2), "more than 2 entries"),
        (Limits(largest=4000), "larger than weights are"),
        (Limits(total=5000), "far more than weights"),
    ):
        with pytest.raises(BadWeights, match=told):
            unpack(path, tmp_path / "out", limits)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("build", [tar_gz, zipped])
def test_a_decompression_bomb_is_refused_by_what_it_would_grow_to(build: Build, tmp_path: Path) -> None:
    path = build({"lora.safetensors": bytes(8_000_000)}, tmp_path / "trained")
    assert path.stat().st_size < 20_000
    with pytest.raises(BadWeights, match="far more than weights"):
        unpack(path, tmp_path / "out")


def test_a_header_that_claims_to_be_huge_is_not_read_into_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("lora.safetensors")
    info.type, info.size = tarfile.XHDTYPE, 40_000_000
    with gzip.open(tmp_path / "trained.tar.gz", "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(40_000_000))
    tracemalloc.start()
    with pytest.raises(BadWeights, match="far more than weights"):
        unpack(tmp_path / "trained.tar.gz", tmp_path / "out", Limits(ratio=10_000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_an_entry_of_negative_size_does_not_lead_round_in_circles(tmp_path: Path) -> None:
    info = tarfile.TarInfo("a.txt")
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (-1024).to_bytes(12, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    (tmp_path / "trained.tar").write_bytes(bytes(tarfile.TarInfo("b").tobuf()) + bytes(header) + bytes(1024))
    with pytest.raises(BadWeights, match=r"larger than weights are|points back"):
        unpack(tmp_path / "trained.tar", tmp_path / "out")


@every_archive
def test_an_archive_that_was_cut_short_leaves_no_file(build: Build, tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(60_000)
    path = build({"first.safetensors": noise, "lora.safetensors": noise}, tmp_path / "trained")
    path.write_bytes(path.read_bytes()[:90_000])
    with pytest.raises(BadWeights, match=r"damaged or cut short; fetch it again.*\.$"):
        unpack(path, tmp_path / "out")
    assert list(tmp_path.glob("out/*")) == []


def test_a_file_whose_checksum_does_not_fit_takes_the_others_with_it(tmp_path: Path) -> None:
    path = tmp_path / "trained.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("first.safetensors", WEIGHTS)
        archive.writestr("second.safetensors", b"x" * 3000)
    path.write_bytes(path.read_bytes().replace(b"x" * 3000, b"x" * 2999 + b"y"))
    with pytest.raises(BadWeights, match="damaged"):
        unpack(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"<!DOCTYPE html><html>Gone</html>", "is a web page"),
        (b'{"detail": "Not found"}', "is a message in JSON"),
        (b"\x80\x04\x95pickle", "is a pickle"),
        (b"", "is empty"),
        (b"MZ\x90", "is of no format"),
    ],
)
def test_what_is_no_archive_is_called_by_what_it_is(content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "trained.tar").write_bytes(content)
    with pytest.raises(BadWeights, match=rf"trained\.tar {told}.*; look at the run at the host.*\.$"):
        unpack(tmp_path / "trained.tar", tmp_path / "out")


def test_an_archive_without_weights_or_with_a_pickle_alone_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match=r"no \.safetensors file"):
        unpack(tarred({"config.yaml": b"a"}, tmp_path / "a.tar"), tmp_path / "out")
    with pytest.raises(BadWeights, match="as a pickle alone"):
        unpack(zipped({"lora.pt": b"a"}, tmp_path / "b.zip"), tmp_path / "out")
    with pytest.raises(BadWeights, match="not there any more"):
        unpack(tmp_path / "c.zip", tmp_path / "out")


CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])


@settings(max_examples=40, deadline=None)
@given(
    build=st.sampled_from([tarred, tar_gz, zipped]),
    names=st.lists(st.text(CHARACTERS, min_size=1, max_size=20), min_size=1, max_size=3, unique=True),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=4),
)
def test_whatever_an_archive_holds_it_gives_files_of_its_folder_or_is_refused(
    build: Build, names: list[str], damage: list[tuple[float, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    path = build({f"{name}.safetensors": WEIGHTS for name in names}, folder / "trained")
    content = bytearray(path.read_bytes())
    for place, byte in damage:
        content[int(place * len(content))] = byte
    path.write_bytes(content)
    taken: tuple[Path, ...] = ()
    with suppress(BadWeights):
        taken = unpack(path, folder / "out" / "inner")
    assert {file for file in folder.rglob("*") if file.is_file()} == {path, *taken}
    assert all(file.parent == folder / "out" / "inner" for file in taken)
