"""Chance that can be told again: every use has a generator of its own, made from the run's seed, a name and a count.

Nothing depends on how often chance was asked before, so that a resumed run sees what an uninterrupted one sees and
needs no saved generator: the step is the whole state.
"""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

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


def batches(seed: int, name: str, step: int, groups: Sequence[torch.Tensor], size: int) -> torch.Tensor:
    """Which things a step takes, ``(size,)``, all of one group: things of one shape, which a batch can hold together.

    With one group it is `rows`. With more, a lap cuts every group into batches (a last one that is not full is filled
    from the group's start) and takes the batches of all groups in random order.
    """
    if len(groups) == 1:
        return groups[0][rows(seed, name, step, len(groups[0]), size)]
    counts = [math.ceil(len(group) / size) for group in groups]
    lap, place = divmod(step, sum(counts))
    order = torch.randperm(sum(counts), generator=stream(seed, f"{name}-laps", lap))
    batch = int(order[place])
    ends = list(accumulate(counts))
    number = bisect_right(ends, batch)
    taken = batch - (ends[number] - counts[number])
    group = groups[number]
    return group[rows(seed, f"{name}-{number}", lap * counts[number] + taken, len(group), size)]


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
