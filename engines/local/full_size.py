"""The full-size bases as data: what suits each; their weights are looked for when a base is opened.

Steps, ranks and rates come from the rulebook's table of target models, drawing steps and guidance from the models'
own pages and diffusers' pipelines. The seconds are reckoned from the FLOPs of a step, not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from loradeck.engines.local.bases import Base, Recipe
from loradeck.engines.local.weights.find import find
from loradeck.engines.local.weights.places import Places, usual
from loradeck.engines.local.weights.sources import SOURCES

SIZES = (
    (1024, 1024),
    (1344, 768),
    (768, 1344),
    (1152, 896),
    (896, 1152),
    (1216, 832),
    (832, 1216),
    (1536, 640),
    (640, 1536),
)
"""Pictures of about one megapixel, sides in multiples of 64, from square to wide and tall."""

MAX_TOKENS = 512
"""What every one of these models was trained to read of a prompt."""

TO_BE_FOUND = Path()
"""Where the weights of a base lie that was not opened yet."""

FLUX_SHIFT = 3.16
"""exp(1.15): the shift that kohya and musubi take for FLUX at 4096 tokens, which is 1024 x 1024 pixels."""
Z_IMAGE_SHIFT = 3.0
"""The shift of Z-Image-Turbo's own scheduler."""


PASSES = 3
"""Forward passes that a step takes as long as, its blocks recomputed: forward, forward again, and backward, which
costs about one more while the base is frozen."""
SECONDS_A_GIGABYTE = 2.0
"""To read and place weights."""


def _options(shift: float) -> Mapping[str, Any]:
    """The finer options that all full-size bases share.

    Preservation is off, as in other trainers: it costs a second and a third pass of billions of parameters each step.
    The rate is constant, as in the trainers whose steps and rates the rulebook's table holds.
    """
    return {
        "preservation": 0.0,
        "timesteps": "shifted",
        "shift": shift,
        "schedule": "constant",
        "warmup_steps": 20,
        "threads": 0,
    }


@dataclass(frozen=True)
class _Model:
    """The numbers of one model.

    `guidance` that is `guided` takes a second pass, without the prompt. `step` is the seconds of a training step at
    batch 1 and 1024 pixels on a chip of 790 TFLOP/s of which a quarter is reached, as the field's trainers do: the
    planner knows better where it knows the chip.
    """

    name: str
    family: str
    architecture: str
    draw_steps: int
    guidance: float
    guided: bool
    shift: float
    step: float

    def base(self, recipe: Recipe) -> Base:
        """The base; `recipe` holds what training asks for: steps, rank, alpha and rate."""
        source = SOURCES[self.name]
        return Base(
            name=self.name,
            family=self.family,
            weights=TO_BE_FOUND,
            sizes=SIZES,
            max_tokens=MAX_TOKENS,
            draw_steps=self.draw_steps,
            guidance=self.guidance,
            recipe=replace(
                recipe,
                batch_size=1,
                guidance=self.guidance,
                advanced=_options(self.shift),
                seconds_per_step=self.step,
                seconds_per_picture=self.draw_steps * self.step / PASSES * (2 if self.guided else 1),
                seconds_to_load=SECONDS_A_GIGABYTE * source.gigabytes,
            ),
            architecture=self.architecture,
            source=source,
        )


FLUX1_DEV = _Model("flux1-dev", "flux1", "flux-1-dev/lora", 28, 3.5, guided=False, shift=FLUX_SHIFT, step=1.21)
KONTEXT = _Model("flux1-kontext", "kontext", "flux-1-dev/lora", 28, 2.5, guided=False, shift=FLUX_SHIFT, step=2.84)
"""References take as many tokens as the picture: by the FLOPs of FLUX.1's parts (see `costs`) a step takes 2.34 times
as long."""
FLUX2_DEV = _Model("flux2-dev", "flux2", "Flux.2-dev/lora", 28, 4.0, guided=False, shift=FLUX_SHIFT, step=4.45)
KLEIN_4B = _Model("flux2-klein-4b", "klein", "Flux.2-klein-4b/lora", 50, 4.0, guided=True, shift=FLUX_SHIFT, step=0.56)
KLEIN_9B = _Model("flux2-klein-9b", "klein", "Flux.2-klein-9b/lora", 50, 4.0, guided=True, shift=FLUX_SHIFT, step=1.20)
Z_IMAGE = _Model("z-image", "zimage", "Z-Image/lora", 8, 0.0, guided=False, shift=Z_IMAGE_SHIFT, step=0.85)
Z_IMAGE_BASE = _Model("z-image-base", "zimage", "Z-Image/lora", 50, 4.0, guided=True, shift=Z_IMAGE_SHIFT, step=0.85)

FACE = {"steps": 1000, "images": 15, "rank": 48, "alpha": 96.0}
"""FLUX.2 [dev] learns an identity sooner than a look, and faces take a higher rank."""

# `steps` and `images` are chosen so that sets of 10 to 200 images stay within the rulebook's range of steps, the
# engine's growth with the set counted in. Where the rulebook names no rank, 16 is taken.
BASES: dict[str, Base] = {
    base.name: base
    for base in (
        FLUX1_DEV.base(Recipe(1330, 17, rank=16, alpha=16.0, learning_rate=1e-4)),
        FLUX2_DEV.base(Recipe(2000, 20, rank=16, alpha=32.0, learning_rate=1e-4, for_identity=FACE)),
        KLEIN_4B.base(Recipe(800, 25, rank=16, alpha=16.0, learning_rate=2e-4)),
        KLEIN_9B.base(Recipe(800, 25, rank=16, alpha=16.0, learning_rate=2e-4)),
        Z_IMAGE.base(Recipe(1330, 17, rank=16, alpha=16.0, learning_rate=1e-4)),
        Z_IMAGE_BASE.base(Recipe(1330, 17, rank=16, alpha=16.0, learning_rate=5e-4)),
    )
}
"""What suits every full-size base that learns, without its weights: for plans and defaults on a machine that lacks
them."""

DRAWERS: dict[str, Base] = {"flux1-kontext": replace(KONTEXT.base(Recipe()), trains=False)}
"""Bases that draw with references and are not trained; steps and guidance by the model's own page."""

KNOWN: dict[str, Base] = BASES | DRAWERS
"""All full-size bases."""


def opened(name: str, places: Places | None = None) -> Base:
    """The base with its weights. Raises NotInstalled where they are not on this machine."""
    base = KNOWN[name]
    found = find(SOURCES[name], places or usual())
    return replace(base, weights=found.folder, single_file=found.single_file, revision=found.revision)


def full_size(places: Places | None = None) -> dict[str, Callable[[], Base]]:
    """The full-size bases by name, each looked for when it is asked for."""
    return {name: partial(opened, name, places) for name in KNOWN}
