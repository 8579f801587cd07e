"""Quantised frozen layers: how far off they are, what they save, and that a LoRA on them learns as on full ones."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline
from peft import get_peft_model_state_dict
from support import blocks as small
from torch import nn
from torch.nn import functional

from loradeck.engines.local import frozen
from loradeck.engines.local.frozen import FrozenLinear

BOUNDS: dict[frozen.Format, float] = {"int8": 0.01, "fp8": 0.04, "nf4": 0.10}
FORMATS = pytest.mark.parametrize("fmt", BOUNDS)
KINDS = pytest.mark.parametrize("kind", small.KINDS, ids=str)


@pytest.fixture(scope="module")
def layer() -> nn.Linear:
    torch.manual_seed(0)
    made = nn.Linear(1024, 512)
    nn.init.normal_(made.weight, std=0.03)
    return made.requires_grad_(False)


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    return torch.randn(2, 32, 1024, generator=torch.Generator().manual_seed(1))


def off(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return ((found.float() - wanted).norm() / wanted.norm()).item()


def through(layer: nn.Module, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The output, and the gradient to the input of a weighted sum of it."""
    rows = rows.clone().requires_grad_()
    out = layer(rows)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(out.dtype)
    (found,) = torch.autograd.grad((out * weights).sum(), rows)
    return out.detach(), found


@FORMATS
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_output_and_gradient_are_within_the_bound_of_the_format(
    layer: nn.Linear, rows: torch.Tensor, fmt: frozen.Format, dtype: torch.dtype
) -> None:
    out, gradient = through(layer, rows)
    found, found_gradient = through(FrozenLinear(layer, fmt), rows.to(dtype))
    assert found.dtype == found_gradient.dtype == dtype
    assert 0 < off(found, out) < BOUNDS[fmt]
    assert 0 < off(found_gradient, gradient) < BOUNDS[fmt]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_scaled_multiplication_is_within_the_bound_of_fp8(
    layer: nn.Linear, rows: torch.Tensor, dtype: torch.dtype
) -> None:
    out, gradient = through(layer, rows)
    scaled = FrozenLinear(layer, "fp8", scaled=True)
    found, found_gradient = through(scaled, rows.to(dtype))
    assert found.dtype == found_gradient.dtype == dtype
    assert off(found, out) < BOUNDS["fp8"]
    assert off(found_gradient, gradient) < BOUNDS["fp8"]
    assert not torch.equal(found, FrozenLinear(layer, "fp8")(rows.to(dtype)))  # the rows were rounded as well


@FORMATS
def test_a_layer_multiplies_with_the_weight_that_it_tells(
    layer: nn.Linear, rows: torch.Tensor, fmt: frozen.Format
) -> None:
    held = FrozenLinear(layer, fmt)
    out, gradient = through(held, rows)
    full = nn.Linear(1024, 512).requires_grad_(False)
    full.weight.copy_(held.dense())
    full.bias.copy_(layer.bias)
    assert torch.equal(out, through(full, rows)[0])
    assert torch.equal(gradient, through(full, rows)[1])


