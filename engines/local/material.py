"""What a training sees: pairs of picture and prompt to learn, to measure on, and to leave as they are."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL.Image import Image

from loradeck.engines.base import DatasetFolder, DatasetItem, TrainSpec
from loradeck.engines.local import buckets, pictures, texts
from loradeck.engines.local.bases import Base
from loradeck.engines.local.cache import Encoded, Encoder, Picture
from loradeck.engines.local.options import Options

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text

Shape = tuple[int, ...]

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

    def take(self, encoded: Encoded, chosen: torch.Tensor) -> tuple[torch.Tensor, Text]:
        """Latents ``(k, c, h, w)`` and prompts of the chosen pairs, which are of one shape (see `by_shape`)."""
        latents = torch.stack([encoded.latents[int(place)] for place in self.images[chosen]])
        return latents, texts.take(encoded.texts, self.prompts[chosen])

    def by_shape(self, encoded: Encoded) -> dict[Shape, torch.Tensor]:
        """Places of the pairs whose latents have the same shape, in order of first appearance."""
        found: dict[Shape, list[int]] = {}
        for place, image in enumerate(self.images.tolist()):
            found.setdefault(tuple(encoded.latents[image].shape), []).append(place)
        return {shape: torch.tensor(places) for shape, places in found.items()}


@dataclass(frozen=True)
class Material:
    """All that is encoded, and who uses what. `preserve` pairs have no trigger in their prompt."""

    encoded: Encoded
    train: Pairs
    held_out: Pairs
    preserve: Pairs
    sample_prompts: tuple[str, ...]
    samples: Text
    empty: Text  # the one prompt ""


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
    base: Base, encoder: Encoder, spec: TrainSpec, dataset: DatasetFolder, options: Options, stride: int
) -> Material:
    """Choose what is held out and what is preserved, and encode everything (or read it back from the cache)."""
    learn, held = split(dataset.items, options.held_out)
    images, prompts = _Table(), _Table()
    prompts.place("")

    def place(sha256: str, source: Path | Image) -> int:
        return images.place(sha256, Picture(sha256, source, _size(source, spec.resolution, stride)))

    train = [(place(item.sha256, item.image), prompts.place(item.caption)) for item in learn]
    held_out = [(place(item.sha256, item.image), prompts.place(item.caption)) for item in held]
    preserve: list[tuple[int, int]] = []
    if options.preservation:
        plain = [prompts.place(without_trigger(item.caption, spec.trigger)) for item in learn]
        preserve = [(image, prompt) for (image, _), prompt in zip(train, plain, strict=True)]
        for number, entry in enumerate(base.prior()):
            # An empty prompt now and then, since guidance draws against it.
            said = 0 if number % 6 == 5 else prompts.place(entry.prompt)
            preserve.append((place(_digest(entry.picture), entry.picture), said))
    shown = spec.sample_prompts or tuple(dict.fromkeys(item.caption for item in [*held, *learn]))[:SAMPLES]
    shown_places = [prompts.place(prompt) for prompt in shown]
    encoded = encoder.encode([entry for _, entry in images.entries], [prompt for prompt, _ in prompts.entries])
    return Material(
        encoded,
        _pairs(train),
        _pairs(held_out),
        _pairs(preserve),
        shown,
        texts.take(encoded.texts, torch.tensor(shown_places, dtype=torch.long)),
        texts.part(encoded.texts, 0, 1),
    )


def _size(source: Path | Image, resolution: int, stride: int) -> tuple[int, int]:
    """The size in pixels that a picture is learned at."""
    width, height = pictures.size(source) if isinstance(source, Path) else source.size
    return buckets.nearest(width, height, resolution, stride)
