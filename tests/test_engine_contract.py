"""What every engine promises (`engines/base.py`), run on each of them. A new engine adds a `Case` to `CASES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support import tiny
from support.reporter import Crash, MemoryReporter

from loradeck.engines.base import DatasetFolder, DrawRequest, EditRequest, Engine, LoraRef, TrainSpec
from loradeck.engines.errors import BadSpec, Cancelled, EngineError
from loradeck.engines.local import bases
from loradeck.engines.local.engine import LocalEngine


@dataclass(frozen=True)
class Case:
    """One engine with work for it: `spec` trains in `folder`, `request` draws into it with the LoRAs given."""

    engine: Engine
    spec: Callable[[Path], TrainSpec]
    dataset: DatasetFolder
    request: Callable[[Path, tuple[LoraRef, ...]], DrawRequest]


def local_case(folder: Path) -> Case:
    base = tiny.base(folder / "weights")

    def request(out: Path, loras: tuple[LoraRef, ...]) -> DrawRequest:
        sizes = ((64, 64), (160, 90), (48, 96))
        jobs = tuple(tiny.job(out / f"{i}.png", f"disc {i}", i, *size) for i, size in enumerate(sizes))
        return DrawRequest("preview", jobs, loras)

    return Case(LocalEngine({"preview": lambda: base}), tiny.spec, tiny.dataset(folder / "images"), request)


CASES: dict[str, Callable[[Path], Case]] = {"local": local_case}


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return CASES[request.param](tmp_path_factory.mktemp(request.param))


@dataclass(frozen=True)
class Trained:
    folder: Path
    reporter: MemoryReporter
    lora: LoraRef


@pytest.fixture(scope="module")
def trained(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """One uninterrupted training that several tests look at."""
    folder, reporter = tmp_path_factory.mktemp("whole"), MemoryReporter()
    result = case.engine.train(case.spec(folder), case.dataset, reporter)
    return Trained(folder, reporter, LoraRef(result.lora_path, 1.0, result.sha256, result.base_model))


def weights(path: Path) -> dict[str, bytes]:
    """The tensors of a LoRA file as bytes, whatever its metadata says."""
    from safetensors.numpy import load_file

    return {key: value.tobytes() for key, value in load_file(path).items()}


def recipe_of(engine: Engine, spec: TrainSpec, images: int = 30) -> TrainSpec:
    """The spec with the engine's own numbers, as a caller gets it who names none."""
    own = engine.defaults(spec.base_model, images, spec.profile)
    return replace(
        spec,
        steps=own.steps,
        rank=own.rank,
        alpha=own.alpha,
        learning_rate=own.learning_rate,
        batch_size=own.batch_size,
        resolution=own.resolution,
    )


def test_it_says_what_it_can_do_without_work(case: Case) -> None:
    assert isinstance(case.engine, Engine)
    spec = case.spec(Path("nowhere"))
    base = case.engine.capabilities.base(spec.base_model)
    assert base is not None
    assert {"train", "draw"} <= base.abilities
    assert case.engine.available().ready


def test_its_own_recipe_passes_its_own_check(case: Case) -> None:
    spec = case.spec(Path("nowhere"))
    own = recipe_of(case.engine, spec)
    assert own.steps > 0
    assert case.engine.check(own) == []
    assert case.engine.estimate(own).usd is not None


@pytest.mark.parametrize("name", bases.shipped())
@pytest.mark.parametrize("images", [8, 40, 1000])
def test_the_recipe_of_every_shipped_base_passes_for_small_and_large_sets(name: str, images: int) -> None:
    engine, base = LocalEngine(bases.shipped()), bases.shipped()[name]()
    spec = tiny.spec(Path("nowhere"), base_model=name, advanced=dict(base.recipe.advanced))
    assert engine.check(recipe_of(engine, spec, images)) == []


def test_training_leaves_a_lora_and_tells_its_story(case: Case, trained: Trained) -> None:
    reporter = trained.reporter
    steps = case.spec(trained.folder).steps
    assert trained.lora.path.suffix == ".safetensors"
    assert reporter.steps[-1][:2] == (steps, steps)
    assert [step for step, _ in reporter.series("loss")] == list(range(1, steps + 1))
    assert all(path.is_file() for _, path, _ in [*reporter.checkpoints, *reporter.samples])
    assert reporter.checkpoints[-1][0] == steps
    assert reporter.events


