"""generate_candidates from the call to the proposals: what is drawn, kept, asked for again, refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.editor import SIDE, Editor, noise
from support.images import curate
from support.painter import Painter, bench, trained

from loradeck.engines.errors import Cancelled, NotInstalled
from loradeck.state import runs
from loradeck.state.files import sha256_file
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord, LoraRecord, PurchaseRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.advice import next_step
from loradeck.tools.check_status.report import report
from loradeck.tools.contracts import (
    CandidatesArgs,
    CandidatesResult,
    Crop,
    ImageFacts,
    ImageStatus,
    Profile,
    RunState,
)
from loradeck.tools.curate_dataset import drawn
from loradeck.tools.curate_dataset.prepare import Prepared, Task, save
from loradeck.tools.datasets import all_images, captions_of, kept_images, write_folder
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.generate_candidates.tool import TOOL
from loradeck.tools.validate_coverage.tool import facts_now
from loradeck.tools.view_images.dataset import show_dataset
from loradeck.tools.workbench import Workbench

TRIGGER = "zorgface"
FRONT = "medium, front, tired, kitchen, warm lamp light"
SIDEWAYS = "profile left"


@pytest.fixture
def measured() -> None:
    """For tests in which curation measures the pictures as it does."""


@pytest.fixture(autouse=True)
def _prepared_lightly(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere a picture is copied and not measured, which takes a third of a second each."""
    if "measured" not in request.fixturenames:
        monkeypatch.setattr(drawn, "prepare_all", lambda tasks, check: map(lightly, tasks))


def lightly(task: Task) -> Prepared:
    """The copy, and the size."""
    with Image.open(task.original) as picture:
        square = picture.convert("RGB").resize((task.resolution, task.resolution))
        width, height = picture.size
    facts = ImageFacts(width=width, height=height, format="PNG", bytes=task.original.stat().st_size)
    crop = Crop(x=0, y=0, width=width, height=height, reason="whole")
    return Prepared(sha256_file(task.original), facts, save(square, task.copy), crop)


@pytest.fixture
def editor() -> Editor:
    return Editor()


@pytest.fixture
def on(tmp_path: Path, editor: Editor) -> Workbench:
    made = bench(Store(tmp_path / "home"), editor)
    person(made.store)
    return made


def person(store: Store, **columns: Any) -> None:
    """A character with two keystones."""
    store.add(DatasetRecord("ds_person", "person", "character", "preview", 64, trigger=TRIGGER, subject="a tall woman"))
    folder = store.workspace.dataset("ds_person")
    folder.mkdir(parents=True)
    for number, (framing, angle) in enumerate([("close_up", "front"), ("medium", "profile_left")], 1):
        path = folder / f"{number}.png"
        noise(bytes([number, 9 * number] * 16)).resize((64, 64)).save(path)
        row = ImageRecord(
            f"img_key{number:05}", "ds_person", number, path.name, str(path), path.name, sha256_file(path), "kept",
            copy_sha256=sha256_file(path), facts={"width": 1024, "height": 1024, "format": "PNG", "bytes": 9},
            attributes={"framing": framing, "angle": angle, "expression": "neutral", "keystone": True,
                        "background": "studio wall", "lighting": "soft daylight", "wardrobe": "grey coat"},
        )  # fmt: skip
        store.add(replace(row, **columns))


def call(on: Workbench, **arguments: Any) -> CandidatesResult:
    answer = TOOL.handler(CandidatesArgs.model_validate({"dataset_id": "person", **arguments}), on)
    assert isinstance(answer, CandidatesResult)
    return answer


def again(on: Workbench, run_id: str | None) -> RunRecord:
    """The same run once more, as a worker that found it lost."""
    runs.requeue(on.store, str(run_id))
    on.launch(str(run_id))
    return runs.get(on.store, str(run_id))


def proposals(on: Workbench) -> list[ImageRecord]:
    return [row for row in all_images(on.store, "ds_person") if row.status == ImageStatus.PROPOSED]


# --------------------------------------------------------------------------- three passes


