"""Model families: what differs between FLUX.2 klein and the others, behind one small interface.

A family is a module with a ``FAMILY`` object. Everything else in the local engine is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


class Family(Protocol):
    """The maths and the names of one architecture. `pipeline` is a diffusers pipeline of that family."""

    def load(self, weights: Path) -> Any:
        """The pipeline in a folder, in float32, frozen and in eval mode."""

    def encode_images(self, pipeline: Any, pixels: torch.Tensor) -> torch.Tensor:
        """Pixels ``(b, 3, H, W)`` in -1 to 1 to the latents ``(b, c, h, w)`` that the transformer sees."""

    def encode_prompts(self, pipeline: Any, prompts: Sequence[str], max_tokens: int) -> torch.Tensor:
        """Text states ``(b, max_tokens, d)``, just as the pipeline makes them."""

    def flow(self, transformer: Any, noisy: torch.Tensor, sigma: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
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
        text: torch.Tensor,
        empty: torch.Tensor,
        seeds: Sequence[int],
        size: tuple[int, int],
        steps: int,
        guidance: float,
        on_step: Callable[[], None],
    ) -> list[Image]:
        """One picture a seed from text states; ``size`` is (width, height) in native pixels."""


def get(name: str) -> Family:
    """The family of that name; imports torch and diffusers."""
    family: Family = import_module(f"loradeck.engines.local.families.{name}").FAMILY
    return family
