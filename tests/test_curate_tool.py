"""curate_dataset as a caller meets it: making, extending and changing a set, and what goes wrong on the way."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.images import SMALL_COPIES, bench, bomb, curate, folder_of, picture, save

from loradeck.engines.errors import Cancelled
from loradeck.engines.registry import Registry
from loradeck.server.worker import work
from loradeck.state.errors import DiskFull, WorkspaceReadOnly
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord, LookRecord, RunRecord
from loradeck.tools.contracts import CurateArgs, CurateResult
from loradeck.tools.curate_dataset import adding, effort, job, tool
from loradeck.tools.curate_dataset.picture import announced_megapixels
from loradeck.tools.curate_dataset.sources import survey
from loradeck.tools.curate_dataset.watch import Watch
from loradeck.tools.errors import BadArgument, NotFound, Refused


def files(folder: str | None) -> list[str]:
    """What a trainer would see in a dataset's folder."""
    return sorted(path.name for path in Path(str(folder)).iterdir() if not path.name.startswith("."))


def statuses(result: CurateResult) -> str:
    """k for kept, r for rejected, in order."""
    return "".join(row.status.value[0] for row in result.images)


def rules(result: CurateResult) -> set[str]:
    return {finding.rule_id for finding in result.findings}


# --------------------------------------------------------------------------- making a set


def test_a_folder_becomes_a_set_of_square_copies_and_the_originals_stay_as_they_were(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", 3)
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in source.iterdir()}
    result = curate(bench(tmp_path), source=source, name="My icons", trigger="flicx", profile="icons")
    assert (result.kept, result.name, result.trigger, result.profile) == (3, "My icons", "flicx", "icons")
    assert files(result.folder) == ["a00.png", "a01.png", "a02.png", "metadata.jsonl"]
    for name in files(result.folder)[:3]:
        with Image.open(Path(str(result.folder)) / name) as copy:
            assert (copy.size, copy.mode, copy.format) == ((SMALL_COPIES, SMALL_COPIES), "RGB", "PNG")
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in source.iterdir()} == before
    assert [row.number for row in result.images] == [1, 2, 3]
    assert "view_images" in result.next_step