def test_a_shot_becomes_a_proposal_with_all_that_is_known_of_how_it_was_made(
    on: Workbench, editor: Editor, measured: None
) -> None:
    answer = call(on, shots=[FRONT])
    assert answer.state == RunState.SUCCEEDED
    assert editor.made == ["001_multi_angle", "001_restyle", "001_upscale"]
    (row,) = proposals(on)
    (told,) = answer.candidates
    assert (told.image_id, told.path) == (row.id, str(on.store.workspace.dataset("ds_person") / row.file))
    assert row.attributes == {
        "framing": "medium", "angle": "front", "expression": "tired", "intensity": "moderate", "background": "kitchen",
        "lighting": "warm lamp light", "wardrobe": "grey coat", "source_engine": "editor",
    }  # fmt: skip
    assert set(row.sources.values()) == {"metadata"}
    story = row.facts["candidate"]
    assert story["parents"] == ["img_key00001"]
    assert (story["engine"], story["run_id"], story["passes"]) == (
        "editor", answer.run_id, ["multi_angle", "restyle", "upscale"],
    )  # fmt: skip
    assert story["draw_prompt"].startswith("Identity locked")
    assert TRIGGER not in story["draw_prompt"]
    assert row.rights["source"] == f"drawn by editor from image 1 ({answer.run_id})"
    assert captions_of(on.store, "ds_person")[row.id].text == told.caption
    assert told.caption.startswith(f"{TRIGGER}, ")


def test_each_pass_gets_what_the_one_before_made_and_nothing_else(on: Workbench, editor: Editor) -> None:
    answer = call(on, shots=[FRONT, SIDEWAYS])
    folder = on.store.workspace.run(str(answer.run_id)) / "candidates"
    turn, restyle, upscale = editor.edits
    assert [request.model for request in editor.edits] == ["multi_angle", "restyle", "upscale"]
    keys = on.store.workspace.dataset("ds_person")
    assert [job.images for job in turn.jobs] == [(keys / "1.png",), (keys / "2.png",)]
    assert all(job.turn is not None and job.draw.prompt == "" for job in turn.jobs)
    assert [job.images for job in restyle.jobs] == [(folder / "001_multi_angle.png",)]
    assert [job.images for job in upscale.jobs] == [(folder / "001_restyle.png",), (folder / "002_multi_angle.png",)]
    assert all(job.turn is None and job.draw.prompt == "" for job in upscale.jobs)


def test_the_reference_mode_leans_on_keystones_with_the_settings_that_keep_a_face(
    on: Workbench, editor: Editor
) -> None:
    answer = call(on, shots=[FRONT], mode="reference")
    (request,) = editor.edits
    assert (request.model, request.guidance, request.steps) == ("edit", 3.5, 45)
    assert len(request.jobs[0].images) == 2
    assert proposals(on)[0].facts["candidate"]["parents"] == ["img_key00001", "img_key00002"]
    assert answer.candidates[0].draw_prompt.startswith("edit of img_key00001, img_key00002: View: ")


def test_without_shots_the_shot_list_of_the_set_is_drawn(on: Workbench, editor: Editor) -> None:
    editor.missing = {f"{number:03}_multi_angle" for number in range(2, 60)}
    answer = call(on)
    assert len(editor.edits[0].jobs) >= 10
    assert len(proposals(on)) == 1
    assert f"{len(editor.edits[0].jobs) - 1} more failed" in answer.summary


# --------------------------------------------------------------------------- proposals


def test_a_proposal_counts_nowhere_until_it_is_kept(on: Workbench) -> None:
    before = facts_now(on.store, on.store.where(DatasetRecord)[0])
    call(on, shots=[FRONT])
    (row,) = proposals(on)
    folder = write_folder(on.store, "ds_person")
    assert sorted(path.name for path in folder.glob("*.png")) == ["1.png", "2.png"]
    assert (folder / row.file).is_file()
    assert not list(folder.glob("run_*.txt"))
    assert row.file.startswith(".proposed/")
    assert facts_now(on.store, on.store.where(DatasetRecord)[0]) == before
    curated = curate(on, dataset_id="person")
    assert curated.kept == 2
    assert curated.rejected == []
    assert "1 proposed" in curated.summary
    assert "keep=" in curated.next_step
    assert "what is proposed (1)" in next_step(on.store)


