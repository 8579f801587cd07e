"""The LoRA as one .safetensors file: alpha folded in, no alpha tensors, keys that diffusers and ComfyUI read.

float32: a LoRA of the preview base is under 2 MB, and what was trained is what loads, bit for bit. A full-size base
takes bfloat16, which its own weights have too.
"""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save

from loradeck.engines import files
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.metadata import with_hashes


def write(adapter: Adapter, path: Path, metadata: dict[str, str]) -> str:
    """Write the adapter as it stands, atomically and proved; returns the file's SHA-256."""
    tensors = adapter.portable()
    return files.write_proved(path, save(tensors, with_hashes(tensors, metadata)))
