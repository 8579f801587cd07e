"""What a training sees: pairs of picture and prompt to learn, to measure on, and to leave as they are."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image

from loradeck.engines.base import DatasetFolder, DatasetItem, TrainSpec
from loradeck.engines.local.bases import Base
from loradeck.engines.local.cache import Encoded, encode
from loradeck.engines.local.families import Family
from loradeck.engines.local.options import Options

IMAGES_PER_HELD_OUT = 8
"""A picture is kept out of training for every so many, up to the option's number."""

IN_TRAIN = 4
"""Training pictures that are measured too, beside the held-out ones."""

SAMPLES = 2
"""Prompts that are drawn when the caller named none."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of picture and prompt as places in the encoded tables, both ``(n,)``."""

    images: torch.Tensor
    prompts: torch.Tensor

    def __len__(self) -> int:
        return len(self.images)

    def take(self, encoded: Encoded, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents ``(k, c, h, w)`` and text states ``(k, tokens, d)`` of the chosen pairs."""
        return encoded.latents[self.images[chosen]], encoded.texts[self.prompts[chosen]]


@dataclass(frozen=True)
class Material:
    """All that is encoded, and who uses what. `preserve` pairs have no trigger in their prompt."""

    encoded: Encoded
    train: Pairs
    held_out: Pairs
    preserve: Pairs
    sample_prompts: tuple[str, ...]
    samples: torch.Tensor  # text states (k, tokens, d)
    empty: torch.Tensor  # text states of "" (1, tokens, d)


def without_trigger(caption: str, trigger: str) -> str:
    """The caption with the trigger, and what separated it, taken out."""
    if not trigger:
        return caption
    bare = re.sub(rf"(?<!\w){re.escape(trigger)}(?!\w)[\s,.:;-]*", "", caption, flags=re.IGNORECASE)
    return re.sub(r"\s{2,}", " ", bare).strip(" ,")


def split(items: tuple[DatasetItem, ...], wanted: int) -> tuple[list[DatasetItem], list[DatasetItem]]:
    """Training and held-out items; which are held out depends on the images alone, not on their order."""
    count = min(wanted, len(items) // IMAGES_PER_HELD_OUT)
    ordered = sorted(items, key=lambda item: hashlib.sha256(item.sha256.encode()).hexdigest())
    held = {item.sha256 for item in ordered[:count]}
    return [item for item in items if item.sha256 not in held], [item for item in items if item.sha256 in held]


class _Table:
    """Things to encode, each once, and their places."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Any]] = []
        self._places: dict[str, int] = {}

    def place(self, key: str, entry: Any = None) -> int:
        """Where the entry stands; added when it is new."""
        if key not in self._places:
            self._places[key] = len(self.entries)
            self.entries.append((key, entry))
        return self._places[key]


def _pairs(places: list[tuple[int, int]]) -> Pairs:
    table = torch.tensor(places, dtype=torch.long).reshape(-1, 2)
    return Pairs(table[:, 0], table[:, 1])


def _digest(picture: Image) -> str:
    return hashlib.sha256(picture.tobytes()).hexdigest()


def prepare(
    base: Base, family: Family, pipeline: Any, spec: TrainSpec, dataset: DatasetFolder, options: Options
) -> Material:
    """Choose what is held out and what is preserved, and encode everything (or read it from the run's cache)."""
    learn, held = split(dataset.items, options.held_out)
    prior = base.prior() if options.preservation else []
    images, prompts = _Table(), _Table()
    prompts.place("")
    train = [(images.place(item.sha256, item.image), prompts.place(item.caption)) for item in learn]
    held_out = [(images.place(item.sha256, item.image), prompts.place(item.caption)) for item in held]
    preserve: list[tuple[int, int]] = []
    if options.preservation:
        plain = [prompts.place(without_trigger(item.caption, spec.trigger)) for item in learn]
        preserve = [(image, prompt) for (image, _), prompt in zip(train, plain, strict=True)]
        for number, entry in enumerate(prior):
            place = images.place(_digest(entry.picture), entry.picture)
            # An empty prompt now and then, since guidance draws against it.
            preserve.append((place, 0 if number % 6 == 5 else prompts.place(entry.prompt)))
    shown = spec.sample_prompts or tuple(dict.fromkeys(item.caption for item in [*held, *learn]))[:SAMPLES]
    shown_places = [prompts.place(prompt) for prompt in shown]
    texts = [prompt for prompt, _ in prompts.entries]
    encoded = encode(base, family, pipeline, images.entries, texts, spec.resolution, spec.run_dir / "cache")
    return Material(
        encoded,
        _pairs(train),
        _pairs(held_out),
        _pairs(preserve),
        shown,
        encoded.texts[torch.tensor(shown_places, dtype=torch.long)],
        encoded.texts[:1],
    )
