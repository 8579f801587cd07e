"""The bases that the local engine can work on, as data; their weights are opened elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loradeck.engines.errors import NotInstalled
from loradeck.engines.local import layout
from loradeck.engines.local.options import NAMES as OPTION_NAMES

if TYPE_CHECKING:
    from PIL.Image import Image

    from loradeck.engines.local.weights.sources import Source

IDENTITY = frozenset({"character", "motion"})
"""Profiles that teach one identity; the others teach a look."""


@dataclass(frozen=True)
class Recipe:
    """What suits one base when the caller names no number; `advanced` holds the engine's finer options.

    `steps` is for a set of `images` pictures. `guidance` is for drawing with a LoRA: a look overshoots at the base's
    own. `for_identity` holds what is otherwise where an identity is taught. The seconds of the preview were measured on
    two CPU cores.
    """

    steps: int = 300
    images: int = 40
    rank: int = 16
    alpha: float = 16.0
    learning_rate: float = 1e-3
    batch_size: int = 4
    guidance: float = 2.0
    advanced: Mapping[str, Any] = field(default_factory=dict)
    seconds_per_step: float = 0.25
    seconds_per_picture: float = 1.0
    seconds_to_load: float = 12.0
    for_identity: Mapping[str, Any] = field(default_factory=dict)

    def for_profile(self, profile: str) -> Recipe:
        """The recipe for what a profile teaches."""
        return replace(self, **self.for_identity) if profile in IDENTITY else self


@dataclass(frozen=True)
class PriorPicture:
    """A picture that the base draws well without any LoRA, and the prompt it belongs to (no trigger in it)."""

    prompt: str
    picture: Image


@dataclass(frozen=True)
class Base:
    """One base model: a family's maths, where the weights lie, and what suits it.

    `sizes` are the native picture sizes in pixels (width, height); `max_tokens` what prompts are padded to.
    `prior` gives pictures for preservation, the same every time. The transformer comes from `single_file` where there
    is one; `source` and `revision` tell where the weights are from, where they did not come with this package.
    `most_references` is how many reference pictures it takes, where that is not what its family takes. One that does
    not learn (`trains` is False) only draws.
    """

    name: str
    family: str
    weights: Path
    sizes: tuple[tuple[int, int], ...]
    max_tokens: int
    draw_steps: int
    guidance: float
    recipe: Recipe
    architecture: str
    preview: bool = False
    prior: Callable[[], list[PriorPicture]] = list
    single_file: Path | None = None
    source: Source | None = None
    revision: str | None = None
    most_references: int | None = None
    trains: bool = True

    @property
    def resolution(self) -> int:
        """The side in pixels that training sees by default: the first native size's shorter one."""
        return min(self.sizes[0])

    @property
    def digest(self) -> str:
        """SHA-256 that names the weights (see `layout.digest`). Raises NotInstalled where they are not whole."""
        return layout.digest(self.weights, self.single_file)


def shipped() -> dict[str, Callable[[], Base]]:
    """The bases of this package by name, each read when it is asked for."""
    return {"preview": preview}


def preview() -> Base:
    """The embedded preview base, as its card describes it. Raises NotInstalled when the card is missing."""
    from loradeck.engines.local.preview import WEIGHTS, card

    try:
        facts = card()
    except FileNotFoundError as error:
        raise NotInstalled(
            "The preview base's weights are missing from this installation; install loradeck again, or build them "
            "with `python -m loradeck.engines.local.preview.build --out FOLDER`."
        ) from error
    render = facts["render"]
    return Base(
        name="preview",
        family="klein",
        weights=WEIGHTS,
        sizes=tuple((width, height) for width, height in facts["sizes"]),
        max_tokens=render["max_sequence_length"],
        draw_steps=render["num_inference_steps"],
        guidance=render["guidance_scale"],
        recipe=read_recipe(facts.get("lora_recipe", {})),
        architecture="Flux.2-klein-preview/lora",
        preview=True,
        prior=preview_prior,
        most_references=0,  # it never saw any: what they show comes out smeared over the picture
    )


CARD_NAMES = {"batch": "batch_size", "preservation_weight": "preservation"}


def read_recipe(facts: Mapping[str, Any]) -> Recipe:
    """A card's `lora_recipe`: fields of `Recipe`, advanced options beside them; other keys are notes for people."""
    named = {CARD_NAMES.get(key, key): value for key, value in facts.items()}
    finer = {key: value for key, value in named.items() if key in OPTION_NAMES}
    known = {item.name for item in fields(Recipe)} - {"advanced", "for_identity"}
    recipe = {key: value for key, value in named.items() if key in known}
    return Recipe(advanced=finer, **recipe)


PRIOR_PICTURES = 48


def preview_prior() -> list[PriorPicture]:
    """Scenes of the preview's own world, drawn as its training data was, with captions that name no trigger."""
    import random

    from loradeck.engines.local.preview.captions import caption
    from loradeck.engines.local.preview.draw import draw_scene
    from loradeck.engines.local.preview.world import SQUARE, pick_scene

    rng = random.Random(20_260)
    scenes = [pick_scene(rng, SQUARE) for _ in range(PRIOR_PICTURES)]
    return [PriorPicture(caption(scene, rng, triggers=0.0), draw_scene(scene)) for scene in scenes]
