"""Opening a base."""

from __future__ import annotations

from typing import Any

from safetensors import SafetensorError

from loradeck.engines.errors import NotInstalled
from loradeck.engines.local.bases import Base
from loradeck.engines.local.families import Family


def load(base: Base, family: Family) -> Any:
    """The base's pipeline, a new one each time. Raises NotInstalled when files are missing or broken."""
    try:
        return family.load(base.weights)
    except (OSError, ValueError, SafetensorError) as error:
        raise NotInstalled(
            f"The files of the base {base.name} are missing or broken on this machine; install loradeck again."
        ) from error
