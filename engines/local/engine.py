"""The local engine as the rest of loradeck sees it; what needs torch is imported when it is called."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any

from loradeck.engines.base import (
    Ability,
    Availability,
    BaseModelInfo,
    Capabilities,
    Cost,
    DatasetFolder,
    Defaults,
    DrawRequest,
    DrawResult,
    EditRequest,
    Reporter,
    TrainResult,
    TrainSpec,
)
from loradeck.engines.errors import BadSpec, BadWeights, NotInstalled
from loradeck.engines.local import layout, lora_header, memory, options
from loradeck.engines.local.bases import Base
from loradeck.packages import how_to_install

PACKAGES = ("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors")

MAX_STEPS_FACTOR = 1.5
"""A large set gets at most so many times the recipe's steps, a small one no less than half of them."""

BYTES_PER_VALUE = 4
STATE_COPIES = 3  # weights and the two moments of the optimiser


class LocalEngine:
    """Trains and draws on this machine (see `engines.base.Engine`).

    Args:
        bases: what it can work on, each read when it is needed.
    """

    name = "local"

    def __init__(self, bases: Mapping[str, Callable[[], Base]]) -> None:
        self._bases = bases

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; answered without loading anything."""
        abilities: frozenset[Ability] = frozenset({"train", "draw"})
        infos = tuple(
            BaseModelInfo(name, abilities, needs="two CPU cores, 2 GB of memory", preview=name == "preview")
            for name in self._bases
        )
        return Capabilities(abilities, infos, advanced=options.NAMES)

    def available(self) -> Availability:
        """Ready when the training packages are installed and the base's weights are there."""
        missing = [name for name in PACKAGES if find_spec(name) is None]
        if missing:
            why = f"the packages {', '.join(missing)} are not installed."
            return Availability(False, why, f"Install them with {how_to_install(missing)}.")
        for name in self._bases:
            try:
                absent = layout.absent(self._base(name).weights)
            except NotInstalled as error:
                return Availability(False, f"the {name} base is not complete.", str(error))
            if absent:
                why = f"the {name} base is not complete: {', '.join(absent)} missing or empty."
                return Availability(False, why, "Install loradeck again, which brings its files.")
        return Availability(True)

    def _base(self, name: str) -> Base:
        """The base of that name. Raises BadSpec for one that is not ours, NotInstalled without weights."""
        if name in self._bases:
            return self._bases[name]()
        near = difflib.get_close_matches(name, self._bases, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else f": it works on {', '.join(self._bases)}."
        raise BadSpec(f"The local engine does not work on the base {name!r}{hint}")

    def defaults(self, base_model: str, images: int, profile: str) -> Defaults:  # noqa: ARG002 - one recipe fits all
        """The base's recipe, with steps that grow a little with the set."""
        base = self._base(base_model)
        recipe = base.recipe
        factor = min(MAX_STEPS_FACTOR, max(0.5, (images / recipe.images) ** 0.5))
        return Defaults(
            steps=max(1, round(recipe.steps * factor / 10) * 10),
            rank=recipe.rank,
            alpha=recipe.alpha,
            learning_rate=recipe.learning_rate,
            batch_size=recipe.batch_size,
            resolution=base.resolution,
            guidance=recipe.guidance,
            draw_steps=base.draw_steps,
        )

    def check(self, spec: TrainSpec) -> list[str]:
        """Remarks on what is taken at a price. Raises BadSpec and BadWeights where `train` would, before any work."""
        base = self._base(spec.base_model)
        wrong = options.faults(spec.advanced) + _out_of_range(spec)
        if spec.resolution != base.resolution:
            side = base.resolution
            wrong.append(f"The base {base.name} trains at {side} pixels; set resolution to {side} or leave it out.")
        if spec.warm_start is not None:
            start = lora_header.read(spec.warm_start)
            if lora_header.is_of_other_weights(start.metadata, layout.digest(base.weights)):
                raise BadWeights(
                    f"{spec.warm_start.name} was trained on an earlier {base.name} base, on which this training "
                    "cannot build; start a new training without continue_from."
                )
            wrong += _too_small(spec.rank, start.rank)
        if wrong:
            raise BadSpec(" ".join(wrong))
        return _remarks(spec.advanced)

    def estimate(self, spec: TrainSpec | DrawRequest) -> Cost:
        """Minutes and disk, from what was measured on two CPU cores; it costs no money."""
        base = self._base(spec.base_model)
        recipe = base.recipe
        if isinstance(spec, DrawRequest):
            todo = sum(1 for job in spec.jobs if not job.out.exists())
            seconds = recipe.seconds_to_load + recipe.seconds_per_picture * todo
            return Cost(minutes=seconds / 60, usd=0.0, vram_gb=0.0, basis="measured on two CPU cores")
        drawn = (len(spec.sample_prompts) or 2) * (2 + spec.steps // spec.sample_every) + len(spec.test_prompts)
        learning = spec.steps * recipe.seconds_per_step * spec.batch_size / recipe.batch_size
        seconds = recipe.seconds_to_load + learning + drawn * recipe.seconds_per_picture
        values = 8_000 * spec.rank * (spec.steps // spec.checkpoint_every + STATE_COPIES * 2)
        return Cost(
            minutes=seconds / 60,
            usd=0.0,
            vram_gb=0.0,
            disk_gb=values * BYTES_PER_VALUE / 1e9,
            basis="measured on two CPU cores",
        )

    def train(self, spec: TrainSpec, dataset: DatasetFolder, reporter: Reporter) -> TrainResult:
        """Learn a LoRA. Re-entrant. Raises the errors of `engines.errors`."""
        base = self._base(spec.base_model)
        self.check(spec)
        self._require_packages()
        from loradeck.engines.local import training

        with memory.told("Close other programs and resume it, or start a new training with batch_size 1, then rank 8."):
            return training.train(base, spec, dataset, reporter)

    def draw(self, request: DrawRequest, reporter: Reporter) -> DrawResult:
        """Draw pictures. Re-entrant: pictures that exist are kept."""
        base = self._base(request.base_model)
        self._require_packages()
        from loradeck.engines.local import drawing

        with memory.told("Close other programs and call again: pictures that are done are kept."):
            return drawing.draw(base, request, reporter)

    def _require_packages(self) -> None:
        ready = self.available()
        if not ready.ready:
            raise NotInstalled(f"The local engine is not ready: {ready.why} {ready.fix}")
        # Read when torch is first imported: threads that wait asleep cost nothing when the cores are ours, and are
        # fifty times faster than spinning ones when another program wants the same cores.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    def edit(self, request: EditRequest, reporter: Reporter) -> DrawResult:  # noqa: ARG002
        """Not a thing this engine can do."""
        raise BadSpec(f"The local engine draws {request.base_model} pictures from words and cannot edit one.")

    def upscale(self, request: EditRequest, reporter: Reporter) -> DrawResult:  # noqa: ARG002
        """Not a thing this engine can do."""
        raise BadSpec(f"The local engine has no upscaler for {request.base_model}; ask for the size you need in draw.")


def _remarks(advanced: Mapping[str, Any]) -> list[str]:
    """What the finer options cost the look."""
    said = []
    if advanced.get("preservation") == 0:
        said.append("Preservation is off: prompts without the trigger will take on the look too.")
    elif advanced.get("caption_dropout"):
        said.append(
            "caption_dropout teaches the look to the empty prompt, which preservation holds to the base; turn one of "
            'them off ("preservation": 0) unless both are meant.'
        )
    return said


def _out_of_range(spec: TrainSpec) -> list[str]:
    limits: dict[str, tuple[float, float, float]] = {
        "steps": (spec.steps, 1, 100_000),
        "rank": (spec.rank, 1, 128),
        "alpha": (spec.alpha, 0.01, 1024),
        "learning_rate": (spec.learning_rate, 1e-7, 1),
        "batch_size": (spec.batch_size, 1, 64),
        "checkpoint_every": (spec.checkpoint_every, 1, 1_000_000),
        "sample_every": (spec.sample_every, 1, 1_000_000),
    }
    return [
        f"{name} must be from {low:g} to {high:g}, not {value:g}."
        for name, (value, low, high) in limits.items()
        if not low <= value <= high
    ]


def _too_small(rank: int, start: int) -> list[str]:
    if rank >= start:
        return []
    return [f"The LoRA to start from has rank {start}; set rank to {start} or more, or leave it out."]
