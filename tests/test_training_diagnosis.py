"""Diagnoses, each with its condition brought about on purpose; remedies are whole calls."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support import tiny
from support.house import House
from support.reporter import MemoryReporter

from loradeck.engines.base import DatasetFolder
from loradeck.engines.errors import BadWeights, Diverged
from loradeck.engines.local import bases
from loradeck.engines.local.cache import Encoder
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.local.learner import Learner
from loradeck.engines.local.training import Training
from loradeck.tools.check_status.diagnosis import RunFacts, diagnose
from loradeck.tools.contracts import Diagnosis, RunKind, RunState, TrainingPlan


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("diagnosis")


@pytest.fixture(scope="module")
def base(home: Path) -> bases.Base:
    return tiny.base(home / "weights")


@pytest.fixture(scope="module")
def engine(base: bases.Base) -> LocalEngine:
    return LocalEngine({"preview": lambda: base})


@pytest.fixture(scope="module")
def dataset(home: Path) -> DatasetFolder:
    return tiny.dataset(home / "images")


@pytest.fixture(scope="module")
def taught(engine: LocalEngine, dataset: DatasetFolder, home: Path) -> Path:
    """A LoRA that has learned: from it, as from a real base, wrong settings lead away."""
    spec = tiny.spec(home / "taught", steps=60, learning_rate=2e-2, sample_every=1000, advanced={"preservation": 0})
    return engine.train(spec, dataset, MemoryReporter()).lora_path


def plan(**changes: Any) -> TrainingPlan:
    numbers = {
        "engine": "local", "base_model": "preview", "images": 9, "steps": 100, "passes_over_set": 1.0, "rank": 16,
        "alpha": 16.0, "learning_rate": 1e-2, "batch_size": 2, "resolution": 32, "seed": 1, "checkpoint_every": 25,
        "sample_every": 25, "sample_prompts": [],
    }  # fmt: skip
    return TrainingPlan.model_validate({**numbers, **changes})


def facts_at(reporter: MemoryReporter, step: int, steps: int, **more: Any) -> RunFacts:
    """What was known of a training once it had done so many steps; running unless it is said to have ended."""

    def until(name: str) -> list[tuple[int, float]]:
        return [point for point in reporter.series(name) if point[0] <= step]

    facts = RunFacts("run_1", RunState.RUNNING, "", dataset_id="ds_1", step=step, steps=steps, plan=plan(steps=steps))
    curves = {"held_out": "held_out_loss", "in_train": "in_train_loss"}
    same = ("grad_norm", "lora_norm", "sample_brightness")
    return replace(
        facts,
        **{field: until(name) for field, name in {**curves, **dict(zip(same, same, strict=True))}.items()},
        set_brightness=dict(reporter.series("image_brightness"))[0],
        **more,
    )


def what(facts: RunFacts) -> list[str]:
    return [found.what for found in diagnose(facts)]


def only(facts: RunFacts) -> Diagnosis:
    (found,) = diagnose(facts)
    return found


# --------------------------------------------------------------------------- with the real engine


def test_a_learning_rate_a_hundred_times_too_high_is_told_at_the_first_look(
    engine: LocalEngine, dataset: DatasetFolder, taught: Path, tmp_path: Path
) -> None:
    reporter = MemoryReporter()
    spec = tiny.spec(tmp_path, steps=20, learning_rate=1.0, sample_every=1000, warm_start=taught)
    engine.train(spec, dataset, reporter)
    first_look = next(step for step, _ in reporter.series("in_train_loss") if step)
    assert first_look <= 3
    for step in (4, 12):
        found = only(facts_at(reporter, step, 20, asked={"steps": 20}))
        assert found.what == "The training diverges"
        assert "before the first step and is" in found.why
        assert found.remedy == (
            'stop_run(run_id="run_1"), then start_training(steps=20, dataset_id="ds_1", learning_rate=1.0e-03)'
        )


def test_a_learning_rate_that_teaches_nothing_is_told_at_half_time(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path
) -> None:
    reporter = MemoryReporter()
    engine.train(tiny.spec(tmp_path, learning_rate=1e-7, sample_every=1000), dataset, reporter)
    assert what(facts_at(reporter, 3, 8)) == []
    found = only(facts_at(reporter, 5, 8))
    assert found.what == "The held-out loss does not fall (TRN-LOSS)"
    assert 'write_captions), then stop_run(run_id="run_1"), then start_training(' in found.remedy
    assert "learning_rate=2.0e-02)." in found.remedy


def test_a_sound_training_is_told_nothing(engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path) -> None:
    reporter = MemoryReporter()
    spec = tiny.spec(tmp_path, steps=40, learning_rate=1e-2, sample_every=1000)
    engine.train(spec, dataset, reporter)
    for step in range(4, 41, 4):
        assert what(facts_at(reporter, step, 40)) == []
    assert what(facts_at(reporter, 40, 40, state=RunState.SUCCEEDED)) == []


@pytest.mark.slow
def test_over_fitting_on_three_images_is_told_with_the_step_it_began_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the preview base, which knows its world: a random one has too much to learn to over-fit."""
    monkeypatch.setattr(Training, "_show", lambda self, step: None)
    monkeypatch.setattr(Training, "_sample_paths", lambda self, step: [])
    preview = bases.preview()
    reporter = MemoryReporter()
    spec = tiny.spec(
        tmp_path / "run", steps=60, batch_size=1, rank=16, alpha=16.0, learning_rate=3e-3,
        resolution=preview.resolution,
        advanced={"held_out": 2, "preservation": 0, "schedule": "constant", "threads": 1},
    )  # fmt: skip
    LocalEngine({"preview": lambda: preview}).train(spec, tiny.dataset(tmp_path / "images", 5), reporter)
    found = only(facts_at(reporter, 45, 45))
    assert found.what == "The held-out loss rises: over-fitting (TRN-CONVERGED)"
    lowest = min(reporter.series("held_out_loss"), key=lambda point: point[1])[0]
    assert 0 < lowest < 45
    assert found.remedy.endswith(f"steps={lowest})")
    in_train = reporter.series("in_train_loss")
    assert in_train[-1][1] < in_train[0][1]


