"""Averaged weights (EMA): they wander less than the trained ones, and are what is measured, drawn with and exported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch


class Average:
    """An exponential moving average of parameters; nothing at all where `decay` is 0.

    The decay of step n (0-based) is at most (1 + n) / (10 + n), as in diffusers' `EMAModel`, so that the start, which
    has learned nothing yet, is soon forgotten.
    """

    def __init__(self, parameters: Mapping[str, torch.nn.Parameter], decay: float) -> None:
        self._decay = decay
        self._trained = dict(parameters) if decay else {}
        self._kept = {name: weight.detach().clone() for name, weight in self._trained.items()}

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move towards the weights as they are after that step."""
        share = 1 - min(self._decay, (1 + step) / (10 + step))
        for name, kept in self._kept.items():
            kept.lerp_(self._trained[name], share)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The averaged weights stand in for the trained ones, for as long as the block lasts."""
        trained = {name: weight.detach().clone() for name, weight in self._trained.items()}
        self._put(self._kept)
        try:
            yield
        finally:
            self._put(trained)

    def tensors(self) -> dict[str, torch.Tensor]:
        """What a resume needs, by the parameters' names."""
        return self._kept

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, torch.Tensor]) -> None:
        """Go on from what `tensors` gave."""
        for name, kept in self._kept.items():
            kept.copy_(tensors[name])

    @torch.no_grad()
    def _put(self, weights: Mapping[str, torch.Tensor]) -> None:
        for name, weight in self._trained.items():
            weight.copy_(weights[name])
