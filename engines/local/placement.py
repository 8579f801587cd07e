"""Where a base draws, in which numbers, and how much memory is free there."""

from __future__ import annotations

import torch

from loradeck.engines.local import layout
from loradeck.engines.local.bases import Base
from loradeck.engines.local.learner import CPU

SMALL = 2_000_000_000
"""Bytes of weights up to which a base is held whole: its encoders then take less room than opening them takes time."""


def placement(base: Base) -> tuple[torch.device, torch.dtype]:  # noqa: ARG001 - every base draws on the CPU
    """The device that a base is held on for drawing, and the type of its numbers."""
    return CPU, torch.float32


def is_small(base: Base) -> bool:
    """True where encoders and transformer stay in memory together. The base's files are complete."""
    elsewhere = ("transformer",) if base.single_file is not None else ()
    weights = layout.weight_files(base.weights, elsewhere)
    if base.single_file is not None:
        weights.append(base.single_file)
    return sum(path.stat().st_size for path in weights) <= SMALL


def free_bytes(device: torch.device) -> int | None:
    """Memory that a pass may take on an accelerator; None on the CPU, where nothing is kept for us alone.

    What the allocator holds without use counts as free.
    """
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + int(unused)
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.current_allocated_memory())
    return None