def test_a_kept_proposal_trains_with_its_caption_and_undo_makes_it_a_proposal_again(on: Workbench) -> None:
    told = call(on, shots=[FRONT]).candidates[0]
    curate(on, dataset_id="person", keep=["3"])
    row = kept_images(on.store, "ds_person")[-1]
    folder = on.store.workspace.dataset("ds_person")
    assert (row.id, row.file) == (told.image_id, Path(row.file).name)
    assert (folder / row.file).with_suffix(".txt").read_text() == told.caption
    curate(on, dataset_id="person", undo=True)
    assert [one.id for one in proposals(on)] == [told.image_id]
    assert not (folder / row.file).exists()


def test_a_rejected_proposal_stays_listed_and_is_not_proposed_again_by_its_run(on: Workbench) -> None:
    answer = call(on, shots=[FRONT])
    curated = curate(on, dataset_id="person", reject=["3"])
    assert [one.rule_id for one in curated.rejected] == ["ASKED"]
    again(on, answer.run_id)
    assert proposals(on) == []
    assert len(all_images(on.store, "ds_person")) == 3


def test_the_sheet_says_which_are_proposed(on: Workbench) -> None:
    call(on, shots=[FRONT])
    shown = show_dataset(on.store, on.store.where(DatasetRecord)[0], "sheet", None, 1)
    assert "2 kept, 0 set aside, 1 proposed" in shown.text
    assert "(proposed)" in shown.text


def test_what_is_made_of_a_picture_that_may_not_leave_may_not_leave_either(tmp_path: Path) -> None:
    work = bench(Store(tmp_path / "home"), Editor())
    person(work.store, rights={"may_leave": False})
    call(work, shots=[FRONT])
    assert proposals(work)[0].rights["may_leave"] is False


# --------------------------------------------------------------------------- what fails


def test_a_pass_that_fails_for_one_is_told_the_others_go_on_and_the_same_call_makes_it_alone(
    on: Workbench, editor: Editor
) -> None:
    editor.missing = {"001_restyle"}
    answer = call(on, shots=[FRONT, SIDEWAYS])
    assert answer.state == RunState.SUCCEEDED
    assert [row.attributes["angle"] for row in proposals(on)] == ["profile_left"]
    assert any("what restyle made did not come" in words for words in answer.told)
    assert any("refused by the host's filter" in words for words in answer.told)
    editor.made.clear()
    mended = call(on, shots=[FRONT, SIDEWAYS])
    assert mended.run_id == answer.run_id
    assert editor.made == ["001_restyle_2", "001_upscale"], "what was paid for is not made again"
    assert len(mended.candidates) == 2
    assert len(proposals(on)) == 2


def test_a_black_picture_is_told_and_never_proposed(on: Workbench, editor: Editor) -> None:
    editor.black = {"001_restyle", "002_upscale"}
    assert call(on, shots=[FRONT, SIDEWAYS]).state == RunState.FAILED
    assert proposals(on) == []
    run = on.store.where(RunRecord)[0]
    assert "blank or black" in str(run.error)
    editor.black = set()
    assert len(call(on, shots=[FRONT, SIDEWAYS]).candidates) == 2


def test_a_worker_killed_between_passes_is_gone_on_with_and_makes_nothing_twice(on: Workbench, editor: Editor) -> None:
    def die(job_id: str) -> None:
        if job_id == "002_upscale":
            raise SystemExit("killed")

    editor.before = die
    lost = call(on, shots=[FRONT, SIDEWAYS])
    assert lost.state == RunState.LOST
    assert proposals(on) == []
    editor.before = lambda job_id: None
    assert again(on, lost.run_id).state == "succeeded"
    assert sorted(editor.made) == sorted(set(editor.made))
    assert len(editor.made) == 5
    assert len(proposals(on)) == 2


