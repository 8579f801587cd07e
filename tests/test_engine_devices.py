"""The engine with its transformer on another device than the CPU, in 16 bits: what a GPU would refuse is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from support import elsewhere, tiny
from support.families import TINY
from support.reporter import MemoryReporter

from loradeck.engines.errors import OutOfMemory
from loradeck.engines.local import (
    checkpoint,
    costs,
    export,
    families,
    frozen,
    heldout,
    lora_file,
    memory,
    placing,
    planner,
    training,
)
from loradeck.engines.local.bases import Base
from loradeck.engines.local.checkpoint import Progress
from loradeck.engines.local.families.klein import Klein
from loradeck.engines.local.heldout import Yardstick
from loradeck.engines.local.learner import CPU, Flow, Hold, Learner, Noisy
from loradeck.engines.local.lora import ADAPTER, Adapter
from loradeck.engines.local.material import Material
from loradeck.engines.local.options import Options
from loradeck.engines.local.pipeline import Encoders
from loradeck.engines.local.scoring import Scorer
from loradeck.engines.local.texts import moved, part

OPTIONS = Options(ema=0.9, caption_dropout=0.5)
RANK = 4


@dataclass
class Away:
    """A family's tiny base in bfloat16, elsewhere, and what it learns from, which stays on the CPU."""

    base: Base
    family: families.Family
    pipeline: Any
    material: Material
    folder: Path

    def learner(self) -> Learner:
        """One that learns elsewhere, with an adapter of its own."""
        spec, transformer = tiny.spec(self.folder / "run", rank=RANK), self.pipeline.transformer
        if ADAPTER in getattr(transformer, "peft_config", {}):
            transformer.delete_adapters([ADAPTER])
        adapter = Adapter(transformer, self.family, RANK, 8.0, spec.seed)
        hold = Hold(elsewhere.META, torch.bfloat16)
        return Learner(self.family, transformer, adapter, self.material, spec, OPTIONS, hold)


def planned(**changes: int) -> planner.Plan:
    """How a machine of CPUs trains a full-size base."""
    ask = {"batch_size": 1, "rank": RANK, "resolution": 512, "steps": 1, "checkpoint_every": 1}
    return planner.plan(tiny.AMPLE, costs.of("flux2-klein-4b"), **{**ask, **changes})


