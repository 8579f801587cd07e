"""Trainings in processes of their own that are killed with SIGKILL, at a named moment or after some time.

The processes are forked from one that has imported torch already, so that a kill costs no start of it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from safetensors.torch import load_file
from support import tiny

from loradeck.engines.base import TrainSpec
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.local.learner import Learner
from loradeck.state import runs
from loradeck.state.records import CheckpointRecord, SampleRecord
from loradeck.state.store import Store
from loradeck.tools.reporter import StoreReporter

SECONDS = 120.0
"""After so long a training that should have ended is taken to hang."""


@dataclass(frozen=True)
class Moment:
    """When a call of `owner.name` is the `nth` of those that `fits`; the kill comes before or after it is made."""

    owner: Any
    name: str
    fits: Callable[..., bool] = lambda *_: True
    nth: int = 1
    after: bool = False
    half: bool = False  # of what is written reaches the disk

    def arm(self) -> None:
        """Make this process die at the moment."""
        honest, left = getattr(self.owner, self.name), self.nth

        def deadly(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= self.fits(*arguments)
            due = left == 0 and self.fits(*arguments)
            if due and not self.after:
                if self.half:
                    honest(arguments[0], arguments[1][: len(arguments[1]) // 2])
                die()
            answer = honest(*arguments, **named)
            if due:
                die()
            return answer

        setattr(self.owner, self.name, deadly)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def standing(name: str, **more: Any) -> Moment:
    """When a file whose path holds `name` is renamed into its place."""
    return Moment(Path, "replace", lambda _, target: name in Path(target).as_posix(), **more)


MOMENTS = {
    "before a latent is in the cache": standing("cache/preview", nth=4),
    "while a prompt is written to the cache": Moment(
        Path, "write_bytes", lambda path, data: "cache" in path.parts, nth=16, half=True
    ),
    "while the first sample is drawn": Moment(FlowMatchEulerDiscreteScheduler, "step"),
    "after a backward pass": Moment(Learner, "_gradients", nth=2, after=True),
    "before the LoRA of a checkpoint stands": standing("step-000003.safetensors"),
    "while a state is written": Moment(Path, "write_bytes", lambda path, data: path.suffix == ".state", half=True),
    "before a state stands": standing("step-000003.state"),
    "after a state stands": standing("step-000003.state", after=True),
    "before a sample stands": standing("step-000004-1.png"),
    "after a step of the optimiser": Moment(Learner, "step", nth=2, after=True),
    "while a row is written": Moment(runs, "add_metrics", nth=2, after=True),
    "before the second state stands": standing("step-000006.state"),
    "before the finished LoRA stands": standing("tiny-look.safetensors"),
    "after the finished LoRA stands": standing("tiny-look.safetensors", after=True),
}
"""In the order in which an eight-step training comes by, with a checkpoint after 3, 6 and 8 and samples after 4."""


@dataclass(frozen=True)
class Trial:
    """One run of the tiny base in a workspace of its own; `shared` holds the base and the images of several."""

    shared: Path
    home: Path
    run_id: str
    token: str

    @staticmethod
    def new(shared: Path, home: Path) -> Trial:
        """A run that is claimed, so that processes can work on it one after the other."""
        store = Store(home)
        run = runs.claim(store, runs.enqueue(store, "train", {}).id)
        assert run is not None
        return Trial(shared, home, run.id, str(run.token))

    @property
    def spec(self) -> TrainSpec:
        return tiny.spec(Store(self.home).workspace.run(self.run_id))

    def train(self, moment: str | None = None) -> None:
        """The whole training, in this process; with a moment it dies there."""
        torch.set_num_threads(1)
        base, dataset = tiny.base(self.shared / "weights"), tiny.dataset(self.shared / "images")
        reporter = StoreReporter(Store(self.home), self.run_id, self.token)
        if moment is not None:
            MOMENTS[moment].arm()
        LocalEngine({"preview": lambda: base}).train(self.spec, dataset, reporter)
        reporter.flush()

    def attempt(self, moment: str | None = None, seconds: float | None = None) -> bool:
        """Train in a process of its own; true when it was killed, at a moment or after so many seconds."""
        process = _context().Process(target=self.train, args=(moment,))
        process.start()
        process.join(SECONDS if seconds is None else seconds)
        if process.is_alive():
            assert seconds is not None, f"it still runs after {SECONDS} s"
            process.kill()
            process.join()
        assert process.exitcode in {0, -signal.SIGKILL}
        return process.exitcode != 0

    def weights(self) -> dict[str, torch.Tensor]:
        """What the run left."""
        return load_file(self.spec.run_dir / "tiny-look.safetensors")

    def equals(self, other: Trial) -> bool:
        """The same weights, bit for bit."""
        one, two = self.weights(), other.weights()
        return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)

    def rows(self) -> tuple[list[int], list[int], list[int]]:
        """Steps of the losses, checkpoints and samples that the store holds."""
        store = Store(self.home)
        points = store.where(CheckpointRecord, "run_id = ?", [self.run_id], order="step")
        samples = store.where(SampleRecord, "run_id = ?", [self.run_id], order="step")
        assert all(Path(record.path).stat().st_size for record in [*points, *samples])
        losses = [step for step, _ in runs.metric(store, self.run_id, "loss")]
        return losses, [point.step for point in points], [sample.step for sample in samples]


def straight(shared: Path, home: Path) -> tuple[Trial, float]:
    """A run that nobody kills, and the seconds that it takes."""
    trial, began = Trial.new(shared, home), time.monotonic()
    assert not trial.attempt()
    return trial, time.monotonic() - began


def _context() -> multiprocessing.context.ForkServerContext:
    """Where processes are forked; the server finds what this process finds."""
    os.environ["PYTHONPATH"] = os.pathsep.join(
        dict.fromkeys([str(Path(__file__).parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    )
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["support.kills"])
    return context
