"""A transformer in one .safetensors file, as Black Forest Labs and ComfyUI give it: told from its header alone.

diffusers converts such files itself (`from_single_file`), but leaves weights that it misses unset and says nothing of
a file of another model; so what can go wrong is looked for here, before gigabytes are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loradeck.engines import tensor_file
from loradeck.engines.errors import NotInstalled

SUFFIX = ".safetensors"
PICKLES = frozenset({".bin", ".ckpt", ".pkl", ".pickle", ".pt", ".pth"})

PREFIX = "model.diffusion_model."
"""What ComfyUI's checkpoints put in front of every key of the transformer."""

MARKS = {
    "FluxTransformer2DModel": ("double_blocks.0.img_mod.lin.weight", "transformer_blocks.0.norm1.linear.weight"),
    "Flux2Transformer2DModel": (
        "double_stream_modulation_img.lin.weight",
        "double_stream_modulation_img.linear.weight",
    ),
    "ZImageTransformer2DModel": ("noise_refiner.0.attention.qkv.weight", "noise_refiner.0.attention.to_q.weight"),
}
"""By diffusers' class, a tensor that only this architecture has: as its makers name it, as diffusers does."""

FIRST_LAYERS = ("img_in.weight", "x_embedder.weight", "all_x_embedder.2-1.weight")
"""The layer that takes latents, by any of its names."""

GUIDANCE = ("guidance_in.in_layer.weight", "guidance_embedder.linear_1.weight")
"""Ends of the name of the layer that takes the guidance, in models that are told it."""

SCALED = ("scale_weight", "weight_scale", "input_scale", "scaled_fp8", "comfy_quant", "absmax", "quant_map")
"""Ends of the names of tensors that only a quantised file has; diffusers does not apply them."""


def check_format(path: Path) -> None:
    """Raise NotInstalled unless the file is a whole .safetensors file."""
    wrong = _wrong_format(path)
    if wrong:
        raise NotInstalled(f"{path.name} {wrong}")


def check_model(path: Path, config: Path, title: str) -> None:
    """Raise NotInstalled unless the file holds the transformer that ``transformer/config.json`` tells of."""
    wrong = _wrong_tensors(path, config, title)
    if wrong:
        raise NotInstalled(f"{path.name} {wrong}")


def _wrong_format(path: Path) -> str:
    """What is wrong with the file as such; nothing when it is a whole .safetensors file."""
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        return "is a pickle, which can run any program when it is opened; name the same weights as .safetensors."
    if suffix != SUFFIX:
        return "is no .safetensors file, the only form of weights that is read; name one."
    if not tensor_file.is_whole(path):
        return "is cut off or no .safetensors file inside; download it again."
    return ""


def _wrong_tensors(path: Path, config: Path, title: str) -> str:
    """What is wrong with what the file holds; nothing when it is the transformer of the config."""
    held = tensor_file.read(path).tensors
    tensors = {name.removeprefix(PREFIX): entry for name, entry in held.items()}
    facts: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    kind = str(facts.get("_class_name"))
    if not any(mark in tensors for mark in MARKS.get(kind, ())):
        return f"holds no transformer of {title}; name the file of that model."
    if kind == "Flux2Transformer2DModel" and any(name.startswith(PREFIX) for name in held):
        return (
            "holds more than the transformer, which diffusers cannot take apart here; name the transformer's own file."
        )
    if any(name.endswith(SCALED) for name in tensors):
        return "is a quantised file, whose scales would be lost; name the one in bf16 or plain fp8."
    wanted = _first_layer(facts)
    found = next((tensors[name]["shape"] for name in FIRST_LAYERS if name in tensors), None)
    if found != wanted:
        return (
            f"is of another model than {title} (its first layer is {found}, not {wanted}); name the file of that model."
        )
    if facts.get("guidance_embeds") and not any(name.endswith(GUIDANCE) for name in tensors):
        return f"takes no guidance, so it is of another model than {title}; name the file of that model."
    return ""


def _first_layer(config: Mapping[str, Any]) -> list[int]:
    """The shape of the layer that takes latents: the width of the transformer, and the numbers in a token."""
    if "dim" in config:  # Z-Image cuts its patches itself
        return [int(config["dim"]), int(config["in_channels"]) * int(config["all_patch_size"][0]) ** 2]
    return [int(config["num_attention_heads"]) * int(config["attention_head_dim"]), int(config["in_channels"])]
