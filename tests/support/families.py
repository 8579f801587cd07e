"""The families of the local engine, each with a tiny base that takes the whole path. A new family is one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support import tiny, tiny_flux1, tiny_flux2, tiny_zimage

from loradeck.engines.local.bases import Base

TINY: dict[str, Callable[[Path], Base]] = {
    "klein": tiny.base,
    "flux1": tiny_flux1.base,
    "flux2": tiny_flux2.base,
    "zimage": tiny_zimage.base,
}
"""The tiny base of a family, built in a folder."""
