"""A tiny random FLUX.3 klein, built from config in well under a second, and a base made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import Flux3Transformer2DModel
from support import tiny
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from loradeck.engines.local.bases import Base

TEXT_LAYERS = 33  # the pipeline reads layers 4, 8 ... 32
MAX_TOKENS = 160


def transformer(num_single_layers: int = 2) -> Flux3Transformer2DModel:
    """Width 16 a head, one block of each stream's own."""
    return Flux3Transformer2DModel(
        in_channels=16,
        cond_in_channels=16,
        num_layers=1,
        num_single_layers=num_single_layers,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=8 * tiny.TEXT_WIDTH,
        timestep_channels=16,
        mlp_ratio=2.0,
        axes_dims_rope=(4, 4, 4, 4),
    ).eval()


def text_encoder(vocabulary: int) -> Qwen3VLForConditionalGeneration:
    """Qwen3-VL of width 16 with a vision tower of one layer."""
    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    text = {
        "vocab_size": vocabulary,
        "hidden_size": tiny.TEXT_WIDTH,
        "intermediate_size": tiny.TEXT_WIDTH,
        "num_hidden_layers": TEXT_LAYERS,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "initializer_range": 0.2,
        "rope_parameters": rope,
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": tiny.TEXT_WIDTH,
        "deepstack_visual_indexes": [0],
    }
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision)).eval()


def write(folder: Path, seed: int = 0) -> None:
    """The parts in a folder each, as the published model has them."""
    klein = tiny.pipeline(seed)
    words = tiny.tokenizer()
    parts = {
        "vae": klein.vae,
        "tokenizer": words,
        "text_encoder": text_encoder(len(words)),
        "transformer": transformer(),
    }
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    index = {"vae": ["diffusers", "AutoencoderKLFlux2"], "transformer": ["diffusers", "Flux3Transformer2DModel"]}
    (folder / "model_index.json").write_text(json.dumps(index), "utf-8")


def base(folder: Path, seed: int = 0) -> Base:
    """A base whose weights are written to `folder` (kept when they are there)."""
    if not folder.exists():
        write(folder, seed)
    return replace(
        tiny.base(folder),
        name="flux3-klein",
        family="flux3",
        max_tokens=MAX_TOKENS,
        architecture="Flux.3-klein/lora",
        preview=False,
    )


def full_size() -> Flux3Transformer2DModel:
    """The published model's layers, without their numbers."""
    with torch.device("meta"):
        return Flux3Transformer2DModel()
