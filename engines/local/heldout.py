"""The stable loss: the same pictures, noise and noise levels every time, so that only the weights can move it."""

from __future__ import annotations

from typing import Any

import torch

from loradeck.engines.local.families import Family
from loradeck.engines.local.learner import Noisy, row_losses
from loradeck.engines.local.material import IN_TRAIN, Material, Pairs
from loradeck.engines.local.seeds import stream

SIGMAS = (0.1, 0.3, 0.5, 0.7, 0.9)
SEED = 1
"""One for all runs: what is measured must not change with the training's own seed."""


class Yardstick:
    """Measures a transformer on held-out pictures and on a few from the training set. Touches no global generator."""

    def __init__(self, family: Family, transformer: Any, material: Material) -> None:
        self._family, self._transformer = family, transformer
        self._rows = {
            "held_out_loss": _fixed(material, material.held_out, "held-out"),
            "in_train_loss": _fixed(material, _first(material.train), "in-train"),
        }

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """`held_out_loss` (missing when nothing is held out) and `in_train_loss`."""
        found = {}
        for name, rows in self._rows.items():
            if rows is not None:
                flow = self._family.flow(self._transformer, rows.mixed, rows.sigma, rows.text)
                found[name] = float(row_losses(flow, rows.target).mean())
        return found


def _first(pairs: Pairs) -> Pairs:
    return Pairs(pairs.images[:IN_TRAIN], pairs.prompts[:IN_TRAIN])


def _fixed(material: Material, pairs: Pairs, name: str) -> Noisy | None:
    """Every pair at every level of `SIGMAS`, each with noise of its own."""
    if not len(pairs):
        return None
    image, text = pairs.take(material.encoded, torch.arange(len(pairs)).repeat_interleave(len(SIGMAS)))
    noise = torch.randn(image.shape, generator=stream(SEED, name, 0))
    return Noisy(image, noise, torch.tensor(SIGMAS).repeat(len(pairs)), text)
