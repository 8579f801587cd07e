"""What a caller gave as source: folders, zips, picture files, https URLs. Looks, opens no picture, writes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from loradeck.tools.curate_dataset.names import natural, shown
from loradeck.tools.curate_dataset.picture import FORMATS, UNDRAWN
from loradeck.tools.errors import BadArgument

PICTURES = frozenset(FORMATS) | UNDRAWN
JUNK = {"__macosx", "thumbs.db", "desktop.ini", "ehthumbs.db", "@eadir", "icon\r"}
MOST_PICTURES = 5000
ATTACHMENTS = (
    "Chat attachments never reach a local server: save the images in a folder on this machine and give the "
    "folder's full path as source."
)


@dataclass(frozen=True)
class Found:
    """A picture file to look at. `origin` names it for ever; `root` is the folder it was found in, if one was given."""

    path: Path
    name: str
    origin: str
    root: Path | None = None


@dataclass
class Survey:
    """What a source holds: pictures, zips and URLs still to be brought in, what was refused and why, remarks."""

    found: list[Found] = field(default_factory=list)
    archives: list[Path] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def as_list(source: str | Sequence[str]) -> list[str]:
    """One source or several, trimmed, each once. Raises BadArgument for none at all."""
    given = [source] if isinstance(source, str) else list(source)
    tidy = list(dict.fromkeys(text.strip().strip("\"'") for text in given if text.strip()))
    if not tidy:
        raise BadArgument("The source is empty; give a folder, a .zip, picture paths or https URLs.")
    return tidy


def place(text: str) -> str:
    """What a source comes down to, however it is written: an address as it is, else the file or folder itself."""
    if "://" in text and not text.lower().startswith("file:"):
        return text
    try:
        return str(Path(_local(text)).expanduser().resolve())
    except (RuntimeError, OSError, ValueError):
        return text


def survey(sources: Sequence[str]) -> Survey:
    """Look at every source. Raises BadArgument for one that is not there, is no source, or holds no picture."""
    seen = Survey()
    for text in sources:
        _look(text, seen, alone=len(sources) == 1)
    if len(seen.found) > MOST_PICTURES:
        raise BadArgument(
            f"The source holds {len(seen.found)} pictures and at most {MOST_PICTURES} are taken in one call; "
            "give a smaller folder."
        )
    if not (seen.found or seen.archives or seen.urls):
        why = "; ".join(f"{name}: {reason}" for name, reason in seen.refused[:3])
        raise BadArgument(f"The source holds no picture that can be taken ({why}); give a folder with images.")
    return seen


def _look(text: str, seen: Survey, alone: bool) -> None:
    """Sort one source into the survey."""
    scheme = text.split(":", 1)[0].lower() if "://" in text else ""
    if scheme == "https":
        seen.urls.append(text)
        return
    if scheme and scheme != "file" and scheme not in {"sandbox", "attachment", "blob", "data"}:
        raise BadArgument(
            f"Only https URLs are fetched, not {shown(scheme)}; download the pictures and give the folder."
        )
    path = _path(text)
    if path.is_dir():
        _look_in_folder(path.resolve(), seen)
    elif path.is_file() and path.suffix.lower() == ".zip":
        seen.archives.append(path.resolve())
    elif path.is_file():
        _take_file(path, seen, alone)
    else:
        seen.refused.append((_base(text), "There is no such file.")) if not alone else _missing(text)


def _path(text: str) -> Path:
    """A path from what was given, `~` and file:// understood. Raises BadArgument for chat attachments."""
    if text.lower().startswith(("sandbox:", "attachment:", "blob:", "data:")):
        raise BadArgument(f"{shown(text[:60])!r} is no path on this machine. {ATTACHMENTS}")
    try:
        path = Path(_local(text)).expanduser()
        path.is_dir()
    except (RuntimeError, OSError, ValueError) as error:
        raise BadArgument(f"{shown(text[:80])!r} is no usable path; give the folder's full path.") from error
    return path


def _local(text: str) -> str:
    """The path in a file:// address; every other text as it is."""
    return unquote(urlsplit(text).path) if text.lower().startswith("file://") else text