@pytest.mark.slow
def test_a_lora_that_runs_away_is_told_with_half_the_rank(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path
) -> None:
    reporter = MemoryReporter()
    options = {"preservation": 0, "warmup_steps": 400, "schedule": "constant"}
    spec = tiny.spec(tmp_path, steps=128, rank=32, learning_rate=0.3, sample_every=1000, advanced=options)
    engine.train(spec, dataset, reporter)
    found = only(facts_at(reporter, 128, 128))
    assert found.what == "The LoRA grows without settling: renders may show artefacts"
    assert found.remedy == 'stop_run(run_id="run_1"), then start_training(dataset_id="ds_1", rank=8)'


def test_latents_that_hold_no_numbers_end_the_run_with_a_diagnosis(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Encoder.encode

    def poisoned(self: Encoder, *given: Any) -> Any:
        encoded = honest(self, *given)
        return replace(encoded, latents=tuple(latent * float("nan") for latent in encoded.latents))

    monkeypatch.setattr(Encoder, "encode", poisoned)
    with pytest.raises(Diverged, match="The loss became nan at step 1") as told:
        engine.train(tiny.spec(tmp_path), dataset, MemoryReporter())
    failed = RunFacts("run_1", RunState.FAILED, "", dataset_id="ds_1", plan=plan(), error=str(told.value))
    found = only(replace(failed, error_kind="Diverged"))
    assert found.what == "The training diverged (TRN-FINITE)"
    assert found.remedy == 'start_training(dataset_id="ds_1", learning_rate=3.3e-03)'


def test_a_lora_of_another_base_is_told_with_a_call_that_does_without(dataset: DatasetFolder, tmp_path: Path) -> None:
    wide, narrow = (tiny.base(tmp_path / f"weights{heads}", heads=heads) for heads in (3, 2))
    made = LocalEngine({"preview": lambda: wide}).train(
        tiny.spec(tmp_path / "one", steps=1, sample_every=1000), dataset, MemoryReporter()
    )
    with pytest.raises(BadWeights) as told:
        LocalEngine({"preview": lambda: narrow}).train(
            tiny.spec(tmp_path / "two", warm_start=made.lora_path), dataset, MemoryReporter()
        )
    failed = RunFacts("run_1", RunState.FAILED, "", error=str(told.value), error_kind="BadWeights", dataset_id="ds_1")
    training = replace(
        failed, plan=plan(continue_from="lora_1"), asked={"dataset_id": "ds_1", "continue_from": "lora_1", "seed": 3}
    )
    assert only(training).remedy == 'start_training(dataset_id="ds_1", seed=3) trains afresh.'
    assert "does not load" in only(training).what
    render = replace(failed, kind=RunKind.RENDER, base_model="flux2-dev")
    assert only(render).remedy.startswith('list_loras(base_model="flux2-dev")')
    assert what(replace(failed, plan=plan())) == [], "without a LoRA to start from it is something else"


@pytest.fixture
def house(engine: LocalEngine, tmp_path: Path) -> House:
    return House(tmp_path / "home", engine)


def test_memory_that_runs_out_is_told_with_a_call_that_keeps_what_was_asked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(self: Learner, step: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr(Learner, "step", greedy)
    status = house.trained(steps=4, seed=5, batch_size=2)
    assert status.state == RunState.FAILED
    found = status.diagnosis[0]
    assert found.what == "Out of memory"
    assert found.remedy.startswith(f'start_training(dataset_id="{house.dataset.id}", steps=4, seed=5, waive=[{{')
    assert found.remedy.endswith("batch_size=1)")
    assert status.next_step == found.remedy


def test_a_look_that_hardly_took_is_told_at_the_end_with_a_strength_and_more_steps(house: House) -> None:
    status = house.trained(steps=12, learning_rate=8e-3, advanced={"schedule": "constant"})
    assert status.state == RunState.SUCCEEDED
    (found,) = [one for one in status.diagnosis if one.what == "The look may be weak"]
    lora = status.result["lora"]["lora_id"] if status.result else ""
    assert f'"lora_id": "{lora}", "strength": 1.5' in found.remedy
    assert "steps=24)" in found.remedy
    assert "then rank=8" in found.remedy


def test_dark_samples_of_a_set_that_is_not_dark_are_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Training._pictures
    monkeypatch.setattr(Training, "_pictures", lambda *given: [p.point(lambda v: v // 9) for p in honest(*given)])
    status = house.trained(steps=8)
    (found,) = [one for one in status.diagnosis if one.what == "Samples are too dark"]
    assert "guidance=2.5" in found.remedy
    assert "#1a1a1a" in found.remedy


# --------------------------------------------------------------------------- facts alone


def test_only_weights_that_run_away_while_nothing_is_gained_are_told() -> None:
    growing = RunFacts(
        "run_1", RunState.SUCCEEDED, "", dataset_id="ds_1", step=100, steps=100, plan=plan(),
        held_out=[(0, 1.0), (50, 0.8), (100, 0.8)], in_train=[(0, 1.0), (100, 0.7)],
        grad_norm=[(step, 0.1 if step < 60 else 0.4) for step in range(1, 101)],
        lora_norm=[(0, 0.0), (50, 3.0), (100, 9.0)],
    )  # fmt: skip
    found = only(growing)
    assert found.remedy == 'start_training(dataset_id="ds_1", rank=8)'
    assert "from 3 to 9" in found.why
    assert "the gradient norm rose from 0.1 to 0.4" in found.why
    alike = only(replace(growing, asked={"rank": 16, "alpha": 32.0}, plan=plan(alpha=32.0)))
    assert alike.remedy == 'start_training(dataset_id="ds_1", rank=8, alpha=16.0)'
    assert what(replace(growing, held_out=[(0, 1.0), (50, 0.8), (100, 0.7)])) == []
    assert what(replace(growing, lora_norm=[(0, 0.0), (50, 4.5), (100, 9.0)])) == []


def test_a_night_set_may_have_dark_samples() -> None:
    dark = RunFacts("run_1", RunState.RUNNING, "", sample_brightness=[(0, 90.0), (50, 30.0)], set_brightness=120.0)
    assert what(dark) == ["Samples are too dark"]
    assert what(replace(dark, set_brightness=35.0)) == []
    assert what(replace(dark, sample_brightness=[(0, 30.0)])) == [], "the base's own picture says nothing of the LoRA"


def test_the_gravest_is_told_alone_of_what_the_curves_say() -> None:
    rising = [(0, 1.0), (20, 0.7), (60, 1.2)]
    both = RunFacts("run_1", RunState.RUNNING, "", step=60, steps=100, held_out=rising, in_train=rising)
    assert what(both) == ["The training diverges"]
    assert what(replace(both, in_train=[(0, 1.0), (60, 0.5)])) == [
        "The held-out loss rises: over-fitting (TRN-CONVERGED)"
    ]
