"""What leaves this machine: uploaded once per run while it is fresh there, and written down without any address."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from loradeck.engines import files
from loradeck.engines.base import Reporter
from loradeck.engines.errors import BadSpec, ProviderError
from loradeck.engines.hosted.host import Host, Uploaded
from loradeck.engines.hosted.wire import WireError

SENT = "sent"
"""Journal key of what was sent: a list of {what, files, sha256, bytes, to, at, expires_at}."""
UPLOADS = "uploads"
"""Journal key, by host: SHA-256 of what was uploaded -> where the host reads it, and until when."""
MARGIN = timedelta(minutes=30)
"""So long before it is gone there a file counts as gone: a request may wait before it is read."""
UNTOLD = timedelta(hours=1)
"""How long a file is used whose end nobody tells."""
AT_ONCE = 6


@dataclass(frozen=True)
class Parcel:
    """A file to send. `what` is what it is, in words; `name` the name that the host sees; `files` how many it holds."""

    path: Path
    what: str
    name: str
    sha256: str
    files: int = 1


def parcel(path: Path, what: str) -> Parcel:
    """A single file, under a name that says nothing of it. Raises BadSpec where it cannot be read."""
    try:
        digest = files.sha256_file(path)
    except OSError as error:
        raise BadSpec(f"{path.name} cannot be read ({error.strerror}), so it cannot be sent; name another.") from error
    return Parcel(path, what, f"{digest[:16]}{path.suffix.lower()}", digest)


class Sending:
    """Uploads of one run, by one thread; several go at a time."""

    def __init__(self, host: Host, reporter: Reporter, now: Callable[[], datetime]) -> None:
        self._host, self._reporter, self._now = host, reporter, now
        self._uploads = f"{UPLOADS}/{host.name}"

    def urls(self, parcels: Sequence[Parcel]) -> list[str]:
        """Where the host reads each of them; sends those that it does not have (any more).

        Raises ProviderError where it takes none; nothing was bought then.
        """
        known: dict[str, dict[str, Any]] = self._reporter.journal.get(self._uploads) or {}
        missing = {one.sha256: one for one in parcels if not self._fresh(known.get(one.sha256))}
        for start in range(0, len(missing), AT_ONCE):
            self._reporter.raise_if_cancelled()
            several = list(missing.values())[start : start + AT_ONCE]
            for one, uploaded in zip(several, self._upload(several), strict=True):
                known[one.sha256] = {
                    "url": uploaded.url,
                    "at": self._now().isoformat(),
                    "expires_at": uploaded.expires_at,
                }
                self._write_down(one, uploaded)
            self._reporter.journal.put(self._uploads, known)
        return [known[one.sha256]["url"] for one in parcels]

    def _upload(self, parcels: Sequence[Parcel]) -> list[Uploaded]:
        with free_of_charge("sending files"), ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload") as pool:
            return list(pool.map(lambda one: self._host.upload(one.path, one.name), parcels))

    def _fresh(self, known: dict[str, Any] | None) -> bool:
        if known is None:
            return False
        ends = _moment(known["expires_at"])
        if ends is not None:
            return ends - self._now() > MARGIN
        return self._now() - datetime.fromisoformat(known["at"]) < UNTOLD

    def _write_down(self, one: Parcel, uploaded: Uploaded) -> None:
        sent = self._reporter.journal.get(SENT) or []
        sent.append(
            {
                "what": one.what,
                "files": one.files,
                "sha256": one.sha256,
                "bytes": one.path.stat().st_size,
                "to": self._host.name,
                "at": self._now().isoformat(),
                "expires_at": uploaded.expires_at,
            }
        )
        self._reporter.journal.put(SENT, sent)


def _moment(told: str) -> datetime | None:
    """A time as a host tells it (UTC where it names no zone), or None where it tells none that can be read."""
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def free_of_charge(what: str) -> Iterator[None]:
    """What goes wrong inside costs nothing, and is told so."""
    try:
        yield
    except WireError as error:
        raise ProviderError(
            f"{str(error).rstrip('.')}. That was {what}: nothing was bought, and resuming the run goes on from here."
        ) from error
