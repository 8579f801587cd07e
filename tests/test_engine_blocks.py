"""The repeated blocks: recomputed, swapped and compiled, with losses and gradients the same to the bit."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support import blocks as small
from torch import nn

from loradeck.engines.errors import BadSpec
from loradeck.engines.local import blocks, frozen

KINDS = pytest.mark.parametrize("kind", small.KINDS, ids=str)
Step = tuple[torch.Tensor, dict[str, torch.Tensor]]


def fresh(kind: small.Kind, last: int = 2, fmt: frozen.Format | None = None) -> Any:
    """A frozen transformer with a LoRA, the same every time."""
    transformer = kind.frozen(last)
    if fmt is not None:
        frozen.quantise(transformer, fmt)
    return kind.adapted(transformer)


def same(one: Step, other: Step) -> bool:
    return torch.equal(one[0], other[0]) and all(torch.equal(one[1][name], other[1][name]) for name in one[1])


def calls(transformer: Any, work: Callable[[], object]) -> list[int]:
    """The blocks by number, each time that one was called while `work` was done."""
    order: list[int] = []
    hooks = [
        block.register_forward_pre_hook(lambda *_, index=index: order.append(index))
        for index, block in enumerate(blocks.repeated(transformer))
    ]
    work()
    for hook in hooks:
        hook.remove()
    return order


@KINDS
def test_blocks_come_in_the_order_of_the_pass(kind: small.Kind) -> None:
    transformer = fresh(kind)
    order = calls(transformer, lambda: kind.flow(transformer))
    assert order == list(range(len(order)))
    assert len(order) >= 3


def test_a_model_without_repeated_blocks_is_refused() -> None:
    with pytest.raises(BadSpec, match="no repeated blocks"):
        blocks.repeated(nn.Linear(2, 2))


@KINDS
@pytest.mark.parametrize(("which", "share"), [("full", 0.5), ("selective", 0.4)])
def test_recomputing_changes_neither_loss_nor_gradient(kind: small.Kind, which: blocks.Which, share: float) -> None:
    wanted = small.step(kind, fresh(kind))
    transformer = fresh(kind)
    blocks.checkpoint_blocks(transformer, which, share)
    assert same(small.step(kind, transformer), wanted)


@KINDS
@pytest.mark.parametrize(
    ("which", "share", "count"), [("none", 1.0, 0), ("selective", 0.0, 0), ("selective", 0.3, 2), ("full", 0.0, 4)]
)
def test_the_first_blocks_are_recomputed_and_the_others_not(
    kind: small.Kind, which: blocks.Which, share: float, count: int
) -> None:
    transformer = fresh(kind, last=5 - len(blocks.repeated(kind.frozen(1))))
    assert len(blocks.repeated(transformer)) == 4
    assert blocks.checkpoint_blocks(transformer, which, share) == count
    order = calls(transformer, lambda: small.step(kind, transformer))
    assert order == [0, 1, 2, 3, *reversed(range(count))]


def test_recomputing_keeps_less_for_backward() -> None:
    transformer = fresh(small.FLUX2, last=4)
    held: dict[float, int] = {}
    for share in (0.0, 0.5, 1.0):
        blocks.checkpoint_blocks(transformer, "selective", share)
        kept: dict[int, int] = {}

        def keep(tensor: torch.Tensor, kept: dict[int, int] = kept) -> torch.Tensor:
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            small.loss_of(small.FLUX2, transformer)
        own = {tensor.untyped_storage().data_ptr() for tensor in transformer.parameters()}
        held[share] = sum(size for place, size in kept.items() if place not in own)
    assert held[1.0] < held[0.5] < held[0.0]


@KINDS
def test_a_pass_without_gradients_is_not_recomputed(kind: small.Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    transformer = fresh(kind)
    blocks.checkpoint_blocks(transformer, "full")

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(blocks, "checkpoint", refuse)
    with torch.no_grad():
        kind.flow(transformer)
    with pytest.raises(AssertionError):
        kind.flow(transformer)


def test_recomputing_can_be_taken_back() -> None:
    transformer = fresh(small.FLUX)
    blocks.checkpoint_blocks(transformer, "full")
    blocks.checkpoint_blocks(transformer, "none")
    assert calls(transformer, lambda: small.step(small.FLUX, transformer)) == [0, 1, 2]


def test_a_share_beyond_all_blocks_is_refused() -> None:
    with pytest.raises(BadSpec, match="between 0 and 1"):
        blocks.checkpoint_blocks(fresh(small.FLUX2), "selective", 1.5)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights that are away cannot be used: what stands in their place is NaN, or codes of another weight."""

    def leave(lodger: blocks._Lodger) -> None:
        home = lodger.home
        lodger.tensor.data = torch.full_like(home, torch.nan if home.is_floating_point() else 85)

    monkeypatch.setattr(blocks._Lodger, "leave", leave)


