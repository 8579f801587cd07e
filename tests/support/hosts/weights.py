"""LoRA files as the hosts' trainers write them: true key names and widths of their base, one or two modules of it."""

from __future__ import annotations

import io
import tarfile

import numpy as np
from safetensors.numpy import save

RANK = 4
TRAINED = "output/flux_train_replicate"

FLUX2_DEV, KLEIN_4B, KLEIN_9B = 6144, 3072, 4096
"""Widths: heads of 128 times their number, from the published configurations."""


def flux1(transformer: str = "transformer.") -> dict[str, tuple[int, int]]:
    """FLUX.1 dev by diffusers' names, as ostris' trainer and fal's write it: input and output of each module."""
    return {
        f"{transformer}transformer_blocks.0.attn.to_q": (3072, 3072),
        f"{transformer}single_transformer_blocks.0.attn.to_q": (3072, 3072),
    }


def _flux2(width: int, prefix: str) -> dict[str, tuple[int, int]]:
    """FLUX.2 by the original model's names, q, k and v as one."""
    return {
        f"{prefix}double_blocks.0.img_attn.qkv": (width, 3 * width),
        f"{prefix}double_blocks.0.img_attn.proj": (width, width),
    }


def modules(base: str, form: str = "fal") -> dict[str, tuple[int, int]]:
    """The modules of a base's file, by the names of one form of it (`fal`: peft's, `comfy`: ComfyUI's)."""
    prefix = "diffusion_model." if form == "comfy" else "base_model.model."
    match base:
        case "flux1-dev":
            return flux1()
        case "flux2-dev":
            return _flux2(FLUX2_DEV, prefix)
        case "flux2-klein-4b":
            return _flux2(KLEIN_4B, prefix)
        case "flux2-klein-9b":
            return _flux2(KLEIN_9B, prefix)
        case "z-image" | "z-image-base":
            return {f"diffusion_model.layers.0.attention.to_{one}": (3840, 3840) for one in "qk"}
        case "flux3-klein":
            return {f"diffusion_model.single_blocks.0.{one}": (3072, 3072) for one in ("q_proj", "v_proj")}
        case "wan-2.2":
            return {f"diffusion_model.blocks.0.self_attn.{one}": (5120, 5120) for one in "qk"}
        case "qwen-image":
            return {f"transformer.transformer_blocks.0.attn.to_{one}": (3072, 3072) for one in "qk"}
    raise KeyError(base)


def lora(base: str, seed: int = 0, form: str = "fal") -> bytes:
    """A safetensors file of the base in half precision."""
    dice = np.random.default_rng(seed)
    tensors = {}
    for name, (inputs, outputs) in modules(base, form).items():
        tensors[f"{name}.lora_A.weight"] = dice.normal(0, 0.02, (RANK, inputs)).astype(np.float16)
        tensors[f"{name}.lora_B.weight"] = dice.normal(0, 0.02, (outputs, RANK)).astype(np.float16)
    return save(tensors, {"format": "pt"})


def no_lora() -> bytes:
    """A safetensors file that is no LoRA."""
    return save({"vae.decoder.conv_in.weight": np.zeros((8, 4), np.float16)})


def trained_tar(weights: bytes, config: str, captions: dict[str, str], *, climbing: bool = False) -> bytes:
    """What Replicate's trainer leaves: the weights, its configuration and the captions it used.

    With `climbing` there is a member whose name leads out of the folder it is unpacked in.
    """
    members = {
        f"{TRAINED}/config.yaml": config.encode(),
        f"{TRAINED}/lora.safetensors": weights,
        **{f"{TRAINED}/captions/{root}.txt": text.encode() for root, text in captions.items()},
    }
    if climbing:
        members = {"../../climbed.txt": b"out", **members}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
