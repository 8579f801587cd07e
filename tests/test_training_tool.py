"""start_training, check_status and stop_run as a caller meets them."""

from __future__ import annotations

import errno
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.datasets import TRIGGER, grow, ready_dataset, spoil
from support.engine import TinyEngine, registry
from support.painter import trained
from support.training import lease_runs_out, wait_for

from loradeck.engines import local
from loradeck.engines.errors import BadSpec, BadWeights, CameToNothing
from loradeck.engines.hosted.download import Expired
from loradeck.engines.registry import Registry
from loradeck.server import worker
from loradeck.server.launch import launch
from loradeck.state import runs
from loradeck.state.errors import DiskFull, StateError
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord, LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.catalogue import load
from loradeck.tools.check_status.diagnosis import RunFacts, diagnose
from loradeck.tools.contracts import (
    CheckStatusResult,
    RunState,
    StartTrainingResult,
    StopResult,
    TrainedResult,
    ValidateResult,
)
from loradeck.tools.datasets import write_folder
from loradeck.tools.errors import BadArgument, NotFound, Refused
from loradeck.tools.spec import ToolSpec
from loradeck.tools.start_training import prepare
from loradeck.tools.start_training.plan import cadence, sample_prompts
from loradeck.tools.validate_coverage.tool import judge_now
from loradeck.tools.workbench import Workbench


def perform(spec: ToolSpec, arguments: dict[str, Any], bench: Workbench) -> Any:
    """One call, past the server."""
    return spec.handler(spec.args.model_validate(arguments), bench)


LENGTH = {"rule_id": "CAP-LENGTH", "reason": "written for the preview base"}


class House:
    """A workbench whose launches are noted, and can be worked off in this process."""

    def __init__(self, home: Path, **engine: Any) -> None:
        self.store = Store(home)
        self.engines = registry(**engine)
        self.launched: list[str] = []
        self.bench = Workbench(self.store, self.engines, self.launched.append)

    def start(self, **arguments: Any) -> StartTrainingResult:
        result = perform(load("start_training"), arguments, self.bench)
        assert isinstance(result, StartTrainingResult)
        return result

    def status(self, **arguments: Any) -> CheckStatusResult:
        result = perform(load("check_status"), arguments, self.bench)
        assert isinstance(result, CheckStatusResult)
        return result

    def stop(self, run_id: str) -> StopResult:
        result = perform(load("stop_run"), {"run_id": run_id}, self.bench)
        assert isinstance(result, StopResult)
        return result

    def work(self, run_id: str | None) -> str:
        assert run_id is not None
        return worker.work(self.store.workspace.home, run_id, self.engines)

    def trained(self, **arguments: Any) -> LoraRecord:
        """A LoRA, trained."""
        run_id = self.start(engine="tiny", **arguments).run_id
        assert self.work(run_id) == "succeeded"
        return self.store.where(LoraRecord, "run_id = ?", [run_id])[0]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "home")


@pytest.fixture
def dataset(house: House) -> DatasetRecord:
    return ready_dataset(house.store)


# --------------------------------------------------------------------------- starting


def test_a_set_that_passes_starts_with_a_plan_an_estimate_and_a_snapshot(house: House, dataset: DatasetRecord) -> None:
    started = house.start(dataset_id=dataset.name)
    assert started.findings == []
    assert (started.state, house.launched) == (RunState.QUEUED, [started.run_id])
    assert started.plan is not None
    assert (started.plan.engine, started.plan.steps, started.plan.images) == ("tiny", 20, 44)
    assert started.plan.passes_over_set == pytest.approx(20 * 2 / 44, abs=0.06)
    assert (started.plan.checkpoint_every, started.plan.sample_every) == (5, 5)
    assert started.estimate is not None
    assert started.estimate.minutes == 2.0
    assert started.preview_note
    assert "Preview base" in started.summary
    assert f'check_status(run_id="{started.run_id}"' in started.next_step
    folder = house.store.workspace.run(started.run_id or "")
    assert (folder / "spec.json").is_file()
    assert len(list((folder / "dataset").glob("*.png"))) == len(list((folder / "dataset").glob("*.txt"))) == 44


