"""A training whose memory runs out goes on with less, from its last step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from support import tiny
from support.reporter import Crash, MemoryReporter

from loradeck.engines.base import TrainResult
from loradeck.engines.errors import BadSpec, NotInstalled, OutOfMemory
from loradeck.engines.local import frozen, planner
from loradeck.engines.local.bases import Base
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.local.full_size import BASES
from loradeck.engines.local.learner import Learner, Noisy
from loradeck.engines.local.machine import Machine

CARD = Machine("cuda", "a card", 80.0, 79.0, 128.0, 120.0, 500.0, gpus=1, tflops=300.0)
NAME = "flux2-klein-4b"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def base(tmp_path: Path) -> Base:
    """A tiny klein that is planned for as the 4B one is."""
    return tiny.base(tmp_path / "weights", name=NAME)


class Allocator:
    """Refuses a pass of more than `rows` pictures, or at a higher rank than `rank`, from a step on; counts refusals."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, rows: int = 99, rank: int = 99, step: int = 0) -> None:
        self.refused = 0
        honest, stepped = Learner.losses, Learner.step
        reached = [0]

        def step_of(learner: Learner, number: int) -> Any:
            reached[0] = number
            return stepped(learner, number)

        def losses(learner: Learner, learn: Noisy, keep: Noisy | None) -> Any:
            trained = next(iter(learner.adapter.parameters().values())).shape[0]
            if reached[0] >= step and (len(learn.sigma) > rows or trained > rank):
                self.refused += 1
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return honest(learner, learn, keep)

        monkeypatch.setattr(Learner, "step", step_of)
        monkeypatch.setattr(Learner, "losses", losses)


def train(base: Base, folder: Path, reporter: MemoryReporter, **changes: object) -> TrainResult:
    spec = tiny.spec(folder / "run", base_model=NAME, **changes)
    return tiny.engine(base).train(spec, tiny.dataset(folder / "images"), reporter)


def warnings(reporter: MemoryReporter) -> list[str]:
    return [message for level, message in reporter.events if level == "warning"]


