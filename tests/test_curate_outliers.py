"""What looks unlike the rest of a set is found; honest variety is left in peace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from support.pictures import DATA, ICONS, PHOTOS, heads, opened

from loradeck.tools.curate_dataset.outliers import look_vector, outliers

Looks = dict[str, NDArray[np.float32]]


def looks(paths: list[Path]) -> Looks:
    return {path.stem: look_vector(opened(path)) for path in paths}


@pytest.fixture(scope="module")
def icons() -> Looks:
    return looks(ICONS[::3])


def test_a_look_is_the_same_60_numbers_every_time() -> None:
    first, second = look_vector(opened(ICONS[0])), look_vector(opened(ICONS[0]))
    assert first.shape == (60,)
    assert first.dtype == np.float32
    assert np.array_equal(first, second)


def test_icons_of_one_family_have_no_stranger(icons: Looks) -> None:
    assert len(outliers(icons)) <= 1


def test_photographs_among_icons_stand_apart_and_come_first(icons: Looks) -> None:
    strangers = looks([path for path in PHOTOS if path.stem in {"astronaut", "coffee"}])
    found = outliers({**icons, **strangers})
    assert set(list(found)[:2]) == set(strangers)
    assert min(found[name] for name in strangers) >= 3


def test_heads_before_changing_grounds_are_honest_variety() -> None:
    assert len(outliers(looks([path for path, _ in heads()][::2]))) <= 2


def test_under_ten_pictures_nothing_is_said(icons: Looks) -> None:
    few = dict(list(icons.items())[:8])
    assert outliers({**few, "photo": look_vector(opened(DATA / "photos" / "astronaut.png"))}) == {}
