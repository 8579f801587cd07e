"""`loradeck serve` on two pipes, spoken to by hand: for tests of the process itself and of what kills it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO, Any


class Pipes:
    """A server spoken to line by line. It leads a process group of its own, as under a client."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "loradeck", "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "LORADECK_HOME": str(home), **environ},
            start_new_session=True,
        )
        self.errors: list[str] = []
        self._calls = 1
        threading.Thread(target=lambda: self.errors.extend(self._stream("stderr")), daemon=True).start()

    def _stream(self, name: str) -> IO[str]:
        stream: IO[str] | None = getattr(self.process, name)
        assert stream is not None
        return stream

    def send(self, method: str, number: int | None = None, **params: Any) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
        self._stream("stdin").write(json.dumps(message | ({} if number is None else {"id": number})) + "\n")
        self._stream("stdin").flush()

    def receive(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._stream("stdout").readline())
        return answer

    def greet(self) -> dict[str, Any]:
        """The handshake of 2025-11-25."""
        client = {"name": "by hand", "version": "1"}
        self.send("initialize", 1, protocolVersion="2025-11-25", capabilities={}, clientInfo=client)
        answer = self.receive()
        self.send("notifications/initialized")
        return answer

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a tool, after `greet`."""
        self._calls += 1
        self.send("tools/call", self._calls, name=tool, arguments=arguments)
        answer = self.receive()
        assert answer["id"] == self._calls
        assert not answer["result"].get("isError"), answer
        structure: dict[str, Any] = answer["result"]["structuredContent"]
        return structure

    def leave(self) -> tuple[int, str, float]:
        """Close stdin; returns the exit code, what else was on stdout, and how long it took."""
        begun = time.monotonic()
        self._stream("stdin").close()
        rest = self._stream("stdout").read()
        return self.process.wait(30), rest, time.monotonic() - begun
