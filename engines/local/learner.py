"""One step of learning: flow matching on the look, and preservation of what the base does without the trigger."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from loradeck.engines.base import TrainSpec
from loradeck.engines.local.families import Family
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.material import Material
from loradeck.engines.local.options import Options
from loradeck.engines.local.seeds import noise_levels, rows, stream


@dataclass(frozen=True)
class Noisy:
    """What a pass is made of: `image` and `noise` ``(b, c, h, w)``, `sigma` ``(b,)``, `text` ``(b, l, d)``."""

    image: torch.Tensor
    noise: torch.Tensor
    sigma: torch.Tensor
    text: torch.Tensor

    @property
    def mixed(self) -> torch.Tensor:
        """(1 - sigma) image + sigma noise."""
        sigma = self.sigma.view(-1, 1, 1, 1)
        return (1 - sigma) * self.image + sigma * self.noise

    @property
    def target(self) -> torch.Tensor:
        """The flow that is learned: noise minus image."""
        return self.noise - self.image


@dataclass(frozen=True)
class Outcome:
    """What a step measured, left as tensors so that nothing waits for the device."""

    loss: torch.Tensor
    preservation: torch.Tensor
    grad_norm: torch.Tensor
    learning_rate: float


def row_losses(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean squared error of every row in float32, ``(b,)``."""
    return (predicted.float() - wanted.float()).square().flatten(1).mean(1)


def learning_rate(spec: TrainSpec, options: Options, step: int) -> float:
    """The rate of a step (0-based): linear warm-up, then constant or a cosine that ends at a twentieth."""
    warm = min(1.0, (step + 1) / max(1, options.warmup_steps))
    if options.schedule == "constant":
        return spec.learning_rate * warm
    done = step / max(1, spec.steps)
    return spec.learning_rate * warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


class Learner:
    """The adapter with its optimiser. A step depends on the weights, the optimiser and the step's number alone."""

    def __init__(
        self, family: Family, transformer: Any, adapter: Adapter, material: Material, spec: TrainSpec, options: Options
    ) -> None:
        self._family, self._transformer, self.adapter = family, transformer, adapter
        self._material, self._spec, self._options = material, spec, options
        self.optimizer = torch.optim.AdamW(
            adapter.parameters().values(), lr=spec.learning_rate, weight_decay=options.weight_decay
        )

    def learning_rows(self, step: int) -> Noisy:
        """The rows of a step that teach the look."""
        return self._rows("learn", step, self._spec.batch_size)

    def preserving_rows(self, step: int) -> Noisy:
        """The rows of a step that must stay as the base has them (prompts without the trigger)."""
        return self._rows("preserve", step, self._options.preservation_batch)

    def _rows(self, use: str, step: int, count: int) -> Noisy:
        pairs = self._material.train if use == "learn" else self._material.preserve
        chosen = rows(self._spec.seed, use, step, len(pairs), count)
        image, text = pairs.take(self._material.encoded, chosen)
        generator = stream(self._spec.seed, use, step)
        sigma = noise_levels(self._options, count, generator)
        return Noisy(image, torch.randn(image.shape, generator=generator), sigma, text)

    def losses(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The two losses of a step: of the look, and of preservation (0 when it is off)."""
        learn = self.learning_rows(step)
        if not self._options.preservation:
            flow = self._family.flow(self._transformer, learn.mixed, learn.sigma, learn.text)
            return row_losses(flow, learn.target).mean(), torch.zeros(())
        keep = self.preserving_rows(step)
        with torch.no_grad(), self.adapter.off():
            base_flow = self._family.flow(self._transformer, keep.mixed, keep.sigma, keep.text)
        flow = self._family.flow(
            self._transformer,
            torch.cat([learn.mixed, keep.mixed]),
            torch.cat([learn.sigma, keep.sigma]),
            torch.cat([learn.text, keep.text]),
        )
        every = row_losses(flow, torch.cat([learn.target, base_flow]))
        return every[: len(learn.sigma)].mean(), every[len(learn.sigma) :].mean()

    def step(self, step: int) -> Outcome:
        """Learn once."""
        rate = learning_rate(self._spec, self._options, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, preservation = self.losses(step)
        self.optimizer.zero_grad(set_to_none=True)
        (loss + self._options.preservation * preservation).backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.adapter.parameters().values(), self._options.max_grad_norm)
        self.optimizer.step()
        return Outcome(loss.detach(), preservation.detach(), norm.detach(), rate)