def test_what_passed_is_what_trains_even_when_the_set_changes_meanwhile(house: House, dataset: DatasetRecord) -> None:
    run_id = house.start(dataset_id=dataset.id).run_id
    original = house.store.workspace.dataset(dataset.id) / "001.png"
    new = original.with_name("new")
    new.write_bytes(b"another picture")
    new.replace(original)
    caption = house.store.where(CaptionRecord)[0]
    house.store.add(replace(caption, text="zorbik, changed"))
    assert house.work(run_id) == "succeeded"


def test_a_set_that_fails_is_refused_with_what_to_do_and_no_run_is_made(house: House, dataset: DatasetRecord) -> None:
    spoil(house.store, dataset.id)
    refused = house.start(dataset_id=dataset.id)
    assert (refused.run_id, refused.state, house.launched) == (None, None, [])
    assert [finding.rule_id for finding in refused.findings] == ["CAP-TRIGGER"]
    assert refused.findings[0].fix in refused.next_step
    assert f'validate_coverage(dataset_id="{dataset.id}")' in refused.next_step
    assert "1 finding that blocks (CAP-TRIGGER)" in refused.summary
    assert house.store.count(RunRecord) == 0


def test_a_refusal_offers_to_set_a_rule_aside_only_where_that_would_let_the_set_through(house: House) -> None:
    few = ready_dataset(house.store, images=8)
    small = house.start(dataset_id=few.id).next_step
    assert "shot_list of validate_coverage" in small
    assert "set COV-COUNT aside with waive" in small
    spoil(house.store, few.id)
    untold = house.start(dataset_id=few.id)
    assert "2 findings that block" in untold.summary
    assert "waive" not in untold.next_step


def test_a_rule_is_set_aside_with_a_reason_that_stays_on_the_run_and_its_result(house: House) -> None:
    few = ready_dataset(house.store, images=8)
    waiver = {"rule_id": "COV-COUNT", "reason": "a quick trial of the look"}
    assert [f.rule_id for f in house.start(dataset_id=few.id).findings] == ["COV-COUNT"]
    run_id = house.start(dataset_id=few.id, waive=[waiver]).run_id
    assert run_id is not None
    assert runs.get(house.store, run_id).waived == [waiver]
    house.work(run_id)
    assert [w.model_dump() for w in TrainedResult.model_validate(runs.get(house.store, run_id).result).waived] == [
        waiver
    ]


def test_the_loras_card_tells_what_was_set_aside_and_whose_the_images_are(house: House) -> None:
    few = ready_dataset(house.store, images=8)
    images = house.store.where(ImageRecord, order="number")
    house.store.change(ImageRecord, images[0].id, rights={"source": "Ada", "licence": "CC-BY 4.0"})
    house.store.change(ImageRecord, images[1].id, rights={})
    waiver = {"rule_id": "COV-COUNT", "reason": "a quick trial of the look"}
    lora = house.trained(dataset_id=few.id, waive=[waiver])
    card = Path(lora.path).with_suffix(".md").read_text(encoding="utf-8")
    assert "- COV-COUNT: a quick trial of the look" in card
    assert "- MIT (6 images)" in card
    assert "- Ada, CC-BY 4.0 (1 images)" in card
    assert "- not recorded (1 images)" in card
    assert f"`{lora.sha256}`" in card
    listed = perform(load("list_loras"), {"lora_id": lora.id}, house.bench).loras[0]
    assert [one.rule_id for one in listed.waived] == ["COV-COUNT"]


def test_a_card_of_a_set_that_held_everything_says_so(house: House, dataset: DatasetRecord) -> None:
    card = Path(house.trained(dataset_id=dataset.id).path).with_suffix(".md").read_text(encoding="utf-8")
    assert "None: everything held." in card


def test_an_image_that_may_not_leave_stops_an_engine_elsewhere_and_no_other(tmp_path: Path) -> None:
    for leaves in (True, False):
        house = House(tmp_path / f"home {leaves}", leaves_machine=leaves)
        dataset = ready_dataset(house.store)
        image = house.store.where(ImageRecord, order="number")[2]
        house.store.change(ImageRecord, image.id, rights=image.rights | {"may_leave": False})
        if leaves:
            with pytest.raises(Refused, match=r"IMG-RIGHTS: 1 of the images .* \(numbers 3\).*nothing was sent"):
                house.start(engine="tiny", dataset_id=dataset.id)
            assert house.launched == []
        else:
            assert house.start(engine="tiny", dataset_id=dataset.id).run_id is not None


