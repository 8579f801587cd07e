"""The engine with its transformer on another device than the CPU, in 16 bits: what a GPU would refuse is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from support import elsewhere, tiny
from support.families import TINY

from loradeck.engines.local import checkpoint, export, families, lora_file
from loradeck.engines.local.bases import Base
from loradeck.engines.local.checkpoint import Progress
from loradeck.engines.local.heldout import Yardstick
from loradeck.engines.local.learner import CPU, Hold, Learner
from loradeck.engines.local.lora import ADAPTER, Adapter
from loradeck.engines.local.material import Material
from loradeck.engines.local.options import Options
from loradeck.engines.local.scoring import Scorer
from loradeck.engines.local.texts import moved, part

OPTIONS = Options(ema=0.9, caption_dropout=0.5)
RANK = 4


@dataclass
class Away:
    """A family's tiny base with transformer and VAE elsewhere, and what it learns from, which stays on the CPU.

    `half` is the base in bfloat16, on the CPU.
    """

    base: Base
    family: families.Family
    pipeline: Any
    half: Any
    material: Material
    folder: Path

    def learner(self) -> Learner:
        """One that learns elsewhere, with an adapter of its own."""
        return self._learner(self.pipeline.transformer, Hold(elsewhere.META))

    def half_learner(self) -> Learner:
        """One that learns in bfloat16 on the CPU."""
        return self._learner(self.half.transformer, Hold(dtype=torch.bfloat16))

    def _learner(self, transformer: Any, hold: Hold) -> Learner:
        spec = tiny.spec(self.folder / "run", rank=RANK)
        if ADAPTER in getattr(transformer, "peft_config", {}):
            transformer.delete_adapters([ADAPTER])
        adapter = Adapter(transformer, self.family, RANK, 8.0, spec.seed)
        return Learner(self.family, transformer, adapter, self.material, spec, OPTIONS, hold)


@pytest.fixture(scope="module", params=TINY)
def away(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Away:
    folder = tmp_path_factory.mktemp(request.param)
    base = TINY[request.param](folder / "weights")
    family = families.get(base.family)
    pipeline = family.load(base.weights)
    spec, dataset = tiny.spec(folder / "run"), tiny.dataset(folder / "images", images=9)
    material = tiny.encoded(base, family, pipeline, spec, dataset, OPTIONS)
    for name in family.text_parts:
        pipeline.register_modules(**{name: None})
    with elsewhere.Elsewhere():
        pipeline.to(elsewhere.META)
    half = family.load(base.weights, torch.bfloat16, without=family.text_parts)
    return Away(base, family, pipeline, half, material, folder)


def test_a_step_runs_elsewhere_and_the_host_looks_at_none_of_its_numbers(away: Away) -> None:
    with elsewhere.Elsewhere() as device:
        learner = away.learner()
        outcomes = [learner.step(step) for step in range(2)]
        assert device.looks == 0
    assert all(outcome.loss.is_meta and outcome.grad_norm.is_meta for outcome in outcomes)
    assert all(weight.grad is not None and weight.grad.is_meta for weight in learner.adapter.parameters().values())


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


def test_pictures_are_drawn_elsewhere(away: Away) -> None:
    said = part(away.material.samples, 0, 1)
    with elsewhere.Elsewhere():
        away.learner()
        texts = [moved(text, elsewhere.META, torch.float32) for text in (said, away.material.empty)]
        drawn = away.family.draw(away.pipeline, *texts, [1], away.base.sizes[0], 2, 2.0, lambda: None)
    assert len(drawn) == 1


def test_what_is_trained_is_float32_over_a_base_of_16_bits(away: Away) -> None:
    learner = away.half_learner()
    outcome = learner.step(0)
    moments = [state["exp_avg"] for state in learner.optimizer.state.values()]
    assert {weight.dtype for weight in learner.adapter.parameters().values()} == {torch.float32}
    assert {moment.dtype for moment in moments} == {torch.float32}
    assert outcome.loss.dtype == outcome.grad_norm.dtype == torch.float32
    assert float(outcome.grad_norm) > 0


def test_a_base_of_16_bits_draws_with_what_is_trained_on_it(away: Away) -> None:
    away.half_learner().step(0)
    said = part(away.material.samples, 0, 1)
    texts = [moved(text, CPU, torch.bfloat16) for text in (said, away.material.empty)]
    drawn = away.family.draw(away.half, *texts, [1], away.base.sizes[0], 2, 2.0, lambda: None)
    assert [picture.size for picture in drawn] == [away.base.sizes[0]]
