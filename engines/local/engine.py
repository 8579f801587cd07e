"""The local engine as the rest of loradeck sees it; what needs torch is imported when it is called."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

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
from loradeck.engines.local import layout, lora_header, memory, options, planner
from loradeck.engines.local.bases import Base
from loradeck.engines.local.costs import BASES as COSTS
from loradeck.engines.local.machine import Machine, detect
from loradeck.engines.local.planner import Plan
from loradeck.engines.local.shelf import Fetch, Shelf, from_hub
from loradeck.engines.local.weights import sources
from loradeck.engines.local.weights.sources import Source
from loradeck.packages import how_to_install

PACKAGES = ("torch", "diffusers", "transformers", "peft", "accelerate", "safetensors")

MAX_STEPS_FACTOR = 1.5
"""A large set gets at most so many times the recipe's steps, a small one no less than half of them."""

SIDES, SIDE_STEP = (256, 2048), 64
"""Resolutions that full-size bases are trained at, in pixels."""

BYTES_PER_VALUE = 4
STATE_COPIES = 3  # weights and the two moments of the optimiser


class LocalEngine:
    """Trains and draws on this machine (see `engines.base.Engine`).

    Args:
        bases: what it can work on, each read when it is needed.
        known: what suits the bases whose weights may be missing here.
        fetch: gets missing weights.
        machine: looks at the machine, with the disk that a folder lies on.
    """

    name = "local"

    def __init__(
        self,
        bases: Mapping[str, Callable[[], Base]],
        known: Mapping[str, Base] | None = None,
        fetch: Fetch = from_hub,
        machine: Callable[[Path], Machine] = detect,
    ) -> None:
        self._shelf = Shelf(bases, known, fetch)
        self._machine = machine

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; answered without loading anything."""
        abilities: frozenset[Ability] = frozenset({"train", "draw"})
        infos = tuple(
            BaseModelInfo(
                name,
                abilities if self._shelf.trains(name) else frozenset({"draw"}),
                needs=self._needs(name),
                preview=name == "preview",
            )
            for name in self._shelf.names
        )
        return Capabilities(abilities, infos, advanced=options.NAMES)

    def _needs(self, name: str) -> str:
        """What a base asks of a machine, in a few words."""
        if name in self._shelf.shipped:
            return "two CPU cores, 2 GB of memory"
        source = self._shelf.facts(name).source
        return "a GPU" if source is None else f"a GPU, {source.gigabytes:.0f} GB of weights ({source.licence.name})"

    def available(self) -> Availability:
        """Ready when the training packages are installed and the shipped base is whole; others may be got later."""
        missing = [name for name in PACKAGES if find_spec(name) is None]
        if missing:
            why = f"the packages {', '.join(missing)} are not installed."
            return Availability(False, why, f"Install them with {how_to_install(missing)}.")
        for name in self._shelf.shipped:
            try:
                absent = layout.absent(self._shelf.open(name).weights)
            except NotInstalled as error:
                return Availability(False, f"the {name} base is not complete.", str(error))
            if absent:
                why = f"the {name} base is not complete: {', '.join(absent)} missing or empty."
                return Availability(False, why, "Install loradeck again, which brings its files.")
        return Availability(True)

    def _plan(self, base: Base, spec: TrainSpec) -> Plan | None:
        """How a full-size base is trained here; None for one that fits anywhere. Raises BadSpec where it cannot be."""
        costs = COSTS.get(base.name)
        if costs is None:
            return None
        return planner.plan(
            self._machine(spec.run_dir),
            costs,
            batch_size=spec.batch_size,
            rank=spec.rank,
            resolution=spec.resolution,
            steps=spec.steps,
            checkpoint_every=spec.checkpoint_every,
        )

    def defaults(self, base_model: str, images: int, profile: str) -> Defaults:
        """The base's recipe for what the profile teaches, with steps that grow a little with the set."""
        base = self._shelf.facts(base_model)
        recipe = base.recipe.for_profile(profile)
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
        """Remarks on what is taken at a price.

        Raises BadSpec, BadWeights and NotInstalled where `train` would, before any work.
        """
        base = self._shelf.facts(spec.base_model)
        if not base.trains:
            able = ", ".join(name for name in self._shelf.names if self._shelf.trains(name))
            raise BadSpec(f"The base {base.name} draws with references and is not trained; train one of {able}.")
        wrong = options.faults(spec.advanced) + _out_of_range(spec) + _wrong_side(spec, base)
        start = None if spec.warm_start is None else lora_header.read(spec.warm_start)
        if start is not None:
            wrong += _too_small(spec.rank, start.rank)
        if wrong:
            raise BadSpec(" ".join(wrong))
        self._plan(base, spec)
        missing = self._shelf.missing(spec.base_model)
        if start is not None and missing is None:
            _must_be_of(base.name, self._shelf.open(base.name).digest, spec.warm_start, start.metadata)
        return _remarks(spec, base, missing)

    def maps(self, spec: TrainSpec) -> list[str]:  # noqa: ARG002  one signature for all engines
        """Nothing: every number is used as it is."""
        return []

    def estimate(self, spec: TrainSpec | DrawRequest | EditRequest) -> Cost:
        """Minutes, memory and disk: as planned for a full-size base, else as measured on two CPU cores. It is free.

        Raises BadSpec for an edit, which this engine cannot do.
        """
        if isinstance(spec, EditRequest):
            raise BadSpec("The local engine edits no pictures, so that there is nothing to estimate; name another one.")
        base = self._shelf.facts(spec.base_model)
        if isinstance(spec, DrawRequest):
            return _cost_of_drawing(base, spec)
        plan = self._plan(base, spec)
        if plan is None:
            return _cost_of_preview(base, spec)
        seconds = plan.seconds_per_step
        missing = self._shelf.missing(spec.base_model)
        return Cost(
            minutes=None if seconds is None else seconds * spec.steps / 60,
            usd=0.0,
            vram_gb=plan.vram_gb,
            disk_gb=plan.disk_gb + (missing.gigabytes if missing else 0.0),
            basis=planner.told(plan),
        )

    def train(self, spec: TrainSpec, dataset: DatasetFolder, reporter: Reporter) -> TrainResult:
        """Learn a LoRA. Re-entrant. Raises the errors of `engines.errors`."""
        self.check(spec)
        self._require_packages()
        base = self._shelf.ready(spec.base_model, reporter)
        from loradeck.engines.local import training

        with memory.told(memory.REMEDY):
            return training.train(base, spec, dataset, reporter, self._plan(base, spec))

    def draw(self, request: DrawRequest, reporter: Reporter) -> DrawResult:
        """Draw pictures. Re-entrant: pictures that exist are kept."""
        self._shelf.facts(request.base_model)
        self._require_packages()
        base = self._shelf.ready(request.base_model, reporter)
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