def test_an_image_that_was_marked_meanwhile_stops_a_run_that_is_resumed_elsewhere(tmp_path: Path) -> None:
    house = House(tmp_path, leaves_machine=True)
    run_id = house.start(engine="tiny", dataset_id=ready_dataset(house.store).id).run_id
    house.store.change(RunRecord, run_id, state="lost")
    image = house.store.where(ImageRecord, order="number")[2]
    house.store.change(ImageRecord, image.id, rights=image.rights | {"may_leave": False})
    with pytest.raises(Refused, match=r"IMG-RIGHTS: the set of run_\w+: 1 of the images .*nothing was sent"):
        house.start(resume=run_id)


@pytest.mark.parametrize("rule", ["CAP-TRIGGER", "IMG-READABLE", "TRN-FINGERPRINT", "TRN-SPEND"])
def test_some_rules_are_never_set_aside(house: House, dataset: DatasetRecord, rule: str) -> None:
    spoil(house.store, dataset.id)
    with pytest.raises(BadArgument, match=f"{rule} cannot be waived"):
        house.start(dataset_id=dataset.id, waive=[{"rule_id": rule, "reason": "because I say so"}])


def test_a_rule_that_is_none_is_not_set_aside_in_silence(house: House, dataset: DatasetRecord) -> None:
    with pytest.raises(BadArgument, match="the nearest is 'COV-COUNT'"):
        house.start(dataset_id=dataset.id, waive=[{"rule_id": "COV-COUNTS", "reason": "because I say so"}])


def test_captions_for_another_model_than_the_one_trained_are_told(house: House, dataset: DatasetRecord) -> None:
    house.store.change(DatasetRecord, dataset.id, target_model="z-image")
    started = house.start(dataset_id=dataset.id, base_model="preview", waive=[LENGTH])
    assert started.plan is not None
    assert started.plan.told[0].why.startswith("The captions follow z-image (20-50 words) and preview is trained")


def test_two_same_calls_at_once_start_one_run_and_leave_one_folder(house: House, dataset: DatasetRecord) -> None:
    answers: list[str | None] = []
    calls = [
        threading.Thread(target=lambda: answers.append(house.start(dataset_id=dataset.id).run_id)) for _ in range(4)
    ]
    for call in calls:
        call.start()
    for call in calls:
        call.join()
    assert len(answers) == 4
    assert set(answers) == {path.name for path in (house.store.workspace.home / "runs").iterdir()}
    assert house.store.count(RunRecord) == len(set(answers)) == 1


def test_an_image_that_was_replaced_on_the_disk_is_judged_again_and_refused_where_it_does_not_pass(
    house: House, dataset: DatasetRecord
) -> None:
    passed = judge_now(house.store, dataset)
    folder = house.store.workspace.dataset(dataset.id)
    (folder / "007.png").write_bytes((folder / "008.png").read_bytes())
    refused = house.start(dataset_id=dataset.id)
    assert refused.run_id is None
    assert [finding.rule_id for finding in refused.findings] == ["IMG-DUPLICATE"]
    assert judge_now(house.store, dataset).fingerprint != passed.fingerprint
    assert house.store.count(RunRecord) == 0


def test_another_picture_that_passes_is_what_trains(house: House, dataset: DatasetRecord) -> None:
    folder = house.store.workspace.dataset(dataset.id)
    Image.new("RGB", (64, 64), (9, 9, 9)).save(folder / "007.png")
    run = house.start(dataset_id=dataset.id)
    taken = house.store.workspace.run(run.run_id or "") / "dataset" / "007.png"
    assert taken.read_bytes() == (folder / "007.png").read_bytes()


