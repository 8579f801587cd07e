"""A path that a call gives, before anything is looked for there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from loradeck.tools.errors import BadArgument


def given_path(text: str) -> Path:
    """The path, whether or not anything lies there.

    Raises BadArgument for one that cannot be on this machine: a home of nobody's, a name too long.
    """
    try:
        path = Path(text).expanduser()
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
    except (RuntimeError, OSError, ValueError):
        raise BadArgument(f"{text[:60]!r} is no usable path on this machine; give another, in full.") from None
    return path
