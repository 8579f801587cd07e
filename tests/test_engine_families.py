"""The whole path on a tiny base of every family: train, be killed, go on, export, load elsewhere, draw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from PIL import Image
from safetensors.torch import load_file
from support import tiny
from support.families import TINY
from support.reporter import Crash, MemoryReporter

from loradeck.engines.base import DatasetFolder, DrawRequest, LoraRef, TrainResult, TrainSpec
from loradeck.engines.local import checkpoint, costs, families, lora_file, planner, training
from loradeck.engines.local.bases import Base
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.local.lora import Adapter

SIDE = 64
"""The smallest resolution that has a bucket beside the square."""
WIDE = (80, 48)


@dataclass(frozen=True)
class Trained:
    """A family's tiny base, and one uninterrupted training on it."""

    base: Base
    engine: LocalEngine
    dataset: DatasetFolder
    spec: TrainSpec
    result: TrainResult
    reporter: MemoryReporter

    @property
    def family(self) -> families.Family:
        return families.get(self.base.family)

    @property
    def lora(self) -> LoraRef:
        return LoraRef(self.result.lora_path, 1.0, self.result.sha256, self.base.name)

    def drawn(self, folder: Path, *loras: LoraRef, **changes: Any) -> np.ndarray:
        """A picture's pixels, drawn afresh."""
        out = next(path for path in (folder / f"{i}.png" for i in count()) if not path.exists())
        job = replace(tiny.job(out), **changes)
        self.engine.draw(DrawRequest(self.base.name, (job,), loras), MemoryReporter())
        with Image.open(out) as picture:
            return np.asarray(picture, dtype=np.int16)


def two_shapes(folder: Path) -> DatasetFolder:
    """Six square pictures and three wide ones."""
    dataset = tiny.dataset(folder)
    for item in dataset.items[:3]:
        tiny.picture(int(item.image.stem), SIDE).resize(WIDE).save(item.image)
    return dataset


@pytest.fixture(scope="module", params=TINY)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp(request.param)
    base = replace(TINY[request.param](folder / "weights"), sizes=((SIDE, SIDE), WIDE))
    engine, dataset = LocalEngine({base.name: lambda: base}), two_shapes(folder / "images")
    spec = tiny.spec(
        folder / "run",
        base_model=base.name,
        steps=6,
        resolution=SIDE,
        learning_rate=5e-2,
        checkpoint_every=2,
        sample_every=3,
        cache=folder / "cache",
        advanced={"threads": 1},
    )
    reporter = MemoryReporter()
    return Trained(base, engine, dataset, spec, engine.train(spec, dataset, reporter), reporter)


def test_it_is_ready(trained: Trained) -> None:
    assert trained.engine.available().ready
    assert trained.engine.check(trained.spec) == []


def test_a_killed_training_goes_on_to_the_same_weights_bit_for_bit(trained: Trained, tmp_path: Path) -> None:
    spec, first = replace(trained.spec, run_dir=tmp_path), MemoryReporter(crash_at=5)
    with pytest.raises(Crash):
        trained.engine.train(spec, trained.dataset, first)
    again = MemoryReporter(first.journal)
    result = trained.engine.train(spec, trained.dataset, again)
    assert again.events[0][1] == "Going on from the checkpoint at step 4."
    ours, theirs = load_file(result.lora_path), load_file(trained.result.lora_path)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_it_learns_and_tells_its_numbers(trained: Trained) -> None:
    losses = [loss for _, loss in trained.reporter.series("loss")]
    assert len(losses) == trained.spec.steps
    assert np.isfinite(losses).all()
    first, last = (trained.reporter.series("in_train_loss")[place][1] for place in (0, -1))
    assert first != last


def test_a_base_in_16_bits_is_taught_by_a_lora_in_32(trained: Trained, tmp_path: Path) -> None:
    spec = replace(trained.spec, run_dir=tmp_path, steps=2, checkpoint_every=2, sample_every=2)
    sizes = {"batch_size": spec.batch_size, "rank": spec.rank, "resolution": SIDE, "steps": 2, "checkpoint_every": 2}
    plan = replace(planner.plan(tiny.AMPLE, costs.of("flux2-klein-4b"), **sizes), dtype="bfloat16")
    reporter = MemoryReporter()
    training.train(trained.base, spec, trained.dataset, reporter, plan)
    first = [
        next(values["loss"] for _, values in one.numbers if "loss" in values) for one in (reporter, trained.reporter)
    ]
    assert first[0] == pytest.approx(first[1], rel=0.02)
    assert {step for step, _, _ in reporter.samples} == {0, 2}
    kept = load_file(checkpoint.state_path(tmp_path / "checkpoints", 2))
    assert {value.dtype for value in kept.values() if value.is_floating_point()} == {torch.float32}


