"""Files at a host: what was uploaded and what came out, on disk, each with its hash and the time it is gone."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

from support.hosts.exchange import Reply, Request
from support.hosts.service import Service


@dataclass
class Stored:
    """One file; `expires` is a time of the service's clock, `parts` those of an upload that is not complete yet."""

    id: str
    name: str
    content_type: str
    path: Path
    created: float
    size: int = 0
    sha256: str = ""
    expires: float | None = None
    uploaded: bool = False
    deleted: bool = False
    parts: dict[int, Path] = field(default_factory=dict)

    def gone(self, now: float) -> bool:
        """Whether it can no longer be fetched."""
        return self.deleted or (self.expires is not None and now >= self.expires)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Take the bytes in, piece by piece."""
        digest = hashlib.sha256()
        with self.path.open("wb") as file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                self.size += len(piece)
        self.sha256 = digest.hexdigest()


@dataclass
class StoringService(Service):
    """A service with files: `uploads` in order of arrival, `files` by id."""

    files: dict[str, Stored] = field(default_factory=dict)

    @property
    def uploads(self) -> list[Stored]:
        """What clients sent, whole, in order."""
        return [file for file in self.files.values() if file.uploaded and file.sha256]

    def space(self, name: str, content_type: str, lasts: float | None) -> Stored:
        """Room for a file that lasts so many seconds (None: for good)."""
        with self.lock:
            made, now = self.new_id(), self.clock()
            expires = None if lasts is None else now + lasts
            file = Stored(made, name, content_type, self.folder / made, now, expires=expires)
            self.files[made] = file
        return file

    def put(self, name: str, content_type: str, data: bytes, lasts: float | None) -> Stored:
        """Store what a job made."""
        file = self.space(name, content_type, lasts)
        file.write([data])
        return file

    def fetched(self, url: str) -> bytes:
        """The bytes behind a URL that a job was given: this host's own files by their id, others over the network.

        Raises `ValueError` with words for the job's error where there are none.
        """
        if url.startswith("data:"):
            return base64.b64decode(url.partition(",")[2])
        for found in re.findall(r"[0-9a-f]{32}", url):
            if found in self.files:
                file = self.files[found]
                if file.gone(self.clock()):
                    raise ValueError(f"Failed to download {url}: 404 Not Found")
                return file.path.read_bytes()
        if not url.startswith("http") or url.startswith((self.base_url, self.delivery_url)):
            raise ValueError(f"Failed to download {url}")
        try:
            with urlopen(url, timeout=5) as answer:
                data: bytes = answer.read()
        except OSError as error:
            raise ValueError(f"Failed to download {url}: {error}") from error
        return data

    def download(self, request: Request) -> Reply:
        """A file, or the rest of it from `Range: bytes=N-`."""
        file = self.files.get(request.groups["id"])
        if file is None or file.gone(self.clock()) or not file.sha256:
            return Reply(404, b"Not Found", {"Content-Type": "text/plain"})
        data = file.path.read_bytes()
        headers = {"Content-Type": file.content_type, "ETag": f'"{file.sha256}"', "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range") or "")
        if not asked:
            return Reply(200, data, headers)
        start, end = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
        if start >= len(data):
            return Reply(416, b"", {**headers, "Content-Range": f"bytes */{len(data)}"})
        headers["Content-Range"] = f"bytes {start}-{end}/{len(data)}"
        return Reply(206, data[start : end + 1], headers)
