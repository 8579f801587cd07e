"""How the preview base is built: what its first steps see, and how its networks start."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from loradeck.engines.local.preview.corpus import LENGTHS, SIMPLE, Corpus, Shelf
from loradeck.engines.local.preview.transformer import (
    Trainer,
    TransformerPlan,
    batches,
    hearing,
    new_transformer,
    pick_sigmas,
)
from loradeck.engines.local.preview.vae import CHANNELS, new_vae

PLAN = TransformerPlan(steps=6, cooldown=3, batch=4, first=3)


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    """A corpus of noise: eight pictures of each kind."""
    generator = torch.Generator().manual_seed(1)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    sizes = {"simple": (8, 8), "square": (8, 8), "broad": (9, 16), "wide": (9, 16), "pairs": (9, 16)}
    shelves = {
        (shape, length): Shelf(noise(8, LENGTHS[length], 192), torch.arange(8))
        for shape in sizes
        for length in LENGTHS
        if length != "padded" and (length != "plain" or shape in SIMPLE)
    }
    return Corpus(
        latents={shape: noise(8, 4 * CHANNELS, *size) for shape, size in sizes.items()},
        weights={shape: torch.ones(8, size[0] * size[1]) for shape, size in sizes.items()},
        chances={shape: torch.tensor([1.0, 1, 1, 1, 4, 4, 4, 4]) for shape in sizes},
        shelves=shelves,
        empty={length: torch.zeros(tokens, 192) for length, tokens in LENGTHS.items()},
        hearing={
            "latents": noise(4, 4 * CHANNELS, 8, 8),
            "right": noise(4, LENGTHS["short"], 192),
            "wrong": noise(4, LENGTHS["short"], 192),
            "weights": torch.ones(4, 64),
        },
    )


def test_the_first_steps_see_plain_captions_alone(corpus: Corpus) -> None:
    plan = replace(PLAN, padded=0.0, first=5)
    seen = [batch.text.shape[1] for batch in islice(batches(corpus, plan, 0), 40)]
    assert set(seen[:5]) == {LENGTHS["plain"]}
    assert {LENGTHS["short"], LENGTHS["long"]} <= set(seen[5:])


def test_plain_captions_are_told_of_wide_pictures_too(corpus: Corpus) -> None:
    plan = replace(PLAN, padded=0.0, first=0)
    seen = {(batch.columns, batch.text.shape[1]) for batch in islice(batches(corpus, plan, 0), 60)}
    assert {(8, LENGTHS["plain"]), (16, LENGTHS["plain"]), (8, LENGTHS["short"]), (16, LENGTHS["short"])} <= seen


def test_training_goes_on_with_the_batches_it_would_have_seen(corpus: Corpus) -> None:
    plan = replace(PLAN, padded=0.0)
    whole = list(islice(batches(corpus, plan, 0), 6))
    for before, after in zip(whole[4:], batches(corpus, plan, 4), strict=False):
        assert torch.equal(before.clean, after.clean)
        assert torch.equal(before.text, after.text)
        assert torch.equal(before.noise, after.noise)


def test_more_shift_means_more_noise() -> None:
    low, high = (pick_sigmas(2000, shift, torch.Generator().manual_seed(2)) for shift in (1.0, 6.0))
    assert bool((high >= low).all())
    assert float(low.mean()) == pytest.approx(0.5, abs=0.02)
    assert float(high.min()) >= 0
    assert float(high.max()) <= 1


@torch.no_grad()
def test_all_blocks_learn_from_the_start() -> None:
    model = new_transformer()
    for sigma in (0.1, 0.5, 0.9):
        times = model.time_guidance_embed(torch.tensor([sigma * 1000]), None)
        for modulation in (model.double_stream_modulation_img, model.single_stream_modulation):
            for _, _, gate in modulation.split(modulation(times), modulation.mod_param_sets):
                assert float(gate.mean()) == pytest.approx(1.0, abs=0.4)


def test_the_autoencoder_starts_with_little_noise_on_its_latents() -> None:
    torch.manual_seed(0)
    posterior = new_vae().encode(torch.rand(2, 3, 64, 64) * 2 - 1).latent_dist
    assert float(posterior.std.mean()) < 0.1


def test_a_checkpoint_goes_on_to_the_same_weights(corpus: Corpus, tmp_path: Path) -> None:
    folder = tmp_path
    plan = replace(PLAN, padded=0.0)
    straight = Trainer(plan, folder / "a")
    for batch in islice(batches(corpus, plan, 0), 4):
        straight.learn(batch)
    (folder / "b").mkdir()
    first = Trainer(plan, folder / "b")
    for batch in islice(batches(corpus, plan, 0), 2):
        first.learn(batch)
    first.save()
    second = Trainer(plan, folder / "b")
    assert second.step == 2
    for batch in islice(batches(corpus, plan, 2), 2):
        second.learn(batch)
    for one, other in zip(straight.average.parameters(), second.average.parameters(), strict=True):
        assert torch.equal(one, other)
    heard = hearing(second.average, corpus)
    assert set(heard) == {"right", "wrong"}