def test_a_stop_keeps_and_proposes_what_is_finished(on: Workbench, editor: Editor) -> None:
    def stop(job_id: str) -> None:
        if job_id == "002_upscale":
            raise Cancelled("Stopped as asked; what was done is kept.")

    editor.before = stop
    answer = call(on, shots=[FRONT, SIDEWAYS])
    assert answer.state == RunState.CANCELLED
    assert len(proposals(on)) == 1
    assert "same call again" in answer.next_step
    editor.before = lambda job_id: None
    assert call(on, shots=[FRONT, SIDEWAYS]).run_id == answer.run_id
    assert len(proposals(on)) == 2


def test_a_black_picture_of_an_attempt_that_broke_off_is_found_by_the_next(on: Workbench, editor: Editor) -> None:
    def stop(job_id: str) -> None:
        if job_id == "002_upscale":
            raise Cancelled("Stopped as asked; what was done is kept.")

    editor.before, editor.black = stop, {"001_upscale"}
    assert call(on, shots=[FRONT, SIDEWAYS]).state == RunState.CANCELLED
    assert proposals(on) == []
    editor.before = lambda job_id: None
    call(on, shots=[FRONT, SIDEWAYS])
    assert editor.made[-2:] == ["001_upscale_2", "002_upscale"]
    assert len(proposals(on)) == 2


def test_the_same_call_after_success_draws_anew_with_other_seeds(on: Workbench, editor: Editor) -> None:
    first, second = call(on, shots=[SIDEWAYS]), call(on, shots=[SIDEWAYS])
    assert first.run_id != second.run_id
    assert len({row.sha256 for row in proposals(on)}) == 2


def test_where_nothing_comes_out_the_run_fails_and_says_so(on: Workbench, editor: Editor) -> None:
    editor.missing = {"001_multi_angle"}
    answer = call(on, shots=[FRONT])
    assert answer.state == RunState.FAILED
    assert "None of 1 candidates came out" in answer.summary
    told = report(on.store, runs.get(on.store, str(answer.run_id)))
    assert "candidates run" in told.summary
    assert "once more" in told.next_step


# --------------------------------------------------------------------------- refusals


def test_an_active_lora_is_never_used(on: Workbench, editor: Editor) -> None:
    lora = trained(on.store)
    on.store.change(LoraRecord, lora.id, active=True)
    call(on, shots=[FRONT], mode="text")
    assert [request.loras for request in editor.requests] == [()]


@pytest.mark.parametrize(
    "spoil", [{"facts": {"width": 1024, "height": 1024, "format": "PNG", "bytes": 9, "loras": ["old look"]}},
              {"attributes": {"framing": "close_up", "angle": "front", "keystone": True, "source_engine": "sd lora"}}]
)  # fmt: skip
def test_a_keystone_that_a_lora_drew_makes_no_candidates(tmp_path: Path, spoil: dict[str, Any]) -> None:
    work = bench(Store(tmp_path / "home"), Editor())
    person(work.store, **spoil)
    with pytest.raises(Refused, match="IMG-ORIGIN"):
        call(work, shots=[FRONT])
    assert work.store.where(RunRecord) == []


def test_a_picture_that_says_a_lora_drew_it_is_set_aside_and_told(
    on: Workbench, editor: Editor, measured: None
) -> None:
    editor.notes = "a face <lora:old look:0.8>"
    answer = call(on, shots=[SIDEWAYS])
    assert answer.candidates == []
    assert any("set aside: IMG-ORIGIN" in words for words in answer.told)


def test_a_keystone_that_may_not_leave_is_not_sent_to_an_engine_elsewhere(tmp_path: Path) -> None:
    work = bench(Store(tmp_path / "home"), Editor(leaves=True))
    person(work.store, rights={"may_leave": False})
    with pytest.raises(Refused, match="IMG-RIGHTS"):
        call(work, shots=[FRONT])


def test_an_engine_that_cannot_edit_is_told_with_what_can_be_done(tmp_path: Path) -> None:
    work = bench(Store(tmp_path / "home"), Painter())
    person(work.store)
    with pytest.raises(NotInstalled, match='mode="text"'):
        call(work, shots=[FRONT])
    with pytest.raises(Refused, match="painter cannot edit and upscale"):
        call(work, shots=[FRONT], engine="painter")


