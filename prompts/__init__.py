"""The texts, as files: what assistants and vision models are told."""

from __future__ import annotations

from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent


@cache
def text(name: str) -> str:
    """The text of `<name>.md`, without the newline at its end. Raises FileNotFoundError for an unknown name."""
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8").rstrip("\n")
