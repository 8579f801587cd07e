"""A tiny random FLUX.1 pipeline, built from config in well under a second, and a base made of it."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from support import tiny
from tokenizers.processors import TemplateProcessing
from transformers import CLIPTextConfig, CLIPTextModel, PreTrainedTokenizerFast, T5Config, T5EncoderModel

from loradeck.engines.local.bases import Base, Recipe

T5_WIDTH, CLIP_WIDTH = 24, 20
CLIP_TOKENS = 77
LATENT_CHANNELS = 4


def tokenizer(longest: int, start: str = "") -> PreTrainedTokenizerFast:
    """One token a byte, with an end token as both of FLUX.1's encoders have one, and CLIP's start token."""
    words = tiny.tokenizer()
    words.add_special_tokens({"eos_token": "</s>", **({"bos_token": start} if start else {})})
    named = [token for token in (start, "</s>") if token]
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A </s>".strip(),
        special_tokens=[(token, words.convert_tokens_to_ids(token)) for token in named],
    )
    words.chat_template = None
    words.model_max_length = longest
    return words


def transformer(num_single_layers: int = 2, guidance: bool = True) -> FluxTransformer2DModel:
    """Two heads of width 16, one double block."""
    return FluxTransformer2DModel(
        in_channels=4 * LATENT_CHANNELS,
        num_layers=1,
        num_single_layers=num_single_layers,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=CLIP_WIDTH,
        guidance_embeds=guidance,
        axes_dims_rope=(4, 6, 6),
    )


def vae() -> AutoencoderKL:
    """Two halvings and a shift, as FLUX.1's has one."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=4,
        sample_size=tiny.SIDE,
        scaling_factor=0.7,
        shift_factor=0.12,
        use_quant_conv=False,
        use_post_quant_conv=False,
        mid_block_add_attention=False,
    )


def pipeline(seed: int = 0) -> FluxPipeline:
    """The whole pipeline, in eval mode (T5 drops out otherwise)."""
    torch.manual_seed(seed)
    clip_words, t5_words = tokenizer(CLIP_TOKENS, "<s>"), tokenizer(512)
    clip = CLIPTextConfig(
        vocab_size=len(clip_words),
        hidden_size=CLIP_WIDTH,
        intermediate_size=CLIP_WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CLIP_TOKENS,
        projection_dim=CLIP_WIDTH,
        bos_token_id=clip_words.bos_token_id,
        eos_token_id=clip_words.eos_token_id,
        initializer_factor=4.0,
    )
    t5 = T5Config(
        vocab_size=len(t5_words),
        d_model=T5_WIDTH,
        d_kv=8,
        d_ff=T5_WIDTH,
        num_layers=2,
        num_heads=2,
        feed_forward_proj="gated-gelu",
    )
    made = FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
        vae=vae().eval(),
        text_encoder=CLIPTextModel(clip).eval(),
        tokenizer=clip_words,
        text_encoder_2=T5EncoderModel(t5).eval(),
        tokenizer_2=t5_words,
        transformer=transformer().eval(),
    )
    made.set_progress_bar_config(disable=True)
    return made


def base(folder: Path, seed: int = 0) -> Base:
    """A base whose weights are written to `folder` (kept when they are there)."""
    if not folder.exists():
        pipeline(seed).save_pretrained(folder)
    return Base(
        name="tiny-flux1",
        family="flux1",
        weights=folder,
        sizes=((tiny.SIDE, tiny.SIDE), (2 * tiny.SIDE, tiny.SIDE + 16)),
        max_tokens=24,
        draw_steps=2,
        guidance=3.5,
        recipe=Recipe(steps=8, images=8, rank=4, alpha=4.0, learning_rate=1e-2, batch_size=2, advanced={"threads": 1}),
        architecture="flux-1-dev/lora",
        prior=tiny.prior,
    )
