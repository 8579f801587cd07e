"""What every family does alike: opening a pipeline with some of its parts, generators, and the ear for "stop"."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from diffusers.utils import logging as diffusers_logging
from torch.nn.functional import pad
from transformers.utils import logging as transformers_logging

if TYPE_CHECKING:
    from loradeck.engines.local.families import Text


class DiffusersFamily:
    """A family whose base is a diffusers pipeline. A subclass names the classes and fills in the maths."""

    pipeline_class: ClassVar[Any]
    transformer_class: ClassVar[Any]
    text_parts: tuple[str, ...] = ("text_encoder", "tokenizer")
    stride: int = 16
    most_references: int = 0

    def load(
        self,
        weights: Path,
        dtype: torch.dtype | None = None,
        without: Collection[str] = (),
        single_file: Path | None = None,
    ) -> Any:
        """The pipeline in a folder, frozen and in eval mode; see `families.Family`."""
        diffusers_logging.disable_progress_bar()
        transformers_logging.disable_progress_bar()
        pipeline = self.assembled(weights, dtype or torch.float32, without, single_file)
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.requires_grad_(False).eval()
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    def assembled(self, weights: Path, dtype: torch.dtype, without: Collection[str], single_file: Path | None) -> Any:
        """The pipeline as the folder has it, less the parts in `without`."""
        parts: dict[str, Any] = dict.fromkeys(without)
        if single_file is not None and "transformer" not in without:
            parts["transformer"] = self.transformer_alone(weights, dtype, single_file)
        return self.pipeline_class.from_pretrained(
            weights, dtype=dtype, local_files_only=True, use_safetensors=True, **parts
        )

    def beside(self, pipeline: Any) -> Any:
        """Another pipeline over the same parts, which draws while the first one does; its scheduler counts alone."""
        other = copy(pipeline)
        other.scheduler = deepcopy(pipeline.scheduler)
        return other

    def transformer_alone(self, weights: Path, dtype: torch.dtype, single_file: Path) -> Any:
        """The transformer of a file of its own, built as the folder's is."""
        return self.transformer_class.from_single_file(
            str(single_file), config=str(weights), subfolder="transformer", torch_dtype=dtype, local_files_only=True
        )


def filled_up(said: Sequence[torch.Tensor], tokens: int) -> Text:
    """Prompts of lengths of their own, each ``(length, d)``, as tensors that can be kept and joined.

    `states` ``(m, tokens, d)`` is filled up with zeros; `lengths` ``(m,)``, on the CPU, tells what is not filling.
    """
    states = torch.stack([pad(one, (0, 0, 0, tokens - len(one))) for one in said])
    return {"states": states, "lengths": torch.tensor([len(one) for one in said])}


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One generator a picture, on the CPU: a seed gives the same noise whatever it is drawn with, and on what chip."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def at_every_step(on_step: Callable[[], None]) -> Callable[..., dict[str, Any]]:
    """A pipeline's `callback_on_step_end` that calls `on_step` and changes nothing."""

    def told(*_: Any) -> dict[str, Any]:
        on_step()
        return {}

    return told
