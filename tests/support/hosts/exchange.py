"""A request as a handler sees it, and the answer that it gives."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from support.hosts.faults import Fault

PIECE = 1 << 16
"""Bytes of a body that are read at a time."""


class Cut(Exception):
    """The connection ends here, without an answer."""


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
        self.index = 0
        """Its place among the service's calls."""
        self._handler, self._body, self._read = handler, b"", False

    @property
    def authorization(self) -> str:
        """The credentials that came with it."""
        return self.headers.get("authorization") or self.headers.get("x-api-key") or ""

    @property
    def plain_headers(self) -> dict[str, str]:
        """Its headers by names in small letters, without the credentials."""
        named = {name.lower(): value for name, value in self.headers.items()}
        return {name: value for name, value in named.items() if name not in ("authorization", "x-api-key")}

    def pieces(self) -> Iterator[bytes]:
        """The body as it comes in, never whole in memory; nothing where it was read before."""
        if self._read:
            yield self._body
            return
        self._read = True
        stream: BinaryIO = self._handler.rfile  # type: ignore[assignment]
        if "chunked" in self.headers.get("transfer-encoding", ""):
            yield from self._chunks(stream)
            return
        left = int(self.headers.get("content-length") or 0)
        while left:
            piece = stream.read(min(left, PIECE))
            if not piece:
                raise Cut
            left -= len(piece)
            yield piece

    def _chunks(self, stream: BinaryIO) -> Iterator[bytes]:
        while line := stream.readline():
            size = int(line.split(b";")[0], 16)
            piece = stream.read(size)
            stream.readline()
            if not size:
                return
            yield piece
        raise Cut

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
            if wait([self._handler.connection], 0.02):
                return
