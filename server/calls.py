"""A tool as the SDK wants it, made from a `ToolSpec`: flat arguments, compact schemas, answers by hand.

The SDK builds tools from function signatures; ours come from models that are written down once, so this class
gives it the finished schemas and does the call itself.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio.to_thread
from anyio import from_thread
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase, FuncMetadata
from mcp.types import CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import BaseModel, Field

from loradeck import LoradeckError
from loradeck.server import schemas
from loradeck.server.asking import Asking, asker
from loradeck.server.opening import Opening, Progress
from loradeck.server.telling import seldom
from loradeck.tools import boundary
from loradeck.tools.spec import Pictures, ToolSpec

PROGRESS_SECONDS = 0.25
Ask = Callable[[str], bool | None]


class CatalogueTool(Tool):
    """One tool of the catalogue. Handlers are plain functions and run on a worker thread."""

    call: Callable[[dict[str, Any], Progress, Ask], BaseModel | Pictures] = Field(exclude=True)

    async def run(self, arguments: dict[str, Any], context: Context[Any, Any], convert_result: bool = False) -> Any:
        """Do the call. Raises ToolError with the one sentence of whatever went wrong."""
        try:
            answer = await anyio.to_thread.run_sync(self.call, arguments, _progress(context), asker(context))
        except Asking as question:
            return question.result()
        except LoradeckError as error:
            raise ToolError(str(error)) from error
        return shown(answer) if convert_result else answer


def tool(spec: ToolSpec, opening: Opening) -> CatalogueTool:
    """The tool of a spec, with all four hints set."""

    def call(arguments: dict[str, Any], progress: Progress, ask: Ask) -> BaseModel | Pictures:
        return boundary.perform(spec, arguments, partial(opening.workbench, progress, ask))

    return CatalogueTool(
        fn=spec.handler,
        call=call,
        name=spec.name,
        title=spec.title,
        description=spec.description,
        parameters=schemas.of_arguments(spec.args),
        fn_metadata=FuncMetadata(
            arg_model=ArgModelBase,
            output_schema=None if spec.result is None else schemas.of_result(spec.result),
        ),
        is_async=False,
        context_kwarg=None,
        annotations=ToolAnnotations(
            title=spec.title,
            read_only_hint=spec.read_only,
            destructive_hint=spec.destructive,
            idempotent_hint=spec.idempotent,
            open_world_hint=spec.open_world,
        ),
    )


def shown(answer: BaseModel | Pictures) -> CallToolResult:
    """An answer on the wire.

    A structured answer is also given as JSON text, since some clients show their model only the one and some only
    the other. Pictures come without structure: a client that finds structure drops the pictures.
    """
    if isinstance(answer, Pictures):
        pictures = [
            ImageContent(type="image", data=base64.b64encode(jpeg).decode(), mime_type="image/jpeg")
            for jpeg in answer.jpegs
        ]
        return CallToolResult(content=[TextContent(type="text", text=answer.text), *pictures])
    structure = dumped(answer)
    text = json.dumps(structure, ensure_ascii=False, separators=(",", ":"))
    return CallToolResult(content=[TextContent(type="text", text=text)], structured_content=structure)


def dumped(answer: BaseModel) -> dict[str, Any]:
    """A result as JSON data; what is not there is left out."""
    return answer.model_dump(mode="json", exclude_none=True)


def _progress(context: Context[Any, Any]) -> Progress:
    """Tell a client how far a call is, a few times a second, from the worker thread.

    This is also where a call that the client cancelled ends: the exception passes through the handler, whose
    transactions roll back.
    """
    told_at = 0.0
    report = seldom(
        lambda done, total, message: from_thread.run(partial(context.report_progress, done, total, message))
    )

    def tell(done: float, total: float | None, message: str) -> None:
        nonlocal told_at
        from_thread.check_cancelled()
        if time.monotonic() - told_at < PROGRESS_SECONDS and done != total:
            return
        told_at = time.monotonic()
        report(done, total, message)

    return tell
