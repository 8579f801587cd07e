"""Chance that can be told again: every use has a generator of its own, made from the run's seed, a name and a count.

Nothing depends on how often chance was asked before, so that a resumed run sees what an uninterrupted one sees and
needs no saved generator: the step is the whole state.
"""

from __future__ import annotations

import hashlib

import torch

from loradeck.engines.local.options import Options


def stream(seed: int, name: str, index: int) -> torch.Generator:
    """A generator for one use, independent of every other."""
    digest = hashlib.sha256(f"{seed}/{name}/{index}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def rows(seed: int, name: str, step: int, count: int, size: int) -> torch.Tensor:
    """Which of `count` things a step takes, ``(size,)``: every one comes up once before any comes up again."""
    first = step * size
    chosen = []
    for position in range(first, first + size):
        lap, place = divmod(position, count)
        chosen.append(int(torch.randperm(count, generator=stream(seed, f"{name}-order", lap))[place]))
    return torch.tensor(chosen)


def noise_levels(options: Options, count: int, generator: torch.Generator) -> torch.Tensor:
    """Sigmas ``(count,)`` between 0 and 1, spread evenly over the distribution's quantiles, in random order.

    "shifted" leans towards noise as inference does: sigma = s u / (1 + (s - 1) u).
    """
    slots = torch.randperm(count, generator=generator)
    quantiles = ((slots + torch.rand(count, generator=generator)) / count).clamp(1e-4, 1 - 1e-4)
    if options.timesteps == "logit_normal":
        return torch.sigmoid(torch.special.ndtri(quantiles))
    if options.timesteps == "shifted":
        return options.shift * quantiles / (1 + (options.shift - 1) * quantiles)
    return quantiles