def test_samples_are_drawn_and_differ_as_it_learns(trained: Trained) -> None:
    assert [step for step, _, _ in trained.reporter.samples] == [0, 3, 6]
    pictures = []
    for _, path, _ in trained.reporter.samples:
        with Image.open(path) as picture:
            assert picture.size == (SIDE, SIDE)
            pictures.append(picture.tobytes())
    assert len(set(pictures)) == 3


def test_pictures_of_two_shapes_are_learned_each_in_its_own(trained: Trained) -> None:
    kept = [load_file(path) for path in (trained.spec.run_dir.parent / "cache" / trained.base.name).iterdir()]
    shapes = {tuple(tensors["it"].shape) for tensors in kept if "it" in tensors}
    assert len({height / width for _, height, width in shapes}) == 2


def after_training(trained: Trained) -> tuple[Any, Adapter]:
    """The transformer with the adapter as the last checkpoint has it, and the adapter."""
    transformer = trained.family.load(trained.base.weights, without=trained.family.text_parts).transformer
    adapter = Adapter(transformer, trained.family, trained.spec.rank, trained.spec.alpha, trained.spec.seed)
    state = load_file(checkpoint.state_path(trained.spec.run_dir / "checkpoints", trained.spec.steps))
    with torch.no_grad():
        for name, weight in adapter.parameters().items():
            weight.copy_(state[f"weight/{name}"])
    return transformer, adapter


def test_the_exported_file_acts_in_plain_diffusers_as_what_was_trained(trained: Trained) -> None:
    transformer, adapter = after_training(trained)
    encoders = trained.family.load(trained.base.weights, without=("transformer",))
    plain = DiffusionPipeline.from_pretrained(trained.base.weights, **dict.fromkeys(trained.family.text_parts))
    plain.load_lora_weights(trained.result.lora_path)
    text = trained.family.encode_prompts(encoders, ["zorvex, a red disc"], trained.base.max_tokens)
    pixels = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(3)) * 2 - 1
    noisy, sigma = trained.family.encode_images(encoders, pixels), torch.tensor([0.4])
    with torch.no_grad():
        theirs = trained.family.flow(plain.transformer, noisy, sigma, text)
        ours = trained.family.flow(transformer, noisy, sigma, text)
        with adapter.off():
            before = trained.family.flow(transformer, noisy, sigma, text)
    assert float((ours - theirs).abs().max()) <= 1e-6
    assert float((ours - before).abs().max()) > 1e-2


def test_the_exported_file_reads_back_as_what_was_trained(trained: Trained) -> None:
    transformer, adapter = after_training(trained)
    weights = adapter.weights()
    file = lora_file.read(trained.result.lora_path, trained.family, transformer, trained.base.name)
    assert file.weights.keys() == weights.keys()
    assert all(torch.equal(file.weights[key], weights[key]) for key in weights)
    assert file.left_out == ()
    assert file.metadata["modelspec.architecture"] == trained.base.architecture


def test_a_look_changes_the_picture_by_its_strength_and_a_seed_gives_it_again(trained: Trained, tmp_path: Path) -> None:
    plain = trained.drawn(tmp_path)
    full = trained.drawn(tmp_path, trained.lora)
    weak = trained.drawn(tmp_path, replace(trained.lora, strength=0.1))
    assert np.abs(full - plain).mean() > np.abs(weak - plain).mean() > 0
    assert np.array_equal(trained.drawn(tmp_path, trained.lora), full)
    assert np.array_equal(trained.drawn(tmp_path), plain)
    assert not np.array_equal(trained.drawn(tmp_path, seed=2), plain)
    assert not np.array_equal(trained.drawn(tmp_path, prompt="another thing"), plain)


def test_two_looks_act_together_each_by_its_strength(trained: Trained, tmp_path: Path) -> None:
    once = trained.drawn(tmp_path, trained.lora)
    parts = [replace(trained.lora, strength=strength) for strength in (0.3, 0.7)]
    assert np.abs(trained.drawn(tmp_path, *parts) - once).max() <= 1


def test_targets_are_linear_layers_as_deep_as_the_model_and_none_of_the_modulation(trained: Trained) -> None:
    family = trained.family
    transformer = family.load(trained.base.weights, without=family.text_parts).transformer
    depth = "num_single_layers" if "num_single_layers" in transformer.config else "n_layers"
    per_block = []
    for blocks in (2, 5):
        model = type(transformer).from_config({**transformer.config, depth: blocks})
        targets, modules = family.targets(model), dict(model.named_modules())
        assert all(isinstance(modules[target], torch.nn.Linear) for target in targets)
        assert not [target for target in targets if any(word in target for word in ("modulation", "norm", "embed"))]
        assert {target for group in family.shared_inputs(model) for target in group} <= set(targets)
        per_block.append({target for target in targets if f".{blocks - 1}." in target})
    first, deeper = per_block
    assert len(first) == len(deeper) > 0
