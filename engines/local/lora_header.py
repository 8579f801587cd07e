"""What a LoRA file tells before it is loaded, read from its header without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loradeck.engines import tensor_file
from loradeck.engines.errors import BadWeights
from loradeck.engines.local.lora_dialects import DOWN, ELSEWHERE

BASE_SHA256 = "loradeck.base_sha256"
"""The key of a LoRA's metadata that names the weights of its base."""


@dataclass(frozen=True)
class Header:
    """The largest rank in a LoRA file (0 where it holds no LoRA by any name that is read here), and its metadata."""

    rank: int
    metadata: dict[str, str]


def is_of_other_weights(metadata: dict[str, str], base_sha256: str) -> bool:
    """True when a file says that its base had other weights, as before an upgrade; many files say nothing."""
    return metadata.get(BASE_SHA256, base_sha256) != base_sha256


def read(path: Path) -> Header:
    """The header of the LoRA to start from.

    Raises:
        BadWeights: the file is not there, or is none of this format.
    """
    if not path.is_file():
        raise BadWeights(f"The LoRA to start from, {path.name}, is not there; list_loras shows which are.")
    try:
        header = tensor_file.read(path)
        down = [key for key in header.tensors if key.endswith(DOWN) and not key.startswith(ELSEWHERE)]
        return Header(max((header.tensors[key]["shape"][0] for key in down), default=0), header.metadata)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadWeights(
            f"The LoRA to start from, {path.name}, is not a whole .safetensors file; leave continue_from out, or "
            "choose another LoRA with list_loras."
        ) from error
