"""A path that a call gives, before anything is looked for there."""

from __future__ import annotations

from pathlib import Path

from loradeck.tools.errors import NotFound


def given_path(text: str) -> Path:
    """The path, whether or not anything lies there. Raises NotFound for one that cannot be on this machine."""
    try:
        path = Path(text).expanduser()
        path.is_file()
    except RuntimeError:
        raise NotFound(f"{text[:60]!r} begins with a home that is not on this machine; give the full path.") from None
    except OSError as error:  # a name too long, a folder that may not be looked into
        raise NotFound(
            f"{text[:60]!r} cannot be looked for ({error.strerror}); give the full path of the file."
        ) from None
    return path
