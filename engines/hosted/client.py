"""The HTTP client of one host: JSON, uploads, and an exact word on what became of each request.

What may have arrived is never sent again here; what is safe to repeat (a GET, an upload) is, with back-off. The key
goes to the origin of the base address alone. No redirect is followed, and no error carries a header.
"""

from __future__ import annotations

import ipaddress
import json
import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from loradeck.engines.errors import NotInstalled
from loradeck.engines.hosted import answers
from loradeck.engines.hosted.wire import Ambiguous, NeverSent, Refused, WireError

if TYPE_CHECKING:
    import ssl

    import httpx

TIMEOUT_SECONDS = 60.0
CONNECT_SECONDS = 15.0
ANSWER_SECONDS = 180.0
"""The longest that one answer may take to come in, however slowly it drips."""
ANSWER_BYTES = 32 * 2**20
TRIES = 5
"""How often a request that is safe to repeat is sent: with the back-off below for half a minute."""
BACKOFF_SECONDS = (1.0, 15.0)
RETRY_AFTER_MOST = 60.0
CHUNK = 2**16
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that name the certificates which are trusted."""
PORTS = {"https": 443, "http": 80}
Headers = Mapping[str, str]
Carried = Callable[[], AbstractContextManager[dict[str, Any]]]
"""What a request carries, opened anew for each try: arguments for httpx."""


@dataclass(frozen=True)
class Reply:
    """An answer: HTTP status, headers by lower-case name, and its text."""

    status: int
    headers: Headers
    text: str

    @property
    def is_json(self) -> bool:
        """False for a page in HTML, or a cut text."""
        try:
            json.loads(self.text)
        except ValueError:
            return False
        return True

    def json(self) -> Any:
        """Its JSON. Raises Ambiguous where it is none."""
        if not self.is_json:
            raise Ambiguous(f"The host answered {self.status} with something that is not JSON.")
        return json.loads(self.text)


def fine(reply: Reply) -> bool:
    """What is taken as an answer where nothing else is said: 2xx."""
    return 200 <= reply.status < 300


def fine_json(reply: Reply) -> bool:
    """2xx with JSON in it."""
    return fine(reply) and reply.is_json


class Client:
    """Speaks to one host. May be used by several threads.

    `headers` gives the headers with the key, asked for at each request; they go to the origin of `base_url` alone.
    `name` is the host in sentences. `sleep` and `now` (seconds since 1970, for a Retry-After that is a date) are for
    tests. Raises NotInstalled where the address is neither https nor on this machine.
    """

    def __init__(
        self,
        base_url: str,
        headers: Callable[[], dict[str, str]],
        timeout: float = TIMEOUT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        *,
        name: str = "",
        now: Callable[[], float] = time.time,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._origin = origin(base_url)
        self.name = name or self._origin[1]
        self._headers, self._timeout, self._sleep, self._now = headers, timeout, sleep, now
        self._lock = threading.Lock()
        self._open: dict[bool, httpx.Client] = {}
        if not is_private(base_url):
            raise NotInstalled(
                f"The address of {self.name} is not https, and a key would travel to it in the open; set an address "
                "that begins with https://."
            )

    def get_json(self, target: str, params: Mapping[str, Any] | None = None, *, tries: int = TRIES) -> Any:
        """GET a path or an address; safe, so it is tried again. Raises NeverSent, Refused and Ambiguous."""
        return self.request("GET", target, params=params, tries=tries, take=fine_json).json()

    def post_json(
        self, target: str, body: Any, headers: Headers | None = None, *, params: Mapping[str, Any] | None = None
    ) -> Any:
        """POST JSON exactly once, on a connection of its own. Raises NeverSent, Refused and Ambiguous."""
        return self.request("POST", target, body=body, headers=headers, params=params, take=fine_json).json()

    def put(self, target: str, body: Any = None, headers: Headers | None = None) -> Any:
        """PUT JSON (or nothing) exactly once; None for an empty answer. Raises NeverSent, Refused and Ambiguous."""
        reply = self.request("PUT", target, body=body, headers=headers)
        return reply.json() if reply.text.strip() else None

    def upload_multipart(
        self,
        target: str,
        part: str,
        file: Path,
        *,
        name: str = "",
        content_type: str = "application/octet-stream",
        data: Mapping[str, str] | None = None,
        headers: Headers | None = None,
    ) -> Any:
        """POST a file as the part of a form, streamed from the disk; tried again, as an upload costs nothing."""

        @contextmanager
        def opened() -> Iterator[dict[str, Any]]:
            with file.open("rb") as stream:
                yield {"files": {part: (name or file.name, stream, content_type)}, "data": dict(data or {})}

        return self._repeat("POST", target, opened, headers=headers, tries=TRIES, take=fine_json).json()

    def upload_raw(
        self,
        target: str,
        file: Path,
        *,
        method: str = "POST",
        start: int = 0,
        length: int | None = None,
        headers: Headers | None = None,
        take: Callable[[Reply], bool] = fine,
    ) -> Reply:
        """Send a file, or `length` bytes of it from `start`, as the body, streamed; tried again. Returns the reply."""
        size = file.stat().st_size - start if length is None else length

        @contextmanager
        def opened() -> Iterator[dict[str, Any]]:
            with file.open("rb") as stream:
                stream.seek(start)
                yield {"content": _slice(stream, size), "headers": {"content-length": str(size)}}

        return self._repeat(method, target, opened, headers=headers, tries=TRIES, take=take)

    def request(
        self,
        method: str,
        target: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Headers | None = None,
        tries: int = 1,
        take: Callable[[Reply], bool] = fine,
    ) -> Reply:
        """Send a request and give its reply; `body` goes as JSON.

        It is sent once unless `tries` says that it may be repeated. `take` says which replies are an answer for the
        caller (2xx); all others are raised: 4xx as Refused, whatever else as Ambiguous.
        """

        @contextmanager
        def opened() -> Iterator[dict[str, Any]]:
            yield {} if body is None else {"json": body}

        return self._repeat(method, target, opened, params=params, headers=headers, tries=tries, take=take)

    def close(self) -> None:
        """End all connections; the next request makes new ones."""
        with self._lock:
            for client in self._open.values():
                client.close()
            self._open = {}

    def _repeat(
        self,
        method: str,
        target: str,
        carried: Carried,
        *,
        params: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
        tries: int = 1,
        take: Callable[[Reply], bool] = fine,
    ) -> Reply:
        """Send until there is an answer, that many times at most."""
        tried = 0
        while True:
            tried += 1
            try:
                reply = self._send(method, target, carried, params, headers, kept_alive=tries > 1)
                if take(reply):
                    return reply
                raise self._error(reply)
            except WireError as error:
                if tried >= tries or not _again(error):
                    raise
                self._sleep(pause(error, tried))

    def _send(
        self,
        method: str,
        target: str,
        carried: Carried,
        params: Mapping[str, Any] | None,
        headers: Headers | None,
        kept_alive: bool,
    ) -> Reply:
        """One try. What came back, or NeverSent or Ambiguous."""
        import httpx

        url = self._url(target)
        given = self._key_for(url) | dict(headers or {})
        try:
            with carried() as content:
                every = given | content.pop("headers", {})
                client = self._client(kept_alive)
                with client.stream(method, url, params=params, headers=every, **content) as response:
                    return Reply(response.status_code, dict(response.headers), self._text(response))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            raise NeverSent(
                f"{self.name} could not be reached ({type(error).__name__}): nothing was sent; check the network, and "
                "the host's status page."
            ) from None
        except (httpx.UnsupportedProtocol, httpx.InvalidURL):
            raise NeverSent(f"{self.name} named an address that cannot be asked; nothing was sent.") from None
        except httpx.HTTPError as error:
            raise Ambiguous(
                f"The connection to {self.name} broke before its answer was there ({type(error).__name__})."
            ) from None

    def _text(self, response: httpx.Response) -> str:
        """The text of an answer, bounded in size and time. Raises Ambiguous."""
        gathered, until = bytearray(), time.monotonic() + ANSWER_SECONDS
        for chunk in response.iter_bytes(CHUNK):
            gathered += chunk
            if len(gathered) > ANSWER_BYTES or time.monotonic() > until:
                raise Ambiguous(f"The answer of {self.name} was too long or too slow to be read.")
        return gathered.decode(response.charset_encoding or "utf-8", "replace")

    def _error(self, reply: Reply) -> WireError:
        """What a reply that is no answer means."""
        said = answers.sentence(reply.text)
        if 400 <= reply.status < 500 and reply.status not in answers.MAY_HAVE_ARRIVED:
            kind = answers.kind(reply.status, said, reply.headers, reply.text)
            wait = answers.retry_after(reply.headers, said, self._now()) if reply.status == 429 else None
            message = f"{self.name} answered {reply.status}: {said or 'no word on why'}"
            return Refused(message, reply.status, kind, wait)
        if fine(reply):
            said = "something that cannot be read"
        elif 300 <= reply.status < 400:
            said = "an address elsewhere, which is not followed"
        return Ambiguous(f"{self.name} answered {reply.status}: {said or 'no word on why'}")

    def _url(self, target: str) -> str:
        return target if "://" in target else f"{self.base_url}/{target.lstrip('/')}"

    def _key_for(self, url: str) -> dict[str, str]:
        """The headers with the key, for the host's own origin; none for any other."""
        if origin(url) != self._origin:
            return {}
        headers = self._headers()
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            raise NotInstalled(
                f"The key of {self.name} holds a line break or a letter that no key has; copy it again from the "
                "host's page, and set it anew."
            )
        return headers

    def _client(self, kept_alive: bool) -> httpx.Client:
        """One httpx client for what may be repeated, and one without keep-alive for what is sent once.

        A connection that the host closed meanwhile would else turn a paid request into one whose fate is not known.
        """
        with self._lock:
            if kept_alive not in self._open:
                self._open[kept_alive] = opened(self.base_url, self._timeout, 16 if kept_alive else 0)
            return self._open[kept_alive]


