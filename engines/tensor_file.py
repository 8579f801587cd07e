"""The header of a .safetensors file, read and written without torch: what it holds, and whether it is all there.

The format (github.com/huggingface/safetensors): eight bytes of length, little endian, then so many bytes of JSON that
name every tensor with its type, shape and place, then the tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LENGTH_BYTES = 8
MOST_BYTES = 100_000_000
"""The format's own limit on a header; a larger number is another format's first bytes."""
ALIGNMENT = 8
"""The format wants the tensors to begin at a multiple of so many bytes."""


@dataclass(frozen=True)
class Header:
    """The tensors' entries (`dtype`, `shape`, `data_offsets`) by name, the metadata, and the file's length by it."""

    tensors: dict[str, Any]
    metadata: dict[str, str]
    length: int


def read(path: Path) -> Header:
    """The header of a file. Raises OSError when it cannot be read, ValueError when it is none of this format."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size > MOST_BYTES:
            raise ValueError("the header is longer than the format allows")
        text = file.read(size)
    try:
        tensors = json.loads(text)
        metadata = dict(tensors.pop("__metadata__", {}))
        end = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("the header does not list tensors") from error
    return Header(tensors, metadata, LENGTH_BYTES + size + end)


def written(tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes:
    """The bytes before the tensors: the length and the header, with the metadata by name."""
    header = {"__metadata__": dict(sorted(metadata.items())), **tensors}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def is_whole(path: Path) -> bool:
    """True for a file as long as its header says; a copy or download that was cut is shorter."""
    try:
        return path.stat().st_size == read(path).length
    except (OSError, ValueError):
        return False
