"""The protocol's own checkers, which run on Node 22: MCP Inspector's CLI and the conformance suite."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

MODULES = Path(__file__).parents[2] / ".node" / "node_modules"
INSPECTOR = MODULES / ".bin" / "mcp-inspector"


def run(
    *command: str | Path, environ: dict[str, str] | None = None, seconds: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run one of them with Node 22 first on the path. Fails, with what to do, where they are not installed."""
    if not (MODULES / ".bin" / "node").exists():
        pytest.fail("Node 22 and the protocol's checkers are not installed; run `make node`, then the tests again.")
    env = {**os.environ, **(environ or {}), "PATH": f"{MODULES / '.bin'}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=env, timeout=seconds, check=False
    )
