"""Drawing with the local engine: LoRAs and strengths, sizes, what a PNG tells of itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import tiny
from support.reporter import MemoryReporter

from loradeck.engines import files
from loradeck.engines.base import DrawJob, DrawRequest, LoraRef
from loradeck.engines.errors import BadSpec
from loradeck.engines.local import bases, drawing
from loradeck.engines.local.engine import LocalEngine


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("draw")


@pytest.fixture(scope="module")
def engine(home: Path) -> LocalEngine:
    base = tiny.base(home / "weights")
    return LocalEngine({"preview": lambda: base})


@pytest.fixture(scope="module")
def lora(engine: LocalEngine, home: Path) -> LoraRef:
    spec = tiny.spec(home / "run", learning_rate=5e-2)
    result = engine.train(spec, tiny.dataset(home / "images"), MemoryReporter())
    return LoraRef(result.lora_path, 1.0, result.sha256, "preview")


def drawn(
    engine: LocalEngine, jobs: tuple[DrawJob, ...], loras: tuple[LoraRef, ...] = (), **more: object
) -> np.ndarray:
    """The first picture's pixels, drawn afresh."""
    engine.draw(replace(DrawRequest("preview", jobs, loras), **more), MemoryReporter())
    with Image.open(jobs[0].out) as picture:
        return np.asarray(picture, dtype=np.int16)


def test_a_lora_acts_by_its_strength_and_leaves_nothing_behind(
    engine: LocalEngine, lora: LoraRef, tmp_path: Path
) -> None:
    plain = drawn(engine, (tiny.job(tmp_path / "plain.png"),))
    full = drawn(engine, (tiny.job(tmp_path / "full.png"),), (lora,))
    weak = drawn(engine, (tiny.job(tmp_path / "weak.png"),), (replace(lora, strength=0.1),))
    off = drawn(engine, (tiny.job(tmp_path / "off.png"),), (replace(lora, strength=0.0),))
    after = drawn(engine, (tiny.job(tmp_path / "after.png"),))
    assert np.abs(full - plain).mean() > np.abs(weak - plain).mean() > 0
    assert np.abs(off - plain).max() <= 1
    assert np.array_equal(after, plain)


def test_a_lora_of_the_base_before_an_upgrade_is_told_as_such(
    engine: LocalEngine, lora: LoraRef, tmp_path: Path
) -> None:
    upgraded = LocalEngine({"preview": lambda: tiny.base(tmp_path / "weights", seed=1)})
    job = tiny.job(tmp_path / "a.png")
    assert engine.draw(DrawRequest("preview", (job,), (lora,)), MemoryReporter()).told == ()
    job = tiny.job(tmp_path / "b.png")
    told = upgraded.draw(DrawRequest("preview", (job,), (lora,)), MemoryReporter()).told
    assert len(told) == 1
    assert "earlier preview base" in told[0]
    assert "start_training" in told[0]
    job = tiny.job(tmp_path / "c.png")
    assert upgraded.draw(DrawRequest("preview", (job,)), MemoryReporter()).told == ()


def test_stacked_loras_add_up(engine: LocalEngine, lora: LoraRef, tmp_path: Path) -> None:
    once = drawn(engine, (tiny.job(tmp_path / "once.png"),), (lora,))
    halves = (replace(lora, strength=0.3), replace(lora, strength=0.7))
    twice = drawn(engine, (tiny.job(tmp_path / "twice.png"),), halves)
    assert np.abs(once - twice).max() <= 1


def test_a_picture_is_the_same_alone_and_in_company(engine: LocalEngine, tmp_path: Path) -> None:
    alone = drawn(engine, (tiny.job(tmp_path / "alone.png", seed=4),))
    company = tuple(tiny.job(tmp_path / f"{i}.png", f"disc {i}", i) for i in range(3))
    together = drawn(engine, (tiny.job(tmp_path / "together.png", seed=4), *company))
    assert np.abs(alone - together).max() <= 1


