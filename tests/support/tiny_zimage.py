"""A tiny random Z-Image pipeline, built from config in well under a second, and a base made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImagePipeline, ZImageTransformer2DModel
from support import tiny
from transformers import Qwen3Config, Qwen3Model

from loradeck.engines.local.bases import Base

MAX_TOKENS = 48


def transformer(n_layers: int = 2) -> ZImageTransformer2DModel:
    """Two heads of width 16, one block in each refiner; what fills up a sequence is not zero, as in the real one."""
    model = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=n_layers,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=tiny.TEXT_WIDTH,
        axes_dims=[4, 6, 6],
        axes_lens=[128, 32, 32],
    )
    with torch.no_grad():
        model.x_pad_token.normal_()
        model.cap_pad_token.normal_()
    return model.eval()


def vae() -> AutoencoderKL:
    """Four times smaller along a side, four channels, a shift and a scale that are not 0 and 1."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=tiny.SIDE,
        mid_block_add_attention=False,
        use_quant_conv=False,
        use_post_quant_conv=False,
        scaling_factor=1.5,
        shift_factor=0.1,
    ).eval()


def pipeline(seed: int = 0) -> ZImagePipeline:
    """The whole pipeline, in eval mode."""
    torch.manual_seed(seed)
    words = tiny.tokenizer()
    text = Qwen3Config(
        vocab_size=len(words),
        hidden_size=tiny.TEXT_WIDTH,
        intermediate_size=tiny.TEXT_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.2,
    )
    made = ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=vae(),
        text_encoder=Qwen3Model(text).eval(),
        tokenizer=words,
        transformer=transformer(),
    )
    made.set_progress_bar_config(disable=True)
    return made


def base(folder: Path, seed: int = 0) -> Base:
    """A base whose weights are written to `folder` (kept when they are there)."""
    if not folder.exists():
        pipeline(seed).save_pretrained(folder)
    return replace(
        tiny.base(folder),
        name="tiny-zimage",
        family="zimage",
        max_tokens=MAX_TOKENS,
        architecture="Z-Image/lora",
        preview=False,
    )


def full_size() -> ZImageTransformer2DModel:
    """The published model's layers, without their numbers."""
    with torch.device("meta"):
        return ZImageTransformer2DModel()
