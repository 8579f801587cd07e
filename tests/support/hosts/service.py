"""What the hosts' loopback services share: threads, two ports, routes, a clock that a test turns, and what was asked.

A service answers on two ports: its API (`base_url`) and the place its outputs and uploads lie (`delivery_url`), so that
a test sees which host a key was sent to.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import wait
from pathlib import Path
from socket import socket
from typing import Any, ClassVar, TypeVar

from support.hosts import faults, tls
from support.hosts.exchange import Cut, Reply, Request
from support.hosts.faults import Fault

S = TypeVar("S", bound="Service")


@dataclass
class Clock:
    """The time at a host, in seconds since 1970: the true time, or one that stands `still`, and what it is `ahead`."""

    still: float | None = None
    ahead: float = 0.0

    def __call__(self) -> float:
        return (time.time() if self.still is None else self.still) + self.ahead

    def forward(self, seconds: float) -> None:
        """Later by so many seconds."""
        self.ahead += seconds

    def iso(self, when: float | None = None) -> str:
        """A time as the hosts write it."""
        return datetime.fromtimestamp(self() if when is None else when, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Route:
    """A path of the API, the operation it is for a plan of faults, and the method of the service that answers."""

    method: str
    path: str
    operation: str
    handler: str
    open: bool = False
    """Whether it is answered without a key."""


@dataclass(frozen=True)
class Call:
    """One request that came in, in order; `status` is what was answered, 0 where nothing was."""

    host: str
    method: str
    path: str
    operation: str
    authorization: str
    at: float
    status: int = 0


@dataclass(frozen=True)
class Create:
    """One accepted create: what a host would bill."""

    id: str
    endpoint: str
    kind: str
    input: dict[str, Any]
    at: float
    headers: dict[str, str] = field(default_factory=dict)
    """Those it came with, by names in small letters, without the credentials."""


@dataclass
class Service(ABC):
    """State and behaviour of a host; a test reads the first half and sets the second."""

    NAME: ClassVar[str] = "host"
    NO_CREDIT: ClassVar[tuple[int, str]] = (402, "You have insufficient credit to run this.")
    ROUTES: ClassVar[list[Route]] = []

    key: str = "right-key"
    calls: list[Call] = field(default_factory=list)
    creates: list[Create] = field(default_factory=list)
    fired: list[tuple[Fault, str]] = field(default_factory=list)
    authorized: dict[str, list[str]] = field(default_factory=lambda: {"api": [], "delivery": []})
    charged_usd: float = 0.0
    clock: Clock = field(default_factory=Clock)
    faults: list[Fault] = field(default_factory=list)
    base_url: str = ""
    delivery_url: str = ""
    authority: Path | None = None

    def __post_init__(self) -> None:
        self.lock, self.over, self.folder = threading.RLock(), threading.Event(), Path()
        self.trouble: list[str] = []
        self.afterwards: list[Callable[[], None]] = []
        """What is done once an answer is on its way and no lock is held."""
        self.sockets: set[socket] = set()
        """The ports and every connection that is open."""
        self.busy = 0
        """Requests that are being answered."""
        self._ids = 0

    def count(self, request: Request, name: str, endpoint: str, kind: str, given: dict[str, Any]) -> None:
        """A create went through."""
        self.creates.append(Create(name, endpoint, kind, given, self.clock(), request.plain_headers))

    def counted(self, operation: str) -> int:
        """How many requests of an operation came in."""
        return sum(call.operation == operation for call in self.calls)

    def quiet(self, seconds: float = 5.0) -> bool:
        """Wait until nothing that was sent is left unread or unanswered: what a killed client sent has been counted."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self.lock:
                if not self.busy and not wait(list(self.sockets), 0):
                    return True
            time.sleep(0.002)
        return False

    def new_id(self) -> str:
        """32 hexadecimal digits, the same in every run of a test."""
        with self.lock:
            self._ids += 1
            return hashlib.md5(f"{self.NAME} {self._ids}".encode(), usedforsecurity=False).hexdigest()

    def refusal(self, status: int, message: str) -> Reply:
        """An error in the host's own shape."""
        return Reply.json({"detail": message}, status)

    def throttled_words(self, seconds: float | None) -> str:
        """What the host says to one who asks too often."""
        return f"Request was throttled. Your rate limit resets in ~{seconds or 30:g}s."

    @abstractmethod
    def credentials(self, request: Request) -> Reply | None:
        """The refusal of a wrong key, or None."""

    def respond(self, request: Request) -> Reply:
        """One request, from its route and its fault to the answer. Raises `Cut` where the connection ends instead."""
        route = self._route(request)
        operation = route.operation if route else "unknown"
        self._note(request, operation)
        with self.lock:
            fault = faults.take(self.faults, operation, request)
            if fault:
                self.fired.append((fault, request.path))
        if fault and (refused := faults.before(self, fault, request)):
            return refused
        reply = self._handled(route, request, fault)
        return faults.after(self, fault, request, reply) if fault else reply

    def answered(self, request: Request, status: int) -> None:
        """Write down what became of a call."""
        with self.lock:
            index = request.index
            self.calls[index] = Call(**{**self.calls[index].__dict__, "status": status})

    def _handled(self, route: Route | None, request: Request, fault: Fault | None) -> Reply:
        if route is None:
            return self.refusal(404, "Not Found")
        if not route.open and (refused := self.credentials(request)):
            return refused
        request.fault = fault
        handler = getattr(self, route.handler)
        if route.operation == "upload":  # as long as it takes, beside the others
            return handler(request)
        request.body()
        with self.lock:
            return handler(request)

    def _route(self, request: Request) -> Route | None:
        method = "GET" if request.method == "HEAD" else request.method
        for route in self.ROUTES:
            found = re.fullmatch(route.path, request.path) if route.method == method else None
            if found:
                request.groups = found.groupdict()
                return route
        return None

    def _note(self, request: Request, operation: str) -> None:
        given = request.authorization
        with self.lock:
            request.index = len(self.calls)
            self.calls.append(Call(request.host, request.method, request.path, operation, given, self.clock()))
            if given:
                self.authorized[request.host].append(given)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    service: Service

    def get_request(self) -> tuple[Any, Any]:
        with self.service.lock:
            taken, address = super().get_request()
            self.service.sockets.add(taken)
        return taken, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about; anything else is this fake's own mistake."""
        if not isinstance(sys.exc_info()[1], OSError):
            self.service.trouble.append(traceback.format_exc())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: Service
    host: str

    def handle_one_request(self) -> None:
        """A request is busy from before its first byte is read, so that there is no moment when it is nowhere."""
        wait([self.connection])
        self._count(1)
        try:
            super().handle_one_request()
        finally:
            self._count(-1)

    def finish(self) -> None:
        with self.service.lock:
            self.service.sockets.discard(self.connection)
        super().finish()

    def _count(self, change: int) -> None:
        with self.service.lock:
            self.service.busy += change

    def _answer(self) -> None:
        request = Request(self, self.host)
        try:
            reply = self.service.respond(request)
            for _ in request.pieces():
                continue
            self.service.answered(request, reply.status)
            self._send(reply)
        except Cut:
            self.close_connection = True
        finally:
            for do in self.service.afterwards:
                do()

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body if reply.cut_at is None else reply.body[: reply.cut_at])
        if reply.cut_at is not None:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815 - the names http.server calls

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing on standard error."""


@contextmanager
def serving(service: S, *, secure: bool = False) -> Iterator[S]:
    """The service answers on two ports of this machine until the block ends.

    With `secure` it speaks TLS, under a certificate whose authority lies at `service.authority`.
    """
    with tempfile.TemporaryDirectory() as folder:
        service.folder = Path(folder)
        service.over.clear()
        context = None
        if secure:
            service.authority, context = tls.certificate(service.folder)
        running = [_start(service, host, context) for host in ("api", "delivery")]
        scheme = "https" if secure else "http"
        service.base_url, service.delivery_url = (f"{scheme}://127.0.0.1:{one.server_port}" for one, _ in running)
        try:
            yield service
        finally:
            service.over.set()
            for server, thread in running:
                service.sockets.discard(server.socket)
                server.shutdown()
                server.server_close()
                thread.join()
            if service.trouble:
                raise AssertionError(f"The loopback service broke: {service.trouble[0]}")


def _start(service: Service, host: str, context: Any) -> tuple[_Server, threading.Thread]:
    server = _Server(("127.0.0.1", 0), type("Bound", (_Handler,), {"service": service, "host": host}))
    server.service = service
    if context:
        # The handshake is the thread's own, so that a client that never finishes it holds nobody up.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    service.sockets.add(server.socket)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    return server, thread