def test_an_engine_without_its_key_is_told(tmp_path: Path) -> None:
    work = bench(Store(tmp_path / "home"), Editor(ready=False))
    person(work.store)
    for engine, error in (("auto", NotInstalled), ("editor", Refused)):
        with pytest.raises(error, match="Set EDITOR_KEY"):
            call(work, shots=[FRONT], engine=engine)


def test_a_set_without_trigger_or_angles_says_what_to_give_it(on: Workbench) -> None:
    on.store.change(DatasetRecord, "ds_person", trigger=None)
    with pytest.raises(Refused, match="no trigger yet"):
        call(on, shots=[FRONT])
    on.store.change(DatasetRecord, "ds_person", trigger=TRIGGER)
    for row in all_images(on.store, "ds_person"):
        on.store.change(ImageRecord, row.id, attributes={})
    with pytest.raises(Refused, match="whose angle is known"):
        call(on, shots=[FRONT])


@pytest.mark.parametrize(
    "arguments", [{"captions": ["x"], "shots": ["front"]}, {"captions": ["x"], "mode": "reference"}, {"captions": [""]}]
)
def test_arguments_that_fit_nothing_are_refused(on: Workbench, arguments: dict[str, Any]) -> None:
    with pytest.raises(BadArgument):
        call(on, **arguments)


def test_another_call_while_one_is_at_work_is_refused_and_the_same_one_joins(on: Workbench, editor: Editor) -> None:
    waiting = replace(on, launch=lambda run_id: None, progress=_enough)
    with pytest.raises(Enough):
        call(waiting, shots=[FRONT])
    with pytest.raises(Refused, match="still drawing candidates"):
        call(waiting, shots=[SIDEWAYS])
    with pytest.raises(Enough):
        call(waiting, shots=[FRONT])
    assert len(on.store.where(RunRecord)) == 1


class Enough(Exception):
    """Ends a wait."""


def _enough(done: float, total: float | None, message: str) -> None:
    raise Enough


# --------------------------------------------------------------------------- money


@pytest.fixture
def dear(tmp_path: Path) -> Workbench:
    made = bench(Store(tmp_path / "home"), Editor(costs=True))
    person(made.store)
    return made


def test_the_first_call_shows_every_prompt_and_price_and_starts_nothing(dear: Workbench) -> None:
    plan = call(dear, shots=[FRONT, SIDEWAYS])
    assert plan.quote_id
    assert plan.state is None
    assert dear.store.where(RunRecord) == []
    front, side = plan.candidates
    assert (front.usd, side.usd) == (0.101, 0.036), "in three passes, and in two"
    assert front.draw_prompt.startswith("multi_angle of img_key00001: the camera at 0 degrees around")
    assert "restyle: Replace the background" in front.draw_prompt
    assert side.draw_prompt.endswith("; upscale")
    assert front.caption.startswith(TRIGGER)
    assert front.image_id == front.path == ""
    assert any("permanent skeleton" in words and "[...]" in words for words in plan.told)
    assert "0.14 USD (at most 0.28)" in plan.summary
    assert f'quote_id="{plan.quote_id}" and max_cost_usd=0.28' in plan.next_step


def test_agreed_to_it_draws_and_each_candidate_knows_what_it_cost(dear: Workbench) -> None:
    plan = call(dear, shots=[FRONT, SIDEWAYS])
    answer = call(dear, shots=[FRONT, SIDEWAYS], quote_id=plan.quote_id, max_cost_usd=0.28)
    assert [one.usd for one in answer.candidates] == [0.101, 0.036]
    assert [row.facts["candidate"]["usd"] for row in proposals(dear)] == [0.101, 0.036]
    run = runs.get(dear.store, str(answer.run_id))
    assert (run.spend_state, run.cost_usd) == ("settled", pytest.approx(0.137))


def test_other_shots_than_those_of_the_quote_are_refused(dear: Workbench) -> None:
    plan = call(dear, shots=[FRONT])
    with pytest.raises(Refused, match="changed since"):
        call(dear, shots=[SIDEWAYS], quote_id=plan.quote_id, max_cost_usd=1)
    assert dear.store.where(RunRecord) == []


