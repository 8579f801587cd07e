"""How a tool is declared: its models, its words, its hints and the function that does it. Knows no MCP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from loradeck.tools.workbench import Workbench


@dataclass(frozen=True)
class Pictures:
    """The answer of a tool that shows: one line of text and JPEG pictures (bytes), no structure."""

    text: str
    jpegs: tuple[bytes, ...]


@dataclass(frozen=True)
class ToolSpec:
    """One tool. `result` is None for a tool that answers with `Pictures`.

    The four hints are those of MCP: read_only (changes nothing), destructive (may lose something),
    idempotent (twice is once), open_world (may reach beyond this machine).
    """

    name: str
    title: str
    description: str
    args: type[BaseModel]
    result: type[BaseModel] | None
    handler: Callable[[Any, Workbench], BaseModel | Pictures]
    read_only: bool = False
    destructive: bool = False
    idempotent: bool = False
    open_world: bool = False
