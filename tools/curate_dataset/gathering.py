"""From a survey to picture files on this disk: zips unpacked, addresses fetched, each with where it came from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from loradeck.state.files import sha256_file
from loradeck.tools.curate_dataset.archives import unpack
from loradeck.tools.curate_dataset.downloads import Downloader, NotFetched
from loradeck.tools.curate_dataset.names import shown
from loradeck.tools.curate_dataset.sources import Found, Survey

MOST_URLS = 200


@dataclass
class Gathered:
    """Picture files, what was refused and why, and remarks."""

    found: list[Found] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def gather(seen: Survey, originals: Path, downloader: Downloader, check: Callable[[], None]) -> Gathered:
    """Bring everything in. `originals` holds what has no file of the caller's own; what is there already stays."""
    gathered = Gathered(list(seen.found), list(seen.refused), list(seen.remarks))
    for archive in seen.archives:
        check()
        fingerprint = sha256_file(archive)[:16]
        for inside, path in unpack(archive, originals, gathered.refused).items():
            root = originals / fingerprint
            gathered.found.append(Found(path, inside, f"zip:{fingerprint}!{inside}", root))
    for number, url in enumerate(seen.urls):
        check()
        if number >= MOST_URLS:
            gathered.refused.append(
                (shown(url), f"Only {MOST_URLS} addresses are fetched in one call; give the rest again.")
            )
            continue
        try:
            path, name = downloader.fetch(url, originals / "web")
        except NotFetched as reason:
            gathered.refused.append((shown(url.split("?", 1)[0]), str(reason)))
        else:
            gathered.found.append(Found(path, name, url.split("?", 1)[0], originals / "web"))
    return gathered
