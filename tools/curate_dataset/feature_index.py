"""Pictures that share corners with a new one, without comparing with each: an inverted index of descriptors.

Locality-sensitive hashing (Gionis, Indyk and Motwani, 1999) for bits: each of a few tables reads other bits of a
descriptor as a key, so descriptors that differ in few bits meet in some table. Meetings are votes for a picture. Keys
that very many share (sky, text, a common edge) say nothing and are passed over, which also bounds the work.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from loradeck.tools.curate_dataset.features import Bytes

TABLES = 6
BITS = 20
DESCRIPTOR_BITS = 256
COMMON = 48
LEAST_VOTES = 4
BEST = 6
NONE = -1


class FeatureIndex:
    """Descriptors of pictures by the picture's number. Entries of a bucket are a chain, so adding moves nothing."""

    def __init__(self) -> None:
        order = np.random.default_rng(0).permutation(DESCRIPTOR_BITS)
        self._sampled = order[: TABLES * BITS].reshape(TABLES, BITS)
        self._heads = np.full((TABLES, 1 << BITS), NONE, dtype=np.int32)
        self._sizes = np.zeros((TABLES, 1 << BITS), dtype=np.uint16)
        self._next = np.full((TABLES, 1024), NONE, dtype=np.int32)
        self._owner = np.zeros(1024, dtype=np.int32)
        self._count = 0
        self._pictures = 0

    def add(self, descriptors: Bytes) -> int:
        """Remember a picture's (n, 32) descriptors; returns its number, counted from 0."""
        keys = self._keys(descriptors)
        count = self._count + len(descriptors)
        while count > len(self._owner):
            self._owner = np.concatenate([self._owner, np.zeros_like(self._owner)])
            self._next = np.concatenate([self._next, np.full_like(self._next, NONE)], axis=1)
        self._owner[self._count : count] = self._pictures
        for table in range(TABLES):
            # A key that a picture has twice is entered once: one vote a picture and key.
            own, first = np.unique(keys[table], return_index=True)
            entries = (self._count + first).astype(np.int32)
            self._next[table, entries] = self._heads[table, own]
            self._heads[table, own] = entries
            self._sizes[table, own] = np.minimum(self._sizes[table, own], COMMON) + 1
        self._count = count
        self._pictures += 1
        return self._pictures - 1

    def votes(self, descriptors: Bytes) -> NDArray[np.int64]:
        """For each picture, how often its descriptors met these."""
        met = [np.zeros(0, dtype=np.int32)]
        keys = self._keys(descriptors)
        for table in range(TABLES):
            own = np.unique(keys[table])
            reached = self._heads[table, own[self._sizes[table, own] <= COMMON]]
            while (reached := reached[reached != NONE]).size:
                met.append(self._owner[reached])
                reached = self._next[table, reached]
        return np.bincount(np.concatenate(met), minlength=self._pictures)

    def likely(self, *kinds: Bytes) -> list[int]:
        """The few pictures that meet any of these descriptors (as it is, mirrored) most often, most votes first."""
        votes = np.max([self.votes(one) for one in kinds], axis=0)
        best = np.argsort(-votes, kind="stable")[:BEST]
        return [int(number) for number in best if votes[number] >= LEAST_VOTES]

    def _keys(self, descriptors: Bytes) -> NDArray[np.int64]:
        """(tables, n) keys."""
        bits = np.unpackbits(descriptors, axis=1)[:, self._sampled]
        return np.asarray(bits.astype(np.int64) @ (1 << np.arange(BITS, dtype=np.int64)), dtype=np.int64).T