@KINDS
@pytest.mark.usefixtures("far")
@pytest.mark.parametrize(("count", "which"), [(1, "none"), (2, "selective"), (3, "full")])
def test_swapping_changes_neither_loss_nor_gradient(kind: small.Kind, count: int, which: blocks.Which) -> None:
    wanted = [small.step(kind, fresh(kind, 3))] * 2
    transformer = fresh(kind, 3)
    blocks.checkpoint_blocks(transformer, which)
    blocks.swap_blocks(transformer, count, "cpu")
    found = [small.step(kind, transformer) for _ in wanted]  # the second begins with what the first left there
    assert all(same(*pair) for pair in zip(found, wanted, strict=True))


@pytest.mark.usefixtures("far")
@pytest.mark.parametrize("fmt", ["int8", "fp8", "nf4"])
def test_quantised_blocks_are_swapped(fmt: frozen.Format) -> None:
    wanted = small.step(small.FLUX2, fresh(small.FLUX2, 3, fmt))
    transformer = fresh(small.FLUX2, 3, fmt)
    blocks.swap_blocks(transformer, 4, "cpu")
    assert same(small.step(small.FLUX2, transformer), wanted)


@KINDS
@pytest.mark.usefixtures("far")
def test_sampling_and_training_in_turns_work_with_swapped_blocks(kind: small.Kind) -> None:
    plain = fresh(kind, 3)
    with torch.no_grad():
        drawn = kind.flow(plain)
    wanted = small.step(kind, plain)
    transformer = fresh(kind, 3)
    blocks.swap_blocks(transformer, 3, "cpu")
    for _ in range(2):
        with torch.no_grad():
            assert torch.equal(kind.flow(transformer), drawn)
            assert torch.equal(kind.flow(transformer), drawn)
        assert same(small.step(kind, transformer), wanted)


def test_two_swapped_blocks_are_there_at_most_and_none_is_brought_in_vain() -> None:
    transformer = fresh(small.FLUX2, 5)
    swap = blocks.swap_blocks(transformer, 5, "cpu")
    swapped = blocks.repeated(transformer)[1:]
    home = [block.attn.to_out.base_layer.weight.data_ptr() for block in swapped]
    there: list[set[int]] = []

    def look(*_: Any) -> None:
        places = [block.attn.to_out.base_layer.weight.data_ptr() for block in swapped]
        there.append({index for index, place in enumerate(places) if place != home[index]})

    for block in swapped:
        block.register_forward_pre_hook(look)
    small.step(small.FLUX2, transformer)
    assert there == [{0, 1}, {1, 2}, {2, 3}, {3, 4}, {3, 4}, {3, 4}, {2, 3}, {1, 2}, {0, 1}, {0, 1}]
    assert swap.moves == 5 + 3
    small.step(small.FLUX2, transformer)
    assert swap.moves == 2 * (5 + 3) - 2  # the first two were still there


def test_only_frozen_weights_move() -> None:
    transformer = fresh(small.FLUX)
    before = {name: value.data_ptr() for name, value in small.trained(transformer).items()}
    swap = blocks.swap_blocks(transformer, 3, "cpu")
    small.step(small.FLUX, transformer)
    assert {name: value.data_ptr() for name, value in small.trained(transformer).items()} == before
    assert all((value in swap) != value.requires_grad for value in transformer.transformer_blocks.parameters())
    assert not any(value in swap for value in transformer.x_embedder.parameters())


@pytest.mark.usefixtures("far")
def test_a_lora_learns_the_same_with_swapped_blocks() -> None:
    wanted = small.learn(small.FLUX2, fresh(small.FLUX2), 4)
    transformer = fresh(small.FLUX2)
    blocks.swap_blocks(transformer, 3, "cpu")
    assert small.learn(small.FLUX2, transformer, 4) == wanted


