"""A LoRA's card, and the training that is done again from its run's record."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import diffusers
import pytest
from PIL import Image
from support import tiny
from support.house import House

from loradeck.engines.local.engine import LocalEngine
from loradeck.state import runs
from loradeck.state.records import CheckpointRecord, LoraRecord, RunRecord, SampleRecord
from loradeck.tools.contracts import CheckStatusResult, Profile, RunKind, RunState
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.start_training import again, usage
from loradeck.tools.start_training.card import sparkline
from loradeck.tools.start_training.plan import test_scene as scene_of
from loradeck.tools.start_training.snapshot import mask_path, read

ASKED = {"steps": 6, "seed": 9, "advanced": {"ema": 0.5, "masked_loss": True, "held_out": 2}}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("card")
    base = tiny.base(folder / "weights")
    house = House(folder / "home", LocalEngine({"preview": lambda: base}))
    masks = house.store.workspace.dataset(house.dataset.id) / "masks"
    masks.mkdir()
    for image in sorted(masks.parent.glob("*.png"))[1:]:
        drawn = Image.new("L", (64, 64), 0)
        drawn.paste(255, (0, 0, 40, 40))
        drawn.save(mask_path(image))
    return house


@pytest.fixture(scope="module")
def done(house: House) -> CheckStatusResult:
    status = house.trained(**ASKED)
    assert status.state == RunState.SUCCEEDED, status.message
    return status


def lora_of(house: House, run_id: str | None) -> LoraRecord:
    return house.store.where(LoraRecord, "run_id = ?", [run_id])[0]


def test_a_training_done_again_from_its_record_gives_the_same_bytes(house: House, done: CheckStatusResult) -> None:
    first = lora_of(house, done.run_id)
    home = house.store.workspace.home
    asked = [sys.executable, "-m", "loradeck.tools.start_training.again", str(home), str(done.run_id)]
    said = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=60).stdout
    run_id = said.split()[0]
    assert house.work(run_id).state == RunState.SUCCEEDED
    second = lora_of(house, run_id)
    assert (second.name, second.version) == (first.name, first.version + 1)
    assert Path(second.path).read_bytes() == Path(first.path).read_bytes()


def test_a_record_whose_pictures_changed_is_not_trained_again(house: House, done: CheckStatusResult) -> None:
    run = runs.get(house.store, done.run_id or "")
    pairs = [{**pair, "mask": "0" * 64} for pair in run.spec["pairs"]]
    with pytest.raises(Refused, match=r"TRN-FINGERPRINT: masks/"):
        read(house.store.workspace.run(run.id) / "dataset", pairs, "zorbik", run.fingerprint or "")


def test_only_trainings_are_trained_again(house: House) -> None:
    other = runs.enqueue(house.store, RunKind.CURATE, {})
    with pytest.raises(BadArgument, match="no training"):
        again.again(house.store, other.id)
    assert again.main(["too few"]) == 2


def test_masks_go_with_the_images_and_make_it_another_training(house: House, done: CheckStatusResult) -> None:
    run = runs.get(house.store, done.run_id or "")
    kept = read(house.store.workspace.run(run.id) / "dataset", run.spec["pairs"], "zorbik", run.fingerprint or "")
    assert [item.mask is None for item in kept.items] == [True] + [False] * 8
    mask = house.store.workspace.dataset(house.dataset.id) / "masks" / "003.png"
    before = mask.read_bytes()
    mask.unlink()
    Image.new("L", (64, 64), 255).save(mask)
    other = house.call("start_training", dataset_id=house.dataset.id, waive=run.waived, **ASKED)
    assert other.run_id != run.id
    house.call("stop_run", run_id=other.run_id)
    mask.write_bytes(before)
    same = house.call("start_training", dataset_id=house.dataset.id, waive=run.waived, **ASKED)
    assert same.run_id == run.id


def test_the_card_tells_how_it_learned_is_used_and_is_trained_again(house: House, done: CheckStatusResult) -> None:
    lora = lora_of(house, done.run_id)
    card = next(Path(one.path) for one in done.artefacts if one.kind == "card").read_text(encoding="utf-8")
    versions = json.loads(lora.meta["loradeck.versions"])
    for said in (
        "- trigger: `zorbik`",
        "- base model: preview",
        f"- fingerprint of what passed: `{lora.fingerprint}`",
        "- goes on from: nothing",
        "Put `zorbik` first in the prompt.",
        "from diffusers import Flux2KleinPipeline",
        "| step | held out | in training | leak | trigger gain |",
        "Best checkpoint: step ",
        f"- loss chart: `{done.run_id}/loss.png`",
        f"- sample grid: `{done.run_id}/samples.png`",
        "- COV-COUNT: a small set is enough to break",
        "- seed: 9",
        "- ema: 0.5",
        "- masked_loss: True",
        f"- torch {versions['torch']}",
        f"python -m loradeck.tools.start_training.again . {done.run_id}",
        f"- SHA-256: `{lora.sha256}`",
    ):
        assert said in card, said


def test_a_lora_that_goes_on_from_another_says_so_on_its_card(house: House, done: CheckStatusResult) -> None:
    parent = lora_of(house, done.run_id)
    child = house.trained(**{**ASKED, "continue_from": parent.id})
    card = next(Path(one.path) for one in child.artefacts if one.kind == "card").read_text(encoding="utf-8")
    assert f"- goes on from: {parent.id}" in card


def test_every_checkpoint_has_its_score_and_the_summary_names_the_best_where_it_is_not_the_last(
    house: House, done: CheckStatusResult
) -> None:
    points = house.store.where(CheckpointRecord, "run_id = ?", [done.run_id], order="step")
    held_out = dict(runs.metric(house.store, done.run_id or "", "held_out_loss"))
    assert [point.score for point in points] == [held_out[point.step] for point in points]
    assert done.result is not None
    assert (f"best checkpoint is step {done.result['best_step']}" in done.summary) == (
        done.result["best_step"] != points[-1].step
    )


def test_the_test_scene_is_among_the_samples_of_the_last_step_alone(house: House, done: CheckStatusResult) -> None:
    scene = scene_of(house.dataset.profile, "zorbik")
    shown = house.store.where(SampleRecord, "run_id = ? and prompt = ?", [done.run_id, scene])
    assert [sample.step for sample in shown] == [6]
    assert Path(shown[0].path).is_file()


def test_every_profile_has_a_test_scene_that_begins_with_the_trigger() -> None:
    scenes = [scene_of(profile.value, "zorbik") for profile in Profile]
    assert len(set(scenes)) == len(scenes)
    assert all(scene.startswith("zorbik, ") for scene in scenes)


def test_the_pipelines_that_cards_name_are_those_of_diffusers(house: House, done: CheckStatusResult) -> None:
    for name, _ in (*usage.PIPELINES.values(), usage.GENERAL, usage.PREVIEW):
        assert hasattr(diffusers, name)
    lora = replace(lora_of(house, done.run_id), preview=False, base_model="flux1-dev", trigger="zorbik")
    told = "\n".join(usage.usage(lora))
    assert "FluxPipeline.from_pretrained" in told
    assert "models/loras" in told
    assert "DiffusionPipeline" in "\n".join(usage.usage(replace(lora, base_model="another")))


def test_a_sparkline_is_as_high_as_its_values() -> None:
    assert sparkline([3.0, 1.0, 2.0]) == "█▁▅"
    assert sparkline([1.0, 1.0]) == "▁▁"


def test_a_run_of_before_keeps_its_record(house: House, done: CheckStatusResult) -> None:
    run = runs.get(house.store, done.run_id or "")
    bare = {key: value for key, value in run.spec.items() if key not in {"asked", "dated"}}
    house.store.change(RunRecord, run.id, spec=bare)
    assert house.call("check_status", run_id=run.id).state == RunState.SUCCEEDED
    assert again.again(house.store, run.id).spec["dated"] == runs.journal_get(house.store, run.id, "started")
    house.store.change(RunRecord, run.id, spec=run.spec)
