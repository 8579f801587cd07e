"""The header of a .safetensors file, read and written without torch: what it holds, and whether it is all there.

The format (github.com/huggingface/safetensors): eight bytes of length, little endian, then so many bytes of JSON that
name every tensor with its type, shape and place, then the tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

LENGTH_BYTES = 8
MOST_BYTES = 100_000_000
"""The format's own limit on a header; a larger number is another format's first bytes."""
MOST_LENGTH = 2**63 - 1
"""No file is longer, and no number in a header is larger."""
ALIGNMENT = 8
"""The format wants the tensors to begin at a multiple of so many bytes."""


@dataclass(frozen=True)
class Header:
    """The tensors' entries (`dtype`, `shape`, `data_offsets`) by name, the metadata, and the file's length by it."""

    tensors: dict[str, Any]
    metadata: dict[str, str]
    length: int


def read(path: Path) -> Header:
    """The header of a file. Raises OSError when it cannot be read, ValueError with the reason when it is none.

    What the format forbids is none, since no program loads it: metadata that is not text, tensors that share bytes or
    leave some between them.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if size > MOST_BYTES:
            raise ValueError("it is longer than the format allows")
        text = file.read(size)
    try:
        tensors = json.loads(text.decode())
        told = tensors.pop("__metadata__", None)
        places = [(0, 0), *sorted(_place(entry) for entry in tensors.values())]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("it does not list tensors") from error
    if any(before[1] != place[0] for before, place in pairwise(places)):
        raise ValueError("its tensors do not follow each other")
    metadata = {} if told is None else told
    if not _is_text(tensors, metadata):
        raise ValueError("its metadata, or a name in it, is no text")
    return Header(tensors, metadata, LENGTH_BYTES + size + places[-1][1])


def _is_text(tensors: Mapping[str, Any], metadata: Any) -> bool:
    """True where names and metadata are strings of whole characters; JSON can also write a half of one."""
    try:
        "".join((*tensors, *metadata, *metadata.values())).encode()
    except (TypeError, AttributeError, UnicodeEncodeError):
        return False
    return True


def object_in(metadata: Mapping[str, str], key: str) -> dict[str, Any]:
    """The JSON object that stands as text under a key of a file's metadata, {} where none does. Raises ValueError."""
    try:
        found = json.loads(metadata.get(key) or "{}")
    except RecursionError as error:
        raise ValueError(f"{key} is nested too deep") from error
    if not isinstance(found, dict):
        raise ValueError(f"{key} is no object")
    return found


def written(tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> bytes:
    """The bytes before the tensors: the length and the header, with the metadata by name."""
    header = {"__metadata__": dict(sorted(metadata.items())), **tensors}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text


def _place(entry: Mapping[str, Any]) -> tuple[int, int]:
    """Where a tensor begins and ends, in bytes behind the header. Raises LookupError, TypeError or ValueError."""
    start, stop = entry["data_offsets"]
    if type(start) is not int or type(stop) is not int or not 0 <= start <= stop <= MOST_LENGTH:
        raise ValueError("no tensor can lie there")
    return start, stop


def is_whole(path: Path) -> bool:
    """True for a file as long as its header says; a copy or download that was cut is shorter."""
    try:
        return path.stat().st_size == read(path).length
    except (OSError, ValueError):
        return False
