"""The ways in which memory runs out, as one error."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from loradeck.engines.errors import OutOfMemory

REMEDY = "Close other programs and resume it, or start a new training with batch_size 1, then rank 8."
"""What to do when a training does not fit."""

SIGNS = ("out of memory", "can't allocate memory", "status_alloc_failed")
"""In the messages of torch's allocators (CUDA's and MPS's, and the CPU's, which raises a plain RuntimeError) and of
cuBLAS and cuDNN, which take their own memory."""


@contextmanager
def told(remedy: str) -> Iterator[None]:
    """Turn the ways in which memory runs out into OutOfMemory with the next step."""
    try:
        yield
    except MemoryError as error:
        raise OutOfMemory(f"This machine ran out of memory. {remedy}") from error
    except RuntimeError as error:  # torch.OutOfMemoryError is one
        if not any(sign in str(error).lower() for sign in SIGNS):
            raise
        raise OutOfMemory(f"This machine ran out of memory. {remedy}") from error


def give_back() -> None:
    """Free what nothing refers to any more, on the device too."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()
