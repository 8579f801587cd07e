"""Where the workspace is and how much is logged, from the environment.

By hand and not with pydantic-settings, whose import alone costs a tenth of a second of every start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loradeck.home import workspace

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True)
class Settings:
    """What the environment decides: LORADECK_HOME (the workspace) and LORADECK_LOG_LEVEL."""

    home: Path
    log_level: str = "WARNING"


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the environment. An unknown log level counts as WARNING, so that no typo stops a server."""
    level = environ.get("LORADECK_LOG_LEVEL", "WARNING").upper()
    return Settings(home=workspace(environ), log_level=level if level in LEVELS else "WARNING")
