"""What a LoRA file tells before it is loaded: the header of a .safetensors file is JSON, and read without torch."""

from __future__ import annotations

import json
from pathlib import Path

from loradeck.engines.errors import BadWeights

LENGTH_BYTES = 8
MOST_BYTES = 100_000_000
"""The format's own limit; a larger number is another format's first bytes."""


def rank(path: Path) -> int:
    """The largest rank in a LoRA file; 0 where it names its matrices in another way than ours.

    Raises:
        BadWeights: the file is not there, or is none of this format.
    """
    if not path.is_file():
        raise BadWeights(f"The LoRA to start from, {path.name}, is not there; list_loras shows which are.")
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
            header = json.loads(file.read(min(length, MOST_BYTES)))
        return max((entry["shape"][0] for key, entry in header.items() if key.endswith(".lora_A.weight")), default=0)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadWeights(
            f"The LoRA to start from, {path.name}, is not a whole .safetensors file; leave continue_from out, or "
            "choose another LoRA with list_loras."
        ) from error