def _cost_of_drawing(base: Base, request: DrawRequest) -> Cost:
    recipe = base.recipe
    todo = sum(1 for job in request.jobs if not job.out.exists())
    seconds = recipe.seconds_to_load + recipe.seconds_per_picture * todo
    basis = "measured on two CPU cores" if base.preview else "reckoned from the operations of a step, not measured"
    return Cost(minutes=seconds / 60, usd=0.0, vram_gb=0.0 if base.preview else None, basis=basis)


def _cost_of_preview(base: Base, spec: TrainSpec) -> Cost:
    recipe = base.recipe
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


def _remarks(spec: TrainSpec, base: Base, missing: Source | None) -> list[str]:
    """What one should know before this training."""
    said = []
    if missing is not None:
        said.append(f"The weights of {missing.title} ({missing.gigabytes:.0f} GB) are got from {missing.page} first.")
    caution = sources.remark(base.name)
    if caution:
        said.append(caution)
    advanced = {**base.recipe.advanced, **spec.advanced}
    if spec.advanced.get("preservation") == 0:
        said.append("Preservation is off: prompts without the trigger will take on the look too.")
    elif advanced.get("caption_dropout") and advanced.get("preservation", 1):
        said.append(
            "caption_dropout teaches the look to the empty prompt, which preservation holds to the base; turn one of "
            'them off ("preservation": 0) unless both are meant.'
        )
    return said


def _must_be_of(base: str, digest: str, path: Path | None, metadata: dict[str, str]) -> None:
    """Raise BadWeights for a LoRA of other weights of the same base."""
    if path is not None and lora_header.is_of_other_weights(metadata, digest):
        raise BadWeights(
            f"{path.name} was trained on an earlier {base} base, on which this training cannot build; start a new "
            "training without continue_from."
        )


def _wrong_side(spec: TrainSpec, base: Base) -> list[str]:
    """What is wrong with the resolution: a small base knows one, a full-size one takes a range of them."""
    side = base.resolution
    if base.source is None and spec.resolution != side:
        return [f"The base {base.name} trains at {side} pixels; set resolution to {side} or leave it out."]
    if base.source is not None and (spec.resolution % SIDE_STEP or not SIDES[0] <= spec.resolution <= SIDES[1]):
        return [
            f"The base {base.name} trains at {SIDES[0]} to {SIDES[1]} pixels in steps of {SIDE_STEP}; set resolution "
            f"to 512, 768 or {side}."
        ]
    return []


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