def test_what_changes_between_the_verdict_and_the_start_stops_it(
    house: House, dataset: DatasetRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = house.store.workspace.dataset(dataset.id)
    judged = prepare._judge

    def then_another_picture(*args: Any) -> ValidateResult:
        report = judged(*args)
        Image.new("RGB", (64, 64), (9, 9, 9)).save(folder / "007.png")
        return report

    monkeypatch.setattr(prepare, "_judge", then_another_picture)
    with pytest.raises(Refused, match="TRN-FINGERPRINT: the dataset changed while it was judged"):
        house.start(dataset_id=dataset.id)
    assert house.store.count(RunRecord) == 0


def test_a_caption_edited_on_the_disk_is_judged_and_refused_where_it_does_not_pass(
    house: House, dataset: DatasetRecord
) -> None:
    write_folder(house.store, dataset.id)
    sidecar = house.store.workspace.dataset(dataset.id) / "007.txt"
    sidecar.write_text("no trigger any more", encoding="utf-8")
    refused = house.start(dataset_id=dataset.id)
    assert refused.run_id is None
    assert "CAP-TRIGGER" in {finding.rule_id for finding in refused.findings}
    assert sidecar.read_text(encoding="utf-8") == "no trigger any more"


def test_a_full_disk_stops_the_start_with_one_sentence_and_leaves_nothing(
    house: House, dataset: DatasetRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskFull, match="free some room"):
        house.start(dataset_id=dataset.id)
    monkeypatch.undo()
    assert house.store.count(RunRecord) == 0
    assert list((house.store.workspace.home / "runs").iterdir()) == []
    assert house.start(dataset_id=dataset.id).state == RunState.QUEUED


def test_a_machine_that_can_start_no_process_says_so_and_keeps_the_run_queued(
    house: House, dataset: DatasetRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("loradeck.server.launch.subprocess.Popen", refuse)
    bench = replace(house.bench, launch=launch(house.store.workspace.home))
    with pytest.raises(StateError, match="it stays queued"):
        perform(load("start_training"), {"dataset_id": dataset.id}, bench)
    assert [run.state for run in house.store.where(RunRecord)] == ["queued"]


def test_numbers_outside_the_usual_range_are_told_with_the_range_and_train(
    house: House, dataset: DatasetRecord
) -> None:
    started = house.start(dataset_id=dataset.id, steps=900, rank=128)
    assert started.plan is not None
    told = {finding.why for finding in started.plan.told if finding.rule_id == "TRN-RANGE"}
    assert told == {
        "steps is 900; usual for preview is 100 to 400.",
        "rank is 128; usual for preview is 8 to 16.",
    }
    assert started.plan.alpha == 128


def test_the_same_call_twice_is_one_run(house: House, dataset: DatasetRecord) -> None:
    first, second = house.start(dataset_id=dataset.id), house.start(dataset_id=dataset.name)
    assert first.run_id == second.run_id
    assert "already" in second.summary
    assert house.launched == [first.run_id]
    assert house.start(dataset_id=dataset.id, seed=7).run_id != first.run_id


def test_a_training_that_is_done_is_not_done_again_until_its_lora_is_deleted(
    house: House, dataset: DatasetRecord
) -> None:
    lora = house.trained(dataset_id=dataset.id)
    again = house.start(dataset_id=dataset.id)
    assert (again.run_id, again.state) == (lora.run_id, RunState.SUCCEEDED)
    house.store.change(LoraRecord, lora.id, deleted_at="2026-11-20")
    assert house.start(dataset_id=dataset.id).run_id != lora.run_id


def test_an_engine_that_is_not_ready_says_what_to_do(tmp_path: Path) -> None:
    house = House(tmp_path / "home", ready=False)
    with pytest.raises(Refused, match=r"its chip is asleep\. Wake it\."):
        house.start(dataset_id=ready_dataset(house.store).id, engine="tiny")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"resolution": 512}, r"trains at \d+ pixels; set resolution to \d+"),
        ({"rank": 200}, "rank must be from 1 to 128, not 200"),
        ({"advanced": {"preservation": "high"}}, "'preservation' must be a number from 0"),
        ({"continue_from": "parent", "rank": 8}, "set rank to 16 or more"),
    ],
)
def test_what_the_engine_would_refuse_starts_nothing_and_says_what_to_change(
    asked: dict[str, Any], told: str, house: House, dataset: DatasetRecord, tmp_path: Path
) -> None:
    house.bench = replace(house.bench, engines=Registry({"local": local.create}))
    header = json.dumps({"a.lora_A.weight": {"dtype": "F32", "shape": [16, 4], "data_offsets": [0, 256]}}).encode()
    parent = tmp_path / "parent.safetensors"
    parent.write_bytes(len(header).to_bytes(8, "little") + header + bytes(256))
    trained(house.store, "parent", TRIGGER, source=parent, rank=16)
    with pytest.raises(BadArgument, match=told) as refused:
        house.start(dataset_id=dataset.id, **asked)
    assert "Nothing was started" in str(refused.value)
    assert house.store.count(RunRecord) == 0
    assert house.launched == []


