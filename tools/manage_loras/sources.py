"""What `url` can be: an https address, or "owner/name[:file]" at the hub; and how it is told without its secrets."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from loradeck.state.files import write_text
from loradeck.state.runs import SECRET
from loradeck.tools.errors import BadArgument

HUB = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?::(?P<file>.+))?")


def split(url: str) -> tuple[str, str | None] | None:
    """Repository and file of a hub name, or None for an address. Raises BadArgument where it is neither."""
    _parts(url)
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
    parts = _parts(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _parts(url: str) -> SplitResult:
    """An address taken apart. Raises BadArgument for one that has no host or port that could be."""
    try:
        url.encode()  # half a character, as JSON may hold, is no text
        parts = urlsplit(url)
        parts.port  # noqa: B018  it is looked at when it is asked for
    except ValueError as error:
        raise BadArgument("The address cannot be read; give it as https://host/path, as a browser shows it.") from error
    return parts


def keep(url: str, folder: Path) -> None:
    """Lay the whole address into a run's folder, for the worker's eyes; it goes when the run ends, if not before."""
    path = folder / SECRET
    write_text(path, url)
    path.chmod(0o600)


def take(folder: Path, otherwise: str) -> str:
    """The address that was laid there, and `otherwise` where none is any more; it is gone from there then."""
    path = folder / SECRET
    url = path.read_text(encoding="utf-8") if path.is_file() else otherwise
    path.unlink(missing_ok=True)
    return url


def mark(url: str) -> str:
    """A short hash by which the run of an address is found again."""
    return hashlib.sha256(url.strip().encode()).hexdigest()[:24]