@pytest.fixture(scope="module", params=TINY)
def away(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Away:
    folder = tmp_path_factory.mktemp(request.param)
    base = TINY[request.param](folder / "weights")
    family = families.get(base.family)
    pipeline = family.load(base.weights)
    spec, dataset = tiny.spec(folder / "run"), tiny.dataset(folder / "images", images=9)
    material = tiny.encoded(base, family, pipeline, spec, dataset, OPTIONS)
    there = family.load(base.weights, torch.bfloat16, without=family.text_parts)
    with elsewhere.Elsewhere():
        there.to(elsewhere.META)
    return Away(base, family, there, material, folder)


def test_a_step_runs_elsewhere_and_the_host_looks_at_none_of_its_numbers(away: Away) -> None:
    with elsewhere.Elsewhere() as device:
        learner = away.learner()
        outcomes = [learner.step(step) for step in range(2)]
        assert device.looks == 0
    assert all(outcome.loss.is_meta and outcome.grad_norm.is_meta for outcome in outcomes)
    assert all(weight.grad is not None and weight.grad.is_meta for weight in learner.adapter.parameters().values())


def test_pictures_are_encoded_on_a_chip_that_the_text_encoder_does_not_fit(away: Away) -> None:
    encoders = Encoders(away.base, away.family, torch.bfloat16, CPU, pictures=elsewhere.META)
    with elsewhere.Elsewhere():
        pipeline = encoders.open()
        latents = away.family.encode_images(pipeline, torch.zeros(1, 3, tiny.SIDE, tiny.SIDE))
        said = away.family.encode_prompts(pipeline, ["a disc"], away.base.max_tokens)
    assert latents.is_meta
    assert {value.device for value in said.values()} == {CPU}


def test_measures_scores_and_weights_are_read_from_elsewhere(away: Away) -> None:
    with elsewhere.Elsewhere():
        learner = away.learner()
        values = Yardstick(learner.flow, away.material).measure()
        values |= Scorer(learner.flow, learner.adapter, away.material).score(values)
        values["norm"] = learner.adapter.norm()
        path = away.folder / "out.safetensors"
        export.write(learner.adapter, path, {}, torch.bfloat16)
    assert {"held_out_loss", "in_train_loss", "leak", "trigger_gain"} <= values.keys()
    assert lora_file.read(path, away.family, away.pipeline.transformer, away.base.name).rank == RANK


def test_a_state_from_elsewhere_is_kept_and_goes_back_there(away: Away, tmp_path: Path) -> None:
    with elsewhere.Elsewhere():
        learner = away.learner()
        learner.step(0)
        checkpoint.save_state(tmp_path, learner, Progress(1), "key")
        again = away.learner()
        progress, broken = checkpoint.load_newest(tmp_path, again, "key")
        again.step(1)
    assert (progress, broken) == (Progress(1), [])
    moments = [state["exp_avg"] for state in again.optimizer.state.values()]
    assert moments
    assert all(moment.is_meta for moment in moments)


def test_a_training_starts_elsewhere_from_a_lora_on_the_disk(away: Away, tmp_path: Path) -> None:
    path = tmp_path / "start.safetensors"
    with elsewhere.Elsewhere():
        export.write(away.learner().adapter, path, {})
        learner = away.learner()
        learner.adapter.warm_start(lora_file.read(path, away.family, away.pipeline.transformer, away.base.name))
        outcome = learner.step(0)
    assert outcome.loss.is_meta
    assert all(weight.is_meta for weight in learner.adapter.parameters().values())


def test_pictures_are_drawn_elsewhere(away: Away) -> None:
    said = part(away.material.samples, 0, 1)
    with elsewhere.Elsewhere():
        away.learner()
        texts = [moved(text, elsewhere.META, torch.bfloat16) for text in (said, away.material.empty)]
        drawn = away.family.draw(away.pipeline, *texts, [1], away.base.sizes[0], 2, 2.0, lambda: None)
    assert len(drawn) == 1


def test_layers_are_made_small_on_the_device_one_by_one_where_they_go_back_to_ram() -> None:
    transformer = tiny.transformer().requires_grad_(False)
    with elsewhere.Elsewhere() as device:
        frozen.quantise(transformer, "int8", skip=lambda name, layer: False, device=elsewhere.META, home=CPU)
    assert any(isinstance(layer, frozen.FrozenLinear) for layer in transformer.modules())
    assert device.looks > 0
    assert not any(tensor.is_meta for tensor in (*transformer.parameters(), *transformer.buffers()))


def test_what_is_measured_goes_through_in_passes_that_a_plan_has_room_for() -> None:
    hold = placing.hold(planned(batch_size=1))
    rows = Noisy(torch.zeros(5, 1, 2, 2), torch.zeros(5, 1, 2, 2), torch.zeros(5), {"states": torch.zeros(5, 1, 1)})
    flow = Flow(families.get("klein"), None, hold)
    assert [len(part.sigma) for part in heldout.passes(flow, [rows])] == [1] * 5


def test_a_plan_has_samples_drawn_one_at_a_time_and_as_small_as_what_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[int, tuple[int, int]]] = []
    own = Klein.draw

    def draw(self: Klein, pipeline: Any, text: Any, empty: Any, seeds: Any, size: Any, *rest: Any) -> Any:
        drawn.append((len(seeds), size))
        return own(self, pipeline, text, empty, seeds, size, *rest)

    monkeypatch.setattr(Klein, "draw", draw)
    spec = tiny.spec(tmp_path / "run", steps=1, batch_size=1, resolution=16, sample_prompts=("a", "b"))
    base, images = tiny.base(tmp_path / "weights"), tiny.dataset(tmp_path / "images", images=2)
    training.train(base, spec, images, MemoryReporter(), planned())
    assert drawn == [(1, (16, 16))] * 4


def test_memory_that_a_library_of_the_chip_cannot_get_is_out_of_memory() -> None:
    with pytest.raises(OutOfMemory, match="less of it"), memory.told("Take less of it."):
        raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")