def opened(url: str, timeout: float, kept_alive: int) -> httpx.Client:
    """An httpx client for an address, without redirects; no proxy stands between us and this machine itself."""
    import httpx

    trust_env = not on_this_machine(origin(url)[1])
    return httpx.Client(
        verify=_certificates(*map(os.environ.get, CERTIFICATES)),
        timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=kept_alive),
        follow_redirects=False,
        trust_env=trust_env,
    )


@cache
def _certificates(*_: str | None) -> ssl.SSLContext:
    """Whose certificates are trusted, read once (it takes a tenth of a second) for each setting of `CERTIFICATES`."""
    import httpx

    return httpx.create_ssl_context()


def pause(error: WireError, tried: int) -> float:
    """Seconds until the next of several tries: what the host asked for, else twice as long each time, with jitter."""
    if isinstance(error, Refused) and error.retry_after is not None:
        return min(error.retry_after, RETRY_AFTER_MOST)
    first, most = BACKOFF_SECONDS
    return min(first * 2.0 ** min(tried - 1, 10), most) * random.uniform(0.5, 1.0)


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host name and port: what a key is bound to; empty for what is no address."""
    try:
        parts = urlsplit(url)
        return parts.scheme, (parts.hostname or "").lower(), parts.port or PORTS.get(parts.scheme, 0)
    except ValueError:
        return "", "", 0


def is_private(url: str) -> bool:
    """True where nobody on the way reads along: https, or this machine itself."""
    scheme, host, _ = origin(url)
    return scheme == "https" or (scheme == "http" and on_this_machine(host))


def on_this_machine(host: str) -> bool:
    """True for localhost and loopback addresses."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _again(error: WireError) -> bool:
    """Whether a request that is safe to repeat is worth repeating."""
    return not isinstance(error, Refused) or error.throttled


def _slice(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """That many bytes of a file, piece by piece."""
    while size > 0 and (piece := stream.read(min(CHUNK, size))):
        size -= len(piece)
        yield piece
