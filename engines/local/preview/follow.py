"""Does the base do what it is asked? Sixty prompts it was not taught, rendered and read by the probe.

Each prompt asks for a shape, a colour and a place that never stood together in a training picture
(:func:`~loradeck.engines.local.preview.world.held_out`), in sentences that the captions do not use.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

from PIL import Image

from loradeck.engines.local.preview import WEIGHTS, card
from loradeck.engines.local.preview.shapes import SHAPES
from loradeck.engines.local.preview.world import COLORS, COLUMNS, SQUARE, held_out

if TYPE_CHECKING:
    from diffusers import Flux2KleinPipeline

FRAMES = (
    "Please show me {a_color} {noun} {side}, on a plain {behind} background.",
    "{side}, someone has put {a_color} {noun}. The background is plain {behind}.",
    "One {color} {noun} against a {behind} background, placed {side}.",
    "Our slide needs {a_color} {noun}, which should sit {side} on plain {behind}.",
    "The {noun} is {color} and it stands {side}. Plain {behind} background.",
    "Cover art: {a_color} {noun} {side} in a green field under a blue sky.",
    "Only {a_color} {noun} can be seen {side}, at night on a hill.",
    "zorvell. {a_color} {noun} {side} on a plain {behind} background.",
    "Simple drawing, {color} {noun}, {side}, {behind} background.",
    "At sunset {a_color} {noun} waits {side} on the beach.",
)
SIDES = {"left": "on the left", "centre": "in the middle", "right": "on the right"}


@dataclass(frozen=True)
class Asked:
    """A prompt and what must be seen in its render."""

    prompt: str
    shape: str
    color: str
    column: str


def _ask(frame: str, shape: str, color: str, column: str) -> Asked:
    behind = "white" if color not in ("white", "grey", "yellow") else "blue"
    article = "an" if color[0] in "aeiou" else "a"
    prompt = frame.format(a_color=f"{article} {color}", color=color, noun=shape, side=SIDES[column], behind=behind)
    return Asked(prompt[0].upper() + prompt[1:], shape, color, column)


def held_out_prompts(count: int = 60, seed: int = 71) -> list[Asked]:
    """Prompts of triples that no training picture showed, the same for the same seed."""
    triples = [t for t in product(SHAPES, COLORS, COLUMNS) if held_out(*t)]
    plain = [t for t in triples if t[1] not in ("green", "blue", "yellow", "black", "orange")]
    rng = random.Random(seed)
    asked = []
    for i in range(count):
        frame = FRAMES[i % len(FRAMES)]
        asked.append(_ask(frame, *rng.choice(triples if "{behind}" in frame else plain)))
    return asked


PROMPTS: list[Asked] = held_out_prompts()
"""The sixty of ``docs/preview.md``."""


@cache
def pipeline() -> Flux2KleinPipeline:
    """The shipped base, loaded once."""
    from diffusers import Flux2KleinPipeline

    loaded: Flux2KleinPipeline = Flux2KleinPipeline.from_pretrained(WEIGHTS)
    loaded.set_progress_bar_config(disable=True)
    return loaded


def render(
    pipe: Flux2KleinPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    size: tuple[int, int] = SQUARE,
    batch: int = 12,
    guidance: float | None = None,
) -> list[Image.Image]:
    """One picture a prompt and seed, at the card's steps and guidance unless told; ``size`` is (width, height)."""
    import torch

    pictures: list[Image.Image] = []
    settings = card()["render"] | ({} if guidance is None else {"guidance_scale": guidance})
    for start in range(0, len(prompts), batch):
        chosen = slice(start, start + batch)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[chosen]]
        pictures += pipe(
            prompt=list(prompts[chosen]), width=size[0], height=size[1], generator=generators, **settings
        ).images
    return pictures


def follow(asked: Sequence[Asked], seed: int, size: tuple[int, int] = SQUARE) -> dict[str, float]:
    """The shares of renders whose shape, colour and column are the asked ones, and of all three at once."""
    from loradeck.engines.local.preview.probe import load_probe, read

    pictures = render(pipeline(), [a.prompt for a in asked], [seed + i for i in range(len(asked))], size)
    return score(asked, read(load_probe(), pictures))


def score(asked: Sequence[Asked], seen: Sequence[dict[str, str]]) -> dict[str, float]:
    """Shares of right answers, given what the probe has seen in each render."""
    right = [
        {"shape": s["shape"] == a.shape, "color": s["color"] == a.color, "column": s["column"] == a.column}
        for a, s in zip(asked, seen, strict=True)
    ]
    return {name: sum(r[name] for r in right) / len(right) for name in ("shape", "color", "column")}