def _missing(text: str) -> None:
    raise BadArgument(f"There is no folder or file {shown(text)!r} on this machine. {ATTACHMENTS}")


def _base(text: str) -> str:
    return shown(text.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1])


def _take_file(path: Path, seen: Survey, alone: bool) -> None:
    """One picture file that the caller named; a link that was named on purpose is followed."""
    if path.suffix.lower() in PICTURES:
        _add(path.absolute(), path.name, None, seen)
    elif alone:
        raise BadArgument(f"{shown(path.name)!r} is no picture, folder or .zip; give one of these as source.")
    else:
        seen.refused.append(
            (shown(path.name), "Not a picture: only PNG, JPEG, WebP, TIFF, AVIF, BMP and GIF are read.")
        )


def _look_in_folder(folder: Path, seen: Survey) -> None:
    """The pictures right in a folder; of its subfolders only where it holds none itself. Raises BadArgument."""
    before = len(seen.found) + len(seen.refused)
    try:
        entries, subfolders, others = _listed(folder, folder, seen)
    except OSError as error:
        raise BadArgument(f"The folder {shown(folder.name)!r} cannot be read; check its permissions.") from error
    for path in entries:
        _add(path, path.name, folder, seen)
    if len(seen.found) + len(seen.refused) > before:
        holding = [sub.name for sub in subfolders if any(_pictures_below(sub, folder, Survey()))]
        if holding:
            listed = ", ".join(shown(name) for name in holding[:5])
            seen.remarks.append(f"Subfolders were not read: {listed}; give one as source to add its pictures.")
        return
    for subfolder in subfolders:
        for path in _pictures_below(subfolder, folder, seen):
            _add(path, path.relative_to(folder).as_posix(), folder, seen)
    if len(seen.found) + len(seen.refused) == before:
        what = f"holds no picture, only {others} other files" if others else "is empty"
        raise BadArgument(
            f"The folder {shown(folder.name)!r} {what}; give a folder with PNG, JPEG or WebP images "
            "(a .zip or picture paths work too)."
        )


def _pictures_below(folder: Path, root: Path, seen: Survey) -> Iterator[Path]:
    """All pictures in a folder and below it, links to folders not followed; a folder that cannot be read is refused."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            pictures, subfolders, _ = _listed(here, root, seen)
        except OSError:
            seen.refused.append((shown(here.name), "The folder cannot be read; check its permissions."))
            continue
        yield from pictures
        waiting += reversed(subfolders)


def _listed(folder: Path, root: Path, seen: Survey) -> tuple[list[Path], list[Path], int]:
    """(pictures, subfolders, how many other files) of one folder in natural order; links out of `root` are refused.

    Raises OSError for a folder that cannot be read.
    """
    pictures: list[Path] = []
    subfolders: list[Path] = []
    others = 0
    for name in sorted(os.listdir(folder), key=natural):  # noqa: PTH208 - the order decides, not the entries
        path = folder / name
        if is_junk(name):
            continue
        if path.is_symlink() and _leads_out(path, root):
            seen.refused.append((shown(name), "A link that points out of the given folder; copy the file in itself."))
        elif path.is_dir():
            if not path.is_symlink():
                subfolders.append(path)
        elif path.suffix.lower() in PICTURES and path.is_file():
            pictures.append(path)
        else:
            others += 1
    return pictures, subfolders, others


def _leads_out(link: Path, root: Path) -> bool:
    """True for a link out of `root`, and for one that leads to itself."""
    try:
        return not link.resolve().is_relative_to(root)
    except (OSError, RuntimeError):
        return True


def is_junk(name: str) -> bool:
    """Hidden files and what file managers leave."""
    return name.startswith(".") or name.casefold() in JUNK


def _add(path: Path, name: str, root: Path | None, seen: Survey) -> None:
    """Take a picture, unless its name cannot be written down (an encoding that is not valid)."""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        seen.refused.append((shown(name), "Its name is not valid Unicode; rename the file."))
        return
    seen.found.append(Found(path, name, str(path), root))
