"""The preview's words: a tokenizer of one token a known word, and a frozen random Qwen3 that reads them.

A word that is not known (a trigger, a name) is spelled in letter pairs, letters and bytes, so that two
made-up words never look the same to the model. The chat template is the prompt and an end mark.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from itertools import product
from string import ascii_lowercase, digits, punctuation

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from loradeck.engines.local.preview.captions import FILLERS, ORDINARY, caption
from loradeck.engines.local.preview.grounding import word_meanings
from loradeck.engines.local.preview.shapes import SHAPES
from loradeck.engines.local.preview.world import COLORS, pick_scene

PAD, END = "<|endoftext|>", "<|im_end|>"
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}" + END
WIDTH = 64
LAYERS = (9, 18, 27)
"""The hidden layers that ``Flux2KleinPipeline`` reads; their states side by side are one token's text."""

OWN = 0.6
"""How much of a known word's embedding is its own, beside its kind and looks (see :mod:`.grounding`)."""

MAX_TOKENS = 64
"""What loradeck pads prompts to; plain diffusers pads to 512, which the base has met in training too."""


def known_words(samples: int = 20000, seed: int = 3) -> list[str]:
    """Every word of the world's captions (collected from samples) and some ordinary English, sorted."""
    rng = random.Random(seed)
    found = set(FILLERS) | set(ORDINARY) | set(COLORS) | set(digits)
    for shape in SHAPES.values():
        found.update(shape.nouns)
    for _ in range(samples):
        found.update(re.findall(r"[a-z0-9]+", caption(pick_scene(rng), rng, triggers=0.0).lower()))
    return sorted(found)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """The tokenizer, built from the world's words alone."""
    words = known_words()
    pairs = ["".join(p) for p in product(ascii_lowercase, repeat=2) if "".join(p) not in set(words)]
    singles = [*ascii_lowercase, *digits, *punctuation]
    pieces = [PAD, END, *(f"<0x{i:02X}>" for i in range(256)), *singles, *pairs, *words]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    merges = [(pair[0], pair[1]) for pair in pairs]
    raw = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, ignore_merges=True, fuse_unk=False))
    raw.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()])
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("isolated")]
    )
    raw.decoder = decoders.ByteFallback()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token=PAD, eos_token=END, model_max_length=512, padding_side="right"
    )
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def build_text_encoder(tokenizer: PreTrainedTokenizerFast, seed: int = 5) -> Qwen3ForCausalLM:
    """A random Qwen3 of 28 layers, frozen, with grounded token embeddings at unit scale.

    Only 27 layers are read; the last one keeps the final norm away from the third reading.
    """
    torch.manual_seed(seed)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=WIDTH,
        num_hidden_layers=LAYERS[-1] + 1,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        initializer_range=0.05,
        tie_word_embeddings=True,
        max_position_embeddings=1024,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    model = Qwen3ForCausalLM(config).eval().requires_grad_(False)
    table = model.model.embed_tokens.weight
    torch.nn.init.normal_(table, std=1.0)
    for word, meaning in word_meanings().items():
        index = tokenizer.convert_tokens_to_ids(word)
        table[index] = OWN * table[index] + meaning
    return model


@torch.no_grad()
def embed(
    tokenizer: PreTrainedTokenizerFast, encoder: Qwen3ForCausalLM, prompts: Sequence[str], length: int = MAX_TOKENS
) -> torch.Tensor:
    """Text states ``(n, length, 192)`` just as the pipeline makes them."""
    texts = [tokenizer.apply_chat_template([{"role": "user", "content": p}], tokenize=False) for p in prompts]
    inputs = tokenizer(texts, return_tensors="pt", padding="max_length", truncation=True, max_length=length)
    out = encoder(**inputs, output_hidden_states=True, use_cache=False, logits_to_keep=1)
    return torch.cat([out.hidden_states[k] for k in LAYERS], dim=-1)
