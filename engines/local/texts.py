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
    return {
        name: value.to(device, dtype, non_blocking=True) if value.is_floating_point() else value
        for name, value in text.items()
    }
