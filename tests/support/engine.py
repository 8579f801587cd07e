"""A small honest engine for tests: it learns eight numbers by gradient descent, deterministically, in pure Python.

It keeps every promise of `engines.base`: checkpoints, samples, metrics, cancel at every step, resume from the last
checkpoint with the same final numbers. `advanced={"step_seconds": 0.05}` makes it slow enough to be killed.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from pathlib import Path
from typing import Any

from loradeck.engines import files
from loradeck.engines.base import (
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
from loradeck.engines.errors import BadSpec, Cancelled, Diverged, OutOfMemory
from loradeck.engines.registry import Registry

NAME = "tiny"
SIZE = 8


class TinyEngine:
    """Trains the base "preview" under another engine's name. What it can be made with is for refusals."""

    def __init__(self, costs_money: bool = False, ready: bool = True, leaves_machine: bool = False) -> None:
        self._costs_money, self._ready, self._leaves_machine = costs_money, ready, leaves_machine

    name = NAME

    @property
    def capabilities(self) -> Capabilities:
        able = frozenset({"train"})
        return Capabilities(
            able,
            (BaseModelInfo("preview", able, preview=True),),
            self._costs_money,
            self._leaves_machine,
            advanced=("step_seconds", "fail"),
        )

    def available(self) -> Availability:
        return Availability(self._ready, "" if self._ready else "its chip is asleep.", "Wake it.")

    def defaults(self, base_model: str, images: int, profile: str) -> Defaults:
        return Defaults(20, 8, 8.0, 1e-2, 2, 64, 1.0, 4)

    def check(self, spec: TrainSpec) -> list[str]:
        return []

    def maps(self, spec: TrainSpec) -> list[str]:
        return []

    def estimate(self, spec: TrainSpec | DrawRequest | EditRequest) -> Cost:
        if self._costs_money:
            return Cost(2.0, usd=2.0, worst_usd=3.0, price_source="table", price_date="2026-11-28")
        return Cost(minutes=2.0, usd=0.0, basis="a guess for tests")

    def train(self, spec: TrainSpec, dataset: DatasetFolder, reporter: Reporter) -> TrainResult:
        goal = target(dataset)
        step, weights = newest(spec.run_dir)
        reporter.event(f"{'Going on from' if step else 'Starting at'} step {step}.")
        if step == 0:
            reporter.metrics(0, {"held_out_loss": distance(weights, goal)})
        else:
            keep(spec, step, weights, reporter)  # a kill may have come between the file and its row
            sample(spec, step, reporter)
        first = distance([0.0] * SIZE, goal)
        while step < spec.steps:
            try:
                reporter.raise_if_cancelled()
            except Cancelled:
                keep(spec, step, weights, reporter)
                raise
            fail(spec, step)
            weights = learn(weights, goal, spec, step)
            step += 1
            time.sleep(spec.advanced.get("step_seconds", 0.0))
            loss = distance(weights, goal)
            reporter.metrics(step, {"loss": loss, "step_seconds": spec.advanced.get("step_seconds", 0.001)})
            reporter.progress(step, spec.steps, "learning")
            if due(spec, step):
                reporter.metrics(step, {"held_out_loss": loss})
                keep(spec, step, weights, reporter)
                sample(spec, step, reporter)
        path = spec.run_dir / "tiny.safetensors"
        files.write_bytes(path, json.dumps(weights).encode())
        return TrainResult(
            path,
            files.sha256_file(path),
            step,
            spec.rank,
            spec.base_model,
            loss_of(weights, goal),
            first,
            distance(weights, goal),
            preview=True,
        )

    def draw(self, request: DrawRequest, reporter: Reporter) -> DrawResult:
        raise BadSpec("tiny does not draw.")

    def edit(self, request: EditRequest, reporter: Reporter) -> DrawResult:
        raise BadSpec("tiny does not edit.")

    def upscale(self, request: EditRequest, reporter: Reporter) -> DrawResult:
        raise BadSpec("tiny does not upscale.")


def create() -> TinyEngine:
    """The factory of the entry point."""
    return TinyEngine()


def registry(**options: Any) -> Registry:
    """A registry with this engine alone."""
    return Registry({NAME: lambda: TinyEngine(**options)})


def target(dataset: DatasetFolder) -> list[float]:
    """What the images and captions teach."""
    digest = hashlib.sha256("".join(item.sha256 + item.caption for item in dataset.items).encode()).digest()
    return [byte / 255 for byte in digest[:SIZE]]


def learn(weights: list[float], goal: list[float], spec: TrainSpec, step: int) -> list[float]:
    """One step; its chance depends on the seed and the step alone."""
    chance = random.Random(f"{spec.seed}/{step}")
    return [w + 0.1 * (g - w) + 0.001 * chance.gauss(0, 1) for w, g in zip(weights, goal, strict=True)]


def distance(weights: list[float], goal: list[float]) -> float:
    return sum((w - g) ** 2 for w, g in zip(weights, goal, strict=True)) / SIZE


loss_of = distance


def newest(run_dir: Path) -> tuple[int, list[float]]:
    """The last checkpoint, or the start."""
    found = sorted((run_dir / "checkpoints").glob("step-*.json"))
    if not found:
        return 0, [0.0] * SIZE
    value = json.loads(found[-1].read_text())
    return value["step"], value["weights"]


def due(spec: TrainSpec, step: int) -> bool:
    """True where a checkpoint and samples are due."""
    return step % spec.checkpoint_every == 0 or step == spec.steps


def keep(spec: TrainSpec, step: int, weights: list[float], reporter: Reporter) -> None:
    reporter.flush()
    path = spec.run_dir / "checkpoints" / f"step-{step:06d}.json"
    files.write_bytes(path, json.dumps({"step": step, "weights": weights}).encode())
    reporter.checkpoint(step, path, files.sha256_file(path))


def sample(spec: TrainSpec, step: int, reporter: Reporter) -> None:
    from PIL import Image

    if not due(spec, step):
        return
    for number, prompt in enumerate(spec.sample_prompts):
        path = spec.run_dir / "samples" / f"step-{step:06d}-{number}.png"
        with files.atomic(path) as temporary:
            Image.new("RGB", (32, 32), (step % 256, 80, 160)).save(temporary)
        reporter.sample(step, path, prompt)


def fail(spec: TrainSpec, step: int) -> None:
    """Break as asked, in the middle."""
    if step != spec.steps // 2:
        return
    match spec.advanced.get("fail"):
        case "diverge":
            raise Diverged("The loss became nan at step 10.")
        case "memory":
            raise OutOfMemory("8.1 GB were asked for and 4.0 GB were free.")
        case "defect":
            raise ZeroDivisionError("secret /etc/path in a traceback")
