"""Where hosts call back: a small HTTP server on this machine, for a tunnel that ends here.

What it takes is checked by the host's signature, then written down as news; the worker asks the host itself. Whatever
cannot be checked is refused, and leaves no trace but a line in the log.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loradeck.engines.errors import EngineError
from loradeck.engines.hosted import keys
from loradeck.engines.hosted.hooks import PLACE, CallsBack, Unverified
from loradeck.state import news
from loradeck.state.errors import Disputed, StateError
from loradeck.state.store import Store
from loradeck.tools.errors import Refused

MOST_BYTES = 8 * 2**20
"""A message holds the whole log of a training or the addresses of some pictures; the longest logs are about 1 MB."""
SILENCE_SECONDS = 10.0
"""How long a connection may say nothing, and how long a body may take to come in."""
PIECE = 2**16
SAID = {
    200: "heard",
    401: "not verified",
    404: "no such purchase",
    405: "only POST",
    408: "too slow",
    409: "another request",
    411: "how long is it?",
    413: "too long",
    503: "later",
}
"""What is answered, by HTTP status: hosts send again what got no 2xx, for some minutes (Replicate) or hours (fal)."""
log = logging.getLogger(__name__)


def hosts() -> dict[str, CallsBack]:
    """The hosts that call back, by the name in their addresses."""
    from loradeck.engines.fal.host import FalHost
    from loradeck.engines.replicate.host import ReplicateHost

    return {"fal": FalHost(), "replicate": ReplicateHost()}


class Receiver(ThreadingHTTPServer):
    """Listens at 127.0.0.1, a thread for each connection. `now` (seconds since 1970) is for tests.

    Raises Refused where the port is taken.
    """

    daemon_threads = True

    def __init__(
        self, home: Path, port: int, known: Mapping[str, CallsBack], now: Callable[[], float] = time.time
    ) -> None:
        self._store, self._hosts, self._now = Store(home), known, now
        try:
            super().__init__(("127.0.0.1", port), _Call)
        except (OSError, OverflowError) as error:
            raise Refused(f"Port {port} cannot be listened at ({error}); choose another with --port.") from error

    def hear(self, path: str, headers: Mapping[str, str], body: bytes) -> int:
        """Check a message and write down that it came; gives the HTTP status that tells the host what became of it."""
        place = PLACE.search(path)
        host = self._hosts.get(place["host"]) if place and place.end() == len(path) else None
        if place is None or host is None:
            return 404
        name, mark = place["host"], place["mark"]
        try:
            if news.marked(self._store, name, mark) is None:  # a stranger's message makes no one ask for keys
                return self._refused(404, f"no purchase at {name} in this workspace has the mark of the message")
            created = host.word(headers, body, self._now())
            bought = news.hear(self._store, name, mark, created.id, created.handle)
        except Unverified as error:
            return self._refused(401, str(error))
        except Disputed as error:
            return self._refused(409, f"{error} Look at both in the dashboard there.")
        except (EngineError, StateError) as error:
            return self._refused(503, str(error))
        finally:
            self._store.close()
        log.info("%s sent word of %s: %s", name, created.id, bought.run_id if bought else "bought anew meanwhile")
        return 200 if bought else 404

    def _refused(self, status: int, why: str) -> int:
        log.warning("refused (%s): %s", status, keys.redacted(why))
        return status

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002  the names of socketserver
        """A caller that went away is nobody's trouble; what else goes wrong is told."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("a message could not be taken", exc_info=error)


class _Call(BaseHTTPRequestHandler):
    """One connection, one message."""

    server: Receiver
    timeout = SILENCE_SECONDS
    server_version, sys_version = "loradeck", ""

    def do_POST(self) -> None:
        status, body = self._body()
        if body is not None:
            path = urlsplit(self.path).path
            status = self.server.hear(path, {name.lower(): text for name, text in self.headers.items()}, body)
        self._answer(status)

    def do_GET(self) -> None:
        self._answer(405)

    def _body(self) -> tuple[int, bytes | None]:
        """The body, or the status that says why it was not read."""
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdecimal()):
            return 411, None
        if int(length) > MOST_BYTES:
            return 413, None
        gathered, until = bytearray(), time.monotonic() + SILENCE_SECONDS
        while (left := int(length) - len(gathered)) and (piece := self.rfile.read1(min(left, PIECE))):
            gathered += piece
            if time.monotonic() > until:
                return 408, None
        return (408, None) if left else (200, bytes(gathered))

    def _answer(self, status: int) -> None:
        said = f"{SAID[status]}\n".encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: an address holds a mark, and `hear` tells what matters."""


def serve(home: Path, port: int) -> None:
    """Listen until interrupted. Raises Refused where the port is taken, and what Store raises."""
    with Receiver(home, port, hosts()) as receiver:
        receiver.serve_forever()
