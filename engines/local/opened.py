"""A base in memory for drawing. Of a large one, text encoders and transformer are never there at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from loradeck.engines.local import families, frozen, memory
from loradeck.engines.local.abreast import lanes_here, one_thread
from loradeck.engines.local.bases import Base
from loradeck.engines.local.learner import CPU
from loradeck.engines.local.pipeline import Encoders, load
from loradeck.engines.local.placement import encoders_device, is_small, number_format, placement
from loradeck.engines.local.stack import Stack
from loradeck.engines.local.steady import steady
from loradeck.engines.local.texts import join, moved

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text


class OpenBase:
    """A base whose prompts are encoded once for the process's life.

    A small one is opened whole and stays. Of a large one the encoders come first and go when a request's prompts are
    encoded; then the transformer and the VAE come and stay, until prompts come that were never seen.
    """

    def __init__(self, base: Base) -> None:
        self.family = families.get(base.family)
        self.device, self.dtype = placement(base)
        self._base = base
        self._small = is_small(base)
        self._texts: dict[str, Text] = {}
        self._pipeline: Any = None
        self._lanes: list[Any] = []
        self._stack: Stack | None = None

    def encode(self, prompts: Iterable[str], on_each: Callable[[], None]) -> None:
        """Encode what was not yet; `on_each` is called before each prompt and may raise. Raises NotInstalled."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._texts]
        if not new:
            return
        if self._small:
            with one_thread() if self.device == CPU else nullcontext():  # the same to the bit on any number of cores
                self._encode(self.pipeline, new, on_each)
            return
        self._let_go()
        device = encoders_device(self._base, self.family.text_parts, self.device)
        encoders = Encoders(self._base, self.family, self.dtype, device)
        try:
            self._encode(encoders.open(), new, on_each)
        finally:
            encoders.close()

    def _encode(self, pipeline: Any, prompts: Iterable[str], on_each: Callable[[], None]) -> None:
        for prompt in prompts:
            on_each()
            text = self.family.encode_prompts(pipeline, [prompt], self._base.max_tokens)
            self._texts[prompt] = moved(text, CPU, self.dtype)

    def _let_go(self) -> None:
        self._pipeline = self._stack = None
        memory.give_back()

    def texts(self, prompts: Iterable[str]) -> Text:
        """Encoded prompts, in order, where the base draws. They were given to `encode` before."""
        return moved(join([self._texts[prompt] for prompt in prompts]), self.device, self.dtype)

    @property
    def pipeline(self) -> Any:
        """What draws: a large base's comes without the parts that only encoding needs. Raises NotInstalled."""
        if self._pipeline is None:
            without = () if self._small else self.family.text_parts
            pipeline = load(self._base, self.family, self.dtype, CPU, without)
            fmt = number_format(pipeline, self.device)
            if fmt is not None:
                frozen.quantise(pipeline.transformer, fmt, device=self.device)
            self._pipeline = pipeline.to(self.device)
            steady(self._pipeline)
        return self._pipeline

    @property
    def lanes(self) -> list[Any]:
        """Pipelines over the same weights that draw at the same time, where that is worth it (see `abreast`)."""
        if not self._lanes and self._small and self.device == CPU:
            others = (self.family.beside(self.pipeline) for _ in range(lanes_here() - 1))
            self._lanes = [self.pipeline, *others]
        return self._lanes

    @property
    def stack(self) -> Stack:
        """The LoRAs on the pipeline."""
        if self._stack is None:
            self._stack = Stack(self._base, self.family, self.pipeline, self.dtype)
        return self._stack
