"""FLUX.1's matrices under the names that LoRA files give them.

Three ways of naming are about: the original model's (``double_blocks.0.img_attn.qkv``, where q, k and v are one matrix
and a single block's MLP is part of it too), diffusers' own (``transformer_blocks.0.attn.to_q``), and either of them
with underscores for dots, as kohya and OneTrainer write them. What the names stand for is read from
``flux_to_diffusers`` in ComfyUI's ``comfy/utils.py`` and ``_convert_kohya_flux_lora_to_diffusers`` in diffusers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import torch

Modules = tuple[str, ...]

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

STACKS = {"double_blocks": "transformer_blocks", "single_blocks": "single_transformer_blocks"}
PREFIX = re.compile(
    r"^(transformer\.|diffusion_model\.|base_model\.model\.|lora_unet_|lora_transformer_|lycoris_)?"
    r"(.+?)\.(lora_A|lora_B|lora_down|lora_up)\.weight$"
)
IN_BLOCK = re.compile(r"^(double_blocks|single_blocks|transformer_blocks|single_transformer_blocks)[._](\d+)[._](.+)$")
PARTS = {"lora_A": "lora_A", "lora_down": "lora_A", "lora_B": "lora_B", "lora_up": "lora_B"}


def _flat(name: str) -> str:
    return name.replace(".", "_")


def _by_flat_name(originals: dict[str, Modules]) -> dict[str, Modules]:
    """The modules by the flattened original name, and by their own flattened names."""
    own: dict[str, Modules] = {_flat(module): (module,) for modules in originals.values() for module in modules}
    return own | {_flat(original): modules for original, modules in originals.items()}


KNOWN = {
    "double_blocks": _by_flat_name(DOUBLE | DOUBLE_TOO),
    "single_blocks": _by_flat_name(SINGLE | SINGLE_TOO),
    "": _by_flat_name(OUTSIDE),
}
ORIGINAL_STACK = {diffusers: original for original, diffusers in STACKS.items()}


def to_modules(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A LoRA's matrices by `<module>.lora_A.weight` / `.lora_B.weight` of diffusers' model, float32, fused ones cut.

    Raises:
        ValueError: a name is not FLUX.1's, or a fused matrix cannot be cut into its parts.
    """
    found: dict[str, torch.Tensor] = {}
    for key, tensor in tensors.items():
        match = PREFIX.match(key)
        if match is None:
            raise ValueError(f"{key} is no matrix of a LoRA")
        name, part = match[2], PARTS[match[3]]
        modules = _modules(name)
        values = [tensor.float()] * len(modules) if part == "lora_A" else _cut(tensor.float(), modules)
        if part == "lora_B" and _flat(name) == _flat(SWAPPED):
            values = [torch.cat(value.chunk(2)[::-1]) for value in values]
        found |= {f"{module}.{part}.weight": value for module, value in zip(modules, values, strict=True)}
    return found


def _modules(name: str) -> Modules:
    """The modules that a matrix of any name stands for. Raises ValueError."""
    block = IN_BLOCK.match(name)
    stack, rest = (ORIGINAL_STACK.get(block[1], block[1]), block[3]) if block else ("", name)
    modules = KNOWN[stack].get(_flat(rest))
    if modules is None:
        raise ValueError(f"{name} is no matrix of FLUX.1")
    return tuple(f"{STACKS[stack]}.{block[2]}.{module}" for module in modules) if block else modules


def _cut(up: torch.Tensor, modules: Modules) -> list[torch.Tensor]:
    """The rows of a fused matrix that belong to each module. Raises ValueError."""
    if len(modules) == 1:
        return [up]
    shares = [ROWS.get(module.rpartition(".")[2], 1) for module in modules]
    width, left = divmod(up.shape[0], sum(shares))
    if left:
        raise ValueError(f"{up.shape[0]} rows cannot be cut into {len(modules)} parts")
    return list(torch.split(up, [width * share for share in shares]))


def matrices(double: int, single: int) -> Iterator[tuple[str, Modules]]:
    """Original name of every matrix that is trained in a model of so many blocks, and the modules that make it up."""
    for (original_stack, stack), table, blocks in zip(STACKS.items(), (DOUBLE, SINGLE), (double, single), strict=True):
        for block in range(blocks):
            for original, modules in table.items():
                yield f"{original_stack}.{block}.{original}", tuple(f"{stack}.{block}.{name}" for name in modules)


def depths(weights: Iterable[str]) -> tuple[int, int]:
    """How many double and single blocks the names of modules reach."""
    found = dict.fromkeys(STACKS.values(), 0)
    for name in weights:
        stack, block, _ = name.split(".", 2)
        found[stack] = max(found[stack], int(block) + 1)
    double, single = found.values()
    return double, single


def to_original(weights: dict[str, torch.Tensor], down: str, up: str) -> dict[str, torch.Tensor]:
    """Trained matrices by original names; the parts of a fused one share A, so that it keeps the rank.

    `down` and `up` end the names of A and B.
    """
    found: dict[str, torch.Tensor] = {}
    for original, modules in matrices(*depths(weights)):
        found[original + down] = weights[f"{modules[0]}.lora_A.weight"]
        found[original + up] = torch.cat([weights[f"{module}.lora_B.weight"] for module in modules])
    return found
