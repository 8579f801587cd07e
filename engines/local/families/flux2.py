"""FLUX.2 dev: FLUX.2 with Mistral 3 for its text and an embedded guidance instead of an empty prompt."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from diffusers import Flux2Pipeline
from transformers import AutoTokenizer

from loradeck.engines.local.families.flux2_common import Flux2Family


class Flux2(Flux2Family):
    """FLUX.2 dev. Text is layers 10, 20 and 30 of Mistral 3, after the pipeline's own system message.

    Trained at guidance 1, as other trainers do (docs/local-engine.md); the official script's default is 3.5.
    """

    pipeline_class = Flux2Pipeline
    trained_guidance = 1.0

    def assembled(self, weights: Path, dtype: torch.dtype, without: Collection[str], single_file: Path | None) -> Any:
        """The pipeline, with the bare tokenizer where the folder holds a processor of text and pictures.

        The processor (`PixtralProcessor`) cannot be opened without torchvision. Prompts are encoded from words alone,
        for which it does nothing but call its tokenizer.
        """
        pipeline = super().assembled(weights, dtype, {*without, "tokenizer"}, single_file)
        if "tokenizer" not in without:
            tokenizer = AutoTokenizer.from_pretrained(weights / "tokenizer", local_files_only=True)
            pipeline.register_modules(tokenizer=tokenizer)
        return pipeline


FAMILY = Flux2()
