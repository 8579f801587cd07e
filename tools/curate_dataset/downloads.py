"""Pictures from https addresses: public hosts only, sizes capped, every redirect judged like the first address."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

import httpx

from loradeck.state.files import write_bytes
from loradeck.tools.addresses import Guard, NotAllowed, is_public
from loradeck.tools.curate_dataset.names import shown

MOST_BYTES = 64 * 1024 * 1024
MOST_REDIRECTS = 5
SECONDS = 30.0
"""How long a server may be silent."""
MOST_SECONDS = 300.0
"""How long a picture may take to come, since a server that sends a byte now and then is never silent."""
MAGIC = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"BM", ".bmp"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
)


BRANDS = {
    b"ftypavif": ".avif",
    b"ftypavis": ".avif",
    **dict.fromkeys(
        (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftyphevx", b"ftypheim", b"ftypheis", b"ftypmif1", b"ftypmsf1"),
        ".heic",
    ),
}
"""What a file of the ISO container begins with after its length."""


class NotFetched(Exception):
    """Why an address gave no picture, in one sentence. Never leaves this folder."""


@dataclass(frozen=True)
class Downloader:
    """Fetches pictures. Tests allow a loopback host and plain http by other `schemes` and `allowed`."""

    schemes: frozenset[str] = frozenset({"https"})
    allowed: Callable[[str], bool] = is_public
    most_bytes: int = MOST_BYTES
    most_seconds: float = MOST_SECONDS
    client: Callable[[], httpx.Client] = field(
        default=lambda: httpx.Client(timeout=SECONDS, follow_redirects=False, trust_env=False)
    )

    def fetch(self, url: str, folder: Path) -> tuple[Path, str]:
        """Download one picture into a folder, named by its own hash: (file, name at the source). Raises NotFetched."""
        try:
            with self.client() as client:
                data, final = self._follow(client, url)
        except NotAllowed as error:
            raise NotFetched(str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:  # ValueError: "https://["
            raise NotFetched("The address cannot be reached; download the picture and give its path.") from error
        suffix = _suffix(data)
        if suffix is None:
            raise NotFetched("What came is no picture; give the address of the image file itself.")
        path = folder / f"{hashlib.sha256(data).hexdigest()[:24]}{suffix}"
        if not path.exists():
            write_bytes(path, data)
        name = shown(unquote(PurePosixPath(urlsplit(final).path).name)) or "picture"
        return path, name

    def _follow(self, client: httpx.Client, url: str) -> tuple[bytes, str]:
        """The body behind an address and its redirects, and where it was in the end."""
        guard = Guard("picture", self.schemes, self.allowed)
        for _ in range(MOST_REDIRECTS + 1):
            guard.judge(url)
            with client.stream("GET", url) as response:
                guard.judge_peer(response)
                if response.has_redirect_location:
                    url = urljoin(url, response.headers["location"])
                    continue
                if response.status_code != 200:
                    raise NotFetched(f"The server answered {response.status_code}; check the address.")
                return self._body(response), url
        raise NotFetched("The address redirects too often; give the final one.")

    def _body(self, response: httpx.Response) -> bytes:
        """The body, cut off as soon as it is too long or takes too long."""
        data, began = bytearray(), time.monotonic()
        for chunk in response.iter_bytes():
            data += chunk
            if time.monotonic() - began > self.most_seconds:
                raise NotFetched("The picture came too slowly and was given up; download it and give its path.")
            if len(data) > self.most_bytes:
                raise NotFetched(f"The file is larger than {self.most_bytes // 2**20} MB; download and shrink it.")
        return bytes(data)


def _suffix(data: bytes) -> str | None:
    """The suffix of the picture format that these bytes begin with, or None."""
    for magic, suffix in MAGIC:
        if data.startswith(magic):
            return suffix
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ".webp"
    return BRANDS.get(data[4:12])