def test_pictures_are_taken_one_at_a_time_and_the_weights_are_those_of_the_whole_batch(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(base, tmp_path / "whole", MemoryReporter())
    allocator, reporter = Allocator(monkeypatch, rows=1, step=5), MemoryReporter()
    lowered = train(base, tmp_path / "lowered", reporter)
    assert allocator.refused == 1
    assert warnings(reporter) == [
        "Memory ran out: pictures are taken one at a time, 2 a step. The training goes on from its last step."
    ]
    assert [step for step, _ in reporter.series("loss")] == list(range(1, 9))  # step 6 was taken again, no other
    assert lowered.steps == 8
    ours, theirs = load_file(lowered.lora_path), load_file(whole.lora_path)
    assert all(torch.allclose(ours[key], theirs[key], atol=1e-5) for key in theirs)


def test_the_rank_falls_to_8_and_what_was_learned_goes_along(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporter = MemoryReporter()
    allocator = Allocator(monkeypatch, rows=1, rank=8, step=6)
    result = train(base, tmp_path, reporter, rank=16, alpha=16.0, checkpoint_every=100)
    assert allocator.refused == 2
    assert result.rank == 8
    assert [text.split(":")[1].split(",")[0].split(".")[0].strip() for text in warnings(reporter)] == [
        "pictures are taken one at a time",
        "the LoRA's rank is 8 rather than 16",
    ]
    held_out = dict(reporter.series("held_out_loss"))
    assert held_out[8] < held_out[0]
    assert {tensor.shape[0] for key, tensor in load_file(result.lora_path).items() if "lora_A" in key} == {8}


def test_a_run_that_came_down_a_rung_and_was_killed_goes_on_there(
    base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocator = Allocator(monkeypatch, rows=1)
    straight = train(base, tmp_path / "straight", MemoryReporter())
    first = MemoryReporter(crash_at=5)
    with pytest.raises(Crash):
        train(base, tmp_path / "killed", first)
    assert allocator.refused == 2
    again = MemoryReporter(first.journal)
    result = train(base, tmp_path / "killed", again)
    assert allocator.refused == 2  # it did not try the larger plan again
    assert warnings(again) == []
    ours, theirs = load_file(result.lora_path), load_file(straight.lora_path)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_at_the_bottom_the_person_is_told(base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Allocator(monkeypatch, rows=0)
    with pytest.raises(OutOfMemory, match="Close other programs and resume it"):
        train(base, tmp_path, MemoryReporter())


def test_the_plan_is_told_before_the_first_step(base: Base, tmp_path: Path) -> None:
    reporter = MemoryReporter()
    train(base, tmp_path, reporter)
    assert reporter.events[0][1].startswith(f"{tiny.AMPLE.name}, 1024 GB: {NAME} held in fp32")
    cost = tiny.engine(base).estimate(tiny.spec(tmp_path, base_model=NAME))
    assert reporter.events[0][1].startswith(cost.basis)


def test_a_base_that_does_not_fit_is_refused_before_anything_is_got(tmp_path: Path) -> None:
    small = Machine("cpu", "a laptop", 0.0, 0.0, 8.0, 6.0, 100.0)
    engine = LocalEngine({"flux2-dev": absent}, known=known("flux2-dev"), machine=lambda _: small, fetch=never)
    with pytest.raises(BadSpec, match=r"flux2-dev needs about .* GB of RAM"):
        engine.check(tiny.spec(tmp_path, base_model="flux2-dev", resolution=1024))


def known(name: str) -> dict[str, Base]:
    return {name: BASES[name]}


def absent() -> Base:
    raise NotInstalled("The base is not on this machine.")


def never(*_: object) -> None:
    raise AssertionError("it was got all the same")


def test_missing_weights_are_told_before_and_got_by_the_run(base: Base, tmp_path: Path) -> None:
    got: list[str] = []

    def open_base() -> Base:
        return base if got else absent()

    def fetch(source: Any, tell: Any) -> None:
        tell(1_000_000_000, 16_000_000_000)
        got.append(source.repository)

    engine = LocalEngine({NAME: open_base}, known=known(NAME), fetch=fetch, machine=lambda _: tiny.AMPLE)
    spec = tiny.spec(tmp_path / "run", base_model=NAME, resolution=256, steps=1, sample_prompts=("a",))
    assert "16 GB) are got from https://huggingface.co/black-forest-labs/FLUX.2-klein-base-4B first" in " ".join(
        engine.check(spec)
    )
    assert got == []
    reporter = MemoryReporter()
    engine.train(spec, tiny.dataset(tmp_path / "images"), reporter)
    assert got == ["black-forest-labs/FLUX.2-klein-base-4B"]
    assert any("1.0 of 16.0 GB" in message for _, _, message in reporter.steps)


def test_a_gated_base_without_a_token_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    engine = LocalEngine({"flux1-dev": absent}, known=known("flux1-dev"), machine=lambda _: tiny.AMPLE, fetch=never)
    with pytest.raises(NotInstalled, match="not on this machine"):
        engine.check(tiny.spec(tmp_path, base_model="flux1-dev", resolution=512))


@pytest.mark.parametrize("fmt", ["int8", "nf4"])
def test_a_training_on_a_base_in_fewer_bits_learns(
    fmt: str, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the CPU, where plans hold a base whole: the format is put into the plan by hand."""
    monkeypatch.setattr(frozen, "SMALL", 16)
    honest = planner.plan

    def in_fewer_bits(*given: Any, **asked: Any) -> planner.Plan:
        return replace(honest(*given, **asked), base=fmt, checkpointed_blocks=3, swapped_blocks=1)

    monkeypatch.setattr(planner, "plan", in_fewer_bits)
    reporter = MemoryReporter()
    train(base, tmp_path, reporter)
    held_out = dict(reporter.series("held_out_loss"))
    assert held_out[8] < held_out[0]
