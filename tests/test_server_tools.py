"""What a client sees of the tools: their definitions, their answers, progress, cancelling, and refusals."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client
from mcp.server import MCPServer
from mcp.types import CallToolResult, Tool
from support.client import ERAS, Era, call, in_memory, never_launched, said, talk
from support.painter import trained

from loradeck import prompts
from loradeck.server import calls
from loradeck.server.opening import Opening
from loradeck.state.records import DeckRecord, LoraRecord
from loradeck.tools import catalogue
from loradeck.tools.contracts import Result, StopArgs
from loradeck.tools.spec import Pictures, ToolSpec
from loradeck.tools.workbench import Workbench

MOST_TOKENS = 12_000
CHARACTERS_A_TOKEN = 3.5
"""JSON schemas come to 3.5 to 4 characters a token; the lower bound counts against us."""


async def listed(client: Client) -> list[Tool]:
    return (await client.list_tools()).tools


# --------------------------------------------------------------------------- definitions


@pytest.mark.parametrize("era", ERAS)
def test_every_tool_is_listed_in_the_order_of_the_workflow(era: Era, tmp_path: Path) -> None:
    assert [tool.name for tool in in_memory(tmp_path, listed, era)] == list(catalogue.TOOLS)


def test_both_eras_and_every_start_list_the_same_definitions(tmp_path: Path) -> None:
    first, second = ([tool.model_dump(mode="json") for tool in in_memory(tmp_path, listed, era)] for era in ERAS)
    assert first == second


def test_all_definitions_together_stay_under_twelve_thousand_tokens(tmp_path: Path) -> None:
    tools = in_memory(tmp_path, listed)
    text = json.dumps(
        [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools], separators=(",", ":")
    )
    assert len(text) / CHARACTERS_A_TOKEN <= MOST_TOKENS


def test_every_tool_says_what_it_does_to_the_world(tmp_path: Path) -> None:
    for tool in in_memory(tmp_path, listed):
        hints = tool.annotations
        assert hints is not None
        given = [hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint]
        assert None not in given, tool.name
        assert tool.title, tool.name
        assert not (hints.read_only_hint and hints.destructive_hint), tool.name
        assert len(tool.description or "") >= 40, tool.name


def test_arguments_are_flat_and_closed_and_schemas_carry_no_ballast(tmp_path: Path) -> None:
    for tool in in_memory(tmp_path, listed):
        assert tool.input_schema["type"] == "object"
        assert tool.input_schema["additionalProperties"] is False
        assert set(tool.input_schema["properties"]) == set(catalogue.load(tool.name).args.model_fields)
        for schema in (tool.input_schema, tool.output_schema or {}):
            assert '{"type": "null"}' not in json.dumps(schema), tool.name
            assert not [node for node in nodes(schema) if isinstance(node.get("title"), str)], tool.name


def test_every_argument_is_described(tmp_path: Path) -> None:
    for tool in in_memory(tmp_path, listed):
        bare = [name for name, node in tool.input_schema["properties"].items() if not node.get("description")]
        assert bare == [], tool.name


def nodes(schema: Any) -> list[dict[str, Any]]:
    """All schema nodes below one."""
    if isinstance(schema, list):
        return [node for item in schema for node in nodes(item)]
    if not isinstance(schema, dict):
        return []
    children = [
        child
        for key, value in schema.items()
        for child in (value.values() if key in {"properties", "$defs"} else [value])
    ]
    return [schema, *(node for child in children for node in nodes(child))]


def test_only_the_tool_that_shows_pictures_has_no_output_schema(tmp_path: Path) -> None:
    without = [tool.name for tool in in_memory(tmp_path, listed) if tool.output_schema is None]
    assert without == ["view_images"]


def test_the_instructions_fit_every_client_and_name_the_tools_of_both_jobs(tmp_path: Path) -> None:
    async def instructions(client: Client) -> str | None:
        return client.instructions

    text = in_memory(tmp_path, instructions)
    assert text == prompts.text("instructions")
    assert len(text) < 2048
    for name in catalogue.TOOLS[:7]:
        assert name in text


# --------------------------------------------------------------------------- answers


@pytest.mark.parametrize("era", ERAS)
def test_an_answer_is_structured_and_mirrored_as_text(era: Era, tmp_path: Path) -> None:
    async def conversation(client: Client) -> CallToolResult:
        return await client.call_tool("check_status", {})

    result = in_memory(tmp_path, conversation, era)
    assert not result.is_error
    assert result.structured_content is not None
    assert json.loads(said(result)) == result.structured_content
    assert list(result.structured_content)[:2] == ["summary", "next_step"]


def test_what_is_not_known_is_left_out_and_the_answer_still_fits_its_schema(tmp_path: Path) -> None:
    opening = Opening(tmp_path, never_launched)
    opening.store.add(
        LoraRecord(id="lora_aaaaaa", name="n", version=1, base_model="preview", path="p", sha256="s", bytes=1)
    )
    result = call(tmp_path, "list_loras")
    assert result.structured_content is not None
    (row,) = result.structured_content["loras"]
    assert row["lora_id"] == "lora_aaaaaa"
    assert "trigger" not in row


@pytest.mark.parametrize("era", ERAS)
def test_an_unknown_argument_is_refused_with_the_nearest_name(era: Era, tmp_path: Path) -> None:
    async def conversation(client: Client) -> CallToolResult:
        return await client.call_tool("check_status", {"runid": "run_abc"})

    result = in_memory(tmp_path, conversation, era)
    assert result.is_error
    assert said(result) == (
        "check_status cannot take this: there is no 'runid' (did you mean 'run_id'?). Correct it and call again."
    )


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("check_status", {"run_id": "run_nosuch"}),
        ("stop_run", {"run_id": "run_nosuch"}),
        ("validate_coverage", {"dataset_id": "nosuch"}),
        ("write_captions", {"dataset_id": "nosuch"}),
        ("start_training", {"dataset_id": "nosuch"}),
        ("render_deck_visuals", {"deck_id": "deck_nosuch"}),
        ("view_images", {"of": "nosuch"}),
        ("list_loras", {"lora_id": "lora_nosuch"}),
        ("manage_loras", {"action": "activate", "lora_id": "lora_nosuch"}),
    ],
)
def test_an_unknown_id_is_refused_in_one_sentence_and_no_stack_trace(
    tool: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    result = call(tmp_path, tool, **arguments)
    assert result.is_error
    assert "nosuch" in said(result)
    assert "Error executing" not in said(result)
    assert "\n" not in said(result)


def test_a_lora_can_be_put_in_use_and_out_again(tmp_path: Path) -> None:
    opening = Opening(tmp_path, never_launched)
    lora = trained(opening.store)
    on = call(tmp_path, "manage_loras", action="activate", lora_id="fluent", strength=0.8)
    assert on.structured_content is not None
    assert (on.structured_content["loras"][0]["active"], on.structured_content["loras"][0]["strength"]) == (True, 0.8)
    off = call(tmp_path, "manage_loras", action="deactivate", lora_id=lora.id)
    assert off.structured_content is not None
    assert (off.structured_content["loras"][0]["active"], off.structured_content["loras"][0]["strength"]) == (
        False,
        0.8,
    )


# --------------------------------------------------------------------------- how calls run


def serving(home: Path, handler: Any, result: type[Result] | None = Result) -> tuple[MCPServer[Any], Opening]:
    """A server with one tool, done by `handler`, on a real workspace."""
    opening = Opening(home, never_launched)
    spec = ToolSpec("the_tool", "The tool", "A tool for a test.", StopArgs, result, handler)
    return MCPServer("test", tools=[calls.tool(spec, opening)]), opening


def test_pictures_come_as_text_and_jpegs_without_structure(tmp_path: Path) -> None:
    server, _ = serving(tmp_path, lambda args, bench: Pictures("Two.", (b"\xff\xd8a", b"\xff\xd8b")), result=None)

    async def conversation(client: Client) -> CallToolResult:
        return await client.call_tool("the_tool", {"run_id": "x"})

    result = talk(server, conversation)
    assert result.structured_content is None
    assert [block.type for block in result.content] == ["text", "image", "image"]
    assert result.content[1].mime_type == "image/jpeg"


def test_progress_reaches_the_client_while_the_call_goes_on(tmp_path: Path) -> None:
    def handler(args: StopArgs, bench: Workbench) -> Result:
        for step in range(3):
            bench.progress(step + 1, 3, f"image {step + 1}")
            time.sleep(calls.PROGRESS_SECONDS)
        return Result(summary="Done.", next_step="None.")

    server, _ = serving(tmp_path, handler)
    heard: list[tuple[float, float | None, str | None]] = []

    async def hear(done: float, total: float | None, message: str | None) -> None:
        heard.append((done, total, message))

    async def conversation(client: Client) -> CallToolResult:
        return await client.call_tool("the_tool", {"run_id": "x"}, progress_callback=hear)

    assert not talk(server, conversation).is_error
    assert heard == [(1, 3, "image 1"), (2, 3, "image 2"), (3, 3, "image 3")]


def test_a_cancelled_call_stops_at_its_next_word_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    begun, ended = threading.Event(), threading.Event()

    def handler(args: StopArgs, bench: Workbench) -> Result:
        try:
            with bench.store.transaction():
                bench.store.add(DeckRecord(id="deck_half", title="half done"))
                begun.set()
                for _ in range(200):
                    bench.progress(0, None, "working")
                    time.sleep(0.05)
        finally:
            ended.set()
        return Result(summary="Done.", next_step="None.")

    server, opening = serving(tmp_path, handler)

    async def conversation(client: Client) -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "the_tool", {"run_id": "x"})
            await anyio.to_thread.run_sync(begun.wait, 10)
            group.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(ended.wait, 5)

    talk(server, conversation)
    assert opening.store.count(DeckRecord) == 0
    opening.store.add(DeckRecord(id="deck_next", title="goes on"))
    assert opening.store.count(DeckRecord) == 1


def test_calls_at_the_same_time_share_one_workspace(tmp_path: Path) -> None:
    def handler(args: StopArgs, bench: Workbench) -> Result:
        bench.store.add(DeckRecord(id=args.run_id, title="t"))
        return Result(summary="Done.", next_step="None.")

    server, opening = serving(tmp_path, handler)

    async def conversation(client: Client) -> None:
        async with anyio.create_task_group() as group:
            for number in range(24):
                group.start_soon(client.call_tool, "the_tool", {"run_id": f"deck_{number}"})

    talk(server, conversation)
    assert opening.store.count(DeckRecord) == 24
