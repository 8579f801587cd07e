"""The stable loss: the same pictures, noise and noise levels every time, so that only the weights can move it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from loradeck.engines.local.learner import Flow, Noisy
from loradeck.engines.local.material import Material, Pairs
from loradeck.engines.local.seeds import stream

SIGMAS = (0.1, 0.3, 0.5, 0.7, 0.9)
SEED = 1
"""One for all runs: what is measured must not change with the training's own seed."""

HELD_OUT, IN_TRAIN = "held-out", "in-train"
"""Names of the fixed noise: rows of the same name and pictures have the same."""


class Yardstick:
    """Measures a transformer on held-out pictures and on a few from the training set. Touches no global generator."""

    def __init__(self, flow: Flow, material: Material) -> None:
        self._flow = flow
        self._rows = {
            "held_out_loss": fixed(material, material.held_out, HELD_OUT),
            "in_train_loss": fixed(material, material.in_train, IN_TRAIN),
        }

    @torch.no_grad()
    def measure(self) -> dict[str, float]:
        """`held_out_loss`, also by noise level (`held_out_loss_at_0.1` ...), and `in_train_loss`.

        The first is missing when nothing is held out.
        """
        found = {}
        for name, groups in self._rows.items():
            if groups:
                losses = torch.cat([self._flow.errors(self._flow(rows), rows) for rows in passes(self._flow, groups)])
                found[name] = float(losses.mean())
                if name == "held_out_loss":
                    found |= _by_level(name, losses)
        return found


def _by_level(name: str, losses: torch.Tensor) -> dict[str, float]:
    """The mean at each noise level of rows that `fixed` made."""
    means = losses.view(-1, len(SIGMAS)).mean(0).tolist()
    return {f"{name}_at_{sigma}": mean for sigma, mean in zip(SIGMAS, means, strict=True)}


def passes(flow: Flow, groups: Sequence[Noisy]) -> Iterator[Noisy]:
    """The rows in passes that fit."""
    for rows in groups:
        yield from rows.cut(math.ceil(len(rows.sigma) / (flow.hold.micro_batch or len(rows.sigma))))


def fixed(material: Material, pairs: Pairs, name: str) -> list[Noisy]:
    """Every pair at every level of `SIGMAS`, each with noise of its own; pairs of one shape together."""
    return [
        _noised(material, pairs, places, f"{name}/{shape}" if number else name)
        for number, (shape, places) in enumerate(pairs.by_shape(material.encoded).items())
    ]


def _noised(material: Material, pairs: Pairs, places: torch.Tensor, name: str) -> Noisy:
    image, text = pairs.take(material.encoded, places.repeat_interleave(len(SIGMAS)))
    noise = torch.randn(image.shape, generator=stream(SEED, name, 0))
    weight = material.weights(pairs, places.repeat_interleave(len(SIGMAS)))
    return Noisy(image.float(), noise, torch.tensor(SIGMAS).repeat(len(places)), text, weight)
