"""Results, fetched at once: with resume, checked, atomic, and with a key for the host's own addresses alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from loradeck.engines import files
from loradeck.engines.errors import CameToNothing, ProviderError
from loradeck.engines.hosted.client import is_private, opened, pause
from loradeck.engines.hosted.wire import Ambiguous, NeverSent, Refused, WireError

if TYPE_CHECKING:
    import httpx

TRIES = 8
"""How often a download is taken up again without any progress in between."""
READ_SECONDS = 60.0
MOST_BYTES = 20 * 2**30
"""Trainers give files of 20 MB to 3 GB."""
MOST_REDIRECTS = 5
AT_ONCE = 8
EXPIRED = (403, 404, 410)
"""How storage answers for what is there no more; a signed address that has run out is a 403."""
Sleep = Callable[[float], None]
HeadersFor = Callable[[str], Mapping[str, str]]


class Expired(CameToNothing):
    """A result is at its host no more: it was paid for, and cannot be fetched from that address again."""


@dataclass(frozen=True)
class Wanted:
    """A file to fetch, and where it goes. `sha256` is checked where the host told it."""

    url: str
    out: Path
    sha256: str = ""
    most_bytes: int = MOST_BYTES


def fetch(wanted: Wanted, headers_for: HeadersFor, host: str, *, sleep: Sleep = time.sleep) -> Path:
    """Fetch a file; what an earlier try left is gone on from, also one of a process that was killed.

    `headers_for` gives the headers for an address, redirects included; `host` is its name in sentences.

    Raises Expired; ProviderError where it cannot be had now, is no file or is too large; NoRoom, CannotWrite.
    """
    if wanted.out.exists():
        return wanted.out
    with files.writing(wanted.out):
        wanted.out.parent.mkdir(parents=True, exist_ok=True)
    return _Fetching(wanted, headers_for, host, sleep).whole()


def fetch_all(
    wanted: Sequence[Wanted], headers_for: HeadersFor, host: str, *, sleep: Sleep = time.sleep
) -> list[Path | ProviderError]:
    """Fetch several at a time; each gives its file, or what went wrong with it. Raises NoRoom and CannotWrite."""

    def one(single: Wanted) -> Path | ProviderError:
        try:
            return fetch(single, headers_for, host, sleep=sleep)
        except ProviderError as error:
            return error

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="download") as pool:
        return list(pool.map(one, wanted))


class _Fetching:
    """One download. The part lies beside the file, and a note of what it is a part of beside that."""

    def __init__(self, wanted: Wanted, headers_for: HeadersFor, host: str, sleep: Sleep) -> None:
        self.wanted, self.headers_for, self.host, self.sleep = wanted, headers_for, host, sleep
        self.part = wanted.out.with_name(wanted.out.name + ".part")
        self.note = wanted.out.with_name(wanted.out.name + ".part-of")

    def whole(self) -> Path:
        """Try until it is whole, then put it in its place."""
        tried, before = 0, self._size()
        while True:
            try:
                self._take_up()
                self._check_hash()
                return self._place()
            except WireError as error:
                tried = 1 if self._size() > before else tried + 1
                before = self._size()
                if tried >= TRIES or (isinstance(error, Refused) and not error.throttled):
                    raise ProviderError(
                        f"{error} The result {self.wanted.out.name} was paid for and lies at {self.host} for now: "
                        "resume the run soon, which fetches it and buys nothing again."
                    ) from error
                self.sleep(pause(error, tried))

    def _take_up(self) -> None:
        """One try: go on where the part ends. Raises WireError, and Expired."""
        import httpx

        try:
            with opened(self.wanted.url, READ_SECONDS, 1) as client:
                self._ask(client, self.wanted.url)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise NeverSent(f"The result at {self.host} could not be reached ({type(error).__name__}).") from None
        except httpx.HTTPError as error:
            raise Ambiguous(f"The download from {self.host} broke off ({type(error).__name__}).") from None

    def _ask(self, client: httpx.Client, url: str) -> None:
        """Follow redirects by hand, with headers for each address of its own."""
        for _ in range(MOST_REDIRECTS + 1):
            headers = {"accept-encoding": "identity", **self.headers_for(url), **self._range()}
            with client.stream("GET", url, headers=headers) as response:
                if not response.is_redirect:
                    return self._take(response)
                url = urljoin(url, response.headers.get("location", ""))
            if not is_private(url):
                raise ProviderError(
                    f"{self.host} leads to a result at an address that is not https, which is not followed; fetch it "
                    "in the dashboard there."
                )
        raise Ambiguous(f"The result at {self.host} is moved from address to address without end.")

    def _range(self) -> dict[str, str]:
        """What to ask for so that only the rest comes; the whole file where it is not certain to be the same one."""
        size, tag = self._size(), self._tag()
        return {"range": f"bytes={size}-", "if-range": tag} if size and tag else {}

    def _take(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in EXPIRED:
            self._forget()
            raise Expired(
                f"The result {self.wanted.out.name} is at {self.host} no more ({status}), since hosts keep results for "
                "a short while; it was paid for. Look in the dashboard there whether it can still be downloaded, and "
                "bring it in by hand; else it has to be made again."
            )
        if status == 416:
            self._forget()
            raise Ambiguous(f"{self.host} has another file than the part that was fetched; it is fetched anew.")
        if status not in {200, 206}:
            said = f"{self.host} answered {status} for a result."
            raise Refused(said, status) if 400 <= status < 500 else Ambiguous(said)
        if "html" in response.headers.get("content-type", ""):
            raise Ambiguous(f"{self.host} gave a web page in place of a result.")
        start = self._start(response)
        total = _total(response, start)
        if total is not None and total > self.wanted.most_bytes:
            raise self._too_large()
        self._write(response, start)
        if total is not None and self._size() != total:
            raise Ambiguous(f"The download from {self.host} was cut short.")

    def _start(self, response: httpx.Response) -> int:
        """Where what comes begins: hosts that ignore a Range send all of it."""
        if response.status_code == 206:
            first = response.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
            if first.isdigit() and int(first) == self._size():
                return self._size()
            self._forget()
            raise Ambiguous(f"{self.host} sent another part of the file than was asked for.")
        self._forget()
        tag = response.headers.get("etag") or response.headers.get("last-modified", "")
        if tag and not tag.startswith("W/"):
            files.write_bytes(self.note, tag.encode())
        return 0

    def _write(self, response: httpx.Response, start: int) -> None:
        written = start
        with files.writing(self.wanted.out), self.part.open("ab" if start else "wb") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
                written += len(chunk)
                if written > self.wanted.most_bytes:
                    break
        if written > self.wanted.most_bytes:
            raise self._too_large()

    def _check_hash(self) -> None:
        if self.wanted.sha256 and files.sha256_file(self.part) != self.wanted.sha256:
            self._forget()
            raise Ambiguous(f"What {self.host} sent is not the file that it announced.")

    def _place(self) -> Path:
        with files.writing(self.wanted.out), self.part.open("rb") as file:
            os.fsync(file.fileno())
        self.part.replace(self.wanted.out)
        self.note.unlink(missing_ok=True)
        return self.wanted.out

    def _too_large(self) -> ProviderError:
        self._forget()
        return ProviderError(
            f"The result at {self.host} is larger than {self.wanted.most_bytes / 2**20:.0f} MiB, which no honest one "
            "is, so it was not kept; look at it in the dashboard there."
        )

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _tag(self) -> str:
        """The ETag or date of the file that the part belongs to."""
        return self.note.read_text() if self.note.exists() else ""

    def _forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


def _total(response: httpx.Response, start: int) -> int | None:
    """The size of the whole file, where the host tells it."""
    length = response.headers.get("content-length", "")
    return start + int(length) if length.isdigit() else None
