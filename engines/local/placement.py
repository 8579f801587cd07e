"""Where a base draws, in which numbers, and how much memory is free there."""

from __future__ import annotations

import torch

from loradeck.engines.local import layout
from loradeck.engines.local.bases import Base
from loradeck.engines.local.learner import CPU
from loradeck.engines.local.machine import detect

SMALL = 2_000_000_000
"""Bytes of weights up to which a base is held whole: its encoders then take less room than opening them takes time."""


def placement(base: Base) -> tuple[torch.device, torch.dtype]:
    """The device that a base is held on for drawing, and the type of its numbers.

    The preview stays on the CPU, where it is quick and its pictures are the same to the bit. Raises BadSpec where
    LORADECK_DEVICE asks for what is not there.
    """
    if base.preview:
        return CPU, torch.float32
    machine = detect(base.weights)
    if machine.device == "cpu":
        return CPU, torch.float32
    return torch.device(machine.device), torch.bfloat16 if machine.bf16 else torch.float16


def is_small(base: Base) -> bool:
    """True where encoders and transformer stay in memory together."""
    own = [] if base.single_file is None else [base.single_file]
    try:
        weights = own + layout.weight_files(base.weights, ("transformer",) if own else ())
        return sum(path.stat().st_size for path in weights) <= SMALL
    except (OSError, ValueError):  # files are missing, which opening the base tells
        return False


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
