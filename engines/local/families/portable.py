"""LoRA files whose keys begin with `diffusion_model.`: the common form that ComfyUI and most trainers write."""

from __future__ import annotations

import torch

from loradeck.engines.local import lora_dialects

PREFIX = "diffusion_model."


def folded(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors with every `<module>.alpha` folded into its B, and A and B called so under `PREFIX`.

    diffusers refuses `.alpha` tensors there for FLUX.2 (`_convert_non_diffusers_flux2_lora_to_diffusers`), and takes
    `.lora_down.` for kohya's own key names.
    """
    plain, _ = lora_dialects.plain(tensors)
    return plain