def test_what_failed_is_made_within_what_was_agreed_to_and_beyond_it_is_quoted_anew(dear: Workbench) -> None:
    engine = dear.engines.open("editor")
    assert isinstance(engine, Editor)
    engine.missing = {"001_restyle"}
    plan = call(dear, shots=[FRONT])
    first = call(dear, shots=[FRONT], quote_id=plan.quote_id, max_cost_usd=0.21)
    assert first.state == RunState.FAILED
    within = call(dear, shots=[FRONT])
    assert (within.state, within.run_id) == (RunState.SUCCEEDED, first.run_id)
    engine.missing = {"001_restyle", "001_restyle_2"}
    dear.store.change(RunRecord, str(first.run_id), state="failed")
    for path in (dear.store.workspace.run(str(first.run_id)) / "candidates").glob("001_*.png"):
        path.unlink()
    beyond = call(dear, shots=[FRONT])
    assert beyond.quote_id
    assert (
        f"the rest of 1 candidate for 'person' (mode three_pass), with 0.10 USD that {first.run_id}" in beyond.summary
    )


def test_what_may_have_arrived_is_asked_for_by_the_same_name_and_never_bought_twice(dear: Workbench) -> None:
    engine = dear.engines.open("editor")
    assert isinstance(engine, Editor)
    engine.doubtful = {"001_restyle"}
    plan = call(dear, shots=[FRONT, SIDEWAYS])
    answer = call(dear, shots=[FRONT, SIDEWAYS], quote_id=plan.quote_id, max_cost_usd=0.28)
    run = runs.get(dear.store, str(answer.run_id))
    assert run.spend_state == "unknown"
    assert any("not known whether" in words for words in answer.told)
    engine.doubtful = set()
    call(dear, shots=[FRONT, SIDEWAYS])
    names = [one.item for one in dear.store.where(PurchaseRecord, order="rowid")]
    assert names == ["001_multi_angle", "002_multi_angle", "001_restyle", "002_upscale", "001_upscale"]


# --------------------------------------------------------------------------- from words alone

HALLS = {
    "estate": ["A long dining hall with candles that burn low on a table set for one, seen from the door."],
    "church": ["A nave lit by one shaft of light through a broken window, with water on the marble floor."],
}


def test_a_look_without_photographs_begins_empty_and_is_drawn_from_captions_by_category(tmp_path: Path) -> None:
    painter = Editor()
    work = bench(Store(tmp_path / "home"), painter)
    made = curate(work, name="The Baker", trigger="bkrstyl", subject="grandeur with decay", resolution=64,
                  categories=["estate", "church"])  # fmt: skip
    assert "generate_candidates" in made.next_step
    answer = call(work, dataset_id=made.dataset_id, captions=HALLS)
    assert answer.state == RunState.SUCCEEDED
    assert "preview base" in answer.summary
    assert [one.caption for one in answer.candidates] == [f"bkrstyl. {text}" for (text,) in HALLS.values()]
    (request,) = painter.requests
    assert (request.base_model, request.loras, request.references) == ("preview", (), ())
    assert [job.prompt for job in request.jobs] == [f"{text} Grandeur with decay." for (text,) in HALLS.values()]
    rows = all_images(work.store, str(made.dataset_id))
    assert [row.attributes["category"] for row in rows] == ["estate", "church"]
    assert rows[0].rights["licence"] == "anything"
    assert work.store.where(CaptionRecord)[0].mode == "given"
    kept = curate(work, dataset_id=made.dataset_id, keep=["all"])
    assert kept.kept == 2


def test_a_set_of_a_look_draws_from_words_by_itself_and_has_no_camera_to_turn(on: Workbench, editor: Editor) -> None:
    on.store.change(DatasetRecord, "ds_person", profile=Profile.STYLE)
    answer = call(on, shots=["a bell tower at dusk"])
    assert answer.candidates[0].draw_prompt == "draw: A bell tower, dusk. A tall woman."
    with pytest.raises(BadArgument, match="teaches a look"):
        call(on, shots=["a bell tower"], mode="three_pass")


def test_a_picture_is_as_large_as_the_engine_made_it(on: Workbench) -> None:
    call(on, shots=[SIDEWAYS])
    assert proposals(on)[0].facts["width"] == SIDE
