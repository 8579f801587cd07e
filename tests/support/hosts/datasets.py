"""The zip that a trainer is given, opened as a trainer opens it."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from support.hosts.images import opened

IMAGES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Dataset:
    """What lay in a zip: every name in order, the pictures among them, and the captions by the pictures' roots."""

    names: list[str]
    images: list[str]
    captions: dict[str, str]

    @classmethod
    def of(cls, data: bytes) -> Dataset:
        """Open a zip, and its first picture. Raises `ValueError` with the words of a trainer that cannot use it."""
        try:
            archive = zipfile.ZipFile(io.BytesIO(data))
        except zipfile.BadZipFile as error:
            raise ValueError("File is not a zip file") from error
        names = archive.namelist()
        images = [name for name in names if name.lower().endswith(IMAGES)]
        if not images:
            raise ValueError("No images found in the archive")
        opened(archive.read(images[0]))
        captions = {
            PurePosixPath(name).stem: archive.read(name).decode() for name in names if name.lower().endswith(".txt")
        }
        return cls(names, images, captions)
