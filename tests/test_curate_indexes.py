"""The two indexes that choose which pictures are compared: exact for hashes, by votes for corners."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loradeck.tools.curate_dataset.feature_index import COMMON, FeatureIndex
from loradeck.tools.curate_dataset.hash_index import HashIndex

HASHES = st.integers(min_value=0, max_value=2**64 - 1)
FLIPS = st.sets(st.integers(min_value=0, max_value=63), max_size=20)


def flipped(value: int, bits: set[int]) -> int:
    return value ^ sum(1 << bit for bit in bits)


@settings(max_examples=60, deadline=None)
@given(
    radius=st.integers(min_value=0, max_value=16),
    roots=st.lists(HASHES, min_size=1, max_size=4),
    changes=st.lists(st.tuples(st.integers(min_value=0, max_value=3), FLIPS), max_size=100),
    asked=FLIPS,
)
def test_the_hash_index_finds_what_comparing_with_each_finds(
    radius: int, roots: list[int], changes: list[tuple[int, set[int]]], asked: set[int]
) -> None:
    hashes = [flipped(roots[which % len(roots)], bits) for which, bits in changes]
    index = HashIndex(radius)
    assert [index.add(value) for value in hashes] == list(range(len(hashes)))
    query = flipped(roots[0], asked)
    each = [number for number, value in enumerate(hashes) if (value ^ query).bit_count() <= radius]
    assert index.near(query).tolist() == each


def test_the_farthest_hash_that_is_near_is_found_among_many() -> None:
    random = np.random.default_rng(3)
    hashes = [int(value) for value in random.integers(0, 2**64, 4000, dtype=np.uint64)]
    index = HashIndex(12)
    for value in hashes:
        index.add(value)
    for number in (0, 17, 3999):
        near = flipped(hashes[number], set(random.choice(64, 12, replace=False).tolist()))
        assert number in index.near(near)
        assert number not in index.near(hashes[number] ^ (2**64 - 1))


def descriptors(seed: int, count: int = 150) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 32), dtype=np.uint8)


def noisy(bits: np.ndarray, share: float, seed: int) -> np.ndarray:
    """With a share of the bits turned over."""
    turned = np.random.default_rng(seed).random((len(bits), 256)) < share
    return np.packbits(np.unpackbits(bits, axis=1) ^ turned.astype(np.uint8), axis=1)


def test_a_picture_that_shares_a_third_of_its_corners_is_likely_and_others_are_not() -> None:
    index = FeatureIndex()
    for picture in range(200):
        assert index.add(descriptors(picture)) == picture
    cut = np.concatenate([noisy(descriptors(70)[:50], 0.08, 1), descriptors(9000, 100)])
    assert index.likely(descriptors(9001), cut)[0] == 70
    assert index.likely(cut, descriptors(9001))[0] == 70
    others = index.votes(descriptors(9001))
    assert index.votes(cut)[70] > 10 * others.max()


def test_corners_that_very_many_pictures_have_are_no_votes() -> None:
    index = FeatureIndex()
    common = descriptors(5)
    for _ in range(COMMON + 1):
        index.add(common)
    assert index.votes(common).max() == 0


@pytest.mark.parametrize("count", [0, 1])
def test_a_picture_with_hardly_a_corner_is_indexed_too(count: int) -> None:
    index = FeatureIndex()
    assert index.likely(descriptors(1), descriptors(2)) == []
    index.add(descriptors(1, count))
    index.add(descriptors(2))
    assert index.likely(descriptors(2), descriptors(3)) == [1]
