"""What the world's words mean, as vectors: made from what is drawn, so that nobody has to learn it twice.

A known word's embedding is part its own (random), part its kind (all nouns share a direction, all colours
another), and, for nouns, colours and places, part what it looks like: a noun's silhouette, a colour's red, green
and blue, a place's column and row. Without this the base heard colours and places after 1,500 steps and
nouns not even after 4,000; with it nouns were not heard after 900 either, and it has not been tried for
longer. Words that are not of the world have none of it and stay neutral.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from PIL import Image

from loradeck.engines.local.preview.captions import (
    COLOR_WORDS,
    GROUND_NOUNS,
    SIZE_WORDS,
    TEXTURE_WORDS,
)
from loradeck.engines.local.preview.draw import masks
from loradeck.engines.local.preview.shapes import SHAPES
from loradeck.engines.local.preview.world import COLORS

KIND, LOOK = 0.6, 0.9
"""How much of a word's vector is its kind, and what it looks like (root mean square; its own part is 0.6)."""

PLACES: dict[str, tuple[float, float]] = {
    "left": (-1, 0), "right": (1, 0), "centre": (0, 0), "center": (0, 0), "centred": (0, 0), "middle": (0, 0),
    "top": (0, -1), "upper": (0, -1), "high": (0, -1), "bottom": (0, 1), "lower": (0, 1), "low": (0, 1),
}  # fmt: skip
AMOUNTS = {"small": -1.0, "medium": 0.0, "large": 1.0}
SKY_WORDS = ("sky", "night", "stars", "starry", "day", "daylight", "sunny", "clear", "sunset", "evening", "dusk",
             "cloudy", "clouds")  # fmt: skip
LIGHT_WORDS = ("bright", "brightly", "dim", "dimly", "shade", "warm", "cool", "cold", "pastel", "muted")


def silhouettes() -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Where each shape's main and second colour show, on a grid of 8 by 8 each: 128 numbers a shape."""
    found = {}
    for name, shape in SHAPES.items():
        layers = masks(shape, 40.0)
        grids = [
            np.asarray(layers[role].resize((8, 8), Image.Resampling.BOX), np.float64) for role in ("main", "accent")
        ]
        found[name] = np.concatenate([grid.ravel() for grid in grids]) / 255
    return found


class _Meanings:
    """Collects vectors; every kind of word gets a direction and a random map from its looks."""

    def __init__(self, width: int, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._width = width
        self.vectors: dict[str, torch.Tensor] = {}

    def _direction(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return self._rng.standard_normal(self._width)

    def add(self, looks: dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]) -> None:
        """Words of one kind with the numbers of their looks; the looks are centred and scaled as a whole."""
        kind = self._direction()
        table = np.stack(list(looks.values()))
        table = table - table.mean(axis=0)
        mapped = table @ self._rng.standard_normal((table.shape[1], self._width))
        mapped /= max(float(np.sqrt((mapped**2).mean())), 1e-9)
        for word, look in zip(looks, mapped, strict=True):
            self.vectors[word] = torch.from_numpy(KIND * kind + LOOK * look).float()

    def add_plain(self, words: Iterable[str]) -> None:
        """Words of one kind without looks."""
        kind = torch.from_numpy(KIND * self._direction()).float()
        for word in words:
            self.vectors.setdefault(word, kind)


def word_meanings(width: int = 64, seed: int = 9) -> dict[str, torch.Tensor]:
    """The kind and the looks of every word of the world, ``(width,)`` each; one-token words only."""
    meanings = _Meanings(width, seed)
    outlines = silhouettes()
    meanings.add({noun: outlines[name] for name, shape in SHAPES.items() for noun in shape.nouns})
    meanings.add({word: np.array(rgb) / 255 for name, rgb in COLORS.items() for word in COLOR_WORDS.get(name, (name,))})
    meanings.add({word: np.array(place) for word, place in PLACES.items()})
    sizes = {word: np.array([AMOUNTS[size]]) for size, words in SIZE_WORDS.items() for word in words if " " not in word}
    meanings.add(sizes)
    meanings.add_plain(word for words in TEXTURE_WORDS.values() for word in words if " " not in word)
    meanings.add_plain(word for words in GROUND_NOUNS.values() for word in words if " " not in word)
    meanings.add_plain(SKY_WORDS)
    meanings.add_plain(LIGHT_WORDS)
    return meanings.vectors
