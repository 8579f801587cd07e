"""What `url` can be: an https address, or "owner/name[:file]" at the hub; and how it is told without its secrets."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import urlsplit

from loradeck.state.files import write_text
from loradeck.tools.errors import BadArgument

ADDRESS = "address"
"""The file of a run that holds an address with its keys, until the worker has read it."""
HUB = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<file>.+))?")


def split(url: str) -> tuple[str, str | None] | None:
    """Repository and file of a hub name, or None for an address. Raises BadArgument where it is neither."""
    if "://" in url:
        return None
    found = HUB.fullmatch(url.strip())
    if found is None:
        raise BadArgument(f'{url[:80]!r} is neither an https address nor a hub name: give url="owner/name:file".')
    file = found["file"]
    if file is not None and (not file.endswith(".safetensors") or ".." in file.split("/")):
        raise BadArgument(f"{file[:80]!r} is no .safetensors file of a repository; only such files are taken.")
    return found["repository"], file


def plain(url: str) -> str:
    """The address without user, query and fragment, which may hold keys."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def keep(url: str, folder: Path) -> None:
    """Lay the whole address into a run's folder, for the worker's eyes; the store never sees it."""
    path = folder / ADDRESS
    write_text(path, url)
    path.chmod(0o600)


def take(folder: Path, otherwise: str) -> str:
    """The address that was laid there, and `otherwise` where none is any more; it is gone from there then."""
    path = folder / ADDRESS
    url = path.read_text(encoding="utf-8") if path.is_file() else otherwise
    path.unlink(missing_ok=True)
    return url


def mark(url: str) -> str:
    """A short hash by which the run of an address is found again."""
    return hashlib.sha256(url.strip().encode()).hexdigest()[:24]
