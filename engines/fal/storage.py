"""fal's storage: a token for its CDN, then a file in one piece, or in parts that travel side by side.

Whoever has the address of an uploaded file can read it until it expires; the address cannot be guessed.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loradeck.engines.fal.refusals import worded
from loradeck.engines.hosted.client import TRIES, Client, fine_json
from loradeck.engines.hosted.host import Uploaded
from loradeck.engines.hosted.wire import Ambiguous

TOKEN_PATH = "storage/auth/token?storage_type=fal-cdn-v3"
IN_PARTS_ABOVE = 100 * 2**20
PART_BYTES = 10 * 2**20
"""Bounds and sizes of fal's own client."""
AT_ONCE = 4
"""Parts that travel side by side: they fill a line, and each is read from the disk as it goes."""
LIFETIME = timedelta(days=1)
"""How long an input lies at fal: no shorter, as a request may wait for a machine for hours."""
RENEWED_BEFORE = timedelta(minutes=5)
TYPES = {".zip": "application/zip", ".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
Now = Callable[[], datetime]


class Storage:
    """Stores files at fal. May be used by several threads.

    `rest` is the client of the address that gives tokens; `in_parts_above` (bytes) is for tests.
    """

    def __init__(
        self, rest: Client, sleep: Callable[[float], None], now: Now, in_parts_above: int = IN_PARTS_ABOVE
    ) -> None:
        self._rest, self._sleep, self._now, self._in_parts_above = rest, sleep, now, in_parts_above
        self._lock = threading.Lock()
        self._authorization, self._until = "", datetime.min.replace(tzinfo=UTC)
        self._cdn: Client | None = None

    def upload(self, path: Path, name: str) -> Uploaded:
        """Store a file for a day, under a name that its address keeps. Raises WireError."""
        gone_at = (self._now() + LIFETIME).isoformat()
        with worded("an upload"):
            cdn = self._opened()
            if path.stat().st_size > self._in_parts_above:
                return Uploaded(self._in_parts(cdn, path, _headers(name)), gone_at)
            reply = cdn.upload_raw("files/upload", path, headers=_headers(name), take=fine_json)
            return Uploaded(_told(reply.json(), "access_url"), gone_at)

    def _in_parts(self, cdn: Client, path: Path, headers: dict[str, str]) -> str:
        begun = cdn.request("POST", "files/upload/multipart", headers=headers, tries=TRIES, take=fine_json).json()
        address, upload = _told(begun, "access_url"), _told(begun, "uploadId")
        size, target = path.stat().st_size, f"{address}/multipart/{upload}"

        def send(number: int) -> dict[str, Any]:
            start = (number - 1) * PART_BYTES
            length = min(PART_BYTES, size - start)
            kind = {"content-type": headers["content-type"]}
            reply = cdn.upload_raw(f"{target}/{number}", path, method="PUT", start=start, length=length, headers=kind)
            return {"partNumber": number, "etag": _told(reply.headers, "etag")}

        with ThreadPoolExecutor(AT_ONCE) as pool:
            parts = list(pool.map(send, range(1, -(-size // PART_BYTES) + 1)))
        cdn.request("POST", f"{target}/complete", body={"parts": parts}, tries=TRIES)
        return address

    def _opened(self) -> Client:
        """The client of the CDN, with a token that holds; a new one is fetched before the old one ends."""
        with self._lock:
            if self._cdn is None or self._now() + RENEWED_BEFORE >= self._until:
                told = self._rest.request("POST", TOKEN_PATH, body={}, tries=TRIES, take=fine_json).json()
                self._authorization = f"{_told(told, 'token_type')} {_told(told, 'token')}"
                self._until = _moment(_told(told, "expires_at"))
                base = _told(told, "base_url")
                if self._cdn is None or self._cdn.base_url != base.rstrip("/"):
                    self._cdn = Client(base, self._authorized, sleep=self._sleep, name="fal's storage")
            return self._cdn

    def _authorized(self) -> dict[str, str]:
        """The header with the CDN's token; the key itself goes to fal's own addresses alone."""
        self._opened()
        return {"Authorization": self._authorization}


def lifecycle(lifetime: timedelta) -> dict[str, str]:
    """The headers that say how long fal keeps a file; the CDN reads the one, and all else the other."""
    wish = json.dumps({"expiration_duration_seconds": int(lifetime.total_seconds())})
    return {"x-fal-object-lifecycle": wish, "x-fal-object-lifecycle-preference": wish}


def _headers(name: str) -> dict[str, str]:
    kind = TYPES.get(Path(name).suffix.lower(), "application/octet-stream")
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name)
    return {"content-type": kind, "x-fal-file-name": safe, **lifecycle(LIFETIME)}


def _told(answer: Any, key: str) -> str:
    """A text in an answer. Raises Ambiguous where it is missing: nothing is paid for here, so it may be repeated."""
    try:
        return str(answer[key])
    except (KeyError, TypeError):
        raise Ambiguous(f"fal took a file and did not tell {key}; start again.") from None


def _moment(told: str) -> datetime:
    """A time with its zone. Raises Ambiguous for what is none."""
    try:
        return datetime.fromisoformat(told)
    except ValueError:
        raise Ambiguous("fal gave a token for its storage without its end; start again.") from None