def test_one_bad_image_loses_nothing_and_each_has_its_reason(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", 2)
    cut = save(picture(7), source / "b_cut.jpg")
    cut.write_bytes(cut.read_bytes()[:-300])
    bomb(source / "c_bomb.png", 30_000, 30_000)
    save(picture(8), source / "x.png").rename(source / "d_wrong.jpg")
    save(picture(9, 300), source / "e_small.png")
    result = curate(bench(tmp_path), source=source)
    assert statuses(result) == "kkrrrr"
    said = {entry.file: f"{entry.rule_id}: {entry.why}" for entry in result.rejected}
    assert said["b_cut.jpg"].startswith("IMG-READABLE: The file is cut short")
    assert "megapixels" in said["c_bomb.png"]
    assert "is PNG inside" in said["d_wrong.jpg"]
    assert said["e_small.png"].startswith("IMG-SIZE: 300x300")
    assert "2 of 6 images; 4 set aside (3 unreadable, 1 too small)" in result.summary
    assert files(result.folder) == ["a00.png", "a01.png", "metadata.jsonl"]


def test_names_with_a_newline_or_emoji_are_taken_and_kept_in_the_row(tmp_path: Path) -> None:
    on = bench(tmp_path)
    save(picture(1), tmp_path / "in" / "new\nline.png")
    save(picture(2), tmp_path / "in" / "🍎.png")
    save(picture(3), tmp_path / "in" / "🍐.png")
    result = curate(on, source=tmp_path / "in")
    assert sorted(row.file for row in result.images) == ["image.png", "image_2.png", "new_line.png"]
    assert {row.original_name for row in on.store.where(ImageRecord)} == {"new�line.png", "🍎.png", "🍐.png"}
    assert curate(on, source=tmp_path / "in").kept == 3


def test_small_pictures_are_kept_with_a_warning_and_crops_are_told(tmp_path: Path) -> None:
    save(picture(1, 600, 900), tmp_path / "in" / "tall.png")
    result = curate(bench(tmp_path), source=tmp_path / "in", detail=True)
    assert rules(result) == {"IMG-SIZE", "IMG-CROP", "IMG-SHARP", "IMG-RIGHTS"}
    assert any("smallest 600" in finding.why for finding in result.findings)
    row = result.images[0]
    assert row.crop is not None
    assert row.crop.reason == "upper centre"
    assert row.facts is not None
    assert row.facts.sharpness is not None


def test_without_a_trigger_it_goes_on_and_asks_for_one(tmp_path: Path) -> None:
    on = bench(tmp_path)
    result = curate(on, source=folder_of(tmp_path / "Fluent icons", 1))
    assert "'flntcx'" in result.next_step
    assert "trigger" in result.next_step
    warned = curate(on, dataset_id=result.dataset_id, trigger="beautiful house")
    assert [f.rule_id for f in warned.findings if f.severity == "warning" and f.where == ["set"]] == ["CAP-TRIGGER"]
    assert warned.next_step.startswith("First change the trigger, unless the person insists on 'beautiful house'")
    assert f"curate_dataset(dataset_id={result.dataset_id!r}, trigger='btflhx')" in warned.next_step
    made_up = curate(on, dataset_id=result.dataset_id, trigger="flntcx")
    assert "CAP-TRIGGER" not in rules(made_up)
    assert made_up.next_step.startswith("Look with view_images")


def test_a_target_model_that_nothing_can_train_is_taken_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAL_KEY", raising=False)
    on = replace(bench(tmp_path), engines=Registry())
    made = curate(on, source=folder_of(tmp_path / "in", 1), target_model="wan-2.2")
    assert made.target_model == "wan-2.2"
    told = "Captions will follow the rules of wan-2.2, but: No engine is ready to train on wan-2.2: fal could, but"
    assert told in made.summary
    assert told not in curate(on, dataset_id=made.dataset_id).summary
    assert "but:" not in curate(on, dataset_id=made.dataset_id, target_model="preview").summary


def test_rows_come_in_pages_of_fifty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on = bench(tmp_path)
    made = curate(on, source=folder_of(tmp_path / "in", 1))
    row = on.store.where(ImageRecord)[0]
    for number in range(2, 121):
        values = {**row.__dict__, "id": f"img_{number:08d}", "number": number, "file": f"b{number}.png"}
        on.store.add(ImageRecord(**values | {"copy_sha256": None}))
    assert [len(curate(on, dataset_id=made.dataset_id, page=page).images) for page in (1, 2, 3)] == [50, 50, 20]
    last = curate(on, dataset_id=made.dataset_id, page=9)
    assert (last.page, last.pages) == (3, 3)


# --------------------------------------------------------------------------- what lies beside the pictures


def test_metadata_and_sidecars_are_read(tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", 4)
    lines = [
        {"file_name": "a00.png", "name": "add starburst", "framing": "Close-Up", "light": "soft", "angle": "sideways"},
        {"file_name": "a01.png", "caption": "flicx, from the metadata", "colors": "red, blue"},
    ]
    (source / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n{broken\n[]\n")
    keystones = {"a02.png": {"angle": "3/4 Left", "expression": "neutral", "lighting": "warm_ambient"}}
    (source / "keystone_metadata.json").write_text(json.dumps(keystones))
    (source / "a03.txt").write_text("\ufeff a cat,\n  tabby ")
    result = curate(bench(tmp_path), source=source, trigger="flicx")
    first, second, third, fourth = result.images
    assert first.attributes == {"subject": "add starburst", "framing": "close_up", "lighting": "soft"}
    assert set(first.attribute_sources.values()) == {"metadata"}
    assert (second.caption, second.attributes) == ("flicx, from the metadata", {"colors": ["red", "blue"]})
    assert third.attributes["angle"] == "three_quarter_left"
    assert third.attributes["keystone"] is True
    assert fourth.caption is None
    origin = next(finding for finding in result.findings if finding.rule_id == "CAP-ORIGIN")
    assert (origin.severity, origin.where) == ("info", [fourth.image_id])


def test_a_caption_that_begins_with_the_trigger_is_taken_once_the_trigger_is_known(
    tmp_path: Path,
) -> None:
    on = bench(tmp_path)
    source = folder_of(tmp_path / "in", 2)
    (source / "a00.txt").write_text("flicx, a red house")
    (source / "a01.txt").write_text("flicxes are not the word")
    made = curate(on, source=source)
    assert on.store.where(CaptionRecord) == []
    result = curate(on, dataset_id=made.dataset_id, trigger="flicx")
    (taken,) = on.store.where(CaptionRecord)
    assert (taken.text, taken.mode, taken.seen) == ("flicx, a red house", "imported", False)
    assert (Path(str(result.folder)) / "a00.txt").read_text() == "flicx, a red house"


# --------------------------------------------------------------------------- adding


def test_the_same_source_twice_adds_nothing_and_ids_stay(tmp_path: Path) -> None:
    on = bench(tmp_path)
    source = folder_of(tmp_path / "in", 3)
    save(picture(0), source / "same.png")
    first = curate(on, source=source, name="set")
    for named in ({"name": "set"}, {}, {"dataset_id": "set"}):
        again = curate(on, source=source, **named)
        assert [row.image_id for row in again.images] == [row.image_id for row in first.images]
        assert again.dataset_id == first.dataset_id
        assert "0 new, 4 were there already" in again.summary


def test_adding_brings_only_what_is_new_and_captions_stay(tmp_path: Path) -> None:
    on = bench(tmp_path)
    made = curate(on, source=folder_of(tmp_path / "in", 2), trigger="flicx")
    old = made.images[0].image_id
    on.store.add(CaptionRecord(old, str(made.dataset_id), "flicx, a blob", "given"))
    save(picture(0, 900), tmp_path / "more" / "larger_a00.png")
    save(picture(50), tmp_path / "more" / "new.png")
    result = curate(on, source=tmp_path / "more", dataset_id=made.dataset_id)
    assert statuses(result) == "kkrk"
    assert result.images[0].caption == "flicx, a blob"
    assert result.duplicates[0].kept == old, "a copy that has a caption stays, even beside a larger one"
    assert {row.image_id for row in made.images} <= {row.image_id for row in result.images}


def test_pictures_that_moved_are_linked_again_instead_of_added(tmp_path: Path) -> None:
    on = bench(tmp_path)
    made = curate(on, source=folder_of(tmp_path / "in", 2))
    (tmp_path / "in").rename(tmp_path / "moved")
    result = curate(on, source=tmp_path / "moved", dataset_id=made.dataset_id)
    assert len(result.images) == 2
    assert {Path(row.original_path).parent.name for row in on.store.where(ImageRecord)} == {"moved"}


def test_two_folders_of_one_name_make_two_sets(tmp_path: Path) -> None:
    on = bench(tmp_path)
    one = curate(on, source=folder_of(tmp_path / "a" / "pics", 1))
    two = curate(on, source=folder_of(tmp_path / "b" / "pics", 1, 5))
    assert (one.name, two.name) == ("pics", "pics 2")


# --------------------------------------------------------------------------- a name or a source in use


def test_a_name_in_use_takes_over_no_other_dataset(tmp_path: Path) -> None:
    on = bench(tmp_path)
    made = curate(on, source=folder_of(tmp_path / "a", 1), name="icons", trigger="flicx", profile="style")
    on.store.add(CaptionRecord(made.images[0].image_id, str(made.dataset_id), "flicx, a blob", "given", True))
    before = on.store.where(DatasetRecord)
    other = folder_of(tmp_path / "b", 1, 9)
    with pytest.raises(Refused, match=r"with other pictures and the trigger 'flicx' and the profile 'style'; give "):
        curate(on, source=other, name="Icons", trigger="otherlookx", profile="icons")
    with pytest.raises(Refused, match=rf"dataset_id='{made.dataset_id}' to add to it or change it, or another name"):
        curate(on, source=other, name="icons")
    assert on.store.where(DatasetRecord) == before
    assert on.store.where(CaptionRecord)[0].text == "flicx, a blob"
    assert curate(on, source=other, name="icons too").dataset_id != made.dataset_id


@pytest.mark.parametrize(
    ("said", "differs"),
    [
        ({"trigger": "other"}, "the trigger 'flicx'"),
        ({"profile": "icons"}, "the profile 'style'"),
        ({"target_model": "flux2-dev"}, "the target model 'preview'"),
        ({"subject": "a cook"}, "the subject 'a baker'"),
        ({"subject_kind": "robot"}, "the subject kind 'person'"),
        ({"resolution": 128}, "the resolution 64"),
    ],
)
def test_a_source_in_use_changes_no_setting_without_the_datasets_id(
    tmp_path: Path, said: dict[str, Any], differs: str
) -> None:
    on = bench(tmp_path)
    source = folder_of(tmp_path / "in", 1)
    curate(on, source=source, trigger="flicx", subject="a baker")
    before = on.store.where(DatasetRecord)
    for named in ({}, {"name": "in"}):
        with pytest.raises(Refused, match=f"There is a dataset 'in' .* already, with {differs}; give dataset_id="):
            curate(on, source=source, **named, **said)
    assert on.store.where(DatasetRecord) == before


def test_the_same_call_again_goes_on_with_its_dataset_however_it_is_written(tmp_path: Path) -> None:
    on = bench(tmp_path)
    source = folder_of(tmp_path / "in", 2)
    made = curate(on, source=source, name="Icons", trigger="flicx", profile="icons")
    (tmp_path / "link").symlink_to(source)
    for written in (f"{source}/", source.as_uri(), tmp_path / "link"):
        again = curate(on, source=written, name="icons", trigger="flicx", profile="icons")
        assert (again.dataset_id, again.name, len(again.images)) == (made.dataset_id, "Icons", 2)
        assert "Changed" not in again.summary
    curate(on, dataset_id=made.dataset_id, source=folder_of(tmp_path / "more", 1, 9))
    assert curate(on, source=source, name="icons").dataset_id == made.dataset_id, "what was added since is no matter"


def test_the_same_source_with_a_first_trigger_sets_it_and_says_so(tmp_path: Path) -> None:
    on = bench(tmp_path)
    source = folder_of(tmp_path / "in", 1)
    made = curate(on, source=source)
    again = curate(on, source=source, trigger="flicx")
    assert (again.dataset_id, again.trigger) == (made.dataset_id, "flicx")
    assert again.summary.endswith("Changed: trigger to 'flicx'.")


# --------------------------------------------------------------------------- changing


def test_settings_change_and_a_new_trigger_is_carried_into_the_captions(tmp_path: Path) -> None:
    on = bench(tmp_path)
    made = curate(on, source=folder_of(tmp_path / "in", 1), trigger="flicx")
    on.store.add(CaptionRecord(made.images[0].image_id, str(made.dataset_id), "flicx, a blob", "given", True))
    result = curate(
        on,
        dataset_id=made.dataset_id,
        trigger=" bkrstyl ",
        profile="character",
        target_model="flux2-dev",
        subject="a baker",
        subject_kind="creature",
        categories=["estate", "church"],
        name="The baker",
    )
    record = on.store.where(DatasetRecord)[0]
    assert (record.trigger, record.profile, record.target_model) == ("bkrstyl", "character", "flux2-dev")
    assert (record.subject, record.categories, record.name) == ("a baker", ["estate", "church"], "The baker")
    assert result.images[0].caption == "bkrstyl, a blob"
    assert result.summary.endswith(
        "Changed: trigger from 'flicx' to 'bkrstyl', profile from 'style' to 'character', target model from 'preview' "
        "to 'flux2-dev', subject to 'a baker', subject kind from 'person' to 'creature', categories to ['estate', "
        "'church'], name from 'in' to 'The baker', captions that carry the new trigger: 1. "
        "Captions will follow the rules of flux2-dev, but: No installed engine can train on flux2-dev."
    )
    assert "Changed" not in curate(on, dataset_id=made.dataset_id, trigger="bkrstyl").summary
    assert next(Path(str(result.folder)).glob("*.txt")).read_text() == "bkrstyl, a blob"


def test_another_resolution_makes_the_copies_again_from_the_originals(tmp_path: Path) -> None:
    on = bench(tmp_path)
    made = curate(on, source=folder_of(tmp_path / "in", 3))
    curate(on, dataset_id=made.dataset_id, reject=["3"])
    (tmp_path / "in" / "a01.png").unlink()
    result = curate(on, dataset_id=made.dataset_id, resolution=128)
    folder = Path(str(result.folder))
    sizes = {path.name: Image.open(path).size for path in folder.rglob("*.png")}
    assert set(sizes.values()) == {(128, 128)}
    assert len(sizes) == 3
    gone = next(finding for finding in result.findings if finding.rule_id == "IMG-UNIFORM")
    assert gone.where == [made.images[1].image_id]
    for row in on.store.where(ImageRecord):
        assert (folder / row.file).is_file()


def test_a_copy_that_was_deleted_is_made_again(tmp_path: Path) -> None:
    on = bench(tmp_path)
    made = curate(on, source=folder_of(tmp_path / "in", 2))
    (Path(str(made.folder)) / "a00.png").unlink()
    assert files(curate(on, dataset_id=made.dataset_id).folder) == ["a00.png", "a01.png", "metadata.jsonl"]


def test_keep_reject_and_undo(tmp_path: Path) -> None:
    on = bench(tmp_path)
    source = folder_of(tmp_path / "in", 5)
    save(picture(70, 300), source / "small.png")
    ds = curate(on, source=source).dataset_id
    assert statuses(curate(on, dataset_id=ds, reject=["2", "4-5"])) == "krkrrr"
    assert statuses(curate(on, dataset_id=ds, keep=["2"], reject=["1"])) == "rkkrrr"
    assert statuses(curate(on, dataset_id=ds, undo=True)) == "krkrrr"
    assert statuses(curate(on, dataset_id=ds, undo=True)) == "kkkkkr"
    with pytest.raises(Refused, match="nothing to take back"):
        curate(on, dataset_id=ds, undo=True)
    assert statuses(curate(on, dataset_id=ds, reject=["all but 1, 3"])) == "krkrrr"
    kept = curate(on, dataset_id=ds, keep=["all"])
    assert statuses(kept) == "kkkkkk"
    assert kept.images[5].reasons[0].endswith("(kept on request)")
    assert "small.png" in files(kept.folder)


def test_an_unreadable_image_cannot_be_kept_and_that_is_said(tmp_path: Path) -> None:
    on = bench(tmp_path)
    source = folder_of(tmp_path / "in", 1)
    (source / "b.png").write_text("no")
    ds = curate(on, source=source).dataset_id
    result = curate(on, dataset_id=ds, keep=["b.png"])
    assert statuses(result) == "kr"
    assert any("cannot be kept" in finding.why for finding in result.findings)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({}, BadArgument, "source"),
        ({"dataset_id": "ds_nobody"}, NotFound, "nearest are 'in'"),
        ({"dataset_id": "in", "keep": ["img_zzzzzzzz"]}, NotFound, "img_zzzzzzzz"),
        ({"dataset_id": "in", "keep": ["1"], "reject": ["1-2"]}, BadArgument, "keep and reject both name"),
        ({"dataset_id": "in", "undo": True, "keep": ["1"]}, BadArgument, "undo goes alone"),
        ({"dataset_id": "in", "trigger": " , "}, BadArgument, "two visible characters"),
        ({"source": "  "}, BadArgument, "source is empty"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    tmp_path: Path, arguments: dict[str, Any], error: type[Exception], said: str
) -> None:
    on = bench(tmp_path)
    curate(on, source=folder_of(tmp_path / "in", 2))
    with pytest.raises(error, match=said):
        curate(on, **arguments)
    assert statuses(curate(on, dataset_id="in")) == "kk"


def test_a_name_that_another_set_has_and_the_sets_own_folder_are_refused(tmp_path: Path) -> None:
    on = bench(tmp_path)
    one = curate(on, source=folder_of(tmp_path / "a", 1))
    two = curate(on, source=folder_of(tmp_path / "b", 1))
    with pytest.raises(Refused, match="called 'A' already"):
        curate(on, dataset_id=two.dataset_id, name="A")
    with pytest.raises(BadArgument, match="own folder"):
        curate(on, dataset_id=one.dataset_id, source=one.folder)


def test_a_set_of_before_looks_were_kept_still_knows_its_pictures(tmp_path: Path) -> None:
    on = bench(tmp_path)
    ds = curate(on, source=folder_of(tmp_path / "in", 3), resolution=256).dataset_id
    on.store.remove(LookRecord, "dataset_id = ?", [ds])
    save(picture(1, 700), tmp_path / "more" / "again.jpg", quality=80)
    grown = curate(on, dataset_id=ds, source=tmp_path / "more")
    assert (grown.kept, len(grown.duplicates)) == (3, 1)


# --------------------------------------------------------------------------- trouble


def test_a_full_disk_is_told_and_the_same_call_goes_on_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on = bench(tmp_path)
    source = folder_of(tmp_path / "in", 4)
    real, calls = os.fsync, []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull, match="free some room"):
        curate(on, source=source, name="set")
    monkeypatch.undo()
    assert not list((tmp_path / "home").rglob(".tmp-*"))
    result = curate(on, source=source, name="set")
    assert statuses(result) == "kkkk"
    assert files(result.folder) == ["a00.png", "a01.png", "a02.png", "a03.png", "metadata.jsonl"]


def test_a_read_only_workspace_is_told_and_what_was_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = bench(tmp_path)
    made = curate(on, source=folder_of(tmp_path / "in", 1), name="set")
    before = files(made.folder)

    def refuse(*args: Any, **options: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with pytest.raises(WorkspaceReadOnly, match="LORADECK_HOME"):
        curate(on, source=folder_of(tmp_path / "more", 1, 9), dataset_id="set")
    monkeypatch.undo()
    assert files(made.folder) == before
    assert statuses(curate(on, source=tmp_path / "more", dataset_id="set")) == "kk"


def test_stopped_in_the_middle_it_leaves_whole_rows_and_files_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = bench(tmp_path)
    monkeypatch.setattr(adding, "BATCH", 2)
    source = folder_of(tmp_path / "in", 7)
    made = curate(on, source=save(picture(0), tmp_path / "in" / "a00.png"), name="set")
    looks = iter(range(100))

    def check() -> None:
        if next(looks) == 5:
            raise Cancelled("The person said stop.")

    args = CurateArgs(source=str(source), dataset_id=made.dataset_id)
    with pytest.raises(Cancelled):
        job.carry_out(on.store, str(made.dataset_id), args, Watch(lambda done, total, message: None, check))
    rows = on.store.where(ImageRecord)
    assert 1 < len(rows) < 7
    folder = Path(str(made.folder))
    assert {row.file for row in rows} == {path.name for path in folder.glob("*.png")}
    result = curate(on, source=source, dataset_id=made.dataset_id)
    assert statuses(result) == "kkkkkkk"
    assert [path.name for path in folder.iterdir() if path.name.startswith(".next")] == []


# --------------------------------------------------------------------------- much work


def test_a_large_folder_becomes_a_run_that_the_worker_carries_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort, "SECONDS_IN_CALL", 0.1)
    monkeypatch.setattr(tool, "WAIT_SECONDS", 0.1)
    launched: list[str] = []
    on = bench(tmp_path, launched.append)
    source = folder_of(tmp_path / "in", 3)
    waiting = curate(on, source=source, name="big", trigger="flicx")
    assert (waiting.state, waiting.run_id) == ("queued", launched[0])
    assert "check_status" in waiting.next_step
    assert curate(on, source=source, name="big", trigger="flicx").run_id == waiting.run_id
    assert len(launched) == 1, "the same call made again meets the run that is on its way"
    with pytest.raises(Refused, match="still bringing pictures"):
        curate(on, dataset_id="big", reject=["1"])
    assert work(tmp_path / "home", launched[0]) == "succeeded"
    run = on.store.where(RunRecord)[0]
    assert (run.step, run.steps) == (3, 3)
    assert statuses(curate(on, dataset_id="big")) == "kkk"


def test_a_run_that_ends_soon_gives_the_finished_answer_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort, "SECONDS_IN_CALL", 0.1)
    on = bench(tmp_path, lambda run_id: work(tmp_path / "home", run_id))
    source = folder_of(tmp_path / "in", 3)
    done = curate(on, source=source, name="big", trigger="flicx")
    assert (done.state, done.kept, statuses(done)) == ("succeeded", 3, "kkk")
    changed = curate(on, dataset_id="big", source=folder_of(tmp_path / "more", 3, 9), trigger="otherx")
    assert (changed.state, changed.kept) == ("succeeded", 6)
    assert changed.summary.endswith("Changed: trigger from 'flicx' to 'otherx'.")
    again = curate(on, source=source, name="big")
    assert (again.run_id, again.kept) == (None, 6), "what is there already is no work for a run"
    assert curate(on, dataset_id="big", resolution=128).state == "succeeded", "six copies made anew are"


def test_a_run_that_is_under_way_is_joined_however_little_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(effort, "SECONDS_IN_CALL", 0.1)
    monkeypatch.setattr(tool, "WAIT_SECONDS", 0.1)
    on = bench(tmp_path)
    source = folder_of(tmp_path / "in", 3)
    begun = curate(on, source=source, name="big")
    for path in sorted(source.iterdir())[1:]:
        path.unlink()
    for named in ({"name": "big"}, {"dataset_id": "big"}, {"dataset_id": begun.dataset_id}):
        again = curate(on, source=source, resolution=SMALL_COPIES, **named)
        assert again.run_id == begun.run_id, "the same work, however the set is named"
    assert on.store.count(ImageRecord) == 0


def large(path: Path, side: int) -> Path:
    """A picture of which a header is all there is: enough for a guess."""
    return bomb(path, side, side)


def test_few_large_photographs_are_a_run_and_a_dozen_small_pictures_are_not(tmp_path: Path) -> None:
    for number in range(20):
        large(tmp_path / "photos" / f"{number}.png", 4900)
    for number in range(15):
        large(tmp_path / "icons" / f"{number}.png", 512)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as zipped:
        for path in (tmp_path / "photos").iterdir():
            zipped.write(path, path.name)

    def is_long(source: Path) -> bool:
        return effort.needs_a_run(survey([str(source)]), [], [], 1024)

    assert is_long(tmp_path / "photos"), "24 megapixels take two seconds each"
    assert is_long(tmp_path / "photos.zip")
    assert not is_long(tmp_path / "icons")


def test_what_is_no_picture_is_no_work(tmp_path: Path) -> None:
    bomb(tmp_path / "in" / "bomb.png", 30_000, 30_000)
    (tmp_path / "in" / "words.png").write_text("words")
    seen = survey([str(tmp_path / "in")])
    assert [announced_megapixels(found.path) for found in seen.found] == [0.0, 0.0]


def test_importing_the_tool_loads_no_picture_library() -> None:
    code = "import sys, loradeck.tools.curate_dataset.tool; print({'PIL', 'numpy', 'httpx'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
