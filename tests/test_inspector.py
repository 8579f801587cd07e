"""MCP Inspector's CLI, another client than the SDK's own, on `loradeck serve` over stdio."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import node

from loradeck.tools import catalogue

OK, TOOL_IS_ERROR = 0, 5


def inspect(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    server = [sys.executable, "-m", "loradeck", "serve"]
    return node.run(node.INSPECTOR, "--cli", *server, "-e", f"LORADECK_HOME={home}", *arguments)


@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_all_tools_and_finds_their_schemas_portable(era: str, tmp_path: Path) -> None:
    done = inspect(tmp_path, "--method", "tools/list", "--strict", "--protocol-era", era)
    assert done.returncode == OK, done.stderr
    assert [tool["name"] for tool in json.loads(done.stdout)["tools"]] == list(catalogue.TOOLS)


def test_the_inspector_calls_a_tool_and_exits_with_0(tmp_path: Path) -> None:
    done = inspect(tmp_path, "--method", "tools/call", "--tool-name", "check_status", "--tool-args-json", "{}")
    assert done.returncode == OK, done.stderr
    answer = json.loads(done.stdout)
    assert json.loads(answer["content"][0]["text"]) == answer["structuredContent"]


def test_the_inspector_exits_with_5_when_a_tool_refuses(tmp_path: Path) -> None:
    wrong = '{"run_id": "run_nosuch"}'
    done = inspect(tmp_path, "--method", "tools/call", "--tool-name", "stop_run", "--tool-args-json", wrong)
    assert done.returncode == TOOL_IS_ERROR
    assert "run_nosuch" in done.stdout
