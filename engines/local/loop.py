"""The training loop, the same for every family: steps, numbers, checkpoints, samples, and an ear for "stop"."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from loradeck.engines.base import Reporter, TrainSpec
from loradeck.engines.errors import Cancelled, Diverged
from loradeck.engines.local.checkpoint import Progress
from loradeck.engines.local.heldout import Yardstick
from loradeck.engines.local.learner import Learner, Outcome

FLUSH = 5
"""Steps whose numbers are read from the device together."""

LOOKS = 10
"""How often the stable loss is measured in a training, beside the start."""


@dataclass
class Numbers:
    """Holds the outcomes of a few steps and tells them in order."""

    reporter: Reporter
    waiting: list[tuple[int, Outcome, float]] = field(default_factory=list)

    def add(self, step: int, outcome: Outcome, seconds: float) -> None:
        """Keep what a step measured."""
        self.waiting.append((step, outcome, seconds))

    def flush(self) -> float | None:
        """Tell what is waiting; returns the last loss. Raises Diverged for a NaN or infinite one (TRN-FINITE)."""
        if not self.waiting:
            return None
        table = torch.stack([torch.stack([o.loss, o.preservation, o.grad_norm]) for _, o, _ in self.waiting]).tolist()
        for (step, outcome, seconds), (loss, preservation, norm) in zip(self.waiting, table, strict=True):
            if not torch.isfinite(torch.tensor([loss, preservation, norm])).all():
                self.waiting.clear()
                raise Diverged(
                    f"The loss became {loss} at step {step}; the last good checkpoint stands. Start again with a lower "
                    "learning_rate (a third of it)."
                )
            values = {"loss": loss, "grad_norm": norm, "learning_rate": outcome.learning_rate, "step_seconds": seconds}
            self.reporter.metrics(step, {**values, **({"preservation_loss": preservation} if preservation else {})})
        self.waiting.clear()
        return float(table[-1][0])


class Loop:
    """Runs a learner from where it stands to the end.

    `keep` writes a checkpoint of a progress; `show` draws the samples of a step.
    """

    def __init__(
        self,
        spec: TrainSpec,
        learner: Learner,
        yardstick: Yardstick,
        reporter: Reporter,
        keep: Callable[[Progress], None],
        show: Callable[[int], None],
    ) -> None:
        self._spec, self._learner, self._yardstick, self._reporter = spec, learner, yardstick, reporter
        self._keep, self._show = keep, show
        self._numbers = Numbers(reporter)
        self._kept = -1

    def run(self, progress: Progress) -> Progress:
        """Train to the end; returns the last progress. Raises Cancelled (after a checkpoint) and Diverged."""
        self._kept = progress.step
        if progress.step == 0:
            progress = self._measure(progress)
        if self._shows(progress.step):
            self._show(progress.step)  # a resume may come from a state whose samples were never drawn
        while progress.step < self._spec.steps:
            try:
                self._reporter.raise_if_cancelled()
            except Cancelled:
                self._checkpoint(self._told(progress))
                raise
            progress = self._advance(progress)
        return progress

    def _advance(self, progress: Progress) -> Progress:
        """One step, and whatever is due after it."""
        began = time.perf_counter()
        outcome = self._learner.step(progress.step)
        done = progress.step + 1
        self._numbers.add(done, outcome, time.perf_counter() - began)
        progress = replace(progress, step=done)
        last = done == self._spec.steps
        if last or done % FLUSH == 0:
            progress = self._told(progress)
        self._reporter.progress(done, self._spec.steps, "training")
        if last or done % max(1, self._spec.steps // LOOKS) == 0:
            progress = self._measure(progress)
        if last or done % self._spec.checkpoint_every == 0:
            progress = self._told(progress)
            self._checkpoint(progress)
        if self._shows(done):
            self._show(done)
        return progress

    def _shows(self, step: int) -> bool:
        """True when samples are due after this step."""
        return step == self._spec.steps or step % self._spec.sample_every == 0

    def _told(self, progress: Progress) -> Progress:
        loss = self._numbers.flush()
        return progress if loss is None else replace(progress, final_loss=loss)

    def _measure(self, progress: Progress) -> Progress:
        values = self._yardstick.measure()
        self._reporter.metrics(progress.step, values)
        held_out = values.get("held_out_loss")
        first = held_out if progress.held_out_first is None else progress.held_out_first
        return replace(progress, held_out_first=first, held_out_last=held_out)

    def _checkpoint(self, progress: Progress) -> None:
        if progress.step != self._kept:
            self._keep(progress)
            self._kept = progress.step
