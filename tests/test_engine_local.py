"""The local engine's trainings: resume, cancel, divergence, warm start, what is measured, what is refused."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support import tiny
from support.reporter import Crash, MemoryReporter

from loradeck.engines import files
from loradeck.engines.base import DatasetFolder, DrawRequest, TrainResult
from loradeck.engines.errors import BadSpec, BadWeights, CannotWrite, Diverged, NotInstalled, OutOfMemory
from loradeck.engines.local import bases, checkpoint, preview, training
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.local.heldout import Yardstick
from loradeck.engines.local.learner import Learner, Outcome
from loradeck.packages import how_to_install


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("local")


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
def whole(engine: LocalEngine, dataset: DatasetFolder, home: Path) -> tuple[TrainResult, MemoryReporter]:
    """One uninterrupted training."""
    reporter = MemoryReporter()
    return engine.train(tiny.spec(home / "run"), dataset, reporter), reporter


def same_weights(first: Path, second: Path) -> bool:
    one, two = load_file(first), load_file(second)
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


@pytest.mark.parametrize("drawing", [4, 8])
def test_a_training_killed_while_it_draws_samples_draws_them_when_it_goes_on(
    drawing: int,
    engine: LocalEngine,
    dataset: DatasetFolder,
    whole: tuple[TrainResult, MemoryReporter],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = training.pictures.write_png

    def killed(picture: Image.Image, path: Path, notes: dict[str, str]) -> None:
        if path.name.startswith(f"step-{drawing:06d}"):
            raise Crash
        honest(picture, path, notes)

    first = MemoryReporter()
    monkeypatch.setattr(training.pictures, "write_png", killed)
    with pytest.raises(Crash):
        engine.train(tiny.spec(tmp_path, checkpoint_every=4), dataset, first)
    monkeypatch.undo()
    again = MemoryReporter(first.journal)
    result = engine.train(tiny.spec(tmp_path, checkpoint_every=4), dataset, again)
    assert [step for step, _, _ in again.samples] == [step for step in (4, 8) if step >= drawing]
    assert all(path.is_file() for _, path, _ in again.samples)
    assert same_weights(result.lora_path, whole[0].lora_path)


def test_a_checkpoint_that_a_kill_kept_from_being_told_is_told_when_it_goes_on(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path
) -> None:
    class Dying(MemoryReporter):
        def checkpoint(self, step: int, path: Path, sha256: str) -> None:
            raise Crash

    first = Dying()
    with pytest.raises(Crash):
        engine.train(tiny.spec(tmp_path, checkpoint_every=4), dataset, first)
    again = MemoryReporter(first.journal)
    engine.train(tiny.spec(tmp_path, checkpoint_every=4), dataset, again)
    assert [step for step, _, _ in again.checkpoints] == [4, 8]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    engine: LocalEngine, dataset: DatasetFolder, whole: tuple[TrainResult, MemoryReporter], tmp_path: Path
) -> None:
    torch.manual_seed(99)  # nothing hangs on the process's own generator
    again = engine.train(tiny.spec(tmp_path / "same"), dataset, MemoryReporter())
    other = engine.train(tiny.spec(tmp_path / "other", seed=8), dataset, MemoryReporter())
    assert same_weights(again.lora_path, whole[0].lora_path)
    assert not same_weights(other.lora_path, whole[0].lora_path)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_broken_newest_checkpoint_is_passed_over_for_the_one_before(
    damage: str,
    engine: LocalEngine,
    dataset: DatasetFolder,
    whole: tuple[TrainResult, MemoryReporter],
    tmp_path: Path,
) -> None:
    first = MemoryReporter(crash_at=7)
    with pytest.raises(Crash):
        engine.train(tiny.spec(tmp_path), dataset, first)
    newest = checkpoint.state_path(tmp_path / "checkpoints", 6)
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        newest.write_bytes(content[: len(content) // 2])
    else:
        content[-3] ^= 1
        newest.write_bytes(content)
    again = MemoryReporter(first.journal)
    result = engine.train(tiny.spec(tmp_path), dataset, again)
    assert again.events[:2] == [
        ("warning", "The state of the checkpoint at step 6 is not as it was written and was passed over."),
        ("info", "Going on from the checkpoint at step 3."),
    ]
    assert same_weights(result.lora_path, whole[0].lora_path)


def test_when_all_checkpoints_are_broken_the_training_starts_again_and_says_so(
    engine: LocalEngine, dataset: DatasetFolder, whole: tuple[TrainResult, MemoryReporter], tmp_path: Path
) -> None:
    first = MemoryReporter(crash_at=7)
    with pytest.raises(Crash):
        engine.train(tiny.spec(tmp_path), dataset, first)
    for step in (3, 6):
        path = checkpoint.state_path(tmp_path / "checkpoints", step)
        path.write_bytes(path.read_bytes()[:-1])
    again = MemoryReporter(first.journal)
    result = engine.train(tiny.spec(tmp_path), dataset, again)
    level, told = again.events[0]
    assert level == "warning"
    assert re.search(r"at steps 6 and 3 are not as they were written.*starts again from the beginning", told)
    assert same_weights(result.lora_path, whole[0].lora_path)


def test_a_later_state_that_was_passed_over_never_pushes_out_a_whole_one(tmp_path: Path) -> None:
    for step in (1, 3, 6, 4):
        checkpoint.state_path(tmp_path, step).touch()
    checkpoint.drop_old(tmp_path, 4)  # the training had gone back from 6 to 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000003.state", "step-000004.state"]


def test_a_file_that_does_not_read_back_as_written_never_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "step-000006.state"
    assert files.write_proved(path, b"whole") == hashlib.sha256(b"whole").hexdigest()
    honest = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda self, data: honest(self, data[:-1]))
    with pytest.raises(CannotWrite, match=r"step-000006\.state was written, and the disk gave back other bytes"):
        files.write_proved(path, b"newer")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [(path.name, b"whole")]


def test_checkpoints_of_other_settings_are_refused(engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path) -> None:
    first = MemoryReporter(crash_at=4)
    with pytest.raises(Crash):
        engine.train(tiny.spec(tmp_path), dataset, first)
    with pytest.raises(BadSpec, match="other settings"):
        engine.train(tiny.spec(tmp_path, learning_rate=1e-3), dataset, MemoryReporter(first.journal))
    changed = replace(dataset, fingerprint="another")
    with pytest.raises(BadSpec, match="other settings or images"):
        engine.train(tiny.spec(tmp_path), changed, MemoryReporter(first.journal))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_and_the_last_checkpoint_stands(
    value: float, engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRN-FINITE."""
    honest = Learner.step

    def spoiled(self: Learner, step: int) -> Outcome:
        return replace(honest(self, step), loss=torch.tensor(value)) if step == 6 else honest(self, step)

    monkeypatch.setattr(Learner, "step", spoiled)
    reporter = MemoryReporter()
    with pytest.raises(Diverged, match=r"at step 7; .* lower learning_rate"):
        engine.train(tiny.spec(tmp_path), dataset, reporter)
    assert [step for step, _, _ in reporter.checkpoints] == [3, 6]
    assert all(path.is_file() for _, path, _ in reporter.checkpoints)
    assert reporter.series("loss")[-1][0] == 6


