"""The MCP server: twelve tools, resources, prompts and completions over one workspace."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mcp.server import CacheHint, MCPServer

from loradeck import __version__, prompts
from loradeck.server import calls, completions, resources
from loradeck.server import prompts as server_prompts
from loradeck.server.opening import Opening
from loradeck.tools import catalogue

HOUR_MS = 3_600_000
FIXED = CacheHint(ttl_ms=HOUR_MS, scope="public")
"""Lists that only change with an upgrade of loradeck."""


def build(home: Path, launch: Callable[[str], None]) -> MCPServer[Any]:
    """The server over the workspace at `home`; `launch` starts a detached worker for a queued run.

    Never fails for the workspace's sake: see `opening`.
    """
    opening = Opening(home, launch)
    server: MCPServer[Any] = MCPServer(
        "loradeck",
        title="loradeck",
        description="Teach a Flux model your look from chat, and get the deck it was for.",
        version=__version__,
        instructions=prompts.text("instructions"),
        tools=[calls.tool(spec, opening) for spec in catalogue.load_all()],
        resources=resources.fixed(opening),
        cache_hints={
            "server/discover": FIXED,
            "tools/list": FIXED,
            "prompts/list": FIXED,
            "resources/list": FIXED,
            "resources/templates/list": FIXED,
            "resources/read": CacheHint(ttl_ms=0, scope="private"),
        },
    )
    resources.add_templates(server, opening)
    server_prompts.add(server)
    completions.add(server, opening)
    return server
