"""Model families: what differs between FLUX.1, FLUX.2, klein and Z-Image, behind one small interface.

A family is a module with a ``FAMILY`` object; most of it comes from `families.common`. Everything else in the local
engine is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    Text = dict[str, torch.Tensor]
    """What a text encoder leaves of prompts, by name; the first dimension of every tensor counts the prompts."""


class Family(Protocol):
    """The maths and the names of one architecture. `pipeline` is a diffusers pipeline of that family."""

    @property
    def stride(self) -> int:
        """Pixels along one side of what becomes one token; picture sides are multiples of it."""

    @property
    def most_references(self) -> int:
        """How many reference pictures a drawing takes; 0 where the family draws from words alone."""

    @property
    def text_parts(self) -> tuple[str, ...]:
        """The pipeline's parts that only the encoding of prompts needs."""

    def load(
        self,
        weights: Path,
        dtype: torch.dtype | None = None,
        without: Collection[str] = (),
        single_file: Path | None = None,
    ) -> Any:
        """The pipeline in a folder, frozen and in eval mode (float32 by default).

        Parts named in `without` are left out (None); the transformer comes from `single_file` where one is given.
        """

    def beside(self, pipeline: Any) -> Any:
        """Another pipeline over the same weights, which draws while the first one does."""

    def encode_images(self, pipeline: Any, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels ``(b, 3, H, W)`` in -1 to 1 to latents ``(b, c, h, w)``, normalised as the transformer sees them."""

    def encode_prompts(self, pipeline: Any, prompts: Sequence[str], max_tokens: int) -> Text:
        """What the transformer is told of prompts, just as the pipeline makes it, padded to `max_tokens`."""

    def flow(self, transformer: Any, noisy: torch.Tensor, sigma: torch.Tensor, text: Text) -> torch.Tensor:
        """The predicted flow (noise minus image), shaped like ``noisy``; ``sigma`` is ``(b,)`` in 0 to 1."""

    def targets(self, transformer: Any) -> list[str]:
        """Names of the linear layers that get an adapter."""

    def shared_inputs(self, transformer: Any) -> list[list[str]]:
        """Groups of targets that read the same input and share one down-projection."""

    def to_portable(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """``<module>.lora_A.weight`` / ``.lora_B.weight`` to the key names that other tools read."""

    def from_portable(self, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A LoRA file's tensors by module name, ``B @ A`` being the change itself. Raises ValueError."""

    def draw(
        self,
        pipeline: Any,
        text: Text,
        empty: Text,
        seeds: Sequence[int],
        size: tuple[int, int],
        steps: int,
        guidance: float,
        on_step: Callable[[], None],
        references: Sequence[Image] = (),
    ) -> list[Image]:
        """One picture a seed from encoded prompts (one each); ``size`` is (width, height) in native pixels.

        `empty` is the empty prompt, encoded; families without a negative prompt do without it.
        """


def get(name: str) -> Family:
    """The family of that name; imports torch and diffusers."""
    family: Family = import_module(f"loradeck.engines.local.families.{name}").FAMILY
    return family