@pytest.mark.parametrize("step", [1, 4, 7])
def test_a_training_killed_at_any_step_ends_in_the_same_weights(
    case: Case, trained: Trained, step: int, tmp_path: Path
) -> None:
    first = MemoryReporter(crash_at=step)
    with pytest.raises(Crash):
        case.engine.train(case.spec(tmp_path), case.dataset, first)
    again = MemoryReporter(first.journal)
    result = case.engine.train(case.spec(tmp_path), case.dataset, again)
    assert weights(result.lora_path) == weights(trained.lora.path)
    held_out = [step for step, _ in first.series("loss")] + [step for step, _ in again.series("loss")]
    assert set(held_out) == set(range(1, case.spec(tmp_path).steps + 1))


def test_a_finished_training_called_again_trains_nothing(case: Case, trained: Trained) -> None:
    again = MemoryReporter(trained.reporter.journal)
    result = case.engine.train(case.spec(trained.folder), case.dataset, again)
    assert result.lora_path == trained.lora.path
    assert result.sha256 == trained.lora.sha256
    assert again.numbers == []


def test_a_cancelled_training_keeps_what_was_done_and_can_go_on(case: Case, trained: Trained, tmp_path: Path) -> None:
    first = MemoryReporter(cancel_at=5)
    with pytest.raises(Cancelled):
        case.engine.train(case.spec(tmp_path), case.dataset, first)
    assert first.checkpoints[-1][0] == 5
    assert first.checkpoints[-1][1].is_file()
    again = MemoryReporter(first.journal)
    result = case.engine.train(case.spec(tmp_path), case.dataset, again)
    assert min(step for step, _ in again.series("loss")) == 6
    assert weights(result.lora_path) == weights(trained.lora.path)


def test_pictures_have_the_size_asked_for_and_come_in_order(case: Case, trained: Trained, tmp_path: Path) -> None:
    request = case.request(tmp_path, (trained.lora,))
    result = case.engine.draw(request, MemoryReporter())
    assert [picture.job_id for picture in result.pictures] == [job.id for job in request.jobs]
    assert [(picture.width, picture.height) for picture in result.pictures] == [
        (job.width, job.height) for job in request.jobs
    ]
    assert all(picture.path.is_file() for picture in result.pictures)


def test_drawing_twice_draws_nothing_new(case: Case, tmp_path: Path) -> None:
    request = case.request(tmp_path, ())
    first = case.engine.draw(request, MemoryReporter())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert case.engine.draw(request, MemoryReporter()) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_a_cancelled_drawing_keeps_its_pictures_and_goes_on(case: Case, tmp_path: Path) -> None:
    request = case.request(tmp_path, ())
    with pytest.raises(Cancelled):
        case.engine.draw(request, MemoryReporter(cancel_at=1))
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.png")}
    assert 0 < len(done) < len(request.jobs)
    case.engine.draw(request, MemoryReporter())
    assert {path: path.stat().st_mtime_ns for path in done} == done
    assert len(list(tmp_path.glob("*.png"))) == len(request.jobs)


def test_a_base_of_another_engine_is_refused_in_a_sentence(case: Case, tmp_path: Path) -> None:
    spec = replace(case.spec(tmp_path), base_model="no-such-base")
    with pytest.raises(EngineError, match="no-such-base"):
        case.engine.train(spec, case.dataset, MemoryReporter())
    with pytest.raises(EngineError, match="no-such-base"):
        case.engine.draw(replace(case.request(tmp_path, ()), base_model="no-such-base"), MemoryReporter())


def test_an_unknown_advanced_option_is_refused_before_work(case: Case, tmp_path: Path) -> None:
    spec = replace(case.spec(tmp_path), advanced={"no_such_option": 1})
    reporter = MemoryReporter()
    with pytest.raises(BadSpec, match="no_such_option"):
        case.engine.check(spec)
    with pytest.raises(BadSpec, match="no_such_option"):
        case.engine.train(spec, case.dataset, reporter)
    assert reporter.steps == []


@pytest.mark.parametrize("ability", ["edit", "upscale"])
def test_what_it_cannot_do_is_a_sentence(case: Case, ability: str) -> None:
    if ability in case.engine.capabilities.abilities:
        pytest.skip("this engine can")
    with pytest.raises(BadSpec, match=r"\w+ .*\."):
        getattr(case.engine, ability)(EditRequest("preview", ()), MemoryReporter())
