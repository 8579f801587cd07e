"""A base's folder without torch: whether it holds what diffusers will open there, and which weights it holds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from loradeck.engines import files

INDEX = "model_index.json"
MODEL = ("config.json", "*.safetensors")
OTHER = {
    "scheduler": ("scheduler_config.json",),
    "tokenizer": ("tokenizer_config.json", "tokenizer.json"),
}
"""The files of a part that is no model."""


def absent(weights: Path) -> list[str]:
    """What is missing or empty in a pipeline's folder, by names relative to it; nothing when it is complete."""
    try:
        index = json.loads((weights / INDEX).read_text(encoding="utf-8"))
        parts = [name for name, made_of in index.items() if isinstance(made_of, list) and all(made_of)]
    except (OSError, ValueError, AttributeError):
        return [INDEX]
    wanted = [f"{part}/{name}" for part in parts for name in OTHER.get(part, MODEL)]
    return [name for name in wanted if not _filled(weights, name)]


def _filled(weights: Path, name: str) -> bool:
    """There is a file of that name or pattern, and none of them is empty, as a copy that was cut leaves them."""
    found = list(weights.glob(name))
    return bool(found) and all(file.stat().st_size for file in found)


def digest(weights: Path) -> str:
    """SHA-256 over the names and bytes of a pipeline's weight files."""
    whole = hashlib.sha256()
    for path in sorted(weights.rglob("*.safetensors")):
        whole.update(path.relative_to(weights).as_posix().encode())
        whole.update(files.sha256_file(path).encode())
    return whole.hexdigest()
