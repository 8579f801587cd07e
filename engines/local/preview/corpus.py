"""Draw the pictures, tell them, and turn both into what the transformer learns from: once, on disk.

Latents are normalised and patchified, ``(n, 128, rows, columns)``; text states are ``(n, length, 192)``.
Both are kept in bfloat16. Captions are sorted into *plain* (one bare phrase, up to 24 tokens), *short* (up to 32
tokens, which keeps a training step small), *long* (64 tokens) and a few *padded* to the 512 tokens that plain
diffusers pads to.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from loradeck.engines.local.preview.captions import caption, plain_caption
from loradeck.engines.local.preview.draw import draw_scene
from loradeck.engines.local.preview.progress import say
from loradeck.engines.local.preview.shapes import SHAPES
from loradeck.engines.local.preview.text import MAX_TOKENS, embed
from loradeck.engines.local.preview.vae import Picture, encode, normalise, set_statistics
from loradeck.engines.local.preview.world import SQUARE, WIDE, Scene, pick_scene, pick_simple_pair, pick_simple_scene

TOKEN = 16
"""Pixels a token, each way."""

LENGTHS = {"plain": 24, "short": 32, "long": MAX_TOKENS, "padded": 512}
PICTURES: dict[str, tuple[tuple[int, int], Callable[[random.Random, tuple[int, int]], Scene]]] = {
    "simple": (SQUARE, pick_simple_scene),
    "square": (SQUARE, pick_scene),
    "broad": (WIDE, pick_simple_scene),
    "wide": (WIDE, pick_scene),
    "pairs": (WIDE, pick_simple_pair),
}
"""The kinds of pictures: their size, and who picks their scenes; "broad" are the simple ones in 16:9."""

SIMPLE = frozenset({"simple", "broad", "pairs"})
"""The kinds that are also told in plain captions."""


HARD = {
    **dict.fromkeys(("sun", "star", "cloud", "umbrella"), 4.0),
    **dict.fromkeys(("moon", "rocket", "flower", "cup"), 2.5),
    **dict.fromkeys(("ring", "cross", "person", "tree", "arrow", "book", "lock", "bell", "camera"), 1.5),
}
"""How much more often a picture with such a thing is trained on: those whose outlines were misread most after 12,600
steps, in 360 prompts that nothing else is measured by (``held_out_prompts(360, seed=80)``)."""


@dataclass(frozen=True)
class CorpusPlan:
    """How many pictures are drawn, and how many captions each gets."""

    simple: int = 4500
    square: int = 6000
    broad: int = 2500
    wide: int = 2000
    pairs: int = 2500
    captions: int = 2
    long_share: float = 0.06  # of the short captions, told again in the long form
    padded: int = 160
    seed: int = 21


@dataclass(frozen=True)
class Shelf:
    """Text states of one length, and which picture each belongs to."""

    text: torch.Tensor  # (n, length, 192) bfloat16
    picture: torch.Tensor  # (n,) int64


@dataclass(frozen=True)
class Corpus:
    """Everything the transformer trains on."""

    latents: dict[str, torch.Tensor]  # by kind: squares (n, 128, 8, 8), 16:9 (n, 128, 9, 16)
    weights: dict[str, torch.Tensor]  # (n, tokens), what a token counts for: more where a thing is, 1 on average
    chances: dict[str, torch.Tensor]  # (n,), how often a picture is trained on beside the others of its kind
    shelves: dict[tuple[str, str], Shelf]  # by kind of picture and text length
    empty: dict[str, torch.Tensor]  # the empty prompt, (length, 192), by text length
    hearing: dict[str, torch.Tensor]  # "latents" of simple pictures, their captions' "right" states, "wrong" nouns'


def token_weights(scene: Scene) -> torch.Tensor:
    """What each token of a picture counts for, ``(tokens,)``: four times as much where a thing is, 1 on average."""
    rows, columns = scene.height // TOKEN, scene.width // TOKEN
    x = (torch.arange(columns) + 0.5) / columns
    y = (torch.arange(rows)[:, None] + 0.5) / rows
    weights = torch.ones(rows, columns)
    for thing in scene.things:
        across = thing.radius * scene.height / scene.width
        weights[((x - thing.x).abs() < across + 0.4 / columns) & ((y - thing.y).abs() < thing.radius + 0.4 / rows)] = (
            4.0
        )
    return (weights / weights.mean()).flatten()


def chance(scene: Scene) -> float:
    """How often a picture is trained on, 1 for the easy ones: what the hardest thing in it asks for."""
    return max(HARD.get(thing.shape, 1.0) for thing in scene.things)


@dataclass(frozen=True)
class _Chunk:
    """Some pictures of one size, what their tokens count for, and what is told of them."""

    pictures: Picture
    weights: torch.Tensor
    chances: torch.Tensor
    told: list[list[str]]
    plain: list[str]


def _draw_chunk(shape: str, count: int, captions: int, seed: str) -> _Chunk:
    size, pick = PICTURES[shape]
    rng = random.Random(seed)
    scenes = [pick(rng, size) for _ in range(count)]
    return _Chunk(
        np.stack([np.asarray(draw_scene(scene)) for scene in scenes]),
        torch.stack([token_weights(scene) for scene in scenes]),
        torch.tensor([chance(scene) for scene in scenes]),
        [[caption(scene, rng) for _ in range(captions)] for scene in scenes],
        [plain_caption(scene, rng) for scene in scenes] if shape in SIMPLE else [],
    )


def _chunks(plan: CorpusPlan, shape: str) -> Iterator[_Chunk]:
    """All pictures of a kind, drawn by two processes, 64 at a time; the same for the same plan."""
    total: int = getattr(plan, shape)
    counts = [min(64, total - start) for start in range(0, total, 64)]
    seeds = [f"{plan.seed}-{shape}-{i}" for i in range(len(counts))]
    fresh = get_context("spawn")  # a forked child would wait for ever for threads that torch started here
    with ProcessPoolExecutor(2, mp_context=fresh, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        yield from pool.map(_draw_chunk, repeat(shape), counts, repeat(plan.captions), seeds)


@dataclass(frozen=True)
class _Drawn:
    """All pictures of a kind as latents, and what is told of them."""

    latents: torch.Tensor
    weights: torch.Tensor
    chances: torch.Tensor
    told: list[list[str]]
    plain: list[str]


def _draw(plan: CorpusPlan, shape: str, vae: AutoencoderKLFlux2) -> _Drawn:
    latents, weights, chances = [], [], []
    told: list[list[str]] = []
    plain: list[str] = []
    for chunk in _chunks(plan, shape):
        latents.append(encode(vae, chunk.pictures))
        weights.append(chunk.weights)
        chances.append(chunk.chances)
        told += chunk.told
        plain += chunk.plain
        if len(latents) % 16 == 0:
            say("draw", shape=shape, pictures=len(told))
    return _Drawn(torch.cat(latents), torch.cat(weights), torch.cat(chances), told, plain)


def _shelf(
    chosen: list[tuple[int, str]], length: int, tokenizer: PreTrainedTokenizerFast, encoder: Qwen3ForCausalLM
) -> Shelf:
    size = max(4, 8192 // length)
    parts = [
        embed(tokenizer, encoder, [text for _, text in chosen[i : i + size]], length).bfloat16()
        for i in range(0, len(chosen), size)
    ]
    say("embed", length=length, captions=len(chosen))
    return Shelf(torch.cat(parts), torch.tensor([picture for picture, _ in chosen]))


def _sorted_by_length(
    told: list[list[str]], tokenizer: PreTrainedTokenizerFast, plan: CorpusPlan
) -> dict[str, list[tuple[int, str]]]:
    rng = random.Random(plan.seed)
    pairs = [(picture, text) for picture, texts in enumerate(told) for text in texts]
    sizes = [len(ids) + 1 for ids in tokenizer([text for _, text in pairs])["input_ids"]]
    short = [pair for pair, size in zip(pairs, sizes, strict=True) if size <= LENGTHS["short"]]
    long = [pair for pair, size in zip(pairs, sizes, strict=True) if size > LENGTHS["short"]]
    long += [pair for pair in short if rng.random() < plan.long_share]
    return {"short": short, "long": long, "padded": rng.sample(pairs, min(plan.padded, len(pairs)))}


def _save(corpus: Corpus, path: Path) -> None:
    shelves = {"/".join(key): (shelf.text, shelf.picture) for key, shelf in corpus.shelves.items()}
    kept = {name: getattr(corpus, name) for name in ("latents", "weights", "chances", "empty", "hearing")}
    torch.save({**kept, "shelves": shelves}, path)


def _load(path: Path) -> Corpus:
    stored: dict[str, Any] = torch.load(path, weights_only=True)
    shelves = {}
    for key, (text, picture) in stored["shelves"].items():
        shape, length = key.split("/")
        shelves[shape, length] = Shelf(text, picture)
    return Corpus(**(stored | {"shelves": shelves}))


def _wrong_noun(text: str, shape: str, rng: random.Random) -> str:
    return text.replace(shape, rng.choice([other for other in SHAPES if other != shape]))


def _hearing(
    vae: AutoencoderKLFlux2, tokenizer: PreTrainedTokenizerFast, encoder: Qwen3ForCausalLM, count: int = 128
) -> dict[str, torch.Tensor]:
    """Pictures that are not trained on, with their caption and the same caption with another noun."""
    rng = random.Random("hearing")
    scenes = [pick_simple_scene(rng) for _ in range(count)]
    right = [plain_caption(scene, rng) for scene in scenes]
    wrong = [_wrong_noun(text, scene.things[0].shape, rng) for text, scene in zip(right, scenes, strict=True)]
    pictures = np.stack([np.asarray(draw_scene(scene)) for scene in scenes])
    return {
        "latents": normalise(vae, encode(vae, pictures)),
        "right": embed(tokenizer, encoder, right, LENGTHS["short"]),
        "wrong": embed(tokenizer, encoder, wrong, LENGTHS["short"]),
        "weights": torch.stack([token_weights(scene) for scene in scenes]),
    }


def build_corpus(
    plan: CorpusPlan,
    folder: Path,
    vae: AutoencoderKLFlux2,
    tokenizer: PreTrainedTokenizerFast,
    encoder: Qwen3ForCausalLM,
) -> Corpus:
    """The corpus in ``folder``, made when it is not there yet; sets the autoencoder's statistics."""
    path, statistics = folder / "corpus.pt", folder / "statistics.pt"
    if path.exists():
        vae.bn.load_state_dict(torch.load(statistics, weights_only=True))
        return _load(path)
    raw: dict[str, torch.Tensor] = {}
    weights: dict[str, torch.Tensor] = {}
    chances: dict[str, torch.Tensor] = {}
    shelves: dict[tuple[str, str], Shelf] = {}
    for shape in PICTURES:
        drawn = _draw(plan, shape, vae)
        raw[shape], weights[shape], chances[shape] = drawn.latents, drawn.weights, drawn.chances
        told = _sorted_by_length(drawn.told, tokenizer, plan)
        told["plain"] = list(enumerate(drawn.plain))
        for length, chosen in told.items():
            if chosen:
                shelves[shape, length] = _shelf(chosen, LENGTHS[length], tokenizer, encoder)
    if statistics.exists():
        vae.bn.load_state_dict(torch.load(statistics, weights_only=True))
    else:
        set_statistics(vae, raw["square"])
        torch.save(vae.bn.state_dict(), statistics)
    latents = {shape: normalise(vae, values).bfloat16() for shape, values in raw.items()}
    empty = {name: embed(tokenizer, encoder, [""], length)[0].bfloat16() for name, length in LENGTHS.items()}
    corpus = Corpus(latents, weights, chances, shelves, empty, _hearing(vae, tokenizer, encoder))
    _save(corpus, path)
    return corpus
