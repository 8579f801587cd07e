"""LoRAs on a pipeline: they add up as by hand, stay loaded while they are wanted, and go when they are not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from support import tiny

from loradeck.engines import files
from loradeck.engines.base import LoraRef
from loradeck.engines.errors import BadWeights
from loradeck.engines.local import lora_file
from loradeck.engines.local.bases import Base
from loradeck.engines.local.families.klein import FAMILY
from loradeck.engines.local.pipeline import load
from loradeck.engines.local.stack import Stack


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny.base(tmp_path_factory.mktemp("stack") / "weights")


@pytest.fixture
def pipeline(base: Base) -> Any:
    return load(base, FAMILY)


@pytest.fixture
def stack(base: Base, pipeline: Any) -> Stack:
    return Stack(base, FAMILY, pipeline, torch.float32)


def lora(folder: Path, seed: int, transformer: Any, rank: int = 2) -> LoraRef:
    """A random LoRA on all of klein's targets, q, k and v sharing their A as the files have it."""
    chance = torch.Generator().manual_seed(seed)
    layers = dict(transformer.named_modules())
    weights = {}
    for name in FAMILY.targets(transformer):
        weights[f"{name}.lora_A.weight"] = torch.randn(rank, layers[name].in_features, generator=chance) / 8
        weights[f"{name}.lora_B.weight"] = torch.randn(layers[name].out_features, rank, generator=chance) / 8
    for group in FAMILY.shared_inputs(transformer):
        for name in group[1:]:
            weights[f"{name}.lora_A.weight"] = weights[f"{group[0]}.lora_A.weight"]
    path = folder / f"{seed}.safetensors"
    save_file(FAMILY.to_portable(weights), path)
    return LoraRef(path, 1.0, files.sha256_file(path), "preview")


def flow(transformer: Any) -> torch.Tensor:
    """What a transformer says of fixed noise."""
    chance = torch.Generator().manual_seed(0)
    noisy = torch.randn(2, 16, 4, 4, generator=chance)
    states = torch.randn(2, 24, 3 * tiny.TEXT_WIDTH, generator=chance)
    with torch.no_grad():
        return FAMILY.flow(transformer, noisy, torch.tensor([0.9, 0.4]), {"states": states})


def merged(transformer: Any, loras: list[LoraRef]) -> Any:
    """A copy whose matrices are W + the sum of strength * B A."""
    by_hand = copy.deepcopy(transformer)
    layers = dict(by_hand.named_modules())
    for one in loras:
        file = lora_file.read(one.path, FAMILY, by_hand, "preview")
        for name in file.modules:
            change = file.weights[f"{name}.lora_B.weight"] @ file.weights[f"{name}.lora_A.weight"]
            layers[name].weight.data += one.strength * change
    return by_hand


def at(lora: LoraRef, strength: float) -> LoraRef:
    return LoraRef(lora.path, strength, lora.sha256, lora.base_model)


@pytest.mark.parametrize("strengths", [(1.0, 1.0), (0.7, -0.4), (-1.3, 0.0), (0.0, 2.0)])
def test_stacked_loras_are_the_merged_weights(
    stack: Stack, pipeline: Any, tmp_path: Path, strengths: tuple[float, float]
) -> None:
    one, other = lora(tmp_path, 1, pipeline.transformer), lora(tmp_path, 2, pipeline.transformer, rank=3)
    plain = flow(pipeline.transformer)
    wanted = [at(one, strengths[0]), at(other, strengths[1])]
    by_hand = flow(merged(pipeline.transformer, wanted))
    stack.put_on(wanted)
    assert torch.allclose(flow(pipeline.transformer), by_hand, rtol=0, atol=1e-5)
    assert (by_hand - plain).abs().max() > 1e-2
    stack.put_on([at(one, 0.0), at(other, 0.0)])
    assert torch.equal(flow(pipeline.transformer), plain)


def test_a_file_named_twice_acts_with_the_sum_of_its_strengths(stack: Stack, pipeline: Any, tmp_path: Path) -> None:
    one = lora(tmp_path, 1, pipeline.transformer)
    stack.put_on([at(one, 0.25), at(one, 0.5)])
    twice = flow(pipeline.transformer)
    stack.put_on([at(one, 0.75)])
    assert torch.equal(flow(pipeline.transformer), twice)


def test_new_strengths_read_no_file_again_and_unwanted_loras_are_let_go(
    stack: Stack, pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformer = pipeline.transformer
    one, other = lora(tmp_path, 1, transformer), lora(tmp_path, 2, transformer)
    whole, names = lora_file.read, []

    def read(path: Path, *more: Any) -> Any:
        names.append(path.name)
        return whole(path, *more)

    monkeypatch.setattr(lora_file, "read", read)
    told = stack.put_on([at(one, 0.5), at(other, 1.0)])
    assert told.loras == ((one.path.name, 0.5, one.sha256), (other.path.name, 1.0, other.sha256))
    both = flow(transformer)
    stack.put_on([at(one, 2.0), at(other, -1.0)])
    assert names == ["1.safetensors", "2.safetensors"]
    assert len(transformer.peft_config) == 2
    stack.put_on([at(other, 1.0)])
    assert len(transformer.peft_config) == 1
    stack.put_on([])
    assert not getattr(transformer, "peft_config", {})
    stack.put_on([at(one, 0.5), at(other, 1.0)])
    assert torch.equal(flow(transformer), both), "the same again after others were on in between"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"base_model": "flux2-dev"}, "belongs to the base flux2-dev, not preview"),
        ({"path": Path("nowhere.safetensors")}, "not there any more; list_loras"),
    ],
)
def test_a_lora_that_cannot_be_put_on_is_told(
    stack: Stack, pipeline: Any, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    one = lora(tmp_path, 1, pipeline.transformer)
    with pytest.raises(BadWeights, match=says):
        stack.put_on([LoraRef(**{**one.__dict__, **change})])
