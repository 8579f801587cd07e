"""A device beside the CPU on a machine that has none: torch's `meta`, where tensors have shapes, types and no numbers.

It stands in for a GPU. As there, an operation on tensors of two devices is refused (torch itself lets some through on
`meta`); what is copied back to the CPU comes as ones, and every time that the host looks at a number is counted.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

META = torch.device("meta")

ATEN: Any = torch.ops.aten
COPIES = {ATEN._to_copy.default, ATEN.copy_.default}
INDEXED = {ATEN.index.Tensor, ATEN.index_put_.default, ATEN.index_put.default, ATEN._index_put_impl_.default}
"""Operations on the device that take indices of the CPU too."""


class Elsewhere(TorchDispatchMode):
    """For as long as the block lasts, `meta` behaves as a GPU does. `looks` counts numbers that were read from it."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, given)) if isinstance(leaf, torch.Tensor)]
        there = [tensor for tensor in tensors if tensor.is_meta]
        if not there:
            return func(*args, **given)
        if func is ATEN._local_scalar_dense.default:
            self.looks += 1
            return 1.0 if args[0].is_floating_point() else 1
        if func is ATEN.equal.default:
            self.looks += 1
            _refuse_two_devices(func, tensors)
            return True
        if func is ATEN._to_copy.default and given.get("device") not in (None, META):
            self.looks += 1
            return torch.ones(args[0].shape, dtype=given.get("dtype") or args[0].dtype, device=given["device"])
        if func is ATEN.copy_.default and not args[0].is_meta:
            self.looks += 1
            return args[0].fill_(1)
        if func not in COPIES and func not in INDEXED:
            _refuse_two_devices(func, tensors)
        return func(*args, **given)


def _refuse_two_devices(func: Any, tensors: list[torch.Tensor]) -> None:
    """As CUDA does; a single number of the CPU (no dimension) may go with tensors of the device."""
    strange = [tensor for tensor in tensors if not tensor.is_meta and tensor.dim()]
    if strange:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in strange)
        raise RuntimeError(f"Expected all tensors to be on the same device: {func} got {shapes} of the CPU")
