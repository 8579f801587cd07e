"""The families of the local engine, each with a tiny base that takes the whole path. A new family is one line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import tiny, tiny_flux1, tiny_flux2, tiny_zimage

from loradeck.engines.local.bases import Base


@dataclass(frozen=True)
class Family:
    """How to build the tiny base of a family in a folder, and its pipeline; both take a `seed`."""

    base: Callable[[Path], Base]
    pipeline: Callable[[], Any]


TINY = {
    "klein": Family(tiny.base, tiny.pipeline),
    "flux1": Family(tiny_flux1.base, tiny_flux1.pipeline),
    "flux2": Family(tiny_flux2.base, tiny_flux2.pipeline),
    "zimage": Family(tiny_zimage.base, tiny_zimage.pipeline),
}
