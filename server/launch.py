"""The only place that starts a process: one detached worker for one run, which outlives whoever asked for it.

An MCP client kills the server's process group about two seconds after it closes stdin. The worker therefore gets a
session of its own, no inherited stream or descriptor, and a log file. On Windows a client may hold its children in a
job that is killed with it; the worker asks to break away, and where that is not allowed `loradeck worker` in a
terminal runs the queue instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from loradeck.state.errors import StateError
from loradeck.state.files import Workspace, told


def launch(home: Path) -> Callable[[str], None]:
    """A function that starts the worker of a queued run of the workspace at `home`, and returns at once.

    It raises DiskFull, WorkspaceReadOnly or StateError when the run's log cannot be written.
    """
    workspace = Workspace(home)

    def start(run_id: str) -> None:
        log = workspace.log(run_id)
        with told(log):
            log.parent.mkdir(parents=True, exist_ok=True)
            output = log.open("ab")
        with output:
            process = _worker(run_id, home, output)
        # Reaped by a thread, so that an ended worker does not stay in the process table as a zombie.
        threading.Thread(target=process.wait, name=f"reap {run_id}", daemon=True).start()

    return start


def _worker(run_id: str, home: Path, output: BinaryIO) -> subprocess.Popen[bytes]:
    try:
        return _detached([sys.executable, "-P", "-m", "loradeck.server.worker", run_id], home, output)
    except OSError as error:
        raise StateError(
            f"No process could be started for {run_id} ({error.strerror or 'unknown reason'}); it stays queued: close "
            "some programs, then call check_status, which tries again."
        ) from error


def _detached(command: list[str], home: Path, output: BinaryIO) -> subprocess.Popen[bytes]:
    """Start a process that belongs to nobody here."""
    options: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": output,
        "stderr": subprocess.STDOUT,
        "cwd": home,
        "env": {**os.environ, "LORADECK_HOME": str(home.absolute()), "PYTHONUNBUFFERED": "1"},
    }
    if sys.platform != "win32":
        return subprocess.Popen(command, start_new_session=True, **options)
    flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
    try:
        return subprocess.Popen(command, creationflags=flags | subprocess.CREATE_BREAKAWAY_FROM_JOB, **options)
    except PermissionError:  # the client's job does not let children break away
        return subprocess.Popen(command, creationflags=flags, **options)
