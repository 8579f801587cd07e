"""LoRA files for tests of the library: true names and sizes of their base, a few numbers in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save

SIZES = {
    "preview": (192, {"double_blocks.0.img_attn.qkv": 576, "single_blocks.1.linear1": 1728}),
    "flux1-dev": (3072, {"double_blocks.0.img_attn.qkv": 9216, "single_blocks.1.linear1": 21_504}),
    "flux2-klein-4b": (3072, {"double_blocks.0.img_attn.qkv": 9216, "single_blocks.1.linear1": 27_648}),
    "flux2-klein-9b": (4096, {"double_blocks.0.img_attn.qkv": 12_288}),
    "flux2-dev": (6144, {"double_blocks.0.img_attn.qkv": 18_432}),
    "z-image": (3840, {"layers.0.attention.to_q": 3840}),
    "wan-2.2": (5120, {"blocks.0.self_attn.q": 5120}),
}
"""Columns of A, and rows of B by the matrix."""
PREFIXES = {"comfyui": "diffusion_model.", "fal": "base_model.model.", "kohya": "lora_unet_"}


def tensors(base: str = "preview", keys: str = "comfyui", seed: int = 0, rank: int = 2) -> dict[str, np.ndarray]:
    """The matrices of a LoRA of a base, by one tool's names."""
    dice = np.random.default_rng(seed)
    width, matrices = SIZES[base]
    down, up = ("lora_down", "lora_up") if keys == "kohya" else ("lora_A", "lora_B")
    made: dict[str, np.ndarray] = {}
    for name, rows in matrices.items():
        path = PREFIXES[keys] + (name.replace(".", "_") if keys == "kohya" else name)
        made[f"{path}.{down}.weight"] = dice.normal(0, 0.02, (rank, width)).astype(np.float16)
        made[f"{path}.{up}.weight"] = dice.normal(0, 0.02, (rows, rank)).astype(np.float16)
        if keys == "kohya":
            made[f"{path}.alpha"] = np.array(1.0, np.float32)
    return made


def content(base: str = "preview", keys: str = "comfyui", seed: int = 0, **metadata: str) -> bytes:
    """The bytes of a LoRA file; underscores in the names of metadata stand as they are, `modelspec__x` is a dot."""
    told = {name.replace("__", "."): text for name, text in metadata.items()}
    return save(tensors(base, keys, seed), told or None)


def written(path: Path, base: str = "preview", keys: str = "comfyui", seed: int = 0, **metadata: str) -> Path:
    """A LoRA file on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content(base, keys, seed, **metadata))
    return path


def tags(**counts: int) -> str:
    """What kohya writes as `ss_tag_frequency`."""
    return json.dumps({"10_things": counts})
