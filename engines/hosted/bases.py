"""The transformers that hosts train, as LoRAs see them: which linear layers there are, of what size, by which names.

Sizes follow from a few numbers of each architecture; the tests hold every one of them against diffusers' own models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from loradeck.engines.hosted import names
from loradeck.engines.local.families.flux1_names import READ_DOUBLE, READ_SINGLE, READ_WIDTH, SWAPPED
from loradeck.engines.lora_naming import Found, Naming

Size = tuple[int, int]
"""Rows (what comes out) and columns (what comes in) of a layer's matrix."""
Sizes = Mapping[str, Size]


@dataclass(frozen=True)
class Form:
    """How the tensors of a file are named: what stands before and after, and whether by the original model's names."""

    prefix: str
    down: str
    up: str
    original: bool


ORIGINAL = Form("diffusion_model.", ".lora_A.weight", ".lora_B.weight", original=True)
"""FLUX.2, FLUX.3, Wan: ComfyUI's own names, which diffusers converts."""
ORIGINAL_BY_KOHYA = Form("diffusion_model.", ".lora_down.weight", ".lora_up.weight", original=True)
"""FLUX.1, whose original names diffusers knows by kohya's endings alone."""
MODULES = Form("diffusion_model.", ".lora_A.weight", ".lora_B.weight", original=False)
"""Z-Image: ComfyUI maps the parts onto its fused matrix, while diffusers does not cut a fused one."""
DIFFUSERS = Form("transformer.", ".lora_A.weight", ".lora_B.weight", original=False)
"""FLUX.1 by diffusers' names, all of which ComfyUI maps (`flux_to_diffusers`)."""


@dataclass(frozen=True)
class Architecture:
    """One base: its names, how many blocks a stack has, its layers' sizes, and how its LoRAs are kept.

    `sizes` go by diffusers' names, the number of a block left out. `form` is how files are written; where `apart` is
    one, it is for files that do not go by the original's names throughout, or reach out of the blocks. `told` is what
    modelspec calls a LoRA of it. The original holds the halves of `swapped` the other way round than diffusers, and
    `unfit` matrices cannot be written so that diffusers and ComfyUI take both for the same.
    """

    told: str
    naming: Naming
    depths: Mapping[str, int]
    sizes: Sizes
    form: Form
    apart: Form | None = None
    swapped: str = ""
    unfit: frozenset[str] = field(default_factory=frozenset)

    def size(self, module: str) -> Size | None:
        """The size of a layer by diffusers' name, or None where there is no such layer."""
        block = re.fullmatch(r"(.+?)\.(\d+)\.(.+)", module)
        if block is None or block[1] not in self.depths:
            return self.sizes.get(module)
        return self.sizes.get(f"{block[1]}.{block[3]}") if int(block[2]) < self.depths[block[1]] else None

    def form_of(self, found: Iterable[Found]) -> Form:
        """How a file with these matrices is to be written."""
        if self.apart is None:
            return self.form
        plain = all(one.by_original and _is_in_block(one.modules[0], self.depths) for one in found)
        return self.form if plain else self.apart


def _is_in_block(module: str, depths: Mapping[str, int]) -> bool:
    return any(module.startswith(f"{stack}.") for stack in depths)


def _square(width: int, *modules: str) -> dict[str, Size]:
    return dict.fromkeys(modules, (width, width))


def _inside(stack: str, sizes: Sizes) -> dict[str, Size]:
    return {f"{stack}.{module}": size for module, size in sizes.items()}


_QKV = ("attn.to_q", "attn.to_k", "attn.to_v")
_JOINT = (*_QKV, "attn.to_out.0", "attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj", "attn.to_add_out")
_CLOCK = 256
"""Numbers that a time is told in, in every one of these models."""


def flux1(width: int, double: int, single: int, text: int, pooled: int, channels: int) -> Architecture:
    """FLUX.1: so many blocks of each kind, `text` and `pooled` numbers a token of T5 and a prompt of CLIP."""
    w = width
    blocks = {**_square(w, *_JOINT), "norm1.linear": (6 * w, w), "norm1_context.linear": (6 * w, w)}
    for feed in ("ff", "ff_context"):
        blocks |= {f"{feed}.net.0.proj": (4 * w, w), f"{feed}.net.2": (w, 4 * w)}
    singles = {**_square(w, *_QKV), "proj_mlp": (4 * w, w), "proj_out": (w, 5 * w), "norm.linear": (3 * w, w)}
    outside: dict[str, Size] = {
        "x_embedder": (w, channels),
        "context_embedder": (w, text),
        "norm_out.linear": (2 * w, w),
        "proj_out": (channels, w),
    }
    for told, numbers in (("timestep", _CLOCK), ("guidance", _CLOCK), ("text", pooled)):
        embedder = f"time_text_embed.{told}_embedder"
        outside |= {f"{embedder}.linear_1": (w, numbers), f"{embedder}.linear_2": (w, w)}
    read = width == READ_WIDTH and double <= READ_DOUBLE and single <= READ_SINGLE
    return Architecture(
        "flux-1-dev/lora",
        names.FLUX1,
        {"transformer_blocks": double, "single_transformer_blocks": single},
        {**outside, **_inside("transformer_blocks", blocks), **_inside("single_transformer_blocks", singles)},
        ORIGINAL_BY_KOHYA if read else DIFFUSERS,
        apart=DIFFUSERS,
        swapped=SWAPPED,
    )


