"""FLUX.1's matrices under the names that LoRA files give them.

Three ways of naming are about: the original model's (``double_blocks.0.img_attn.qkv``, where q, k and v are one matrix
and a single block's MLP is part of it too), diffusers' own (``transformer_blocks.0.attn.to_q``), and either of them
with underscores for dots, as kohya and OneTrainer write them. What the names stand for is read from
``flux_to_diffusers`` in ComfyUI's ``comfy/utils.py`` and ``_convert_kohya_flux_lora_to_diffusers`` in diffusers.
The names are read without torch; only what moves numbers imports it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from loradeck.engines.lora_naming import Found, Modules, Naming, Stack

if TYPE_CHECKING:
    import torch

DOUBLE: dict[str, Modules] = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
    "img_mlp.0": ("ff.net.0.proj",),
    "img_mlp.2": ("ff.net.2",),
    "txt_mlp.0": ("ff_context.net.0.proj",),
    "txt_mlp.2": ("ff_context.net.2",),
}
SINGLE: dict[str, Modules] = {
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": ("proj_out",),
}
"""The matrices that are trained, by the original names."""

ROWS = {"proj_mlp": 4}
"""How many times the model's width a part of a fused matrix has in rows, where it is not once."""

DOUBLE_TOO: dict[str, Modules] = {"img_mod.lin": ("norm1.linear",), "txt_mod.lin": ("norm1_context.linear",)}
SINGLE_TOO: dict[str, Modules] = {"modulation.lin": ("norm.linear",)}
OUTSIDE: dict[str, Modules] = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": ("time_text_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_text_embed.timestep_embedder.linear_2",),
    "vector_in.in_layer": ("time_text_embed.text_embedder.linear_1",),
    "vector_in.out_layer": ("time_text_embed.text_embedder.linear_2",),
    "guidance_in.in_layer": ("time_text_embed.guidance_embedder.linear_1",),
    "guidance_in.out_layer": ("time_text_embed.guidance_embedder.linear_2",),
    "final_layer.linear": ("proj_out",),
    "final_layer.adaLN_modulation.1": ("norm_out.linear",),
}
"""What others adapt besides: kohya the modulation of every block, some the layers outside the blocks."""

SWAPPED = "final_layer.adaLN_modulation.1"
"""The original holds shift before scale here, diffusers scale before shift."""

READ_WIDTH, READ_DOUBLE, READ_SINGLE = 3072, 19, 38
"""The only sizes whose original names diffusers can read: `_convert_kohya_flux_lora_to_diffusers` has them fixed."""

NAMING = Naming(
    (
        Stack("double_blocks", "transformer_blocks", DOUBLE, DOUBLE_TOO),
        Stack("single_blocks", "single_transformer_blocks", SINGLE, SINGLE_TOO),
    ),
    OUTSIDE,
)

PREFIX = re.compile(
    r"^(transformer\.|diffusion_model\.|base_model\.model\.|lora_unet_|lora_transformer_|lycoris_)?"
    r"(.+?)\.(lora_A|lora_B|lora_down|lora_up)\.weight$"
)
PARTS = {"lora_A": "lora_A", "lora_down": "lora_A", "lora_B": "lora_B", "lora_up": "lora_B"}


def is_swapped(meant: Found) -> bool:
    """True where the rows of a matrix are halves that diffusers holds the other way round (see `SWAPPED`)."""
    return meant.by_original and meant.matrix.original == SWAPPED


def to_modules(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A LoRA's matrices by `<module>.lora_A.weight` / `.lora_B.weight` of diffusers' model, float32, fused ones cut.

    Raises:
        ValueError: a name is not FLUX.1's, or a fused matrix cannot be cut into its parts.
    """
    import torch

    found: dict[str, torch.Tensor] = {}
    for key, tensor in tensors.items():
        match = PREFIX.match(key)
        if match is None:
            raise ValueError(f"{key} is no matrix of a LoRA")
        name, part = match[2], PARTS[match[3]]
        meant = NAMING.find(name)
        if meant is None:
            raise ValueError(f"{name} is no matrix of FLUX.1")
        values = [tensor.float()] * len(meant.modules) if part == "lora_A" else _cut(tensor.float(), meant.modules)
        if part == "lora_B" and is_swapped(meant):
            values = [torch.cat(value.chunk(2)[::-1]) for value in values]
        found |= {f"{module}.{part}.weight": value for module, value in zip(meant.modules, values, strict=True)}
    return found


def _cut(up: torch.Tensor, modules: Modules) -> list[torch.Tensor]:
    """The rows of a fused matrix that belong to each module. Raises ValueError."""
    import torch

    if len(modules) == 1:
        return [up]
    shares = [ROWS.get(module.rpartition(".")[2], 1) for module in modules]
    width, left = divmod(up.shape[0], sum(shares))
    if left:
        raise ValueError(f"{up.shape[0]} rows cannot be cut into {len(modules)} parts")
    return list(torch.split(up, [width * share for share in shares]))


def to_original(weights: dict[str, torch.Tensor], down: str, up: str) -> dict[str, torch.Tensor]:
    """Trained matrices by original names; the parts of a fused one share A, so that it keeps the rank.

    `down` and `up` end the names of A and B.
    """
    import torch

    found: dict[str, torch.Tensor] = {}
    for matrix in NAMING.trained(*NAMING.depths(weights)):
        found[matrix.original + down] = weights[f"{matrix.modules[0]}.lora_A.weight"]
        found[matrix.original + up] = torch.cat([weights[f"{module}.lora_B.weight"] for module in matrix.modules])
    return found
