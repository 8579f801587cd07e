"""The bases at full size without weights: built from their published configurations on torch's meta device.

Counting on them costs a second or two and no memory. Attention is replaced by a function that keeps what the fused
kernels keep (q, k, v, the output and a number a row) and multiplies as often as the maths asks: twice forward, four
times backward.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    ZImageTransformer2DModel,
)
from peft import LoraConfig
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    Mistral3Config,
    Mistral3ForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
)

TEXT_TOKENS = 512
KLEIN_9B = {"num_layers": 8, "num_single_layers": 24, "num_attention_heads": 32, "joint_attention_dim": 12_288}
KLEIN_4B = {"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24, "joint_attention_dim": 7680}

SHORT_KLEIN_4B = {**KLEIN_4B, "num_layers": 2, "num_single_layers": 6}
"""The same blocks, fewer of them."""

TRANSFORMERS: dict[str, Callable[[], Any]] = {
    "flux1-dev": lambda: FluxTransformer2DModel(guidance_embeds=True),
    "flux2-dev": Flux2Transformer2DModel,
    "flux2-klein-4b": lambda: Flux2Transformer2DModel(**KLEIN_4B, guidance_embeds=False),
    "flux2-klein-9b": lambda: Flux2Transformer2DModel(**KLEIN_9B, guidance_embeds=False),
    "z-image": ZImageTransformer2DModel,
    "z-image-base": ZImageTransformer2DModel,
    "short flux2-klein-4b": lambda: Flux2Transformer2DModel(**SHORT_KLEIN_4B, guidance_embeds=False),
}


def _qwen3(hidden: int, inside: int, tied: bool) -> Any:
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=151_936,
            hidden_size=hidden,
            intermediate_size=inside,
            num_hidden_layers=36,
            num_attention_heads=32,
            num_key_value_heads=8,
            head_dim=128,
            tie_word_embeddings=tied,
        )
    )


def _mistral() -> Any:
    text = {
        "model_type": "mistral",
        "vocab_size": 131_072,
        "hidden_size": 5120,
        "intermediate_size": 32_768,
        "num_hidden_layers": 40,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
    }
    sight = {
        "model_type": "pixtral",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "patch_size": 14,
        "image_size": 1540,
    }
    return Mistral3ForConditionalGeneration(
        Mistral3Config(text_config=text, vision_config=sight, tie_word_embeddings=False)
    )


def _t5_and_clip() -> Any:
    t5 = T5Config(
        vocab_size=32_128,
        d_model=4096,
        d_kv=64,
        d_ff=10_240,
        num_layers=24,
        num_heads=64,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    clip = CLIPTextConfig(
        vocab_size=49_408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    )
    return nn.ModuleList([T5EncoderModel(t5), CLIPTextModel(clip)])


TEXT_ENCODERS: dict[str, Callable[[], Any]] = {
    "flux1-dev": _t5_and_clip,
    "flux2-dev": _mistral,
    "flux2-klein-4b": lambda: _qwen3(2560, 9728, True),
    "flux2-klein-9b": lambda: _qwen3(4096, 12_288, False),
    "z-image": lambda: _qwen3(2560, 9728, True),
}


def _flux1_vae() -> Any:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=16,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )


VAES: dict[str, Callable[[], Any]] = {
    "flux1-dev": _flux1_vae,
    "flux2-dev": AutoencoderKLFlux2,
    "flux2-klein-4b": AutoencoderKLFlux2,
    "flux2-klein-9b": AutoencoderKLFlux2,
    "z-image": _flux1_vae,
}

ATTENTION = ("attn.to_q", "attn.to_k", "attn.to_v")
FLUX1_TARGETS = [
    *ATTENTION,
    "attn.to_out.0",
    "attn.add_q_proj",
    "attn.add_k_proj",
    "attn.add_v_proj",
    "attn.to_add_out",
    "ff.net.0.proj",
    "ff.net.2",
    "ff_context.net.0.proj",
    "ff_context.net.2",
]
DOUBLE = (*ATTENTION, "attn.to_out.0", "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out")


def meta(build: Callable[[], Any], dtype: torch.dtype = torch.float32) -> Any:
    """A model without weights."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            return build()
    finally:
        torch.set_default_dtype(before)


def parameters(model: nn.Module) -> int:
    """How many there are."""
    return sum(one.numel() for one in model.parameters())


def targets(base: str, transformer: Any) -> list[str]:
    """The layers that get an adapter, as the families choose them."""
    if base == "flux1-dev":
        return FLUX1_TARGETS
    if base.startswith("z-image"):
        return ["to_q", "to_k", "to_v", "to_out.0"]
    config = transformer.config
    return [f"transformer_blocks.{i}.{name}" for i in range(config.num_layers) for name in DOUBLE] + [
        f"single_transformer_blocks.{i}.attn.{name}"
        for i in range(config.num_single_layers)
        for name in ("to_qkv_mlp_proj", "to_out")
    ]


def lora(base: str) -> int:
    """Parameters of a LoRA a unit of rank: inputs and outputs of its layers."""
    transformer = meta(TRANSFORMERS[base])
    ends = tuple(f".{name}" for name in targets(base, transformer))
    layers = [layer for name, layer in transformer.named_modules() if f".{name}".endswith(ends)]
    return sum(layer.in_features + layer.out_features for layer in layers)


