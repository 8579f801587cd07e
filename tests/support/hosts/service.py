"""What the hosts' loopback services share: threads, two ports, routes, a clock that a test turns, and what was asked.

A service answers on two ports: its API (`base_url`) and the place its outputs and uploads lie (`delivery_url`), so that
a test sees which host a key was sent to.
"""

from __future__ import annotations

import hashlib
import json
import re
import select
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

from support.hosts import faults, tls
from support.hosts.faults import Cut, Fault

PIECE = 1 << 16
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


@dataclass
class Reply:
    """An answer. With `cut_at` the connection ends after so many bytes of the body that was promised."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        """A JSON answer; underscores in header names are dashes."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})


class Request:
    """A request as a handler sees it: the body is read when it is asked for, once, or in pieces."""

    def __init__(self, handler: BaseHTTPRequestHandler, host: str) -> None:
        split = urlsplit(handler.path)
        self.method, self.host, self.path = handler.command, host, unquote(split.path)
        self.query = {name: ",".join(values) for name, values in parse_qs(split.query).items()}
        self.headers: Message = handler.headers
        self.groups: dict[str, str] = {}
        self.fault: Fault | None = None
        self._handler, self._body, self._read = handler, b"", False

    @property
    def authorization(self) -> str:
        """The credentials that came with it."""
        return self.headers.get("authorization") or self.headers.get("x-api-key") or ""

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes in, never whole in memory; nothing where it was read before."""
        if self._read:
            yield self._body
            return
        self._read = True
        stream: BinaryIO = self._handler.rfile  # type: ignore[assignment]
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(stream.readline().split(b";")[0], 16):
                yield stream.read(size)
                stream.readline()
            stream.readline()
            return
        left = int(self.headers.get("content-length") or 0)
        while left:
            piece = stream.read(min(left, PIECE))
            if not piece:
                raise Cut
            left -= len(piece)
            yield piece

    def body(self) -> bytes:
        """The whole body."""
        if not self._read:
            self._body = b"".join(self.pieces())
        return self._body

    def json(self) -> Any:
        """The body, parsed; None where there is none."""
        return json.loads(self.body()) if self.body() else None

    def wait_for_hang_up(self, over: threading.Event) -> None:
        """Until the client goes away, or the service ends."""
        while not over.is_set():
            if select.select([self._handler.connection], [], [], 0.02)[0]:
                return


@dataclass
class Service:
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
        self._ids = 0

    def counted(self, operation: str) -> int:
        """How many requests of an operation came in."""
        return sum(call.operation == operation for call in self.calls)

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

    def credentials(self, request: Request) -> Reply | None:
        """The refusal of a wrong key, or None."""
        raise NotImplementedError

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

    def after_answer(self) -> None:
        """What is done once an answer is on its way and no lock is held."""

    def answered(self, request: Request, status: int) -> None:
        """Write down what became of a call."""
        with self.lock:
            index = request.index  # type: ignore[attr-defined]
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
            request.index = len(self.calls)  # type: ignore[attr-defined]
            self.calls.append(Call(request.host, request.method, request.path, operation, given, self.clock()))
            if given:
                self.authorized[request.host].append(given)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    trouble: list[str]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what some tests are about; anything else is this fake's own mistake."""
        if not isinstance(sys.exc_info()[1], OSError):
            self.trouble.append(traceback.format_exc())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    service: Service
    host: str

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
            self.service.after_answer()

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
                server.shutdown()
                server.server_close()
                thread.join()
            if service.trouble:
                raise AssertionError(f"The loopback service broke: {service.trouble[0]}")


def _start(service: Service, host: str, context: Any) -> tuple[_Server, threading.Thread]:
    server = _Server(("127.0.0.1", 0), type("Bound", (_Handler,), {"service": service, "host": host}))
    server.trouble = service.trouble
    if context:
        # The handshake is the thread's own, so that a client that never finishes it holds nobody up.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    return server, thread
