"""The training loop, the same for every family: steps, numbers, checkpoints, samples, and an ear for "stop"."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from loradeck.engines.base import Reporter, TrainSpec
from loradeck.engines.errors import Cancelled, Diverged, OutOfMemory, PeerLost
from loradeck.engines.local import memory
from loradeck.engines.local.checkpoint import Progress
from loradeck.engines.local.heldout import Yardstick
from loradeck.engines.local.learner import Learner, Outcome
from loradeck.engines.local.scoring import Scorer

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

    `keep` writes a checkpoint of a progress; `show` draws the samples of a step. The stable loss is measured at every
    look and checkpoint, the rest of the score at checkpoints.
    """

    def __init__(
        self,
        spec: TrainSpec,
        learner: Learner,
        yardstick: Yardstick,
        scorer: Scorer,
        reporter: Reporter,
        keep: Callable[[Progress], None],
        show: Callable[[int], None],
    ) -> None:
        self._spec, self._learner, self._yardstick, self._reporter = spec, learner, yardstick, reporter
        self._scorer, self._keep, self._show = scorer, keep, show
        self._leads = learner.peers.is_first  # others learn alone: they neither measure, nor draw, nor write
        self._numbers = Numbers(reporter)
        self._now = Progress()
        self._kept = -1

    def run(self, progress: Progress) -> Progress:
        """Train to the end; returns the last progress.

        Raises Cancelled, OutOfMemory and PeerLost after a checkpoint of the last step, and Diverged.
        """
        self._now, self._kept = progress, progress.step
        try:
            if progress.step == 0:
                self._measure()
            if self._shows(progress.step):
                self._show(progress.step)  # a resume may come from a state whose samples were never drawn
            while self._now.step < self._spec.steps:
                self._reporter.raise_if_cancelled()
                self._advance()
        except (Cancelled, OutOfMemory, PeerLost):
            self._tell()
            self._checkpoint()
            raise
        return self._now

    def _advance(self) -> None:
        """One step, and whatever is due after it."""
        began = time.perf_counter()
        with memory.told(memory.REMEDY):
            outcome = self._learner.step(self._now.step)
        done = self._now.step + 1
        self._numbers.add(done, outcome, time.perf_counter() - began)
        self._now = replace(self._now, step=done)
        last = done == self._spec.steps
        if last or done % FLUSH == 0:
            self._tell()
        self._reporter.progress(done, self._spec.steps, "training")
        keeps = last or done % self._spec.checkpoint_every == 0
        if keeps or done % max(1, self._spec.steps // LOOKS) == 0:
            self._measure(scored=keeps)
        if keeps:
            self._tell()
            self._checkpoint()
        if self._shows(done):
            self._show(done)

    def _shows(self, step: int) -> bool:
        """True when samples of ours are due after this step."""
        return (step == self._spec.steps or step % self._spec.sample_every == 0) and self._leads

    def _tell(self) -> None:
        loss = self._numbers.flush()
        if loss is not None:
            self._now = replace(self._now, final_loss=loss)

    def _measure(self, *, scored: bool = False) -> None:
        if not self._leads:
            return
        with memory.told(memory.REMEDY), self._learner.average.in_place():
            values = self._yardstick.measure()
            score = self._scorer.score(values) if scored else {}
            norm = self._learner.adapter.norm()
        self._reporter.metrics(self._now.step, {**values, **score, "lora_norm": norm})
        held_out = values.get("held_out_loss")
        first = held_out if self._now.held_out_first is None else self._now.held_out_first
        self._now = replace(self._now, held_out_first=first, held_out_last=held_out)

    def _checkpoint(self) -> None:
        if self._now.step != self._kept and self._leads:
            self._keep(self._now)
            self._kept = self._now.step
