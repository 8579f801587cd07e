"""What a training sees: sizes, batches of one shape, and what is kept of it for later runs."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support import tiny

from loradeck.engines.base import DatasetFolder
from loradeck.engines.local import buckets
from loradeck.engines.local.cache import Encoder, Picture
from loradeck.engines.local.families.klein import FAMILY
from loradeck.engines.local.learner import Hold, Learner
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.options import Options
from loradeck.engines.local.seeds import batches


@given(st.integers(16, 4000), st.integers(16, 4000), st.sampled_from([128, 512, 768, 1024]))
def test_a_picture_keeps_its_shape_and_the_runs_number_of_pixels(width: int, height: int, resolution: int) -> None:
    across, down = buckets.nearest(width, height, resolution, 16)
    assert across % 16 == down % 16 == 0
    assert 0.8 < across * down / resolution**2 < 1.25
    if 0.5 <= width / height <= 2:
        assert 0.8 < (across / down) / (width / height) < 1.25


@pytest.mark.parametrize("resolution", [32, 128, 1024])
def test_a_square_picture_is_learned_at_the_resolution_itself(resolution: int) -> None:
    assert buckets.nearest(700, 700, resolution, 16) == (resolution, resolution)


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.integers(1, 4))
def test_every_picture_is_taken_as_often_as_any_other_and_batches_hold_one_shape(counts: list[int], size: int) -> None:
    places = torch.arange(sum(counts)).split(counts)
    shape = {int(place): number for number, group in enumerate(places) for place in group}
    lap = sum(-(-count // size) for count in counts)
    taken: Counter[int] = Counter()
    for step in range(lap * size * max(counts)):
        rows = batches(7, "learn", step, places, size).tolist()
        assert len(rows) == size
        assert len({shape[row] for row in rows}) == 1
        taken.update(rows)
    for group in places:
        often = [taken[int(place)] for place in group]
        assert max(often) - min(often) <= 1


@pytest.fixture
def wide(tmp_path: Path) -> DatasetFolder:
    """Nine pictures, three of them twice as wide."""
    made = tiny.dataset(tmp_path / "images")
    for item in made.items[:3]:
        tiny.picture(int(item.image.stem), 64).resize((64, 32)).save(item.image)
    return made


def learner(folder: Path, dataset: DatasetFolder, hold: Hold | None = None, **options: Any) -> Learner:
    torch.set_num_threads(1)
    base = tiny.base(folder / "weights")
    loaded = FAMILY.load(base.weights)
    spec = tiny.spec(folder / "run", batch_size=3, resolution=64)
    chosen = Options(**options)
    seen = tiny.encoded(base, FAMILY, loaded, spec, dataset, chosen)
    adapter = Adapter(loaded.transformer, FAMILY, spec.rank, spec.alpha, spec.seed)
    return Learner(FAMILY, loaded.transformer, adapter, seen, spec, chosen, hold)


def test_pictures_of_two_shapes_are_learned_each_in_its_own(tmp_path: Path, wide: DatasetFolder) -> None:
    learns = learner(tmp_path, wide)
    shapes = {tuple(learns.learning_rows(step).image.shape) for step in range(6)}
    assert len(shapes) == 2
    for step in range(6):
        assert torch.isfinite(learns.step(step).loss)


def test_a_step_in_several_passes_is_the_step_in_one(tmp_path: Path, wide: DatasetFolder) -> None:
    whole = learner(tmp_path, wide, preservation_batch=2)
    cut = learner(tmp_path, wide, Hold(micro_batch=1), preservation_batch=2)
    for step in range(4):
        assert [len(rows.sigma) for rows, _ in cut.passes(step)] == [1, 1, 1]
        one, many = whole.step(step), cut.step(step)
        assert float(many.loss) == pytest.approx(float(one.loss), abs=1e-5)
        assert float(many.preservation) == pytest.approx(float(one.preservation), abs=1e-5)
    for ours, theirs in zip(whole.adapter.parameters().values(), cut.adapter.parameters().values(), strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)


def encoder(folder: Path, opened: list[int], weights: Path, digest: str = "one") -> Encoder:
    base = tiny.base(weights)

    def open_base() -> Any:
        opened.append(1)
        return FAMILY.load(base.weights)

    return Encoder(base, digest, FAMILY, open_base, folder, lambda done, of: None)


def test_what_one_run_encoded_a_later_one_reads_back_and_only_what_is_new_is_encoded(tmp_path: Path) -> None:
    pictures = [Picture(f"sha-{number}", tiny.picture(number), (32, 32)) for number in range(3)]
    opened: list[int] = []
    first = encoder(tmp_path / "cache", opened, tmp_path / "w").encode(pictures[:2], ["a disc"])
    assert len(opened) == 3
    again = encoder(tmp_path / "cache", opened, tmp_path / "w").encode(pictures, ["a disc"])
    assert len(opened) == 4
    assert all(torch.equal(one, two) for one, two in zip(first.latents, again.latents, strict=False))
    assert torch.equal(first.texts["states"], again.texts["states"])
    encoder(tmp_path / "cache", opened, tmp_path / "w", digest="other weights").encode(pictures[:1], ["a disc"])
    assert len(opened) == 6


def test_a_broken_file_of_the_cache_is_made_again(tmp_path: Path) -> None:
    picture, opened = Picture("sha", tiny.picture(1), (32, 32)), []
    first = encoder(tmp_path / "cache", opened, tmp_path / "w").encode([picture], ["x"])
    for kept in (tmp_path / "cache").iterdir():
        kept.write_bytes(kept.read_bytes()[:40])
    again = encoder(tmp_path / "cache", opened, tmp_path / "w").encode([picture], ["x"])
    assert torch.equal(first.latents[0], again.latents[0])
    assert len(opened) == 4


def test_what_was_not_used_for_longest_leaves_a_cache_that_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (Picture(name, Image.new("RGB", (32, 32), name), (32, 32)) for name in ("red", "blue"))
    opened: list[int] = []
    encoder(tmp_path / "cache", opened, tmp_path / "w").encode([old], ["x"])
    kept = set((tmp_path / "cache").iterdir())
    for path in kept:
        os.utime(path, (1, 1))
    monkeypatch.setattr("loradeck.engines.local.cache.LARGEST", sum(path.stat().st_size for path in kept))
    encoder(tmp_path / "cache", opened, tmp_path / "w").encode([new], ["x"])
    left = set((tmp_path / "cache").iterdir())
    assert len(left) == 2
    assert len(left & kept) == 1  # the prompt, which was used again