@FORMATS
@pytest.mark.parametrize("shape", [(3, 5), (64, 64), (7, 130)], ids=str)
def test_any_shape_is_held_and_takes_the_bytes_foretold(fmt: frozen.Format, shape: tuple[int, int]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    codes, scale = frozen.encode(weight, fmt)
    assert codes.nbytes + scale.nbytes == frozen.stored_bytes(shape, fmt)
    assert off(frozen.decode(codes, scale, fmt, shape, torch.float32), weight) < 1.3 * BOUNDS[fmt]


@FORMATS
def test_rows_of_zeros_stay_zero(fmt: frozen.Format) -> None:
    weight = torch.zeros(4, 64)
    weight[1] = 1.0
    codes, scale = frozen.encode(weight, fmt)
    found = frozen.decode(codes, scale, fmt, (4, 64), torch.float32)
    assert torch.equal(found == 0, weight == 0)
    assert torch.allclose(found, weight, rtol=0.004)


def test_the_levels_of_nf4_are_evenly_likely_for_gaussian_weights() -> None:
    """The table's construction in QLoRA: quantiles of the normal, eight below zero, seven above, and zero."""
    edge = 0.5 * ((1 - 1 / 32) + (1 - 1 / 30))
    below = torch.special.ndtri(torch.linspace(edge, 0.5, 9, dtype=torch.float64)[:-1])
    above = -torch.special.ndtri(torch.linspace(edge, 0.5, 8, dtype=torch.float64)[:-1])
    levels = torch.cat([below, torch.zeros(1), above]).sort().values
    assert (levels / levels.max() - torch.tensor(frozen.NF4, dtype=torch.float64)).abs().max() < 1e-6


@FORMATS
def test_a_cast_of_the_module_leaves_the_codes_alone(layer: nn.Linear, rows: torch.Tensor, fmt: frozen.Format) -> None:
    held = FrozenLinear(layer, fmt)
    before = held.dense()
    held.to(torch.bfloat16).to(torch.float32)
    assert torch.equal(held.dense(), before) or fmt == "nf4"
    assert off(held.dense(), before) < 0.004  # bfloat16 keeps eight bits of the levels of nf4


@FORMATS
def test_nothing_is_kept_for_backward_but_the_codes(layer: nn.Linear, rows: torch.Tensor, fmt: frozen.Format) -> None:
    held = FrozenLinear(layer, fmt)
    kept: list[torch.Tensor] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held(rows.clone().requires_grad_())
    own = {tensor.data_ptr() for tensor in held.buffers()}
    assert kept
    assert {tensor.data_ptr() for tensor in kept} <= own


@FORMATS
@KINDS
def test_a_lora_learns_on_a_quantised_base_as_on_the_full_one(small_kinds: Any, kind: small.Kind, fmt: Any) -> None:
    full = small_kinds(kind)
    base = kind.frozen()
    frozen.quantise(base, fmt)
    losses = small.learn(kind, kind.adapted(base), len(full))
    assert losses[0] == pytest.approx(full[0], rel=0.02)
    assert full[-1] < 0.75 * full[0]
    assert losses[-1] == pytest.approx(full[-1], rel=0.10)


@pytest.fixture(scope="module")
def small_kinds() -> Callable[[small.Kind], list[float]]:
    """The losses of a training on the full base, done once a family."""
    done: dict[str, list[float]] = {}

    def losses(kind: small.Kind) -> list[float]:
        if kind.name not in done:
            done[kind.name] = small.learn(kind, kind.adapted(kind.frozen()), 8)
        return done[kind.name]

    return losses


@KINDS
def test_a_lora_gets_the_type_that_it_would_get_on_the_full_base(kind: small.Kind) -> None:
    base = kind.frozen().to(torch.bfloat16)
    frozen.quantise(base, "fp8")
    assert {value.dtype for value in small.trained(kind.adapted(base)).values()} == {torch.bfloat16}


@KINDS
def test_only_large_layers_of_the_blocks_are_replaced(kind: small.Kind) -> None:
    base = kind.frozen()
    frozen.quantise(base, "int8")
    for name, layer in base.named_modules():
        if isinstance(layer, nn.Linear):
            block = name.split(".")[0] in {
                "transformer_blocks",
                "single_transformer_blocks",
                "layers",
                "noise_refiner",
                "context_refiner",
            }
            modulation = "norm" in name or "adaLN" in name
            large = layer.in_features * layer.out_features >= 2**16
            assert isinstance(layer, FrozenLinear) == (block and large and not modulation), name


@FORMATS
@KINDS
def test_the_bytes_saved_are_told_and_foretold(kind: small.Kind, fmt: frozen.Format) -> None:
    base = kind.frozen()
    before = base.get_memory_footprint()
    with torch.device("meta"):
        foretold = frozen.saving(kind.make(2).requires_grad_(False), fmt)
    saved = frozen.quantise(base, fmt)
    assert saved == foretold
    tables = sum(layer.pairs.nbytes for layer in base.modules() if getattr(layer, "pairs", None) is not None)
    assert base.get_memory_footprint() == before - saved + tables
    assert saved > 0.45 * before


def test_more_is_saved_when_the_modulation_is_quantised_too() -> None:
    base = small.FLUX.frozen()
    assert frozen.saving(base, "nf4", skip=frozen.small) > frozen.saving(base, "nf4")
    frozen.quantise(base, "nf4", skip=frozen.small)
    assert isinstance(base.transformer_blocks[0].norm1.linear, FrozenLinear)


def test_layers_are_replaced_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    base = small.FLUX2.frozen()
    weights = [weakref.ref(layer.weight) for _, _, layer in frozen._layers(base, frozen.sensitive)]
    alive: list[int] = []
    encode = frozen.encode

    def counted(weight: torch.Tensor, fmt: frozen.Format) -> tuple[torch.Tensor, torch.Tensor]:
        alive.append(sum(reference() is not None for reference in weights))
        return encode(weight, fmt)

    monkeypatch.setattr(frozen, "encode", counted)
    frozen.quantise(base, "int8")
    assert alive == list(range(len(weights), 0, -1))


def test_what_is_trained_is_not_quantised() -> None:
    base = small.FLUX2.adapted(small.FLUX2.frozen())
    count = len(small.trained(base))
    saved = frozen.quantise(base, "int8")
    assert saved == frozen.saving(small.FLUX2.frozen(), "int8")
    assert len(small.trained(base)) == count
    losses = small.learn(small.FLUX2, base, 4)
    assert losses[-1] < losses[0]


def test_quantising_twice_does_nothing_more() -> None:
    base = small.FLUX2.frozen()
    frozen.quantise(base, "fp8")
    assert frozen.quantise(base, "nf4") == 0


@FORMATS
def test_a_lora_cannot_be_merged_into_codes(fmt: frozen.Format) -> None:
    base = small.FLUX2.frozen()
    frozen.quantise(base, fmt)
    small.FLUX2.adapted(base)
    with pytest.raises(RuntimeError):
        base.fuse_lora()


@FORMATS
def test_a_lora_file_loads_onto_a_quantised_base(fmt: frozen.Format) -> None:
    kind = small.FLUX
    base = kind.frozen()
    frozen.quantise(base, fmt)
    kind.adapted(base)
    file = {
        f"transformer.{name}": value.detach().clone()
        for name, value in get_peft_model_state_dict(base, adapter_name="default").items()
    }
    with torch.no_grad():
        wanted = kind.flow(base)
    other = kind.frozen()
    frozen.quantise(other, fmt)
    pipeline = FluxPipeline(FlowMatchEulerDiscreteScheduler(), None, None, None, None, None, other)
    pipeline.load_lora_weights(file)
    with torch.no_grad():
        assert torch.equal(kind.flow(other), wanted)


def test_fp8_is_not_multiplied_as_such_on_a_chip_that_cannot() -> None:
    assert not frozen.multiplies_fp8(torch.device("cpu"))
    base = small.FLUX2.frozen()
    frozen.quantise(base, "fp8", device=torch.device("cpu"))
    assert not any(layer.scaled for layer in base.modules() if isinstance(layer, FrozenLinear))


def test_fp8_is_multiplied_as_such_on_a_chip_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "multiplies_fp8", lambda device: True)
    base = small.FLUX2.frozen()
    frozen.quantise(base, "fp8")
    assert all(layer.scaled for layer in base.modules() if isinstance(layer, FrozenLinear))
    full = small.step(small.FLUX2, small.FLUX2.adapted(small.FLUX2.frozen()))
    loss, gradients = small.step(small.FLUX2, small.FLUX2.adapted(base))
    assert loss.item() == pytest.approx(full[0].item(), rel=0.02)
    assert all(
        functional.cosine_similarity(gradients[name].flatten(), full[1][name].flatten(), 0) > 0.9 for name in gradients
    )
