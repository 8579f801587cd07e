"""Where weights are looked for on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from loradeck.home import workspace


@dataclass(frozen=True)
class Places:
    """The environment, the workspace, and the hub's cache (None without huggingface_hub)."""

    environ: Mapping[str, str] = field(repr=False)  # it may hold a token
    home: Path
    cache: Path | None

    def own(self, name: str) -> Path:
        """The folder of the workspace that may hold a base's weights; a file beside it may hold its transformer."""
        return self.home / "bases" / name

    def snapshots(self, repository: str) -> list[Path]:
        """The snapshots of a repository in the hub's cache: what `main` stands at first, then newest first."""
        if self.cache is None:
            return []
        folder = self.cache / f"models--{repository.replace('/', '--')}"
        there = [path for path in (folder / "snapshots").glob("*") if path.is_dir()]
        ref = folder / "refs" / "main"
        main = ref.read_text(encoding="utf-8").strip() if ref.is_file() else ""
        return sorted(there, key=lambda path: (path.name != main, -path.stat().st_mtime))


def usual(home: Path | None = None) -> Places:
    """The places of this process; `home` is the workspace, if it is not the environment's."""
    return Places(os.environ, home or workspace(), _cache())


def _cache() -> Path | None:
    """The hub's cache, as HF_HUB_CACHE or HF_HOME have it."""
    if find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)
