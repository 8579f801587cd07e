"""What every family does alike: opening a pipeline with some of its parts, generators, and the ear for "stop"."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging


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
        kind = dtype or torch.float32
        parts: dict[str, Any] = dict.fromkeys(without)
        if single_file is not None and "transformer" not in without:
            parts["transformer"] = self.transformer_class.from_single_file(
                str(single_file), config=str(weights), subfolder="transformer", torch_dtype=kind, local_files_only=True
            )
        pipeline = self.pipeline_class.from_pretrained(
            weights, dtype=kind, local_files_only=True, use_safetensors=True, **parts
        )
        for part in pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                part.requires_grad_(False).eval()
        pipeline.set_progress_bar_config(disable=True)
        return pipeline


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One generator a picture, on the CPU: a seed gives the same noise whatever it is drawn with, and on what chip."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def at_every_step(on_step: Callable[[], None]) -> Callable[..., dict[str, Any]]:
    """A pipeline's `callback_on_step_end` that calls `on_step` and changes nothing."""

    def told(*_: Any) -> dict[str, Any]:
        on_step()
        return {}

    return told
