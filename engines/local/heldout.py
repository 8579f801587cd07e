"""The stable loss: the same pictures, noise and noise levels every time, so that only the weights can move it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from loradeck.engines.local.learner import Flow, Noisy, row_losses
from loradeck.engines.local.material import IN_TRAIN, Material, Pairs
from loradeck.engines.local.seeds import stream

SIGMAS = (0.1, 0.3, 0.5, 0.7, 0.9)
SEED = 1
"""One for all runs: what is measured must not change with the training's own seed."""


class Yardstick:
    """Measures a transformer on held-out pictures and on a few from the training set. Touches no global generator."""

    def __init__(self, flow: Flow, material: Material) -> None:
        self._flow = flow
        self._rows = {
            "held_out_loss": _fixed(material, material.held_out, "held-out"),
            "in_train_loss": _fixed(material, _first(material.train), "in-train"),
        }

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """`held_out_loss` (missing when nothing is held out) and `in_train_loss`."""
        found = {}
        for name, groups in self._rows.items():
            if groups:
                losses = [row_losses(self._flow(rows), self._flow.wanted(rows)) for rows in self._passes(groups)]
                found[name] = float(torch.cat(losses).mean())
        return found

    def _passes(self, groups: list[Noisy]) -> Iterator[Noisy]:
        """The rows in passes that fit."""
        for rows in groups:
            yield from rows.cut(math.ceil(len(rows.sigma) / (self._flow.hold.micro_batch or len(rows.sigma))))


def _first(pairs: Pairs) -> Pairs:
    return Pairs(pairs.images[:IN_TRAIN], pairs.prompts[:IN_TRAIN])


def _fixed(material: Material, pairs: Pairs, name: str) -> list[Noisy]:
    """Every pair at every level of `SIGMAS`, each with noise of its own; pairs of one shape together."""
    return [
        _noised(material, pairs, places, f"{name}/{shape}" if number else name)
        for number, (shape, places) in enumerate(pairs.by_shape(material.encoded).items())
    ]


def _noised(material: Material, pairs: Pairs, places: torch.Tensor, name: str) -> Noisy:
    image, text = pairs.take(material.encoded, places.repeat_interleave(len(SIGMAS)))
    noise = torch.randn(image.shape, generator=stream(SEED, name, 0))
    return Noisy(image.float(), noise, torch.tensor(SIGMAS).repeat(len(places)), text)
