"""Workers in processes of their own that die by SIGKILL: at a named moment, when their host says so, or after a time.

They are forked from one that has everything imported and no threads, so that a kill costs no start of Python.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from PIL import Image

from loradeck.engines.fal import host as fal_host
from loradeck.engines.fal.table import TABLE as FAL
from loradeck.engines.hosted.client import Client, opened
from loradeck.engines.hosted.engine import HostedEngine
from loradeck.engines.registry import Registry
from loradeck.engines.replicate import host as replicate_host
from loradeck.engines.replicate.table import TABLE as REPLICATE
from loradeck.server import worker
from loradeck.state import runs, spend

MODULES = {"fal": fal_host, "replicate": replicate_host}
TIMEOUT_SECONDS = 0.5
"""How long a worker of the campaign waits for an answer, in place of a minute."""
LONGEST_SECONDS = 60.0
"""After so long a worker is taken to hang."""
HUNG = 124
"""The status of a worker that hung."""
NAP_SECONDS = 0.0005
"""How long a pause lasts, whatever its length: only the clock moves on by it."""


LATE = (
    "sqlite_utils", "numpy", "safetensors", "loradeck.state.migrations", "loradeck.engines.hosted.training",
    "loradeck.engines.hosted.drawing", "loradeck.tools.start_training.job", "loradeck.tools.pictures.chart",
    "loradeck.tools.render_deck_visuals.job", "loradeck.tools.pictures.sheet", "loradeck.engines.hosted.bases",
)  # fmt: skip
"""What a worker imports once it needs it: here all of them have it from the start."""


@dataclass
class Time:
    """A clock that moves on when somebody sleeps."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """No longer than a nap."""
        self.now += seconds
        time.sleep(NAP_SECONDS)


def engine(provider: str) -> HostedEngine:
    """The real engine of a host, in which waiting takes no time."""
    clock = Time()
    host = (
        fal_host.FalHost(clock.sleep)
        if provider == "fal"
        else replicate_host.ReplicateHost(sleep=clock.sleep)
    )  # fmt: skip
    return HostedEngine(host, FAL if provider == "fal" else REPLICATE, sleep=clock.sleep, clock=clock)


# --------------------------------------------------------------------------- moments


def die() -> None:
    """End this process as `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Moment:
    """The `nth` call of `owner.name` that `fits`; the kill comes before it, or after it was made."""

    owner: Any
    name: str
    fits: Callable[..., bool] = lambda *_, **__: True
    after: bool = False

    def arm(self, nth: int) -> None:
        """Make this process die at the moment."""
        honest, left = getattr(self.owner, self.name), nth

        def deadly(*arguments: Any, **named: Any) -> Any:
            nonlocal left
            fits = self.fits(*arguments, **named)
            left -= fits
            if fits and left == 0 and not self.after:
                die()
            answer = honest(*arguments, **named)
            if fits and left == 0:
                die()
            return answer

        setattr(self.owner, self.name, deadly)


def noting(state: str, **more: Any) -> Moment:
    """When a purchase is written down as being in a state."""
    return Moment(spend, "note", lambda *_, **values: values.get("state") == state, **more)


def asking(_: socket.socket, data: bytes, *__: Any) -> bool:
    """Whether these bytes begin a paid request: its address, not an upload's or a model's."""
    line = bytes(data[:400]).partition(b"\r\n")[0]
    ours = (b"/trainings ", b"/predictions ", b"POST /fal-ai/")
    return line.startswith(b"POST ") and any(mark in line for mark in ours)


HOSTS = tuple(getattr(module, name) for module, name in ((fal_host, "FalHost"), (replicate_host, "ReplicateHost")))
MOMENTS: dict[str, list[Moment]] = {
    "before the intent": [Moment(spend, "intend")],
    "the intent is on the disk": [Moment(spend, "intend", after=True)],
    "connected, nothing sent": [Moment(socket.socket, "send", asking)],
    "half of the request sent": [Moment(socket.socket, "send", asking, after=True)],
    "the answer is there, its id on no disk": [Moment(host, "create", after=True) for host in HOSTS],
    "before `submitted` is on the disk": [noting("submitted")],
    "`submitted` is on the disk": [noting("submitted", after=True)],
    "before `unknown` is on the disk": [noting("unknown")],
    "while the list is read": [Moment(host, "find") for host in HOSTS],
    "before the cost is on the disk": [noting("settled")],
    "the cost is on the disk": [noting("settled", after=True)],
    "before a file is put in its place": [Moment(Path, "replace")],
    "before the end of the run is on the disk": [Moment(runs, "finish")],
}
"""In the order in which a run comes by. The host's own moments are in `STRIKES`."""
STRIKES = {"the host has read it, and takes it": "before", "the host has taken it, no answer yet": "after"}
IN_DOUBT = ("before `unknown` is on the disk", "while the list is read")
"""Those that come only where a create is in doubt."""
NAMED = (*MOMENTS, *STRIKES)
"""Every moment with a name."""


# --------------------------------------------------------------------------- processes


@dataclass(frozen=True)
class Shift:
    """One worker's try at a run: where, as whom, and when it dies (at the `nth` time that the moment comes)."""

    home: Path
    run_id: str
    provider: str
    environment: dict[str, str] = field(default_factory=dict)
    moment: str | None = None
    nth: int = 1

    def work(self) -> None:
        """The worker, in this process."""
        os.environ.update(self.environment)
        module = MODULES[self.provider]
        setattr(module, "Client", partial(Client, timeout=TIMEOUT_SECONDS))  # noqa: B010 - a name of a module
        for moment in MOMENTS.get(self.moment or "", []):
            moment.arm(self.nth)
        worker.work(self.home, self.run_id, Registry({self.provider: lambda: engine(self.provider)}))


class Nursery:
    """Where workers are forked, one at a time, and reaped."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._wire, theirs = context.Pipe()
        self._mother = context.Process(target=_bear, args=(theirs,), daemon=True)
        self._mother.start()
        theirs.close()
        self.child = 0
        assert self._wire.recv() == "ready"

    def start(self, shift: Shift) -> None:
        """Fork a worker."""
        self._wire.send(shift)
        self.child = self._wire.recv()

    def kill(self) -> None:
        """Kill the worker from outside; one that has just ended stays as it is."""
        with suppress(ProcessLookupError):
            os.kill(self.child, signal.SIGKILL)

    def ended(self, seconds: float) -> bool:
        """Wait so long for its end."""
        return self._wire.poll(seconds)

    def join(self) -> int:
        """Wait for the worker's end, and give its exit status; one that hangs is killed, and its status is HUNG."""
        hung = not self.ended(LONGEST_SECONDS)
        if hung:
            self.kill()
        status: int = self._wire.recv()
        self.child = 0
        return HUNG if hung else status

    def close(self) -> None:
        """No more workers."""
        self._wire.close()
        self._mother.join()


def _bear(wire: Connection) -> None:
    """Fork for every shift that comes, and tell how each ended, until the other end closes."""
    logging.disable(logging.CRITICAL)  # what workers have to say stands in their rows
    for name in LATE:
        import_module(name)
    Image.init()
    opened("http://127.0.0.1", TIMEOUT_SECONDS, 0).close()  # reads the certificates, which takes a tenth of a second
    wire.send("ready")
    while True:
        try:
            shift: Shift = wire.recv()
        except EOFError:
            return
        child = os.fork()
        if child == 0:
            shift.work()  # what breaks it ends the process as any other's, with a traceback and status 1
            os._exit(0)
        wire.send(child)
        _, status = os.waitpid(child, 0)
        wire.send(os.waitstatus_to_exitcode(status))
