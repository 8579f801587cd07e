"""The images and captions that passed, set aside for one run: what trains is what was judged (TRN-FINGERPRINT)."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loradeck.engines.base import DatasetFolder, DatasetItem
from loradeck.state.files import atomic, sha256_file, told, write_text
from loradeck.tools.errors import Refused

MASKS = "masks"
"""The folder of masks beside the images."""


@dataclass(frozen=True)
class Pair:
    """One image by its file name, with the SHA-256 of its bytes, its caption's UTF-8 text and its mask's bytes."""

    file: str
    image: str
    caption: str
    mask: str | None = None

    def as_row(self) -> dict[str, str]:
        """As kept in the run's row."""
        return asdict(self)


def text_hash(text: str) -> str:
    """SHA-256 of a caption."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def mask_path(image: Path) -> Path:
    """Where the mask of an image lies if it has one: `masks/` beside it, under the image's own name.

    A folder of masks named as the images is what kohya's sd-scripts (`conditioning_data_dir`) and ai-toolkit
    (`mask_path`) take.
    """
    return image.parent / MASKS / f"{image.stem}.png"


def mask_hashes(images: Iterable[Path]) -> list[str | None]:
    """SHA-256 of the mask of each image, None for one without."""
    return [sha256_file(path) if (path := mask_path(image)).is_file() else None for image in images]


def take(folder: Path, sources: Iterable[tuple[Path, str, str | None]]) -> list[Pair]:
    """Fill `folder` from (image file, caption, SHA-256 of the image that was judged) and say what is in it.

    Images are linked where the file system can, else copied. Raises Refused when an image is gone or is not the one
    that was judged; DiskFull or WorkspaceReadOnly as any write.
    """
    pairs: list[Pair] = []
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for source, caption, judged in sources:
        copy = folder / source.name
        if not source.is_file():
            raise Refused(
                f"{source.name} is gone from the dataset's folder; add it again with curate_dataset, then start again."
            )
        _link(source, copy)
        found = sha256_file(copy)
        if judged is not None and found != judged:
            raise Refused(_changed(source.name))
        write_text(copy.with_suffix(".txt"), caption)
        pairs.append(Pair(source.name, found, text_hash(caption), _take_mask(source, copy)))
    return pairs


def _take_mask(source: Path, copy: Path) -> str | None:
    """Set aside the mask of an image that has one, and say its hash."""
    mask, kept = mask_path(source), mask_path(copy)
    if not mask.is_file():
        return None
    with told(kept):
        kept.parent.mkdir(exist_ok=True)
    _link(mask, kept)
    return sha256_file(kept)


def read(folder: Path, pairs: Sequence[dict[str, Any]], trigger: str, fingerprint: str) -> DatasetFolder:
    """The snapshot as an engine wants it. Raises Refused (TRN-FINGERPRINT) when it is not what passed."""
    items: list[DatasetItem] = []
    for row in pairs:
        pair = Pair(**row)
        image = folder / pair.file
        sidecar = image.with_suffix(".txt")
        if not image.is_file() or not sidecar.is_file() or sha256_file(image) != pair.image:
            raise Refused(_changed(pair.file))
        caption = sidecar.read_text(encoding="utf-8")
        if text_hash(caption) != pair.caption:
            raise Refused(_changed(sidecar.name))
        items.append(DatasetItem(image, caption, pair.image, _mask(image, pair)))
    return DatasetFolder(folder, tuple(items), trigger, fingerprint)


def _mask(image: Path, pair: Pair) -> Path | None:
    """The mask that was set aside for an image, which must be what it was."""
    if pair.mask is None:
        return None
    path = mask_path(image)
    if not path.is_file() or sha256_file(path) != pair.mask:
        raise Refused(_changed(f"{MASKS}/{path.name}"))
    return path


def _link(source: Path, copy: Path) -> None:
    with told(copy):
        copy.unlink(missing_ok=True)
    if not _linked(source, copy):
        with atomic(copy) as temporary:
            shutil.copyfile(source, temporary)


def _linked(source: Path, copy: Path) -> bool:
    """False on another file system, or one without links."""
    try:
        os.link(source, copy)
    except OSError:
        return False
    return True


def _changed(file: str) -> str:
    return (
        f"TRN-FINGERPRINT: {file} is not what passed the checks any more; run validate_coverage, then start_training "
        "on the dataset again."
    )
