"""All 64-bit hashes within a radius of another, without comparing with each: multi-index hashing.

Norouzi, Punjani and Fleet, 2012. A hash is cut into four chunks of 16 bits. Hashes that differ in at most r bits differ
in at most r // 4 bits in one of the chunks, so only hashes that share a chunk up to that are compared. Exact: the same
as comparing with each.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

CHUNKS = 4
BITS = 16
NONE = -1
Numbers = NDArray[np.int64]


class HashIndex:
    """Hashes by number, in the order they were added. Entries of a bucket are a chain, so adding moves nothing."""

    def __init__(self, radius: int) -> None:
        self._radius = radius
        # r + 1 = (radii of the chunks + 1) in sum is enough: were all chunks farther, the whole would be too.
        self._flips = [_flips((radius + 1 + chunk) // CHUNKS - 1) for chunk in range(CHUNKS)]
        self._heads = np.full((CHUNKS, 1 << BITS), NONE, dtype=np.int32)
        self._next = np.full((CHUNKS, 64), NONE, dtype=np.int32)
        self._hashes = np.zeros(64, dtype=np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, value: int) -> int:
        """Remember a hash; returns its number, counted from 0."""
        number = self._count
        if number == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
            self._next = np.concatenate([self._next, np.full_like(self._next, NONE)], axis=1)
        for chunk, key in enumerate(_chunks(value)):
            self._next[chunk, number] = self._heads[chunk, key]
            self._heads[chunk, key] = number
        self._hashes[number] = value
        self._count += 1
        return number

    def near(self, value: int) -> Numbers:
        """The numbers of all hashes that differ from this in at most `radius` bits, in rising order."""
        met = []
        for chunk, key in enumerate(_chunks(value)):
            reached = self._heads[chunk, self._flips[chunk] ^ np.uint16(key)]
            while (reached := reached[reached != NONE]).size:
                met.append(reached)
                reached = self._next[chunk, reached]
        if not met:
            return np.zeros(0, dtype=np.int64)
        numbers = np.concatenate(met)
        apart = np.bitwise_count(self._hashes[numbers] ^ np.uint64(value))
        return np.unique(numbers[apart <= self._radius]).astype(np.int64)


def _chunks(value: int) -> list[int]:
    return [value >> BITS * chunk & 0xFFFF for chunk in range(CHUNKS)]


@cache
def _flips(radius: int) -> NDArray[np.uint16]:
    """All 16-bit patterns with at most `radius` bits set; none for a radius below 0."""
    patterns = [sum(1 << bit for bit in bits) for size in range(radius + 1) for bits in combinations(range(BITS), size)]
    return np.array(patterns, dtype=np.uint16)
