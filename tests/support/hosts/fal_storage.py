"""fal's storage: a token for the CDN, uploads in one piece or in parts, and the older way by a signed URL."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from support.hosts.exchange import Reply, Request
from support.hosts.jobs import JobService
from support.hosts.service import Route
from support.hosts.storage import Stored

HOUR = 3600.0
FILE = r"/files/(?P<id>[0-9a-f]{32})/(?P<name>[^/]+)"


@dataclass
class FalStorage(JobService):
    """Storage of fal. Uploads want the CDN's token, all else the key; `outputs_last` is in seconds, None for good."""

    STORAGE: ClassVar[list[Route]] = [
        Route("POST", "/storage/auth/token", "token", "get_token"),
        Route("POST", "/storage/upload/initiate", "token", "initiate"),
        Route("POST", "/files/upload", "upload", "upload"),
        Route("POST", "/files/upload/multipart", "begin_upload", "begin_parts"),
        Route("PUT", rf"{FILE}/multipart/(?P<upload>\w+)/(?P<part>\d+)", "upload", "upload_part"),
        Route("POST", rf"{FILE}/multipart/(?P<upload>\w+)/complete", "end_upload", "end_parts"),
        Route("PUT", FILE, "upload", "upload_signed", open=True),
        Route("GET", FILE, "download", "download", open=True),
    ]

    cdn_token: str = "cdn-token"
    outputs_last: float | None = None

    def credentials(self, request: Request) -> Reply | None:
        wanted = f"Bearer {self.cdn_token}" if request.path.startswith("/files/") else f"Key {self.key}"
        if request.headers.get("authorization") == wanted:
            return None
        return self.refusal(401, "Invalid authentication credentials")

    def get_token(self, request: Request) -> Reply:
        if request.query.get("storage_type") != "fal-cdn-v3":
            return self.refusal(400, "Unknown storage type")
        until = self.clock.iso(self.clock() + HOUR)
        token = {"token": self.cdn_token, "token_type": "Bearer", "base_url": self.delivery_url}
        return Reply.json({**token, "expires_at": until.replace("Z", "+00:00")})

    def initiate(self, request: Request) -> Reply:
        asked = request.json()
        file = self._room(request, asked["file_name"], asked["content_type"])
        return Reply.json({"upload_url": self._address(file), "file_url": self._address(file)})

    def upload(self, request: Request) -> Reply:
        file = self._room(request)
        file.write(request.pieces())
        return Reply.json({"access_url": self._address(file)})

    def upload_signed(self, request: Request) -> Reply:
        self.files[request.groups["id"]].write(request.pieces())
        return Reply(200)

    def begin_parts(self, request: Request) -> Reply:
        file = self._room(request)
        return Reply.json({"access_url": self._address(file), "uploadId": file.id})

    def upload_part(self, request: Request) -> Reply:
        file, number = self.files[request.groups["id"]], int(request.groups["part"])
        part = Stored("", "", "", file.path.with_suffix(f".{number}"), self.clock())
        part.write(request.pieces())
        with self.lock:
            file.parts[number] = part.path
        return Reply(200, headers={"ETag": f'"{part.sha256}"'})

    def end_parts(self, request: Request) -> Reply:
        file, told = self.files[request.groups["id"]], request.json()["parts"]
        if {one["partNumber"] for one in told} != set(file.parts):
            return self.refusal(400, "Parts are missing")
        file.write(path.read_bytes() for _, path in sorted(file.parts.items()))
        return Reply.json({"access_url": self._address(file)})

    def _room(self, request: Request, name: str = "", content_type: str = "") -> Stored:
        """Space for an upload, for as long as its header asks."""
        name = name or request.headers.get("x-fal-file-name") or "upload.bin"
        kind = content_type or request.headers.get("content-type") or "application/octet-stream"
        file = self.space(name, kind, lifetime(request, "x-fal-object-lifecycle"))
        file.uploaded = True
        return file

    def _address(self, file: Stored) -> str:
        return f"{self.delivery_url}/files/{file.id}/{quote(file.name)}"


def lifetime(request: Request, header: str) -> float | None:
    """Seconds that files are wished to last, by a header; None where none is named."""
    wish: dict[str, Any] = json.loads(request.headers.get(header) or "{}")
    return wish.get("expiration_duration_seconds")