def test_checkpoints_are_loras_with_the_hash_that_was_told(whole: tuple[TrainResult, MemoryReporter]) -> None:
    result, reporter = whole
    assert [step for step, _, _ in reporter.checkpoints] == [3, 6, 8]
    assert all(files.sha256_file(path) == told for _, path, told in reporter.checkpoints)
    assert same_weights(reporter.checkpoints[-1][1], result.lora_path)
    assert not same_weights(reporter.checkpoints[0][1], result.lora_path)


def test_only_the_last_two_states_are_kept(home: Path, whole: tuple[TrainResult, MemoryReporter]) -> None:
    assert whole[0].steps == 8
    states = sorted(path.name for path in (home / "run" / "checkpoints").glob("*.state"))
    assert states == ["step-000006.state", "step-000008.state"]


def test_numbers_of_every_step_are_told_once_and_in_order(whole: tuple[TrainResult, MemoryReporter]) -> None:
    reporter = whole[1]
    for name in ("loss", "grad_norm", "learning_rate", "step_seconds", "preservation_loss"):
        steps = [step for step, _ in reporter.series(name)]
        assert steps == sorted(set(steps)), name
    assert [step for step, _ in reporter.series("learning_rate")] == list(range(1, 9))


def test_the_held_out_loss_is_measured_from_the_start_to_the_end(whole: tuple[TrainResult, MemoryReporter]) -> None:
    result, reporter = whole
    series = reporter.series("held_out_loss")
    assert [series[0][0], series[-1][0]] == [0, 8]
    assert (result.held_out_first, result.held_out_last) == (series[0][1], series[-1][1])
    assert [step for step, _ in reporter.series("in_train_loss")] == [step for step, _ in series]


