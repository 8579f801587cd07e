"""Datasets as the other steps see them: which images a reference means, and the folder that trainers read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.images import bench, curate, folder_of

from loradeck.state.records import CaptionRecord, ImageRecord
from loradeck.state.store import Store
from loradeck.tools.datasets import (
    captions_of,
    find_dataset,
    kept_images,
    resolve_images,
    select,
    write_folder,
)
from loradeck.tools.errors import NotFound


def rows(count: int) -> list[ImageRecord]:
    """Images 1 to count, called pic1.png and so on."""
    return [
        ImageRecord(f"img_aaaaaaa{n}", "ds_1", n, f"pic{n}.png", f"/o/pic{n}.jpg", f"pic{n}.jpg", f"{n}", "kept")
        for n in range(1, count + 1)
    ]


def numbers(images: list[ImageRecord]) -> list[int]:
    return [image.number for image in images]


@pytest.mark.parametrize(
    ("refs", "meant"),
    [
        (["4"], [4]),
        (["7-9"], [7, 8, 9]),
        (["9-7", "#2"], [2, 7, 8, 9]),
        (["3 to 5"], [3, 4, 5]),
        (["all"], list(range(1, 13))),
        (["all but 4, 9"], [1, 2, 3, 5, 6, 7, 8, 10, 11, 12]),
        (["all but 4", "9"], [1, 2, 3, 5, 6, 7, 8, 10, 11, 12]),
        (["All except 2-11"], [1, 12]),
        (["img_aaaaaaa3", "pic5.png", "PIC6.JPG", "pic7"], [3, 5, 6, 7]),
        (["1, 3-4, pic9.png"], [1, 3, 4, 9]),
        ([], []),
    ],
)
def test_references_mean_what_a_person_would_mean(refs: list[str], meant: list[int]) -> None:
    assert numbers(select(rows(12), refs)) == meant


def test_unknown_references_are_all_named() -> None:
    with pytest.raises(NotFound, match=r"'99', 'nobody.png'.*1 to 12"):
        select(rows(12), ["1", "99", "2, nobody.png"])


@pytest.mark.parametrize("words", [["all but"], [","], ["5-"], ["0"]])
def test_half_a_reference_chooses_nothing(words: list[str]) -> None:
    with pytest.raises(NotFound, match="1 to 12"):
        select(rows(12), words)


refs = st.lists(
    st.one_of(
        st.integers(1, 12).map(str),
        st.tuples(st.integers(1, 12), st.integers(1, 12)).map(lambda pair: f"{pair[0]}-{pair[1]}"),
        st.integers(1, 12).map(lambda number: f"pic{number}.png"),
        st.just("all"),
    ),
    min_size=1,
    max_size=5,
)


@given(refs)
def test_naming_and_all_but_naming_part_the_set_in_two(words: list[str]) -> None:
    images = rows(12)
    chosen, others = select(images, words), select(images, ["all but " + words[0], *words[1:]])
    assert sorted(numbers(chosen) + numbers(others)) == list(range(1, 13))
    assert numbers(chosen) == sorted(set(numbers(chosen)))


@given(st.text(max_size=30))
def test_any_text_is_understood_or_refused_in_a_sentence(text: str) -> None:
    try:
        found = select(rows(3), [text])
    except NotFound:
        return
    assert len(found) <= 3


def test_a_dataset_is_found_by_id_or_name_and_a_near_name_is_offered(tmp_path: Path) -> None:
    on = bench(tmp_path)
    with pytest.raises(NotFound, match="curate_dataset"):
        find_dataset(on.store, "icons")
    made = curate(on, source=folder_of(tmp_path / "in", 1), name="My icons")
    assert find_dataset(on.store, str(made.dataset_id)).name == "My icons"
    assert find_dataset(on.store, "my ICONS").id == made.dataset_id
    with pytest.raises(NotFound, match="'My icons'"):
        find_dataset(on.store, "mi icon")


def caption(store: Store, image: ImageRecord, text: str) -> None:
    store.add(CaptionRecord(image.id, image.dataset_id, text, "given"))


def test_the_folder_holds_what_trainers_read_and_nothing_that_was_set_aside(tmp_path: Path) -> None:
    on = bench(tmp_path)
    made = curate(on, source=folder_of(tmp_path / "in", 3), name="set")
    ds = str(made.dataset_id)
    first, second, _ = kept_images(on.store, ds)
    caption(on.store, first, "flicx, a red blob")
    caption(on.store, second, "flicx, a blue blob")
    folder = write_folder(on.store, ds)
    assert sorted(path.name for path in folder.iterdir() if path.is_file()) == [
        "a00.png",
        "a00.txt",
        "a01.png",
        "a01.txt",
        "a02.png",
        "metadata.jsonl",
    ]
    assert (folder / "a00.txt").read_text() == "flicx, a red blob"
    curate(on, dataset_id=ds, reject=["2"])
    assert not (folder / "a01.txt").exists()
    assert not (folder / "a01.png").exists()
    lines = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    assert [(line["file_name"], line["text"]) for line in lines] == [("a00.png", "flicx, a red blob"), ("a02.png", "")]
    curate(on, dataset_id=ds, keep=["2"])
    assert (folder / "a01.png").is_file()
    assert (folder / "a01.txt").read_text() == "flicx, a blue blob", "a caption survives being set aside"


def test_writing_the_folder_twice_changes_no_file(tmp_path: Path) -> None:
    on = bench(tmp_path)
    ds = str(curate(on, source=folder_of(tmp_path / "in", 2), name="set").dataset_id)
    folder = write_folder(on.store, ds)
    (folder / "notes.md").write_text("mine")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    write_folder(on.store, ds)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_a_move_that_was_cut_short_is_finished_by_the_next_call(tmp_path: Path) -> None:
    on = bench(tmp_path)
    ds = str(curate(on, source=folder_of(tmp_path / "in", 2), name="set").dataset_id)
    image = kept_images(on.store, ds)[0]
    on.store.change(ImageRecord, image.id, status="rejected", file=f".rejected/{image.file}")
    folder = write_folder(on.store, ds)
    assert not (folder / image.file).exists()
    assert (folder / ".rejected" / image.file).is_file()
    assert captions_of(on.store, ds) == {}
    assert numbers(resolve_images(on.store, ds, ["all"])) == [1, 2]