def test_what_the_engine_takes_but_advises_against_is_told_and_trains(house: House, dataset: DatasetRecord) -> None:
    house.bench = replace(house.bench, engines=Registry({"local": local.create}))
    started = house.start(dataset_id=dataset.id, advanced={"preservation": 0})
    assert started.plan is not None
    assert [finding.why for finding in started.plan.told if "Preservation is off" in finding.why]
    assert started.state == RunState.QUEUED


def test_what_cannot_be_asked_is_told_in_one_sentence(house: House, dataset: DatasetRecord) -> None:
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({}, BadArgument, "needs a dataset_id"),
        ({"dataset_id": "redy"}, NotFound, "'ready'"),
        ({"dataset_id": dataset.id, "base_model": "flux1-dev", "engine": "tiny"}, BadArgument, "it trains preview"),
        ({"dataset_id": dataset.id, "advanced": {"step_secs": 1}}, BadArgument, "did you mean 'step_seconds'?"),
        ({"dataset_id": dataset.id, "continue_from": "lora_nope"}, NotFound, "lora_nope"),
        ({"resume": "run_nope"}, NotFound, "run_nope"),
    ]
    for arguments, kind, words in wrong:
        with pytest.raises(kind, match=words.replace("?", r"\?")):
            house.start(**arguments)
    assert house.store.count(RunRecord) == 0


def test_samples_show_two_prompts_and_one_that_does_not_call_the_look() -> None:
    captions = [f"{TRIGGER}, a red cup", f"{TRIGGER}, a dog", f"{TRIGGER}, a house"]
    assert sample_prompts(captions, TRIGGER) == [f"{TRIGGER}, a red cup", f"{TRIGGER}, a dog", "a red cup"]
    assert sample_prompts([TRIGGER, TRIGGER], TRIGGER) == [TRIGGER]


def test_checkpoints_come_every_500_steps_and_four_times_in_a_short_run() -> None:
    assert [cadence(steps, 500) for steps in (1, 20, 300, 1000, 2000, 3000)] == [1, 5, 75, 250, 500, 500]


# --------------------------------------------------------------------------- going on


def test_a_lora_is_trained_further_on_the_grown_set(house: House, dataset: DatasetRecord) -> None:
    parent = house.trained(dataset_id=dataset.id)
    grow(house.store, dataset.id, 44, 5)
    started = house.start(continue_from=parent.id)
    assert started.plan is not None
    assert (started.dataset_id, started.plan.images, started.plan.rank) == (dataset.id, 49, parent.rank)
    assert house.work(started.run_id) == "succeeded"
    child = house.store.where(LoraRecord, "run_id = ?", [started.run_id])[0]
    assert (child.parent_lora_id, child.name, child.version) == (parent.id, parent.name, 2)


def test_a_lora_does_not_go_on_on_another_base(house: House, dataset: DatasetRecord) -> None:
    parent = house.trained(dataset_id=dataset.id)
    with pytest.raises(BadArgument, match="cannot go on on flux2-dev"):
        house.start(continue_from=parent.id, base_model="flux2-dev")


def lost_run(house: House, dataset: DatasetRecord) -> str:
    """A training that was killed half-way."""
    run_id = house.start(dataset_id=dataset.id).run_id
    assert run_id is not None
    runs.claim(house.store, run_id)
    house.store.change(RunRecord, run_id, state="running", step=12, pid=2**22 + 7, pid_started=1.0)
    lease_runs_out(house.store, run_id)
    house.launched.clear()
    return run_id


def test_a_lost_run_is_told_with_the_call_that_resumes_it_on_the_same_row(house: House, dataset: DatasetRecord) -> None:
    run_id = lost_run(house, dataset)
    status = house.status(run_id=run_id)
    assert status.state == RunState.LOST
    assert status.next_step == f'start_training(resume="{run_id}")'
    assert status.diagnosis[0].what == "The worker is gone"
    resumed = house.start(resume=run_id)
    assert (resumed.run_id, resumed.state, house.launched) == (run_id, RunState.QUEUED, [run_id])
    assert "step 12" in resumed.summary
    assert house.work(run_id) == "succeeded"


def test_the_same_call_after_a_loss_goes_on_with_the_lost_run(house: House, dataset: DatasetRecord) -> None:
    run_id = lost_run(house, dataset)
    assert house.start(dataset_id=dataset.id).run_id == run_id
    assert house.launched == [run_id]