def flux2(
    told: str, width: int, double: int, single: int, text: int, *, channels: int, mlp: int, guided: bool, clock: int
) -> Architecture:
    """FLUX.2 and klein: `mlp` is how many times the width the inside of an MLP has, gate apart."""
    w, inner = width, mlp * width
    blocks = _square(w, *_JOINT)
    for feed in ("ff", "ff_context"):
        blocks |= {f"{feed}.linear_in": (2 * inner, w), f"{feed}.linear_out": (w, inner)}
    singles = {"attn.to_qkv_mlp_proj": (3 * w + 2 * inner, w), "attn.to_out": (w, w + inner)}
    outside: dict[str, Size] = {
        "x_embedder": (w, channels),
        "context_embedder": (w, text),
        "proj_out": (channels, w),
        "norm_out.linear": (2 * w, w),
        "double_stream_modulation_img.linear": (6 * w, w),
        "double_stream_modulation_txt.linear": (6 * w, w),
        "single_stream_modulation.linear": (3 * w, w),
    }
    for kind in ("timestep", "guidance") if guided else ("timestep",):
        embedder = f"time_guidance_embed.{kind}_embedder"
        outside |= {f"{embedder}.linear_1": (w, clock), f"{embedder}.linear_2": (w, w)}
    return Architecture(
        told,
        names.FLUX2,
        {"transformer_blocks": double, "single_transformer_blocks": single},
        {**outside, **_inside("transformer_blocks", blocks), **_inside("single_transformer_blocks", singles)},
        ORIGINAL,
        # diffusers holds the halves the other way round than the original, and its conversion leaves them as they are
        unfit=frozenset({"final_layer.adaLN_modulation.1"}),
    )


def flux3(width: int, own: int, joint: int, mlp: int) -> Architecture:
    """FLUX.3 klein: `own` blocks of each stream's own, then `joint` ones; `mlp` as for FLUX.2."""
    block = {
        **_square(width, *_QKV, "attn.to_out.0"),
        "ff.linear_in": (2 * mlp * width, width),
        "ff.linear_out": (width, mlp * width),
    }
    stacks = {"mode_blocks.image": own, "mode_blocks.image_cond": own, "txt_mode_blocks": own}
    depths = {**stacks, "single_transformer_blocks": joint}
    sizes = {name: size for stack in depths for name, size in _inside(stack, block).items()}
    return Architecture("Flux.3-klein/lora", names.FLUX3, depths, sizes, ORIGINAL)


def z_image(width: int, layers: int, refiners: int, text: int, channels: int) -> Architecture:
    """Z-Image: `text` numbers a token, `channels` a patch."""
    w, clock, inner = width, min(width, _CLOCK), int(width / 3 * 8)
    block = {
        **_square(w, "attention.to_q", "attention.to_k", "attention.to_v", "attention.to_out.0"),
        "feed_forward.w1": (inner, w),
        "feed_forward.w2": (w, inner),
        "feed_forward.w3": (inner, w),
    }
    timed = {**block, "adaLN_modulation.0": (4 * w, clock)}
    return Architecture(
        "Z-Image/lora",
        names.Z_IMAGE,
        {"layers": layers, "noise_refiner": refiners, "context_refiner": refiners},
        {
            **_inside("layers", timed),
            **_inside("noise_refiner", timed),
            **_inside("context_refiner", block),
            "all_x_embedder.2-1": (w, channels),
            "all_final_layer.2-1.linear": (channels, w),
            "all_final_layer.2-1.adaLN_modulation.1": (w, clock),
            "cap_embedder.1": (w, text),
            "t_embedder.mlp.0": (1024, 256),
            "t_embedder.mlp.2": (clock, 1024),
        },
        MODULES,
    )


def wan(width: int, blocks: int, inner: int, text: int, channels: int) -> Architecture:
    """Wan (from words): `inner` is the inside of an MLP, `channels` the numbers of a patch that come out."""
    w, embedder = width, "condition_embedder"
    block = {
        **_square(
            w, *(f"{attn}.{part}" for attn in ("attn1", "attn2") for part in ("to_q", "to_k", "to_v", "to_out.0"))
        ),
        "ffn.net.0.proj": (inner, w),
        "ffn.net.2": (w, inner),
    }
    outside: dict[str, Size] = {
        f"{embedder}.text_embedder.linear_1": (w, text),
        f"{embedder}.text_embedder.linear_2": (w, w),
        f"{embedder}.time_embedder.linear_1": (w, _CLOCK),
        f"{embedder}.time_embedder.linear_2": (w, w),
        f"{embedder}.time_proj": (6 * w, w),
        "proj_out": (channels, w),
    }
    return Architecture(
        "Wan-2.2/lora", names.WAN, {"blocks": blocks}, {**outside, **_inside("blocks", block)}, ORIGINAL
    )


_FLUX2 = {"channels": 128, "mlp": 3, "clock": _CLOCK}
_Z_IMAGE = z_image(3840, 30, 2, text=2560, channels=64)

BASES: Mapping[str, Architecture] = {
    "flux1-dev": flux1(3072, 19, 38, text=4096, pooled=768, channels=64),
    "flux2-dev": flux2("Flux.2-dev/lora", 6144, 8, 48, 15_360, guided=True, **_FLUX2),
    "flux2-klein-4b": flux2("Flux.2-klein-4b/lora", 3072, 5, 20, 7680, guided=False, **_FLUX2),
    "flux2-klein-9b": flux2("Flux.2-klein-9b/lora", 4096, 8, 24, 12_288, guided=False, **_FLUX2),
    "flux3-klein": flux3(3072, 5, 28, mlp=3),
    "z-image": _Z_IMAGE,
    "z-image-base": _Z_IMAGE,
    "wan-2.2": wan(5120, 40, 13_824, 4096, channels=64),
}
"""By the names that callers use. Wan 2.2 is the one of 14 billion parameters, each of whose two halves has these."""
