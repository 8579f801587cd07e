"""A file from an https address: public hosts alone, capped, and gone on from where an earlier try ended."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from loradeck.engines.lora_origin import MOST_BYTES
from loradeck.state.files import told, write_text
from loradeck.tools.addresses import Guard, NotAllowed
from loradeck.tools.errors import Refused
from loradeck.tools.library import safe_name

if TYPE_CHECKING:
    import httpx

MOST_REDIRECTS = 5
TRIES = 5
"""How often a connection may break without a byte in between."""
SECONDS = 60.0
"""How long a server may be silent."""
LEAST_RATE = 5_000
"""Bytes a second, over all tries; what comes slower would hold a worker for days."""
SLOW_SECONDS = 300.0
"""How far a server may be behind that."""
SPARE = 500_000_000
"""Bytes that stay free on the disk."""
LOOK_BYTES = 64_000_000
"""How often the room is looked at: not every server says how much it sends, and others write to the disk too."""
GUARD = Guard("file")
Tell = Callable[[int, int], None]


class Broken(Exception):
    """The connection broke; what came is kept, and it is tried again."""


@dataclass
class Pace:
    """How fast bytes come, over all tries of a download."""

    began: float = field(default_factory=time.monotonic)
    came: int = 0

    def count(self, more: int) -> None:
        """So many bytes came. Raises Refused where they come too slowly."""
        self.came += more
        if time.monotonic() - self.began > SLOW_SECONDS + self.came / LEAST_RATE:
            raise Refused("The file came too slowly and was given up; download it and give its path.")


@dataclass(frozen=True)
class Fetching:
    """One download into a folder. The part lies there, and beside it a note of what it is a part of (its ETag)."""

    url: str
    folder: Path
    tell: Tell
    pace: Pace = field(default_factory=Pace)

    def whole(self) -> Path:
        """The file, whole; one that an earlier call got is taken. Raises Refused and StateError."""
        if done := sorted(self.folder.glob("*.safetensors")):
            return done[0]
        with told(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        broken = 0
        while True:
            before = self._size()
            self.tell(before, before)
            self.pace.count(0)
            try:
                return self._take_up()
            except Broken as error:
                broken = broken + 1 if self._size() <= before else 1
                if broken >= TRIES:
                    raise Refused(
                        "The connection broke again and again; make the same call again: it goes on from the "
                        f"{self._size()} bytes that are there."
                    ) from error

    @property
    def _part(self) -> Path:
        return self.folder / "file.part"

    @property
    def _note(self) -> Path:
        return self.folder / "part-of"

    def _take_up(self) -> Path:
        import httpx

        try:
            with httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client:
                return self._follow(client, self.url)
        except NotAllowed as error:
            raise Refused(str(error)) from error
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, ValueError) as error:
            raise Refused("The address cannot be read; download the file and give its path.") from error
        except (httpx.HTTPError, httpx.StreamError) as error:
            raise Broken from error

    def _follow(self, client: httpx.Client, url: str) -> Path:
        """Go where the redirects lead, each judged like the first address."""
        for _ in range(MOST_REDIRECTS + 1):
            GUARD.judge(url)
            with client.stream("GET", url, headers={"accept-encoding": "identity", **self._range()}) as response:
                GUARD.judge_peer(response)
                if response.has_redirect_location:
                    url = urljoin(url, response.headers["location"])
                    continue
                self._take(response)
                return self._place(_named(response, url))
        raise Refused("The address redirects too often; give the final one.")

    def _range(self) -> dict[str, str]:
        """Ask for the rest alone, where it is certain to be of the same file."""
        tag = self._note.read_text() if self._note.exists() else ""
        return {"range": f"bytes={self._size()}-", "if-range": tag} if self._size() and tag else {}

    def _take(self, response: httpx.Response) -> None:
        status = response.status_code
        if status == 416:
            self._forget()
            raise Broken
        if status >= 500:
            raise Broken
        if status not in {200, 206}:
            raise Refused(f"The server answered {status}; check the address, or download the file and give its path.")
        if "html" in response.headers.get("content-type", ""):
            raise Refused("What came is a web page; give the address of the .safetensors file itself.")
        start = self._size() if status == 206 else self._begin(response)
        length = response.headers.get("content-length", "")
        total = start + int(length) if length.isdigit() else 0
        self._require_room(total, start)
        self._write(response, start, total)
        if total and self._size() != total:
            raise Broken

    def _begin(self, response: httpx.Response) -> int:
        self._forget()
        tag = response.headers.get("etag", "")
        if tag and not tag.startswith("W/"):
            write_text(self._note, tag)
        return 0

    def _require_room(self, total: int, start: int) -> None:
        if total > MOST_BYTES:
            raise Refused(f"The file is larger than {MOST_BYTES // 2**30} GiB, which no LoRA is; check the address.")
        if shutil.disk_usage(self.folder).free < total - start + SPARE:
            raise Refused(f"The file has {total / 1e9:.1f} GB, and the workspace's disk has no room; free some.")

    def _write(self, response: httpx.Response, start: int, total: int) -> None:
        written = looked = start
        with told(self._part), self._part.open("ab" if start else "wb") as file:
            for chunk in response.iter_raw():
                file.write(chunk)
                written += len(chunk)
                if written > MOST_BYTES:
                    raise Refused(f"The file is larger than {MOST_BYTES // 2**30} GiB, which no LoRA is.")
                if written - looked >= LOOK_BYTES:
                    looked = written
                    self._require_room(max(total, written), written)
                self.pace.count(len(chunk))
                self.tell(written, max(total, written))

    def _place(self, name: str) -> Path:
        out = self.folder / name
        with told(out):
            self._part.replace(out)
            self._note.unlink(missing_ok=True)
        return out

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


def _named(response: httpx.Response, url: str) -> str:
    """A safe name for what came: the server's own word, else the end of the address."""
    said = re.search(r'filename="?([^";]+)', response.headers.get("content-disposition", ""))
    name = said[1] if said else unquote(PurePosixPath(urlsplit(url).path).name)
    return f"{safe_name(name.removesuffix('.safetensors'))}.safetensors"
