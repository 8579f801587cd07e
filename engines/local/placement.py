"""Where a base draws, in which numbers, and how much memory is free there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from loradeck.engines.local import frozen, layout
from loradeck.engines.local.bases import Base
from loradeck.engines.local.frozen import Format
from loradeck.engines.local.learner import CPU
from loradeck.engines.local.machine import detect

SMALL = 2_000_000_000
"""Bytes of weights up to which a base is held whole: its encoders then take less room than opening them takes time."""

ROOM_TO_DRAW = 3_000_000_000
"""Bytes beside the weights for one picture of a megapixel: a pass (see `batching`), the VAE, and torch's own."""


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
    return torch.device(machine.device), torch.bfloat16 if machine.bf16 else torch.float32


def is_small(base: Base) -> bool:
    """True where encoders and transformer stay in memory together."""
    own = [] if base.single_file is None else [base.single_file]
    try:
        weights = own + layout.weight_files(base.weights, ("transformer",) if own else ())
        return sum(path.stat().st_size for path in weights) <= SMALL
    except (OSError, ValueError):  # files are missing, which opening the base tells
        return False


def number_format(pipeline: Any, device: torch.device) -> Format | None:
    """The most exact format in which the transformer and the VAE leave room to draw; None is as they are.

    What does not fit in 4 bits either is told by the drawing itself, when memory runs out.
    """
    free = free_bytes(device)
    if free is None:
        return None
    parts = (pipeline.transformer, pipeline.vae)
    whole = sum(tensor.nbytes for part in parts for tensor in (*part.parameters(), *part.buffers()))
    eight: Format = "fp8" if frozen.multiplies_fp8(device) else "int8"
    for fmt in (None, eight):
        saved = 0 if fmt is None else frozen.saving(pipeline.transformer, fmt)
        if whole - saved + ROOM_TO_DRAW <= free:
            return fmt
    return "nf4" if device.type == "cuda" else eight


def encoders_device(base: Base, text_parts: Collection[str], device: torch.device) -> torch.device:
    """Where prompts are encoded: on the device if the encoders fit there, else on the CPU."""
    free = free_bytes(device)
    if free is None:
        return device
    others = [part for part in layout.parts(base.weights) if part not in text_parts]
    size = sum(path.stat().st_size for path in layout.weight_files(base.weights, others))
    return device if size + ROOM_TO_DRAW <= free else CPU


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
