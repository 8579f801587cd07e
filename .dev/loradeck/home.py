"""Where the workspace is: asked by the server, and by an engine that looks for weights kept there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def workspace(environ: Mapping[str, str] = os.environ) -> Path:
    """LORADECK_HOME, else the platform's data folder."""
    chosen = environ.get("LORADECK_HOME", "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    from platformdirs import user_data_path

    return user_data_path("loradeck", appauthor=False)
