"""LoRA files as other tools write them, for tiny transformers, and what they change when they are merged by hand."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from support import tiny, tiny_flux1

from loradeck.engines.local import families
from loradeck.engines.local.families.flux1 import FAMILY as FLUX1_FAMILY

ALPHA = 6.0

Modules = tuple[str, ...]
Matrices = dict[str, tuple[torch.Tensor, torch.Tensor]]
Dialect = Callable[[str, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]


FLUX1 = {
    "double_blocks.0.img_attn.qkv": tuple(f"transformer_blocks.0.attn.to_{part}" for part in "qkv"),
    "double_blocks.0.txt_attn.qkv": tuple(f"transformer_blocks.0.attn.add_{part}_proj" for part in "qkv"),
    "double_blocks.0.img_attn.proj": ("transformer_blocks.0.attn.to_out.0",),
    "double_blocks.0.txt_attn.proj": ("transformer_blocks.0.attn.to_add_out",),
    "double_blocks.0.img_mlp.0": ("transformer_blocks.0.ff.net.0.proj",),
    "double_blocks.0.img_mlp.2": ("transformer_blocks.0.ff.net.2",),
    "double_blocks.0.txt_mlp.0": ("transformer_blocks.0.ff_context.net.0.proj",),
    "double_blocks.0.txt_mlp.2": ("transformer_blocks.0.ff_context.net.2",),
    "double_blocks.0.img_mod.lin": ("transformer_blocks.0.norm1.linear",),
    "single_blocks.1.linear1": (
        *(f"single_transformer_blocks.1.attn.to_{part}" for part in "qkv"),
        "single_transformer_blocks.1.proj_mlp",
    ),
    "single_blocks.1.linear2": ("single_transformer_blocks.1.proj_out",),
    "single_blocks.1.modulation.lin": ("single_transformer_blocks.1.norm.linear",),
}
KLEIN = {
    "double_blocks.0.img_attn.qkv": tuple(f"transformer_blocks.0.attn.to_{part}" for part in "qkv"),
    "double_blocks.0.txt_attn.qkv": tuple(f"transformer_blocks.0.attn.add_{part}_proj" for part in "qkv"),
    "double_blocks.0.img_attn.proj": ("transformer_blocks.0.attn.to_out.0",),
    "double_blocks.0.img_mlp.0": ("transformer_blocks.0.ff.linear_in",),
    "double_blocks.0.txt_mlp.2": ("transformer_blocks.0.ff_context.linear_out",),
    "single_blocks.1.linear1": ("single_transformer_blocks.1.attn.to_qkv_mlp_proj",),
    "single_blocks.1.linear2": ("single_transformer_blocks.1.attn.to_out",),
}


@dataclass(frozen=True)
class Case:
    """A family with a tiny transformer, and what its files' names stand for: modules by original name."""

    family: families.Family
    transformer: Any
    text: dict[str, torch.Tensor]
    shape: tuple[int, ...]
    originals: dict[str, Modules]

    def flow(self, transformer: Any) -> torch.Tensor:
        """The prediction for one noisy picture."""
        with torch.no_grad():
            return self.family.flow(transformer, noise(self.shape, 77), torch.tensor([0.4]), self.text)


def noise(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.3


def flux1_case() -> Case:
    text = {"states": noise((1, 9, tiny_flux1.T5_WIDTH), 1), "pooled": noise((1, tiny_flux1.CLIP_WIDTH), 2)}
    return Case(FLUX1_FAMILY, tiny_flux1.transformer().eval(), text, (1, 4, 4, 4), FLUX1)


def klein_case() -> Case:
    text = {"states": noise((1, 9, 3 * tiny.TEXT_WIDTH), 1)}
    return Case(families.get("klein"), tiny.transformer().eval(), text, (1, 16, 2, 2), KLEIN)


def kohya(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    flat = "lora_unet_" + name.replace(".", "_")
    return {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up, f"{flat}.alpha": torch.tensor(ALPHA)}


def bfl(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"diffusion_model.{name}.lora_A.weight": down, f"diffusion_model.{name}.lora_B.weight": up}


def bfl_with_alpha(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {**bfl(name, down, up), f"diffusion_model.{name}.alpha": torch.tensor(ALPHA)}


def bfl_by_kohyas_endings(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    path = f"diffusion_model.{name}"
    return {f"{path}.lora_down.weight": down, f"{path}.lora_up.weight": up, f"{path}.alpha": torch.tensor(ALPHA)}


def fal(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"base_model.model.{name}.lora_A.weight": down, f"base_model.model.{name}.lora_B.weight": up}


def ai_toolkit(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"transformer.{name}.lora_A.weight": down, f"transformer.{name}.lora_B.weight": up}


def raw_peft(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"transformer.{name}.lora_A.default.weight": down, f"transformer.{name}.lora_B.default.weight": up}


def onetrainer(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    flat = "lora_transformer_" + name.replace(".", "_")
    return {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up, f"{flat}.alpha": torch.tensor(ALPHA)}


def by_module(originals: dict[str, Modules]) -> dict[str, Modules]:
    """What the names stand for in a dialect that knows no fused matrices."""
    return {module: (module,) for modules in originals.values() for module in modules}


def trained_elsewhere(transformer: Any, meant: dict[str, Modules]) -> Matrices:
    """A and B of every matrix, of rank 3 and 4 by turns."""
    made = {}
    for seed, (name, modules) in enumerate(meant.items()):
        layers = [transformer.get_submodule(module) for module in modules]
        rank, height = 3 + seed % 2, sum(layer.out_features for layer in layers)
        made[name] = noise((rank, layers[0].in_features), 2 * seed), noise((height, rank), 2 * seed + 1)
    return made


def merged(transformer: Any, meant: dict[str, Modules], matrices: Matrices, scaled: bool) -> Any:
    """A copy with W + scale B A for W, by hand; the rows of a fused matrix come in the order of its modules."""
    changed = deepcopy(transformer)
    with torch.no_grad():
        for name, (down, up) in matrices.items():
            scale = ALPHA / down.shape[0] if scaled else 1.0
            layers = [changed.get_submodule(module) for module in meant[name]]
            change = torch.split(scale * up @ down, [layer.out_features for layer in layers])
            for layer, rows in zip(layers, change, strict=True):
                layer.weight += rows
    return changed


def written(dialect: Dialect, matrices: Matrices, path: Path, **more: torch.Tensor) -> Path:
    """The LoRA as a tool writes it."""
    tensors: dict[str, torch.Tensor] = {}
    for name, (down, up) in matrices.items():
        tensors |= dialect(name, down, up)
    save_file({**tensors, **more}, path)
    return path