def test_seed_prompt_steps_and_guidance_all_matter(engine: LocalEngine, tmp_path: Path) -> None:
    def job(name: str, **changes: object) -> tuple[DrawJob, ...]:
        return (replace(tiny.job(tmp_path / f"{name}.png"), **changes),)

    pictures = [
        drawn(engine, job("one")),
        drawn(engine, job("seed", seed=2)),
        drawn(engine, job("prompt", prompt="a wholly different thing")),
        drawn(engine, job("steps"), steps=3),
        drawn(engine, job("guidance"), guidance=6.0),
    ]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


@pytest.mark.parametrize(
    ("asked", "native"),
    [((1920, 1080), (64, 40)), ((512, 512), (32, 32)), ((100, 300), (32, 32)), ((640, 200), (64, 40))],
)
def test_the_nearest_native_shape_is_drawn_and_scaled(
    asked: tuple[int, int], native: tuple[int, int], engine: LocalEngine, tmp_path: Path
) -> None:
    job = tiny.job(tmp_path / "a.png", width=asked[0], height=asked[1])
    (picture,) = engine.draw(DrawRequest("preview", (job,)), MemoryReporter()).pictures
    assert (picture.width, picture.height) == asked
    assert picture.native == native


def test_a_png_tells_how_it_was_made(engine: LocalEngine, lora: LoraRef, tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "a.png", prompt="zorvex, a disc 🎨 for Zoë", seed=12)
    engine.draw(DrawRequest("preview", (job,), (replace(lora, strength=0.8),), guidance=3.0), MemoryReporter())
    with Image.open(job.out) as picture:
        told = picture.info
    assert (told["prompt"], told["seed"], told["base_model"]) == ("zorvex, a disc 🎨 for Zoë", "12", "preview")
    assert (told["steps"], told["guidance"]) == ("2", "3.0")
    (used,) = json.loads(told["loras"])
    assert used == {"file": lora.path.name, "strength": 0.8, "sha256": files.sha256_file(lora.path)}


def test_a_look_is_drawn_at_the_guidance_that_suits_looks(
    lora: LoraRef, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_drawers", {})
    base = tiny.base(home / "weights")
    picky = LocalEngine({"preview": lambda: replace(base, guidance=4.0, recipe=replace(base.recipe, guidance=1.5))})
    told = []
    for name, loras in (("plain", ()), ("look", (lora,))):
        job = tiny.job(tmp_path / f"{name}.png")
        picky.draw(DrawRequest("preview", (job,), loras), MemoryReporter())
        with Image.open(job.out) as picture:
            told.append(picture.info["guidance"])
    assert told == ["4.0", "1.5"]


def test_progress_counts_pictures_and_starts_from_those_that_exist(engine: LocalEngine, tmp_path: Path) -> None:
    jobs = tuple(tiny.job(tmp_path / f"{i}.png", seed=i) for i in range(6))
    first = MemoryReporter()
    engine.draw(DrawRequest("preview", jobs[:2]), first)
    again = MemoryReporter()
    engine.draw(DrawRequest("preview", jobs), again)
    assert [step for step, _, _ in again.steps] == [2, 3, 4, 5, 6]
    assert first.steps[-1][:2] == (2, 2)


def test_the_base_is_loaded_once_a_process(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.draw(DrawRequest("preview", (tiny.job(tmp_path / "a.png"),)), MemoryReporter())

    def forbidden(base: bases.Base, family: object) -> None:
        raise AssertionError("loaded again")

    monkeypatch.setattr(drawing, "load", forbidden)
    engine.draw(DrawRequest("preview", (tiny.job(tmp_path / "b.png"),)), MemoryReporter())
    assert (tmp_path / "b.png").exists()


def test_references_are_refused_in_a_sentence(engine: LocalEngine, tmp_path: Path) -> None:
    request = DrawRequest("preview", (tiny.job(tmp_path / "a.png"),), references=(tmp_path / "r.png",))
    with pytest.raises(BadSpec, match="words alone"):
        engine.draw(request, MemoryReporter())
