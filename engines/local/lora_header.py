"""What a LoRA file tells before it is loaded: the header of a .safetensors file is JSON, and read without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from loradeck.engines.errors import BadWeights

LENGTH_BYTES = 8
MOST_BYTES = 100_000_000
"""The format's own limit; a larger number is another format's first bytes."""


BASE_SHA256 = "loradeck.base_sha256"
"""The key of a LoRA's metadata that names the weights of its base."""


@dataclass(frozen=True)
class Header:
    """The largest rank in a LoRA file (0 where it names its matrices in another way than ours), and its metadata."""

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
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            header = json.loads(file.read(min(length, MOST_BYTES)))
        metadata = dict(header.pop("__metadata__", {}))
        ranks = [entry["shape"][0] for key, entry in header.items() if key.endswith(".lora_A.weight")]
        return Header(max(ranks, default=0), metadata)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadWeights(
            f"The LoRA to start from, {path.name}, is not a whole .safetensors file; leave continue_from out, or "
            "choose another LoRA with list_loras."
        ) from error
