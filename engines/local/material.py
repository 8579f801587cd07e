"""What a training sees: pairs of picture and prompt to learn, to measure on, and to leave as they are."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL.Image import Image

from loradeck.engines.base import DatasetFolder, DatasetItem, TrainSpec
from loradeck.engines.local import buckets, masks, pictures, texts
from loradeck.engines.local.bases import Base
from loradeck.engines.local.cache import Encoded, Encoder, Picture
from loradeck.engines.local.options import Options

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text

Shape = tuple[int, ...]

IMAGES_PER_HELD_OUT = 8
MOST_HELD_OUT = 2
"""A picture is kept out of training for every so many, up to so many, unless the option names a number."""

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
    """All that is encoded, and who uses what. `preserve` pairs have no trigger in their prompt.

    `plain` are the held-out pairs (else those of `train` that are measured) without the trigger; none where no trigger
    is taught. `samples` are the encoded `sample_prompts`, then `test_prompts`. `masks` holds the weights ``(1, h, w)``
    of images by their place.
    """

    encoded: Encoded
    train: Pairs
    held_out: Pairs
    preserve: Pairs
    plain: Pairs
    sample_prompts: tuple[str, ...]
    test_prompts: tuple[str, ...]
    samples: Text
    empty: Text  # the one prompt ""
    masks: Mapping[int, torch.Tensor]

    @property
    def in_train(self) -> Pairs:
        """The training pairs that are measured too."""
        return Pairs(self.train.images[:IN_TRAIN], self.train.prompts[:IN_TRAIN])

    def weights(self, pairs: Pairs, chosen: torch.Tensor) -> torch.Tensor | None:
        """How much each latent of the chosen pairs counts, ``(k, 1, h, w)``; None where all count alike."""
        places = pairs.images[chosen].tolist()
        if self.masks.keys().isdisjoint(places):
            return None
        whole = torch.ones(1, *self.encoded.latents[places[0]].shape[1:])
        return torch.stack([self.masks.get(place, whole) for place in places])


def without_trigger(caption: str, trigger: str) -> str:
    """The caption with the trigger, and what separated it, taken out."""
    if not trigger:
        return caption
    bare = re.sub(rf"(?<!\w){re.escape(trigger)}(?!\w)[\s,.:;-]*", "", caption, flags=re.IGNORECASE)
    return re.sub(r"\s{2,}", " ", bare).strip(" ,")


def split(items: tuple[DatasetItem, ...], wanted: int | None) -> tuple[list[DatasetItem], list[DatasetItem]]:
    """Training and held-out items; which are held out depends on the images alone, not on their order.

    A number that is wanted is kept, as long as one picture is left to train on.
    """
    usual = min(MOST_HELD_OUT, len(items) // IMAGES_PER_HELD_OUT)
    count = usual if wanted is None else min(wanted, len(items) - 1)
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
        preserve = _without_trigger(train, learn, prompts, spec.trigger)
        for number, entry in enumerate(base.prior() if options.preservation_prior else []):
            # An empty prompt now and then, since guidance draws against it.
            said = 0 if number % 6 == 5 else prompts.place(entry.prompt)
            preserve.append((place(_digest(entry.picture), entry.picture), said))
    measured = (held_out, held) if held else (train[:IN_TRAIN], learn[:IN_TRAIN])
    plain = _without_trigger(*measured, prompts, spec.trigger) if spec.trigger else []
    shown = spec.sample_prompts or tuple(dict.fromkeys(item.caption for item in [*held, *learn]))[:SAMPLES]
    shown_places = [prompts.place(prompt) for prompt in (*shown, *spec.test_prompts)]
    encoded = encoder.encode([entry for _, entry in images.entries], [prompt for prompt, _ in prompts.entries])
    return Material(
        encoded,
        _pairs(train),
        _pairs(held_out),
        _pairs(preserve),
        _pairs(plain),
        shown,
        spec.test_prompts,
        texts.take(encoded.texts, torch.tensor(shown_places, dtype=torch.long)),
        texts.part(encoded.texts, 0, 1),
        _masks(dataset, images, encoded, options),
    )


def _without_trigger(
    pairs: Sequence[tuple[int, int]], items: Sequence[DatasetItem], prompts: _Table, trigger: str
) -> list[tuple[int, int]]:
    """The pairs of the items with their captions' plain words."""
    plain = [prompts.place(without_trigger(item.caption, trigger)) for item in items]
    return [(image, prompt) for (image, _), prompt in zip(pairs, plain, strict=True)]


def _masks(dataset: DatasetFolder, images: _Table, encoded: Encoded, options: Options) -> dict[int, torch.Tensor]:
    """The weights of masked images by their place; none where the loss is not masked."""
    found: dict[int, torch.Tensor] = {}
    for item in dataset.items if options.masked_loss else ():
        if item.mask is not None:
            place = images.place(item.sha256)
            high, wide = encoded.latents[place].shape[1:]
            size = images.entries[place][1].size
            found[place] = masks.weights(item.mask, size, (high, wide), options.mask_background)
    return found


def _size(source: Path | Image, resolution: int, stride: int) -> tuple[int, int]:
    """The size in pixels that a picture is learned at."""
    width, height = pictures.size(source) if isinstance(source, Path) else source.size
    return buckets.nearest(width, height, resolution, stride)
