"""The LoRA as one .safetensors file: alpha folded in, no alpha tensors, keys that diffusers and ComfyUI read.

float32: a LoRA of the preview base is under 2 MB, and what was trained is what loads, bit for bit. A full-size base
takes bfloat16, which its own weights have too.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save

from loradeck.engines import files, tensor_file
from loradeck.engines.local.bases import Base
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.metadata import with_hashes
from loradeck.engines.tensor_file import LENGTH_BYTES


def write(adapter: Adapter, path: Path, metadata: dict[str, str], dtype: torch.dtype = torch.float32) -> str:
    """Write the adapter as it stands, atomically and proved; returns the file's SHA-256."""
    tensors = {name: value.to("cpu", dtype) for name, value in adapter.portable().items()}
    return files.write_proved(path, in_order(save(tensors, with_hashes(tensors, metadata))))


def dtype(base: Base) -> torch.dtype:
    """The type of a base's LoRA files: bfloat16 where the published weights have it too, half the size."""
    return torch.float32 if base.source is None else torch.bfloat16


def in_order(content: bytes) -> bytes:
    """A .safetensors file with its metadata by name: safetensors writes them in another order every time."""
    start = LENGTH_BYTES + int.from_bytes(content[:LENGTH_BYTES], "little")
    tensors = json.loads(content[LENGTH_BYTES:start])
    metadata = tensors.pop("__metadata__", {})
    return tensor_file.written(tensors, metadata) + content[start:]
