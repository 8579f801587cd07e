"""File names: of copies, safe on every system and unique; of originals, safe to print."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

LONGEST = 80
SUFFIX = ".png"
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def copy_name(original: str, taken: set[str]) -> str:
    """A new name for the copy of an original, ending in .png; `taken` holds the names in use, in small letters.

    Plain ASCII letters, digits and `._+-` stay; accents are dropped, everything else becomes one underscore.
    """
    stem = safe_stem(PurePosixPath(original.replace("\\", "/")).stem)
    name, count = stem + SUFFIX, 1
    while name.casefold() in taken:
        count += 1
        name = f"{stem}_{count}{SUFFIX}"
    return name


def safe_stem(stem: str) -> str:
    """A file stem that no system refuses: never empty, hidden, reserved, or longer than 80 characters."""
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode("ascii")
    plain = re.sub(r"[^A-Za-z0-9._+-]+", "_", plain)
    plain = plain[:LONGEST].strip("._-")
    if not plain:
        return "image"
    return f"image_{plain}" if plain.split(".")[0].casefold() in RESERVED else plain


def shown(name: str) -> str:
    """A name as it may be printed and stored: control characters and broken encodings become a replacement mark."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)


def natural(name: str) -> list[tuple[int, int, str]]:
    """A sort key under which image2 comes before image10."""
    parts = re.findall(r"(\d+)|(\D+)", name.casefold())
    return [(0, int(digits), "") if digits else (1, 0, text) for digits, text in parts]