def test_a_resumed_run_keeps_its_plan(house: House, dataset: DatasetRecord) -> None:
    run_id = lost_run(house, dataset)
    with pytest.raises(BadArgument, match="learning_rate, steps cannot be changed"):
        house.start(resume=run_id, steps=5, learning_rate=0.1)


def test_a_run_that_lives_is_not_resumed_but_shown(house: House, dataset: DatasetRecord) -> None:
    run_id = house.start(dataset_id=dataset.id).run_id
    house.launched.clear()
    assert house.start(resume=run_id).state == RunState.QUEUED
    assert house.launched == []


# --------------------------------------------------------------------------- check_status


def test_a_new_chat_that_knows_no_ids_is_led_from_nothing_to_a_deck(house: House) -> None:
    empty = house.status()
    assert empty.overview == []
    assert "curate_dataset" in empty.next_step
    dataset = ready_dataset(house.store)
    assert "validate_coverage" in house.status().next_step
    perform(load("validate_coverage"), {"dataset_id": dataset.id}, house.bench)
    assert f'start_training(dataset_id="{dataset.id}")' in house.status().next_step
    run_id = house.start(dataset_id=dataset.id).run_id
    assert run_id is not None
    assert run_id in house.status().next_step
    house.work(run_id)
    last = house.status()
    lora = house.store.where(LoraRecord)[0]
    assert lora.id in last.next_step
    assert "render_deck_visuals" in last.next_step
    assert [row.kind for row in last.overview] == ["run", "lora", "dataset"]
    assert [row.updated_at for row in last.overview] == sorted((r.updated_at for r in last.overview), reverse=True)


def test_a_run_under_way_tells_its_numbers_and_when_to_ask_again(house: House, dataset: DatasetRecord) -> None:
    slow = {"step_seconds": 0.02}
    run_id = house.start(dataset_id=dataset.id, steps=400, checkpoint_every=10, advanced=slow).run_id
    thread = threading.Thread(target=house.work, args=[run_id])
    thread.start()
    assert run_id is not None
    wait_for(lambda: runs.get(house.store, run_id).step > 30)
    status = house.status(run_id=run_id)
    assert status.state == RunState.RUNNING
    assert status.step is not None
    assert status.loss is not None
    assert status.held_out_loss is not None
    assert status.eta_seconds == pytest.approx((400 - status.step) * 0.02, rel=0.5)
    assert status.poll_after_seconds
    kinds = [artefact.kind for artefact in status.artefacts]
    assert kinds[0] == "checkpoint"
    assert set(kinds[1:]) == {"sample"}
    assert f"step {status.step} of 400" in status.summary
    stopped = house.stop(run_id)
    thread.join()
    assert stopped.state == RunState.CANCELLED
    assert "checkpoints (last at step" in stopped.summary
    assert f'start_training(resume="{run_id}")' in stopped.next_step


def test_a_run_that_succeeded_gives_its_result_and_its_next_step(house: House, dataset: DatasetRecord) -> None:
    lora = house.trained(dataset_id=dataset.id)
    status = house.status(run_id=lora.run_id)
    assert status.state == RunState.SUCCEEDED
    assert status.result is not None
    assert status.result["lora"]["lora_id"] == lora.id
    assert status.artefacts[0].kind == "lora"
    assert "render_deck_visuals" in status.next_step
    assert status.poll_after_seconds is None
    assert status.preview_note


def test_an_unknown_run_is_told_with_the_nearest(house: House, dataset: DatasetRecord) -> None:
    run_id = house.start(dataset_id=dataset.id).run_id
    assert run_id is not None
    with pytest.raises(NotFound, match=run_id):
        house.status(run_id=run_id[:-1] + "_")
    with pytest.raises(NotFound):
        house.stop("run_nope")


def test_a_run_is_found_by_its_name_too(house: House, dataset: DatasetRecord) -> None:
    run_id = house.start(dataset_id=dataset.id, name="the look").run_id
    later = runs.enqueue(house.store, "curate", {}, name="the look")
    house.store.change(RunRecord, later.id, state="succeeded")
    assert house.status(run_id="The Look").run_id == run_id, "what is under way comes before what is done"