@pytest.mark.usefixtures("far")
def test_swapping_can_be_taken_back_and_done_again() -> None:
    wanted = small.step(small.FLUX2, fresh(small.FLUX2))
    transformer = fresh(small.FLUX2)
    swap = blocks.swap_blocks(transformer, 1, "cpu")
    small.step(small.FLUX2, transformer)
    with pytest.raises(BadSpec, match="remove"):
        blocks.swap_blocks(transformer, 2, "cpu")
    swap.remove()
    moves = swap.moves
    assert same(small.step(small.FLUX2, transformer), wanted)
    assert swap.moves == moves
    blocks.swap_blocks(transformer, 2, "cpu")
    assert same(small.step(small.FLUX2, transformer), wanted)


@pytest.mark.parametrize("count", [0, 4])
def test_a_count_of_blocks_that_there_are_not_is_refused(count: int) -> None:
    with pytest.raises(BadSpec, match="between 1 and 3"):
        blocks.swap_blocks(fresh(small.FLUX2), count, "cpu")


class Compiler:
    """Stands for inductor: takes what torch traced and runs it as it is, and counts."""

    def __init__(self) -> None:
        self.graphs = 0

    def __call__(self, traced: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., Any]:
        self.graphs += 1
        return traced.forward


@pytest.fixture
def compiler() -> Compiler:
    torch.compiler.reset()
    return Compiler()


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "graphs"), [(small.FLUX, 3), (small.Z_IMAGE, 3)], ids=str)
def test_blocks_of_a_class_share_what_was_compiled(kind: small.Kind, graphs: int, compiler: Compiler) -> None:
    """One a class, and one more for the first block of FLUX.1's singles and of Z-Image, whose input differs."""
    wanted = small.step(kind, fresh(kind, 4))
    transformer = fresh(kind, 4)
    blocks.compile_blocks(transformer, backend=compiler)
    for _ in range(2):
        assert same(small.step(kind, transformer), wanted)
    assert compiler.graphs == graphs


def attention(transformer: Any) -> SimpleNamespace:
    """Which of torch's attention kernels may be used, and diffusers' processor of each layer."""
    cuda = torch.backends.cuda
    return SimpleNamespace(
        flash=cuda.flash_sdp_enabled(),
        memory_efficient=cuda.mem_efficient_sdp_enabled(),
        plain=cuda.math_sdp_enabled(),
        cudnn=cuda.cudnn_sdp_enabled(),
        function=nn.functional.scaled_dot_product_attention,
        processors=[module.processor for module in transformer.modules() if hasattr(module, "processor")],
    )


@pytest.mark.usefixtures("far")
def test_quantised_compiled_recomputed_and_swapped_blocks_work_together(compiler: Compiler) -> None:
    wanted = small.step(small.FLUX2, fresh(small.FLUX2, 3, "nf4"))
    transformer = small.FLUX2.frozen(3)
    before = attention(transformer)
    frozen.quantise(transformer, "nf4")
    small.FLUX2.adapted(transformer)
    blocks.compile_blocks(transformer, backend=compiler)
    blocks.checkpoint_blocks(transformer, "selective")
    blocks.swap_blocks(transformer, 2, "cpu")
    assert same(small.step(small.FLUX2, transformer), wanted)
    assert compiler.graphs == 2
    assert attention(transformer) == before  # how attention is computed is nobody's business here
    assert len(before.processors) == 4


@pytest.mark.slow
@pytest.mark.usefixtures("far")
def test_gradients_through_what_torch_compiled_are_those_of_the_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other layer multiplies float8 as such, the rest decodes."""
    torch.compiler.reset()
    steps = []
    for compiled in (False, True):
        turns = itertools.cycle([True, False])
        monkeypatch.setattr(frozen, "multiplies_fp8", lambda device, turns=turns: next(turns))
        transformer = fresh(small.FLUX2, 1, "fp8")
        if compiled:
            blocks.compile_blocks(transformer, backend="aot_eager")
            blocks.checkpoint_blocks(transformer, "full")
            blocks.swap_blocks(transformer, 2, "cpu")
        steps.append(small.step(small.FLUX2, transformer))
    (loss, gradients), (found, found_gradients) = steps
    assert torch.allclose(found, loss, rtol=1e-6)
    for name, gradient in gradients.items():
        assert torch.allclose(found_gradients[name], gradient, rtol=1e-3, atol=1e-6), name
