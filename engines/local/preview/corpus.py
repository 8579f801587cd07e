"""Draw the pictures, tell them, and turn both into what the transformer learns from: once, on disk.

Latents are normalised and patchified, ``(n, 64, rows, columns)``; text states are ``(n, length, 192)``.
Both are kept in bfloat16. Captions are sorted into *short* (up to 32 tokens, which keeps a training step
small), *long* (64 tokens) and a few *padded* to the 512 tokens that plain diffusers pads to.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKLFlux2
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from loradeck.engines.local.preview.captions import caption
from loradeck.engines.local.preview.draw import draw_scene
from loradeck.engines.local.preview.progress import say
from loradeck.engines.local.preview.text import MAX_TOKENS, embed
from loradeck.engines.local.preview.vae import encode, normalise, set_statistics
from loradeck.engines.local.preview.world import SQUARE, WIDE, Scene, pick_scene, pick_simple_scene

TOKEN = 16
"""Pixels a token, each way."""

LENGTHS = {"short": 32, "long": MAX_TOKENS, "padded": 512}
PICTURES: dict[str, tuple[tuple[int, int], Callable[[random.Random, tuple[int, int]], Scene]]] = {
    "simple": (SQUARE, pick_simple_scene),
    "square": (SQUARE, pick_scene),
    "wide": (WIDE, pick_scene),
}
"""The kinds of pictures: their size, and who picks their scenes."""


@dataclass(frozen=True)
class CorpusPlan:
    """How many pictures are drawn, and how many captions each gets."""

    simple: int = 5000
    square: int = 8250
    wide: int = 2750
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

    latents: dict[str, torch.Tensor]  # "simple" and "square" (n, 64, 8, 8), "wide" (n, 64, 9, 16)
    weights: dict[str, torch.Tensor]  # (n, tokens), what a token counts for: more where a thing is, 1 on average
    shelves: dict[tuple[str, str], Shelf]  # by picture shape and text length
    empty: dict[str, torch.Tensor]  # the empty prompt, (length, 192), by text length


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


def _draw(plan: CorpusPlan, shape: str, vae: AutoencoderKLFlux2) -> tuple[torch.Tensor, torch.Tensor, list[list[str]]]:
    count = {"simple": plan.simple, "square": plan.square, "wide": plan.wide}[shape]
    size, pick = PICTURES[shape]
    rng = random.Random(f"{plan.seed}-{shape}")
    latents, weights, told, batch = [], [], [], []
    for index in range(count):
        scene = pick(rng, size)
        batch.append(np.asarray(draw_scene(scene)))
        weights.append(token_weights(scene))
        told.append([caption(scene, rng) for _ in range(plan.captions)])
        if len(batch) == 64 or index + 1 == count:
            latents.append(encode(vae, np.stack(batch)))
            batch = []
            if index % 1024 < 64:
                say("draw", shape=shape, pictures=index)
    return torch.cat(latents), torch.stack(weights), told


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
    torch.save({"latents": corpus.latents, "weights": corpus.weights, "shelves": shelves, "empty": corpus.empty}, path)


def _load(path: Path) -> Corpus:
    stored: dict[str, Any] = torch.load(path, weights_only=True)
    shelves = {}
    for key, (text, picture) in stored["shelves"].items():
        shape, length = key.split("/")
        shelves[shape, length] = Shelf(text, picture)
    return Corpus(stored["latents"], stored["weights"], shelves, stored["empty"])


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
    shelves: dict[tuple[str, str], Shelf] = {}
    for shape in PICTURES:
        raw[shape], weights[shape], told = _draw(plan, shape, vae)
        for length, chosen in _sorted_by_length(told, tokenizer, plan).items():
            shelves[shape, length] = _shelf(chosen, LENGTHS[length], tokenizer, encoder)
    if statistics.exists():
        vae.bn.load_state_dict(torch.load(statistics, weights_only=True))
    else:
        set_statistics(vae, raw["square"])
        torch.save(vae.bn.state_dict(), statistics)
    latents = {shape: normalise(vae, values).bfloat16() for shape, values in raw.items()}
    empty = {name: embed(tokenizer, encoder, [""], length)[0].bfloat16() for name, length in LENGTHS.items()}
    corpus = Corpus(latents, weights, shelves, empty)
    _save(corpus, path)
    return corpus
