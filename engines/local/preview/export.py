"""Write the preview base as a plain diffusers pipeline folder, with its card."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
)
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from loradeck.engines.local.preview.text import MAX_TOKENS
from loradeck.engines.local.preview.world import SQUARE, WIDE

LIMIT = 20_000_000
"""The most bytes that the shipped folder may hold."""

HALF = torch.float16
"""Transformer and autoencoder on disk. The text encoder stays in single precision: transformers loads
what it finds, diffusers loads single precision, and a plain pipeline needs both alike."""


def new_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Euler steps with a small fixed shift: FLUX.2's own shift is meant for thousands of tokens."""
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.5, use_dynamic_shifting=False)


def folder_size(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def base_card(seed: int, steps: int, transformer: Flux2Transformer2DModel) -> dict[str, Any]:
    """What is true of every export; measured numbers and the LoRA recipe are kept from the card before."""
    return {
        "name": "preview",
        "what": "This is a preview: a small FLUX.2-klein-architecture pipeline that loradeck drew, trained and ships "
        "itself, to learn the workflow with and to test it end to end. It knows a simple drawn world "
        "and nothing else; its renders say what a look does, not what a large model would draw.",
        "pipeline": "Flux2KleinPipeline",
        "trained_on": "pictures and captions that loradeck.engines.local.preview draws itself; no other data",
        "seed": seed,
        "steps_trained": steps,
        "transformer_parameters": sum(p.numel() for p in transformer.parameters()),
        "sizes": [list(SQUARE), list(WIDE)],
        "pixels_per_token": 16,
        "render": {"num_inference_steps": 24, "guidance_scale": 4.0, "max_sequence_length": MAX_TOKENS},
    }


def _kept(folder: Path) -> dict[str, Any]:
    path = folder / "card.json"
    if not path.exists():
        return {}
    before = json.loads(path.read_text(encoding="utf-8"))
    return {key: before[key] for key in ("lora_recipe", "measured") if key in before}


def export(
    folder: Path,
    vae: AutoencoderKLFlux2,
    tokenizer: PreTrainedTokenizerFast,
    encoder: Qwen3ForCausalLM,
    transformer: Flux2Transformer2DModel,
    card: dict[str, Any],
) -> Path:
    """Write the pipeline to ``folder`` (half precision on disk) and return the folder.

    Raises:
        ValueError: when the folder came out larger than :data:`LIMIT`.
    """
    pipeline = Flux2KleinPipeline(
        scheduler=new_scheduler(),
        vae=vae.to(HALF),
        text_encoder=encoder,
        tokenizer=tokenizer,
        transformer=transformer.to(HALF),
    )
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    pipeline.save_pretrained(draft)
    text = json.dumps({**card, **_kept(folder)}, indent=2) + "\n"
    (draft / "card.json").write_text(text, encoding="utf-8")
    for path in draft.rglob("*.safetensors"):
        path.chmod(0o644)
    size = folder_size(draft)
    if size > LIMIT:
        raise ValueError(f"The preview's folder holds {size} bytes, more than {LIMIT}: make the transformer narrower.")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return folder