def test_a_queued_run_is_stopped_at_once(house: House, dataset: DatasetRecord) -> None:
    run_id = house.start(dataset_id=dataset.id).run_id
    assert run_id is not None
    stopped = house.stop(run_id)
    assert stopped.state == RunState.CANCELLED
    assert "no checkpoint" in stopped.summary
    assert "ended already" in house.stop(run_id).summary
    assert stopped.preview_note, "a training on the preview base says so whatever is asked of it"


def test_divergence_comes_with_a_lower_learning_rate(house: House, dataset: DatasetRecord) -> None:
    run_id = house.start(dataset_id=dataset.id, learning_rate=0.03, advanced={"fail": "diverge"}).run_id
    assert house.work(run_id) == "failed"
    found = house.status(run_id=run_id).diagnosis
    again = f'start_training(dataset_id="{dataset.id}", advanced={{"fail": "diverge"}}, learning_rate=1.0e-02)'
    assert [one.remedy for one in found] == [again]
    assert [one.why for one in found] == ["The loss became nan at step 10."]


def test_out_of_memory_is_remedied_in_the_rulebooks_order(house: House, dataset: DatasetRecord) -> None:
    remedies = []
    for asked in ({"rank": 16}, {"rank": 16, "batch_size": 1}, {"rank": 8, "batch_size": 1}):
        run_id = house.start(dataset_id=dataset.id, advanced={"fail": "memory"}, **asked).run_id
        house.work(run_id)
        remedies.append(house.status(run_id=run_id).diagnosis[0].remedy)
    assert remedies[0].endswith("batch_size=1)")
    assert remedies[1].endswith("rank=8)")
    assert "smaller base_model" in remedies[2]


@pytest.mark.parametrize("refusal", [BadSpec, BadWeights])
def test_a_training_that_its_engine_refused_is_started_anew_and_not_resumed(
    refusal: type[Exception], house: House, dataset: DatasetRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise refusal("The third picture cannot be read; reject it with curate_dataset.")

    monkeypatch.setattr(TinyEngine, "train", refuse)
    run_id = house.start(dataset_id=dataset.id).run_id
    assert house.work(run_id) == "failed"
    status = house.status(run_id=run_id)
    assert "reject it with curate_dataset" in status.summary
    assert f'start_training(dataset_id="{dataset.id}"' in status.next_step
    assert "resume" not in status.next_step


@pytest.mark.parametrize("ending", [CameToNothing, Expired])
def test_a_training_that_came_to_nothing_at_its_host_is_quoted_anew_and_not_resumed(
    ending: type[Exception], house: House, dataset: DatasetRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ending("The training at fal failed. It was not charged.")

    monkeypatch.setattr(TinyEngine, "train", fail)
    run_id = house.start(dataset_id=dataset.id).run_id
    assert house.work(run_id) == "failed"
    step = house.status(run_id=run_id).next_step
    assert step.startswith(f'start_training(dataset_id="{dataset.id}", engine="tiny", ...) tells the price')
    assert "resume" not in step


def test_a_held_out_loss_that_does_not_fall_or_turns_is_told_after_half_the_steps() -> None:
    def what(curve: list[tuple[int, float]], step: int = 60) -> list[str]:
        facts = RunFacts("run_1", RunState.RUNNING, "", step=step, steps=100, held_out=curve)
        return [diagnosis.what for diagnosis in diagnose(facts)]

    assert what([(0, 1.0), (20, 0.8), (50, 0.6)]) == []
    assert what([(0, 1.0), (20, 1.0), (50, 0.998)]) == ["The held-out loss does not fall (TRN-LOSS)"]
    assert what([(0, 1.0), (20, 1.0), (50, 0.998)], step=40) == []
    assert what([(0, 1.0), (20, 0.95), (50, 0.96)]) == []
    assert what([(0, 1.0), (20, 0.6), (50, 0.9)]) == ["The held-out loss rises: over-fitting (TRN-CONVERGED)"]


def test_a_run_that_nobody_takes_comes_with_the_way_out() -> None:
    facts = RunFacts("run_1", RunState.QUEUED, "", queued_seconds=90, claimed=False)
    assert "loradeck worker" in diagnose(facts)[0].remedy


def test_nothing_of_this_leaves_the_workspace(house: House, dataset: DatasetRecord, tmp_path: Path) -> None:
    house.trained(dataset_id=dataset.id)
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
