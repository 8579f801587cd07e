"""`loradeck serve` as clients start it: a process on two pipes, in both eras, that comes and goes cleanly."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from support.client import ERAS, Era, command, talk
from support.pipes import Pipes

from loradeck.state import runs
from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools import catalogue

HEAVY = ("torch", "diffusers", "transformers", "peft", "PIL", "cv2", "numpy", "pptx", "typst", "httpx", "sqlite_utils")


@pytest.mark.parametrize("era", ERAS)
def test_a_client_lists_calls_and_leaves_in_either_era(era: Era, tmp_path: Path) -> None:
    async def conversation(client: Client) -> tuple[list[str], Any, str]:
        tools = [tool.name for tool in (await client.list_tools()).tools]
        return tools, await client.call_tool("check_status", {}), client.protocol_version

    tools, result, version = talk(command(tmp_path), conversation, era)
    assert tools == list(catalogue.TOOLS)
    assert not result.is_error
    assert version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[era]


def test_nothing_but_the_protocol_is_on_stdout_and_no_secret_in_the_log(tmp_path: Path) -> None:
    server = Pipes(tmp_path, LORADECK_LOG_LEVEL="DEBUG", REPLICATE_API_TOKEN="r8_verysecret")
    assert server.greet()["result"]["serverInfo"]["name"] == "loradeck"
    server.send("tools/call", 2, name="stop_run", arguments={"run_id": "run_nosuch"})
    assert server.receive()["id"] == 2
    server.send("tools/call", 3, name="curate_dataset", arguments={"source": "/nowhere", "name": "n"})
    assert server.receive()["id"] == 3
    code, rest, _ = server.leave()
    assert (code, rest) == (0, "")
    assert "verysecret" not in "".join(server.errors)


def test_the_server_ends_within_two_seconds_of_its_client_even_in_the_middle_of_a_wait(tmp_path: Path) -> None:
    # A worker that lives: this very process.
    store = Store(tmp_path)
    run = runs.enqueue(store, "train", {})
    assert runs.claim(store, run.id) is not None
    server = Pipes(tmp_path)
    server.greet()
    server.send("tools/call", 2, name="check_status", arguments={"run_id": run.id, "wait_seconds": 25})
    time.sleep(1.0)
    code, _, seconds = server.leave()
    assert code == 0
    assert seconds < 2.0


def test_a_run_that_lost_its_worker_is_found_by_the_next_server_without_being_asked(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = runs.enqueue(store, "train", {})
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    store.change(
        RunRecord,
        run.id,
        state="running",
        token="t",
        pid=gone.pid,
        pid_started=time.time(),
        lease_until=time.time() - 1,
    )
    server = Pipes(tmp_path)
    server.greet()
    deadline = time.monotonic() + 20
    while runs.get(store, run.id).state == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    server.leave()
    assert runs.get(store, run.id).state == "lost"


def test_starting_the_server_loads_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom loradeck.server import app, cli\n"
        "from loradeck.server.launch import launch\n"
        f"home = Path({str(tmp_path)!r})\napp.build(home, launch(home))\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
