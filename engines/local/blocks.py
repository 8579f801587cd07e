"""The repeated blocks of a transformer: recomputed, swapped or compiled one by one.

Nearly all weights, activations and time of a diffusion transformer are in its repeated blocks, so that memory is
traded for time a block at a time. From the outside in, a pass through a block is: recomputing (a function of the
transformer), swapping (a hook before the block's forward), the compiled forward. They may be combined in any order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal
from weakref import WeakSet

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from loradeck.engines.errors import BadSpec

Which = Literal["none", "selective", "full"]

COMPILED_SHAPES = 64
"""How often a block's forward may be compiled anew: for each size of picture, with and without gradients, with and
without the adapter. torch gives up at 8."""

_swapped: WeakSet[nn.Module] = WeakSet()


def repeated(transformer: Any) -> list[nn.Module]:
    """The repeated blocks in the order in which forward calls them.

    Which classes are repeated is said by diffusers' models themselves (``_repeated_blocks``, which its own regional
    compilation reads); FLUX.1, FLUX.2 and Z-Image register them in the order of use.

    Raises:
        BadSpec: the model names no repeated blocks.
    """
    names = set(getattr(transformer, "_repeated_blocks", None) or ())
    found = [module for module in transformer.modules() if type(module).__name__ in names]
    if not found:
        kind = type(transformer).__name__
        raise BadSpec(f"{kind} has no repeated blocks; use a transformer of FLUX.1, FLUX.2 or Z-Image.")
    return found


def checkpoint_blocks(transformer: Any, which: Which, share: float = 0.5) -> int:
    """Keep only the inputs of some blocks in a pass with gradients, and compute the rest again going backward.

    "full" is every block, "selective" the first ``ceil(share * blocks)``, "none" takes back what was asked before.
    The first ones are taken because their activations would be held longest. Blocks in RAM (see `swap_blocks`) are
    recomputed whatever is asked. Losses and gradients stay the same to the bit. A pass without gradients (sampling)
    keeps nothing anyway and goes straight through. Returns how many blocks were chosen.

    Raises:
        BadSpec: the share is not within 0 to 1.
    """
    if not 0 <= share <= 1:
        raise BadSpec(f"The share of blocks to recompute is {share}; set it between 0 and 1.")
    blocks = repeated(transformer)
    count = {"none": 0, "selective": math.ceil(share * len(blocks)), "full": len(blocks)}[which]
    chosen = set(blocks[:count])

    def run(block: nn.Module, *inputs: Any) -> Any:
        if block in chosen or block in _swapped:
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)

    transformer.enable_gradient_checkpointing(run)
    return count


def compile_blocks(transformer: Any, *, backend: str | Any = "inductor", fullgraph: bool = True) -> None:
    """Compile every block's forward; blocks of one class share what is compiled, at the first pass of each shape.

    The forward is compiled and not the whole call, so that the hooks that swap a block stay outside. Shapes are
    fixed: a compilation for every size of picture, the fastest code for each. With `fullgraph` a block that cannot be
    compiled whole raises instead of running slowly.
    """
    config = torch._dynamo.config
    config.recompile_limit = max(config.recompile_limit, COMPILED_SHAPES)
    for block in repeated(transformer):
        block.forward = torch.compile(block.forward, dynamic=False, fullgraph=fullgraph, backend=backend)


def swap_blocks(transformer: Any, count: int, device: torch.device | str) -> Swap:
    """Keep the frozen weights of the last `count` blocks in RAM and everything else on the device.

    At most two of these blocks are on the device at a time: the one at work and the one that comes next. What is
    trained stays on the device: add the adapter before. The blocks are recomputed going backward.

    Raises:
        BadSpec: there are fewer blocks than `count`, or some live in RAM already.
    """
    blocks = repeated(transformer)
    if not 1 <= count <= len(blocks):
        raise BadSpec(f"{count} blocks cannot live in RAM; choose between 1 and {len(blocks)}.")
    if not _swapped.isdisjoint(blocks):
        raise BadSpec("Some blocks live in RAM already; call remove() on what holds them, then swap again.")
    if not transformer.is_gradient_checkpointing:
        checkpoint_blocks(transformer, "none")
    swap = Swap(blocks[-count:], torch.device(device))
    for tensor in chain(transformer.parameters(), transformer.buffers()):
        if tensor not in swap:
            tensor.data = tensor.data.to(swap.device)
    return swap


@dataclass(frozen=True)
class _Lodger:
    """A frozen tensor of a block, and its data in RAM, which is never written to."""

    tensor: torch.Tensor
    home: torch.Tensor

    def leave(self) -> None:
        self.tensor.data = self.home

    def arrive(self, device: torch.device) -> None:
        self.tensor.data = self.home.to(device, non_blocking=True, copy=True)


class Swap:
    """Blocks whose frozen weights live in RAM. `moves` counts how often a block was brought to the device.

    Run on the CPU only so far, where the device is the RAM as well and every move is a copy. On CUDA the next block
    is copied from pinned memory on a stream of its own while the present one works. Memory that this stream was
    given is only given again to a later copy, which first waits for all work queued by then: a block can leave while
    its last kernels are still running.
    """

    def __init__(self, blocks: list[nn.Module], device: torch.device) -> None:
        self.device = device
        self.moves = 0
        self._lodgers = [self._settle(block) for block in blocks]
        self._ids = {id(lodger.tensor) for lodgers in self._lodgers for lodger in lodgers}
        self._here: dict[int, torch.cuda.Event | None] = {}
        self._last = -1
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._hooks = [block.register_forward_pre_hook(self._hook(index)) for index, block in enumerate(blocks)]
        self._blocks = WeakSet(blocks)
        _swapped.update(blocks)

    def remove(self) -> None:
        """Bring every block to the device for good."""
        for hook in self._hooks:
            hook.remove()
        for lodger in chain.from_iterable(self._lodgers):
            lodger.arrive(self.device)
        _swapped.difference_update(self._blocks)

    def __contains__(self, tensor: torch.Tensor) -> bool:
        return id(tensor) in self._ids

    def _settle(self, block: nn.Module) -> list[_Lodger]:
        lodgers = []
        for tensor in chain(block.parameters(), block.buffers()):
            if not tensor.requires_grad:
                home = tensor.data.cpu()
                lodgers.append(_Lodger(tensor, home.pin_memory() if self.device.type == "cuda" else home))
                lodgers[-1].leave()
        return lodgers

    def _hook(self, index: int) -> Any:
        def before(_block: nn.Module, _inputs: Any) -> None:
            self._start(index)

        return before

    def _start(self, index: int) -> None:
        """Block `index` is about to work, forward or again before its backward.

        A block leaves only here. Going backward the one after is then done: autograd runs what was made last first.
        """
        after = self._next(index)
        for other in self._here.keys() - {index, after}:
            del self._here[other]
            for lodger in self._lodgers[other]:
                lodger.leave()
        self._bring(index)
        self._bring(after)
        event = self._here[index]
        if event is not None:
            torch.cuda.current_stream(self.device).wait_event(event)
        self._last = index

    def _next(self, index: int) -> int:
        """Whose turn is next: at both ends the way turns."""
        last = len(self._lodgers) - 1
        forward = index == 0 or (self._last < index < last)
        return min(index + 1, last) if forward else index - 1

    def _bring(self, index: int) -> None:
        if index in self._here:
            return
        self.moves += 1
        self._here[index] = self._copy(index)

    def _copy(self, index: int) -> torch.cuda.Event | None:
        """Copy a block to the device. On CUDA the copy is only queued; the event tells when it is done."""
        if self._stream is None:
            for lodger in self._lodgers[index]:
                lodger.arrive(self.device)
            return None
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            for lodger in self._lodgers[index]:
                lodger.arrive(self.device)
        event: torch.cuda.Event = self._stream.record_event()
        return event