def test_measuring_leaves_chance_alone(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    honest = Yardstick.measure

    def watched(self: Yardstick) -> dict[str, float]:
        before = torch.get_rng_state()
        values = honest(self)
        seen.append(torch.equal(before, torch.get_rng_state()) and values == honest(self))
        return values

    monkeypatch.setattr(Yardstick, "measure", watched)
    engine.train(tiny.spec(tmp_path, steps=2), dataset, MemoryReporter())
    assert seen
    assert all(seen)


def test_held_out_images_are_not_trained_on_whatever_their_order(dataset: DatasetFolder) -> None:
    learn, held = training.material.split(dataset.items, None)
    turned_learn, turned_held = training.material.split(dataset.items[::-1], None)
    assert len(held) == 1  # one for every eight
    assert held == turned_held
    assert {item.sha256 for item in learn} == {item.sha256 for item in turned_learn}
    assert not {item.sha256 for item in held} & {item.sha256 for item in learn}
    assert training.material.split(dataset.items[:5], None)[1] == []


def test_samples_are_pngs_of_the_fixed_prompts_and_seeds(whole: tuple[TrainResult, MemoryReporter]) -> None:
    samples = whole[1].samples
    assert [step for step, _, _ in samples] == [0, 4, 8]
    seeds = set()
    for _, path, prompt in samples:
        with Image.open(path) as picture:
            assert picture.format == "PNG"
            assert picture.info["prompt"] == prompt == "zorvex, a red disc"
            seeds.add(picture.info["seed"])
    assert len(seeds) == 1


def test_latents_and_text_are_encoded_once(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = MemoryReporter(crash_at=1)
    with pytest.raises(Crash):
        engine.train(tiny.spec(tmp_path), dataset, first)

    def forbidden(*_: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr("loradeck.engines.local.families.klein.Klein.encode_images", forbidden)
    monkeypatch.setattr("loradeck.engines.local.families.klein.Klein.encode_prompts", forbidden)
    engine.train(tiny.spec(tmp_path), dataset, MemoryReporter(first.journal))
    with pytest.raises(AssertionError, match="encoded again"):
        engine.train(tiny.spec(tmp_path / "other", trigger="disc"), dataset, MemoryReporter())


def test_a_warm_start_begins_where_the_other_lora_ended(
    engine: LocalEngine, dataset: DatasetFolder, whole: tuple[TrainResult, MemoryReporter], tmp_path: Path
) -> None:
    result, reporter = whole
    warm = tiny.spec(tmp_path, warm_start=result.lora_path, rank=6, alpha=3.0, steps=1, learning_rate=1e-7)
    again = MemoryReporter()
    engine.train(warm, dataset, again)
    ended = reporter.series("held_out_loss")[-1][1]
    assert again.series("held_out_loss")[0][1] == pytest.approx(ended, abs=1e-5)
    assert reporter.series("held_out_loss")[0][1] != pytest.approx(ended, abs=1e-4)


def test_a_warm_start_from_a_higher_rank_is_refused_with_the_rank_to_ask_for(
    engine: LocalEngine, dataset: DatasetFolder, whole: tuple[TrainResult, MemoryReporter], tmp_path: Path
) -> None:
    spec = tiny.spec(tmp_path, warm_start=whole[0].lora_path, rank=2)
    with pytest.raises(BadSpec, match="set rank to 4 or more"):
        engine.check(spec)
    reporter = MemoryReporter()
    with pytest.raises(BadSpec, match="set rank to 4 or more"):
        engine.train(spec, dataset, reporter)
    assert reporter.steps == []
    assert engine.check(replace(spec, rank=4)) == []


def test_a_warm_start_from_a_lora_of_the_base_before_an_upgrade_is_refused(
    dataset: DatasetFolder, whole: tuple[TrainResult, MemoryReporter], tmp_path: Path
) -> None:
    upgraded = LocalEngine({"preview": lambda: tiny.base(tmp_path / "weights", seed=1)})
    spec = tiny.spec(tmp_path / "run", warm_start=whole[0].lora_path)
    with pytest.raises(BadWeights, match=r"earlier preview base.*without continue_from"):
        upgraded.check(spec)
    with pytest.raises(BadWeights, match=r"earlier preview base.*without continue_from"):
        upgraded.train(spec, dataset, MemoryReporter())


def test_a_warm_start_from_a_missing_file_is_refused_and_checked_alike(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path
) -> None:
    spec = tiny.spec(tmp_path, warm_start=tmp_path / "gone.safetensors")
    with pytest.raises(BadWeights, match=r"gone\.safetensors"):
        engine.train(spec, dataset, MemoryReporter())
    with pytest.raises(BadWeights, match=r"gone\.safetensors"):
        engine.check(spec)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 of another format", (9).to_bytes(8, "little") + b'{"a.lora'])
def test_a_warm_start_from_a_file_that_is_no_lora_is_refused_before_work(
    content: bytes, engine: LocalEngine, tmp_path: Path
) -> None:
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadWeights, match=r"other\.safetensors, is not a whole \.safetensors file"):
        engine.check(tiny.spec(tmp_path, warm_start=path))


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """The system refuses to write more than `size` bytes to a file, as a full disk does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_while_the_images_are_encoded_is_a_sentence_and_the_run_starts_later(
    engine: LocalEngine, dataset: DatasetFolder, whole: tuple[TrainResult, MemoryReporter], tmp_path: Path
) -> None:
    reporter = MemoryReporter()
    with no_file_above(512), pytest.raises(CannotWrite, match="free some room"):
        engine.train(tiny.spec(tmp_path), dataset, reporter)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    result = engine.train(tiny.spec(tmp_path), dataset, MemoryReporter(reporter.journal))
    assert same_weights(result.lora_path, whole[0].lora_path)


def test_memory_that_runs_out_is_told_with_a_remedy(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(self: Learner, step: int) -> Outcome:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Learner, "step", greedy)
    with pytest.raises(OutOfMemory, match="new training with batch_size 1, then rank 8"):
        engine.train(tiny.spec(tmp_path), dataset, MemoryReporter())


def test_an_unreadable_training_image_is_named(engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(dataset.items[0].image.read_bytes()[:60])
    items = (*dataset.items[1:], replace(dataset.items[0], image=broken))
    with pytest.raises(BadSpec, match=r"broken\.png"):
        engine.train(tiny.spec(tmp_path / "run"), replace(dataset, items=items), MemoryReporter())


def test_an_empty_dataset_is_refused(engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match="no image"):
        engine.train(tiny.spec(tmp_path), replace(dataset, items=()), MemoryReporter())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"advanced": {"preservatoin": 1}}, "did you mean 'preservation'"),
        ({"advanced": {"schedule": "steep"}}, "constant, cosine"),
        ({"advanced": {"held_out": -1}}, "0 to 20"),
        ({"advanced": {"threads": True}}, "whole number"),
        ({"resolution": 512}, "set resolution to 32"),
        ({"rank": 0}, "rank must be from 1"),
        ({"learning_rate": 3.0}, "learning_rate must be"),
        ({"steps": 0}, "steps must be"),
    ],
)
def test_a_spec_out_of_bounds_is_refused_and_checked_alike(
    changes: dict[str, object], told: str, engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path
) -> None:
    spec = tiny.spec(tmp_path, **changes)
    with pytest.raises(BadSpec, match=told):
        engine.train(spec, dataset, MemoryReporter())
    with pytest.raises(BadSpec, match=told):
        engine.check(spec)


def test_switching_preservation_off_is_told(engine: LocalEngine, tmp_path: Path) -> None:
    assert "trigger" in engine.check(tiny.spec(tmp_path, advanced={"preservation": 0}))[0]


def test_steps_grow_a_little_with_the_set(base: bases.Base) -> None:
    engine = LocalEngine({"preview": lambda: replace(base, recipe=bases.Recipe(steps=200, images=40))})
    few, some, many = (engine.defaults("preview", count, "style").steps for count in (10, 40, 400))
    assert few < some < many <= 1.5 * some


def test_an_estimate_counts_steps_and_pictures(engine: LocalEngine, tmp_path: Path) -> None:
    short, long = (engine.estimate(tiny.spec(tmp_path, steps=steps)) for steps in (10, 1000))
    assert short.minutes is not None
    assert long.minutes is not None
    assert long.minutes > short.minutes > 0
    assert (short.usd, short.vram_gb) == (0.0, 0.0)
    jobs = tuple(tiny.job(tmp_path / f"{i}.png") for i in range(3))
    drawing = engine.estimate(DrawRequest("preview", jobs))
    jobs[0].out.write_bytes(b"there")
    rest = engine.estimate(DrawRequest("preview", jobs))
    assert drawing.minutes is not None
    assert rest.minutes is not None
    assert rest.minutes < drawing.minutes


def test_missing_packages_are_named_with_the_way_to_get_them(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loradeck.engines.local.engine.find_spec", lambda name: None if name == "peft" else object())
    ready = engine.available()
    assert not ready.ready
    assert "peft" in ready.why
    assert how_to_install(["peft"]) in ready.fix
    with pytest.raises(NotInstalled, match="peft"):
        engine.train(tiny.spec(tmp_path), dataset, MemoryReporter())


@pytest.mark.parametrize(
    ("file", "told"),
    [("diffusion_pytorch_model.safetensors", "not complete: vae/diffusion"), ("config.json", "missing or broken")],
)
def test_broken_weights_are_told(file: str, told: str, dataset: DatasetFolder, tmp_path: Path) -> None:
    base = tiny.base(tmp_path / "weights")
    (tmp_path / "weights" / "vae" / file).write_bytes(b"cut short")
    with pytest.raises(NotInstalled, match=told):
        LocalEngine({"preview": lambda: base}).train(tiny.spec(tmp_path / "run"), dataset, MemoryReporter())


@pytest.mark.parametrize(
    "file",
    [
        "model_index.json",
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer.json",
        "text_encoder/model.safetensors",
        "transformer/config.json",
        "transformer/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    ],
)
def test_a_card_without_weights_is_not_installed(
    file: str, dataset: DatasetFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(preview.WEIGHTS, weights)
    monkeypatch.setattr(preview, "WEIGHTS", weights)
    engine = LocalEngine({"preview": bases.preview})
    assert engine.available().ready
    (weights / file).write_bytes(b"")
    assert not engine.available().ready
    (weights / file).unlink()
    ready = engine.available()
    assert not ready.ready
    folder = file.partition("/")[0]
    assert re.search(rf"the preview base is not complete: {folder}\S* missing or empty", ready.why)
    assert "Install loradeck again" in ready.fix
    with pytest.raises(NotInstalled, match=folder):
        engine.train(tiny.spec(tmp_path / "run", resolution=bases.preview().resolution), dataset, MemoryReporter())


def test_a_package_without_its_card_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> dict[str, object]:
        raise FileNotFoundError

    monkeypatch.setattr("loradeck.engines.local.preview.card", missing)
    with pytest.raises(NotInstalled, match="install loradeck again"):
        bases.preview()
    assert not LocalEngine({"preview": bases.preview}).available().ready


def test_a_recipe_is_read_from_the_card_and_notes_are_left_alone() -> None:
    facts = {"steps": 120, "learning_rate": 2e-3, "batch": 6, "preservation_weight": 3.0, "note": "measured"}
    recipe = bases.read_recipe(facts)
    assert (recipe.steps, recipe.learning_rate, recipe.batch_size) == (120, 2e-3, 6)
    assert recipe.advanced == {"preservation": 3.0}


def test_the_preview_base_reads_its_own_card() -> None:
    base = bases.preview()
    facts = json.loads((base.weights / "card.json").read_text(encoding="utf-8"))
    assert [list(size) for size in base.sizes] == facts["sizes"]
    assert base.max_tokens == facts["render"]["max_sequence_length"]
    assert base.preview
