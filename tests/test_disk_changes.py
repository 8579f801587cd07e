"""A dataset's folder is a person's too: what is edited there is taken in, what is replaced there is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.datasets import TRIGGER, ready_dataset
from support.images import bench, curate

from loradeck.state.files import sha256_file
from loradeck.state.records import CaptionRecord, DatasetRecord
from loradeck.tools import disk_changes
from loradeck.tools.contracts import CaptionItem, ValidateArgs, WriteCaptionsArgs
from loradeck.tools.datasets import captions_of, kept_images, write_folder
from loradeck.tools.disk_changes import SEEN_FILE, hashes_now, take_in_captions
from loradeck.tools.validate_coverage import tool as validate
from loradeck.tools.workbench import Workbench
from loradeck.tools.write_captions import tool as write

EDITED = f"{TRIGGER}, a green bell with a red clapper."


@pytest.fixture
def on(tmp_path: Path) -> Workbench:
    made = bench(tmp_path)
    ready_dataset(made.store)
    write_folder(made.store, "ds_ready")
    return made


def folder(on: Workbench) -> Path:
    return on.store.workspace.dataset("ds_ready")


def caption(on: Workbench, number: int) -> CaptionRecord:
    return captions_of(on.store, "ds_ready")[f"img_ready{number:03d}"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_a_caption_edited_in_the_folder_is_taken_in(on: Workbench, encoding: str) -> None:
    (folder(on) / "003.txt").write_bytes(f"{TRIGGER}, a café bell.\r\n".encode(encoding))
    assert take_in_captions(on.store, "ds_ready") == ["003.txt"]
    assert caption(on, 3).text == f"{TRIGGER}, a café bell."
    assert take_in_captions(on.store, "ds_ready") == []


def test_validate_judges_what_was_edited_and_says_so(on: Workbench) -> None:
    before = validate.handle(ValidateArgs(dataset_id="ready"), on)
    (folder(on) / "003.txt").write_text(EDITED, encoding="utf-8")
    after = validate.handle(ValidateArgs(dataset_id="ready"), on)
    assert after.fingerprint != before.fingerprint
    assert "edited in the dataset's folder were taken in (003.txt)" in after.summary


def test_an_edit_is_never_lost_to_what_another_step_writes(on: Workbench) -> None:
    (folder(on) / "003.txt").write_text(EDITED, encoding="utf-8")
    item = CaptionItem(image_id="4", caption=f"{TRIGGER}, a blue cup on a shelf with two handles and a lid.")
    write.handle(WriteCaptionsArgs(dataset_id="ready", images=[item], overwrite=True), on)
    assert caption(on, 3).text == EDITED
    assert (folder(on) / "003.txt").read_text(encoding="utf-8") == EDITED


def test_a_sidecar_that_is_gone_empty_or_huge_is_no_edit(on: Workbench) -> None:
    known = caption(on, 3).text
    for content in (None, b"", b" \n", b"x" * (disk_changes.MOST_BYTES + 1)):
        path = folder(on) / "003.txt"
        path.unlink(missing_ok=True) if content is None else path.write_bytes(content)
        assert take_in_captions(on.store, "ds_ready") == []
        assert caption(on, 3).text == known


def test_a_caption_written_by_hand_for_an_image_without_one_is_taken_in(on: Workbench) -> None:
    on.store.remove(CaptionRecord, "image_id = ?", ["img_ready003"])
    (folder(on) / "003.txt").write_text(EDITED, encoding="utf-8")
    assert take_in_captions(on.store, "ds_ready") == ["003.txt"]
    assert not caption(on, 3).seen


def test_unchanged_pictures_are_hashed_once(on: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    images = kept_images(on.store, "ds_ready")
    first = hashes_now(on.store, "ds_ready", images)
    assert first == {image.id: image.copy_sha256 for image in images}
    hashed: list[Path] = []

    def counting(path: Path) -> str:
        hashed.append(path)
        return sha256_file(path)

    monkeypatch.setattr(disk_changes, "sha256_file", counting)
    assert hashes_now(on.store, "ds_ready", images) == first
    assert hashed == []
    (folder(on) / "003.png").write_bytes((folder(on) / "004.png").read_bytes())
    assert hashes_now(on.store, "ds_ready", images)["img_ready003"] == first["img_ready004"]
    assert [path.name for path in hashed] == ["003.png"]


@pytest.mark.parametrize("damage", ["", "[]", '{"001.png": 3}', "{"])
def test_a_damaged_memory_of_hashes_costs_time_alone(on: Workbench, damage: str) -> None:
    images = kept_images(on.store, "ds_ready")
    first = hashes_now(on.store, "ds_ready", images)
    (folder(on) / SEEN_FILE).write_text(damage, encoding="utf-8")
    assert hashes_now(on.store, "ds_ready", images) == first


def test_a_dataset_without_a_folder_has_no_edits(on: Workbench) -> None:
    on.store.add(DatasetRecord(id="ds_bare", name="bare", profile="icons", target_model="preview", resolution=64))
    assert take_in_captions(on.store, "ds_bare") == []


def test_a_sidecar_older_than_its_caption_is_no_edit(on: Workbench) -> None:
    """As after a kill between the row and its file."""
    on.store.change(CaptionRecord, "img_ready003", text=EDITED)
    assert take_in_captions(on.store, "ds_ready") == []
    assert caption(on, 3).text == EDITED


def test_a_new_trigger_is_carried_into_captions_and_not_taken_back_from_their_files(on: Workbench) -> None:
    curate(on, dataset_id="ready", trigger="quellmist")
    assert caption(on, 3).text.startswith("quellmist")
    assert (folder(on) / "003.txt").read_text(encoding="utf-8").startswith("quellmist")
