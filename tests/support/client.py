"""MCP clients for tests: in memory, over stdio on `loradeck serve`, in both protocol eras."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult

from loradeck.server import app

Answer = TypeVar("Answer")
Era = Literal["auto", "legacy"]
ERAS: tuple[Era, ...] = ("auto", "legacy")
"""2026-07-28 (server/discover) and 2025-11-25 (initialize)."""


def never_launched(run_id: str) -> None:
    """A launcher for tests that start no worker."""
    raise AssertionError(f"{run_id} was launched")


def command(home: Path, *arguments: str, **more: str) -> StdioServerParameters:
    """How `loradeck <arguments>` starts as a process on a workspace of its own; `more` is of its environment."""
    environ = {"LORADECK_HOME": str(home), **more}
    if "PYTHONPATH" in os.environ:
        environ["PYTHONPATH"] = os.environ["PYTHONPATH"]
    return StdioServerParameters(
        command=sys.executable, args=["-m", "loradeck", *(arguments or ("serve",))], env=environ
    )


def talk(target: Any, conversation: Callable[[Client], Awaitable[Answer]], mode: Era = "auto") -> Answer:
    """Connect to a server, a URL or `command(...)`, hold a conversation, and give back what it returned."""

    async def hold() -> Answer:
        async with Client(target, mode=mode) as client:
            return await conversation(client)

    return anyio.run(hold)


def in_memory(
    home: Path,
    conversation: Callable[[Client], Awaitable[Answer]],
    mode: Era = "auto",
    launch: Callable[[str], None] = never_launched,
) -> Answer:
    """`talk` to a server in this process."""
    return talk(app.build(home, launch), conversation, mode)


def call(home: Path, tool: str, **arguments: Any) -> CallToolResult:
    """One call in memory."""

    async def conversation(client: Client) -> CallToolResult:
        return await client.call_tool(tool, arguments)

    return in_memory(home, conversation)


def said(result: CallToolResult) -> str:
    """The first text of an answer."""
    return next(block.text for block in result.content if block.type == "text")


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers, which must not be an error."""
    result = await client.call_tool(tool, arguments, read_timeout_seconds=90)
    assert not result.is_error, said(result)
    return result.structured_content or {}


async def ended(client: Client, answer: dict[str, Any]) -> dict[str, Any]:
    """The status of a run once it ended, followed as a person would, also of one that ended within its own call."""
    while True:
        status = await ask(client, "check_status", run_id=answer["run_id"], wait_seconds=20)
        if status["state"] in {"succeeded", "failed", "cancelled", "lost"}:
            return status
