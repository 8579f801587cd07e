"""Encoded prompts: a few tensors that belong together, the first dimension of each counting the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text


def take(text: Text, rows: torch.Tensor) -> Text:
    """The prompts at those places, ``(k,)``."""
    return {name: value[rows] for name, value in text.items()}


def join(texts: Sequence[Text]) -> Text:
    """The prompts of all, in order."""
    return {name: torch.cat([text[name] for text in texts]) for name in texts[0]}


def part(text: Text, start: int, stop: int) -> Text:
    """The prompts from `start` up to `stop`."""
    return {name: value[start:stop] for name, value in text.items()}


def either(first: torch.Tensor, one: Text, others: Text) -> Text:
    """The prompts of `others` with the one prompt of `one` where `first`, ``(k,)``, is true."""
    return {
        name: torch.where(first.view(-1, *[1] * (value.dim() - 1)), one[name], value) for name, value in others.items()
    }


def moved(text: Text, device: torch.device, dtype: torch.dtype) -> Text:
    """The same on a device; whole numbers (lengths, masks) keep their type and stay where a loop reads them: here."""
    return {name: sent(value, device, dtype) if value.is_floating_point() else value for name, value in text.items()}


def sent(tensor: torch.Tensor, device: torch.device, dtype: torch.dtype | None = None) -> torch.Tensor:
    """The tensor on a device, in that type.

    To a CUDA GPU it goes through pinned memory, so that nobody waits. Elsewhere the copy is waited for: to an Apple
    chip it would still be under way when its source is given to somebody else.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.to(dtype=dtype).pin_memory().to(device, non_blocking=True)
    return tensor.to(device, dtype)
