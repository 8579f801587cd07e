"""The official conformance suite over HTTP, for both requirement sets: what applies passes, the rest has its reason."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support import node

BASELINE: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("conformance_baseline.toml").read_text(encoding="utf-8")
)["set"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`loradeck serve --http` on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    home = tmp_path_factory.mktemp("workspace")
    server = subprocess.Popen(
        [sys.executable, "-m", "loradeck", "serve", "--http", f"127.0.0.1:{port}"],
        env={**os.environ, "LORADECK_HOME": str(home)},
    )
    try:
        deadline = time.monotonic() + 60
        while not answers(port):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not listen"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        server.terminate()
        assert server.wait(15) is not None


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def failures(folder: Path) -> dict[str, set[str]]:
    """Scenario -> the ids of its checks that failed, from what the suite wrote down in server-SCENARIO-TIME folders."""
    found: dict[str, set[str]] = {}
    for file in folder.glob("*/checks.json"):
        scenario = re.sub(r"-\d{4}-\d\d-\d\dT.*$", "", file.parent.name.removeprefix("server-"))
        found[scenario] = {check["id"] for check in json.loads(file.read_text()) if check["status"] == "FAILURE"}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("wanted", BASELINE, ids=lambda each: each["requirements"])
def test_every_scenario_that_applies_passes_and_the_rest_is_listed(
    wanted: dict[str, Any], url: str, tmp_path: Path
) -> None:
    suite = node.MODULES / wanted["package"] / "dist" / "index.js"
    done = node.run("node", suite, "server", "--url", url, "--output-dir", tmp_path, *wanted["options"], seconds=300)
    found = failures(tmp_path)
    listed = [*wanted["applies"], *(scenario for rest in wanted["rest"] for scenario in rest["scenarios"])]
    assert sorted(found) == sorted(listed), done.stdout[-3000:]
    excepted = {name: set(checks) for name, checks in wanted.get("except", {}).items()}
    broken = {name: found[name] - excepted.get(name, set()) for name in wanted["applies"]}
    assert {name: checks for name, checks in broken.items() if checks} == {}


@pytest.mark.parametrize(("header", "value"), [("Host", "evil.example"), ("Origin", "http://evil.example")])
def test_a_page_from_elsewhere_cannot_reach_the_server(header: str, value: str, url: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accept = "application/json, text/event-stream"
    answer = httpx.post(url, json=body, headers={header: value, "Accept": accept})
    assert answer.status_code in {403, 421}
