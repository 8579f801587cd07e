"""A tiny random FLUX.2 dev pipeline, built from config in well under a second, and a base made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import Flux2Pipeline, Flux2Transformer2DModel
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE
from support import tiny
from transformers import (
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    MistralConfig,
    PixtralVisionConfig,
    PreTrainedTokenizerFast,
)

from loradeck.engines.local.bases import Base

TEXT_LAYERS = 31  # the pipeline reads layers 10, 20 and 30
MAX_TOKENS = 40
TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{% for part in message['content'] %}"
    "<{{ message['role'][0] }}>{{ part['text'] }}{% endfor %}{% endfor %}"
)


def tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte, but one for the pipeline's long system message."""
    words = tiny.tokenizer()
    words.add_special_tokens({"bos_token": "<s>"})
    words.add_tokens([SYSTEM_MESSAGE])
    words.chat_template = TEMPLATE
    return words


def text_encoder(vocabulary: int) -> Mistral3ForConditionalGeneration:
    """Mistral 3 of width 16 with a vision tower of one layer."""
    text = MistralConfig(
        vocab_size=vocabulary,
        hidden_size=tiny.TEXT_WIDTH,
        intermediate_size=tiny.TEXT_WIDTH,
        num_hidden_layers=TEXT_LAYERS,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.2,
    )
    vision = PixtralVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    return Mistral3ForConditionalGeneration(Mistral3Config(text_config=text, vision_config=vision)).eval()


def transformer(num_single_layers: int = 2) -> Flux2Transformer2DModel:
    """The tiny klein's, with an input for guidance."""
    config = tiny.transformer(num_single_layers).config
    model: Flux2Transformer2DModel = Flux2Transformer2DModel.from_config({**config, "guidance_embeds": True})
    return model.eval()


def pipeline(seed: int = 0) -> Flux2Pipeline:
    """The whole pipeline, in eval mode."""
    klein = tiny.pipeline(seed)
    words = tokenizer()
    made = Flux2Pipeline(
        scheduler=klein.scheduler,
        vae=klein.vae,
        text_encoder=text_encoder(len(words)),
        tokenizer=words,
        transformer=transformer(),
    )
    made.set_progress_bar_config(disable=True)
    return made


def base(folder: Path, seed: int = 0) -> Base:
    """A base whose weights are written to `folder` (kept when they are there), its parts named as published."""
    if not folder.exists():
        pipeline(seed).save_pretrained(folder)
        index = folder / "model_index.json"
        parts = json.loads(index.read_text("utf-8"))
        parts["tokenizer"] = ["transformers", "PixtralProcessor"]
        index.write_text(json.dumps(parts), "utf-8")
        pixels = {"image_processor_type": "PixtralImageProcessor", "processor_class": "PixtralProcessor"}
        (folder / "tokenizer" / "preprocessor_config.json").write_text(json.dumps(pixels), "utf-8")
    return replace(
        tiny.base(folder),
        name="tiny-flux2",
        family="flux2",
        max_tokens=MAX_TOKENS,
        architecture="Flux.2-dev/lora",
        preview=False,
    )


def full_size() -> Flux2Transformer2DModel:
    """The published model's layers, without their numbers."""
    with torch.device("meta"):
        return Flux2Transformer2DModel()
