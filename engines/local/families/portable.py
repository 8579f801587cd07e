"""LoRA files whose keys begin with `diffusion_model.`: the common form that ComfyUI and most trainers write."""

from __future__ import annotations

import torch

PREFIX = "diffusion_model."

OLDER_NAMES = {".lora_down.": ".lora_A.", ".lora_up.": ".lora_B."}


def folded(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with every `<module>.alpha` folded into its B, and A and B called so.

    Only keys under `PREFIX` change. diffusers refuses `.alpha` tensors there for FLUX.2
    (`_convert_non_diffusers_flux2_lora_to_diffusers`), and takes `.lora_down.` for kohya's own key names.
    """
    found = {_renamed(key): value for key, value in tensors.items()}
    alphas = [key for key in found if key.startswith(PREFIX) and key.endswith(".alpha")]
    for key in alphas:
        module, alpha = key.removesuffix(".alpha"), float(found.pop(key))
        rank = found[f"{module}.lora_A.weight"].shape[0]
        found[f"{module}.lora_B.weight"] = found[f"{module}.lora_B.weight"].float() * (alpha / rank)
    return found


def _renamed(key: str) -> str:
    if key.startswith(PREFIX):
        for older, name in OLDER_NAMES.items():
            key = key.replace(older, name)
    return key
