"""Opening a base, whole or in parts: encoders are needed once and then freed, the transformer afterwards."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from safetensors import SafetensorError

from loradeck.engines.errors import NotInstalled
from loradeck.engines.local import memory
from loradeck.engines.local.bases import Base
from loradeck.engines.local.families import Family
from loradeck.engines.local.learner import CPU
from loradeck.engines.local.weights import sources


def load(
    base: Base,
    family: Family,
    dtype: torch.dtype = torch.float32,
    device: torch.device = CPU,
    without: Collection[str] = (),
) -> Any:
    """The base's pipeline, a new one each time, less the parts in `without`. Raises NotInstalled for its files."""
    try:
        return family.load(base.weights, dtype, without, base.single_file).to(device)
    except (OSError, ValueError, SafetensorError) as error:
        what_to_do = "Install loradeck again." if base.source is None else sources.how_to_get(base.source)
        raise NotInstalled(
            f"The files of the base {base.name} are missing or broken on this machine. {what_to_do}"
        ) from error


class Encoders:
    """The parts of a base that encode pictures and prompts, opened when they are first needed, until `close`.

    Args:
        device: where prompts are encoded.
        pictures: where pictures are, when that is elsewhere: a VAE fits a chip that the text encoder does not, and
            is slow on a CPU.
    """

    def __init__(
        self,
        base: Base,
        family: Family,
        dtype: torch.dtype,
        device: torch.device,
        pictures: torch.device | None = None,
    ) -> None:
        self._base, self._family, self._dtype, self._device = base, family, dtype, device
        self._pictures = pictures or device
        self._pipeline: Any = None

    def open(self) -> Any:
        """The pipeline without its transformer."""
        if self._pipeline is None:
            self._pipeline = load(self._base, self._family, self._dtype, self._device, without=("transformer",))
            self._pipeline.vae.to(self._pictures)
        return self._pipeline

    def close(self) -> None:
        """Free them, on the device too."""
        self._pipeline = None
        memory.give_back()