def adapted(base: str, rank: int) -> Any:
    """A frozen transformer in bfloat16 with a LoRA of that type."""
    transformer = meta(TRANSFORMERS[base], torch.bfloat16).requires_grad_(False)
    with torch.device("meta"):
        config = LoraConfig(r=rank, lora_alpha=rank, target_modules=targets(base, transformer))
        transformer.add_adapter(config)
    for one in transformer.parameters():
        if one.requires_grad:  # peft makes them float32
            one.data = one.data.to(torch.bfloat16)
    return transformer


def kinds(transformer: Any, counted: Callable[[str, nn.Linear], bool]) -> list[tuple[int, int, int]]:
    """Blocks in a row that are alike: how many, parameters of one, weights of its layers that are `counted`."""
    names = set(transformer._repeated_blocks)
    sizes = [
        (
            parameters(block),
            sum(
                layer.weight.numel()
                for name, layer in block.named_modules()
                if isinstance(layer, nn.Linear) and counted(name, layer)
            ),
        )
        for block in transformer.modules()
        if type(block).__name__ in names
    ]
    return [(len(list(group)), *size) for size, group in groupby(sizes)]


@dataclass(frozen=True)
class Step:
    """One forward and backward pass: TFLOP of the first and of both, GiB kept in between."""

    forward: float
    both: float
    kept_gib: float


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        out = (query @ key.transpose(-1, -2)) @ value
        row = torch.empty(query.shape[:-1], device=query.device, dtype=torch.float32)
        ctx.save_for_backward(query, key, value, out, row)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, ...]:
        query, key, value, _, _ = ctx.saved_tensors
        (grad,) = grads
        weights = torch.empty(*query.shape[:-1], key.shape[-2], device=query.device, dtype=query.dtype)
        scores = grad @ value.transpose(-1, -2)
        return scores @ key, scores.transpose(-1, -2) @ query, weights.transpose(-1, -2) @ grad


@contextmanager
def _fused_attention() -> Iterator[None]:
    original = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = lambda query, key, value, **_: _Fused.apply(query, key, value)
    try:
        yield
    finally:
        functional.scaled_dot_product_attention = original


def inputs(base: str, transformer: Any, side: int) -> dict[str, Any]:
    """What a transformer is called with for one square picture, on the meta device."""
    count, config, kind = (side // 16) ** 2, transformer.config, {"dtype": torch.bfloat16, "device": "meta"}
    one = torch.zeros(1, **kind)
    if base.startswith("z-image"):
        latents = torch.zeros(16, 1, side // 8, side // 8, **kind)
        return {"x": [latents], "t": one, "cap_feats": [torch.zeros(TEXT_TOKENS, config.cap_feat_dim, **kind)]}
    told = {
        "hidden_states": torch.zeros(1, count, config.in_channels, **kind),
        "encoder_hidden_states": torch.zeros(1, TEXT_TOKENS, config.joint_attention_dim, **kind),
        "timestep": one,
        "guidance": one if config.guidance_embeds else None,
    }
    if base == "flux1-dev":
        ids = {"img_ids": torch.zeros(count, 3, device="meta"), "txt_ids": torch.zeros(TEXT_TOKENS, 3, device="meta")}
        return {**told, **ids, "pooled_projections": torch.zeros(1, config.pooled_projection_dim, **kind)}
    ids = {"img_ids": torch.zeros(1, count, 4, device="meta"), "txt_ids": torch.zeros(1, TEXT_TOKENS, 4, device="meta")}
    return {**told, **ids}


def step(base: str, side: int, *, checkpointed: bool = False, rank: int = 16) -> Step:
    """Count one step of a base at full size."""
    transformer = adapted(base, rank)
    if checkpointed:
        transformer.enable_gradient_checkpointing()
    frozen = {one.untyped_storage()._cdata for one in transformer.parameters()}
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in frozen:
            kept[storage._cdata] = storage
        return tensor

    with _fused_attention(), torch.device("meta"), FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = transformer(**inputs(base, transformer, side), return_dict=False)[0]
        forward = counter.get_total_flops()
        gib = sum(storage.nbytes() for storage in kept.values()) / 2**30
        kept.clear()
        (out[0] if isinstance(out, list) else out).float().square().mean().backward()
    return Step(forward / 1e12, counter.get_total_flops() / 1e12, gib)


class _Live(TorchDispatchMode):
    """Bytes of the tensors that live at a time, made since the mode was entered."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for storage in (leaf.untyped_storage() for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)):
            if storage._cdata not in self._known:
                self._known.add(storage._cdata)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        return made

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def decoding_gib(base: str, side: int) -> float:
    """Peak of the live tensors while a VAE in bfloat16 decodes one picture."""
    vae = meta(VAES[base], torch.bfloat16)
    latents = torch.zeros(1, vae.config.latent_channels, side // 8, side // 8, dtype=torch.bfloat16, device="meta")
    with torch.no_grad(), _Live() as live:
        vae.decode(latents)
    return live.peak / 2**30
