"""FLUX.1 Kontext in the local engine: FLUX.1's maths, and reference pictures that it looks at."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers import FluxKontextPipeline
from PIL import Image
from support import tiny, tiny_flux1

from loradeck.engines.local.families.flux1 import FAMILY as FLUX1
from loradeck.engines.local.families.kontext import FAMILY, side_by_side


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> FluxKontextPipeline:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("kontext") / "weights"
    FluxKontextPipeline(**tiny_flux1.pipeline().components).save_pretrained(folder)
    return FAMILY.load(folder)


def drawn(pipeline: FluxKontextPipeline, *references: Image.Image, seed: int = 1) -> np.ndarray:
    text = FAMILY.encode_prompts(pipeline, ["a red disc"], 24)
    size = (2 * tiny.SIDE, tiny.SIDE)
    (picture,) = FAMILY.draw(pipeline, text, text, [seed], size, 2, 2.5, lambda: None, references)
    assert picture.size == size
    return np.asarray(picture, dtype=np.int16)


def test_without_references_it_draws_as_flux1(pipeline: FluxKontextPipeline) -> None:
    plain = tiny_flux1.pipeline()
    text = FLUX1.encode_prompts(plain, ["a red disc"], 24)
    (picture,) = FLUX1.draw(plain, text, text, [1], (2 * tiny.SIDE, tiny.SIDE), 2, 2.5, lambda: None)
    assert np.array_equal(drawn(pipeline), np.asarray(picture))


def test_every_reference_is_looked_at_and_a_seed_gives_the_picture_again(pipeline: FluxKontextPipeline) -> None:
    seen = [tiny.picture(seed) for seed in range(FAMILY.most_references)]
    pictures = [drawn(pipeline, *seen[:number]) for number in range(len(seen) + 1)]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    assert np.array_equal(drawn(pipeline, *seen), pictures[-1])


def test_pictures_of_one_batch_look_at_the_same_references(pipeline: FluxKontextPipeline) -> None:
    text = FAMILY.encode_prompts(pipeline, ["a red disc"] * 2, 24)
    size = (2 * tiny.SIDE, tiny.SIDE)
    together = FAMILY.draw(pipeline, text, text, [1, 2], size, 2, 2.5, lambda: None, [tiny.picture(5)])
    for seed, picture in enumerate(together, 1):
        alone = drawn(pipeline, tiny.picture(5), seed=seed)
        assert np.abs(np.asarray(picture, dtype=np.int16) - alone).max() <= 1


def test_references_stand_in_a_row_each_in_its_own_shape() -> None:
    red, blue = Image.new("RGB", (40, 20), "red"), Image.new("RGB", (30, 60), "blue")
    row = side_by_side([red, blue], area=4000)
    assert row.width * row.height == pytest.approx(4000, rel=0.05)
    edge = 2 / 2.5 * row.width  # shapes of 2 and a half
    assert row.getpixel((int(edge) - 2, row.height // 2)) == (255, 0, 0)
    assert row.getpixel((int(edge) + 2, row.height // 2)) == (0, 0, 255)
