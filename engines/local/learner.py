"""One step of learning: flow matching on the look, and preservation of what the base does without the trigger."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from loradeck.engines.base import TrainSpec
from loradeck.engines.errors import OutOfMemory
from loradeck.engines.local import memory
from loradeck.engines.local.averaging import Average
from loradeck.engines.local.families import Family
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.material import Material, Pairs, Shape
from loradeck.engines.local.options import Options
from loradeck.engines.local.peers import ALONE
from loradeck.engines.local.seeds import batches, noise_levels, stream
from loradeck.engines.local.texts import either, join, moved, part, sent

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text


CPU = torch.device("cpu")


@dataclass(frozen=True)
class Noisy:
    """What a pass is made of: `image` and `noise` ``(b, c, h, w)``, `sigma` ``(b,)``, `text` of b prompts.

    `weight` ``(b, 1, h, w)`` is how much each latent counts in the loss, where some count more than others.
    """

    image: torch.Tensor
    noise: torch.Tensor
    sigma: torch.Tensor
    text: Text
    weight: torch.Tensor | None = None

    @property
    def mixed(self) -> torch.Tensor:
        """(1 - sigma) image + sigma noise."""
        sigma = self.sigma.view(-1, 1, 1, 1)
        return (1 - sigma) * self.image + sigma * self.noise

    @property
    def target(self) -> torch.Tensor:
        """The flow that is learned: noise minus image."""
        return self.noise - self.image

    def joined(self, other: Noisy) -> Noisy:
        """These rows, then the other's, which have the same shape; for the forward pass, which knows no weights."""
        return Noisy(
            torch.cat([self.image, other.image]),
            torch.cat([self.noise, other.noise]),
            torch.cat([self.sigma, other.sigma]),
            join([self.text, other.text]),
        )

    def cut(self, count: int) -> Iterator[Noisy]:
        """So many parts, as equal as can be, in order; the last ones may be empty."""
        for number in range(count):
            start, stop = (len(self.sigma) * edge // count for edge in (number, number + 1))
            yield Noisy(
                self.image[start:stop],
                self.noise[start:stop],
                self.sigma[start:stop],
                part(self.text, start, stop),
                None if self.weight is None else self.weight[start:stop],
            )


@dataclass(frozen=True)
class Outcome:
    """What a step measured, left as tensors so that nothing waits for the device."""

    loss: torch.Tensor
    preservation: torch.Tensor
    grad_norm: torch.Tensor
    learning_rate: float


def row_losses(predicted: torch.Tensor, wanted: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Mean squared error of every row in float32, ``(b,)``, weighed where there are weights."""
    error = (predicted.float() - wanted.float()).square()
    return (error if weight is None else error * weight).flatten(1).mean(1)


def learning_rate(spec: TrainSpec, options: Options, step: int) -> float:
    """The rate of a step (0-based): linear warm-up, then constant or a cosine that ends at a twentieth."""
    warm = min(1.0, (step + 1) / max(1, options.warmup_steps))
    if options.schedule == "constant":
        return spec.learning_rate * warm
    done = step / max(1, spec.steps)
    return spec.learning_rate * warm * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


@dataclass(frozen=True)
class Hold:
    """Where and how the transformer is held: the device, the type it computes in, and how many rows fit in one pass."""

    device: torch.device = CPU
    dtype: torch.dtype = torch.float32
    micro_batch: int | None = None


class Flow:
    """The transformer's prediction, with inputs brought to where it is held. Everything outside stays in float32.

    It computes in the type of its inputs, as it does when it draws: autocast would keep what it norms in float32, which
    takes twice the memory.
    """

    def __init__(self, family: Family, transformer: Any, hold: Hold) -> None:
        self._family, self._transformer, self.hold = family, transformer, hold

    def __call__(self, given: Noisy) -> torch.Tensor:
        """The predicted flow ``(b, c, h, w)``, on the device."""
        hold = self.hold
        noisy = sent(given.mixed, hold.device, hold.dtype)
        sigma = sent(given.sigma, hold.device)
        return self._family.flow(self._transformer, noisy, sigma, moved(given.text, hold.device, hold.dtype))

    def wanted(self, given: Noisy) -> torch.Tensor:
        """The flow that should be predicted, on the device."""
        return sent(given.target, self.hold.device)

    def errors(self, predicted: torch.Tensor, given: Noisy) -> torch.Tensor:
        """How far a prediction of the rows is from what is wanted, ``(b,)``, on the device."""
        weight = None if given.weight is None else sent(given.weight, self.hold.device)
        return row_losses(predicted, self.wanted(given), weight)


class Learner:
    """The adapter with its optimiser. A step depends on the weights, the optimiser and the step's number alone."""

    def __init__(
        self,
        family: Family,
        transformer: Any,
        adapter: Adapter,
        material: Material,
        spec: TrainSpec,
        options: Options,
        hold: Hold | None = None,
    ) -> None:
        self.hold = hold or Hold()
        self.adapter, self.flow = adapter, Flow(family, transformer, self.hold)
        self._material, self._spec, self._options = material, spec, options
        self._learn = material.train.by_shape(material.encoded)
        self._preserve = material.preserve.by_shape(material.encoded)
        self.peers = ALONE
        self.average = Average(adapter.parameters(), options.ema)
        self.optimizer = torch.optim.AdamW(
            adapter.parameters().values(),
            lr=spec.learning_rate,
            weight_decay=options.weight_decay,
            fused=self.hold.device.type == "cuda",
        )

    def learning_rows(self, step: int) -> Noisy:
        """The rows of a step that teach the look."""
        chosen = batches(self._spec.seed, "learn", step, list(self._learn.values()), self._spec.batch_size)
        rows = self._noised("learn", step, self._material.train, chosen)
        return self._without_captions(step, rows) if self._options.caption_dropout else rows

    def _without_captions(self, step: int, rows: Noisy) -> Noisy:
        """The rows with the empty prompt in the place of some of theirs, by a chance of its own."""
        chance = torch.rand(len(rows.sigma), generator=stream(self._spec.seed, "caption-dropout", step))
        silent = chance < self._options.caption_dropout
        return replace(rows, text=either(silent, self._material.empty, rows.text))

    def preserving_rows(self, step: int, shape: Shape | None = None) -> Noisy:
        """The rows of a step that must stay as the base has them; of that shape, where there are any of it."""
        group = self._preserve[shape] if shape in self._preserve else next(iter(self._preserve.values()))
        chosen = batches(self._spec.seed, "preserve", step, [group], self._options.preservation_batch)
        return self._noised("preserve", step, self._material.preserve, chosen)

    def _noised(self, use: str, step: int, pairs: Pairs, chosen: torch.Tensor) -> Noisy:
        image, text = pairs.take(self._material.encoded, chosen)
        generator = stream(self._spec.seed, use, step)
        sigma = noise_levels(self._options, len(chosen), generator)
        noise = torch.randn(image.shape, generator=generator)
        return Noisy(image.float(), noise, sigma, text, self._material.weights(pairs, chosen))

    def passes(self, step: int) -> list[tuple[Noisy, Noisy | None]]:
        """Our rows of a step, cut into what fits in one pass: to learn, and to preserve beside them."""
        whole = self.learning_rows(step)
        keep = self.preserving_rows(step, tuple(whole.image.shape[1:])) if self._options.preservation else None
        learn, keep = self.peers.share(whole), None if keep is None else self.peers.share(keep)
        count = math.ceil(len(learn.sigma) / (self.hold.micro_batch or len(learn.sigma)))
        kept: list[Noisy | None] = [None] * count if keep is None else list(keep.cut(count))
        return list(zip(learn.cut(count), kept, strict=True))

    def losses(self, learn: Noisy, keep: Noisy | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums over the rows of a pass of the two losses: of the look, and of preservation (0 without rows)."""
        if keep is None or not len(keep.sigma):
            return self.flow.errors(self.flow(learn), learn).sum(), torch.zeros((), device=self.hold.device)
        with torch.no_grad(), self.adapter.off():
            base_flow = self.flow(keep)
        if learn.image.shape[1:] != keep.image.shape[1:]:
            of_look = self.flow.errors(self.flow(learn), learn).sum()
            return of_look, row_losses(self.flow(keep), base_flow).sum()
        flow, count = self.flow(learn.joined(keep)), len(learn.sigma)
        return self.flow.errors(flow[:count], learn).sum(), row_losses(flow[count:], base_flow).sum()

    def step(self, step: int) -> Outcome:
        """Learn once; the gradient is the same however many passes the rows take."""
        rate = learning_rate(self._spec, self._options, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        loss, preservation = self._gradients(step)
        norm = torch.nn.utils.clip_grad_norm_(self.adapter.parameters().values(), self._options.max_grad_norm)
        self.optimizer.step()
        self.average.follow(step)
        return Outcome(loss, preservation, norm.detach(), rate)

    def _gradients(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Leave the step's gradient on the weights, summed over all processes; returns the two mean losses."""
        total, short = torch.zeros(2, device=self.hold.device), None
        self.peers.meet()
        try:
            with memory.told(memory.REMEDY):
                self._backward(step, total)
        except OutOfMemory as error:
            short = error
        self.peers.agree(short, [total] if self.peers.count == 1 else [*self._gradient(), total])
        return total[0], total[1]

    def _gradient(self) -> list[torch.Tensor]:
        """The gradient of every parameter, zero where no row of ours made one."""
        for weight in self.adapter.parameters().values():
            if weight.grad is None:
                weight.grad = torch.zeros_like(weight)
        return [weight.grad for weight in self.adapter.parameters().values() if weight.grad is not None]

    def _backward(self, step: int, total: torch.Tensor) -> None:
        """Add the gradient of this process's rows to the weights, and their losses to `total`."""
        spec, options = self._spec, self._options
        for learn, keep in self.passes(step):
            of_look, of_base = self.losses(learn, keep)
            loss, preservation = of_look / spec.batch_size, of_base / options.preservation_batch
            (loss + options.preservation * preservation).backward()  # type: ignore[no-untyped-call]
            total += torch.stack([loss.detach(), preservation.detach()])
