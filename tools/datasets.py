"""Datasets as the other steps see them: find one, its kept images and captions, the images a caller means, its folder.

The folder of a dataset is what every trainer in the world reads: square PNG copies of the kept images, a `.txt`
sidecar for each caption, `metadata.jsonl`. Copies of images that were set aside lie in `.rejected/` beside them, and
those of proposals in `.proposed/`, where no trainer looks. `ImageRecord.file` is the copy's place relative to that
folder, wherever it lies.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from loradeck.state.files import told, write_text
from loradeck.state.records import CaptionRecord, DatasetRecord, ImageRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import ImageStatus
from loradeck.tools.errors import NotFound, Refused

FOLDERS = {ImageStatus.KEPT: "", ImageStatus.REJECTED: ".rejected/", ImageStatus.PROPOSED: ".proposed/"}
"""Where copies lie within a dataset's folder, by status."""
STAGING_PREFIX = ".next-"
EDIT_SECONDS = 20.0
METADATA_FILE = "metadata.jsonl"
MOST_UNKNOWN = 20
ALL_BUT = re.compile(r"^all\s+(?:but|except|without)\b[\s:]*", re.IGNORECASE)
RANGE = re.compile(r"^#?(\d{1,9})(?:\s*(?:-|–|to|\.\.)\s*#?(\d{1,9}))?$", re.IGNORECASE)


# --------------------------------------------------------------------------- one at a time


@contextmanager
def editing(store: Store, dataset_id: str) -> Iterator[None]:
    """Hold a dataset while its rows and its folder are brought to agree, against every other process and thread.

    Raises Refused where another holds it for longer than a call waits, DiskFull or WorkspaceReadOnly as any write. The
    operating system lets go when a process dies.
    """
    from filelock import FileLock, Timeout

    path = store.workspace.home / ".locks" / f"{dataset_id}.lock"
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=EDIT_SECONDS)
        except Timeout:
            raise Refused(
                "Another client or run is changing this dataset at this moment; nothing was changed: make the same "
                "call again in a moment."
            ) from None
    try:
        yield
    finally:
        lock.release()


# --------------------------------------------------------------------------- datasets and their images


def find_dataset(store: Store, ref: str) -> DatasetRecord:
    """The dataset with that id or name (case does not matter). Raises NotFound with the nearest names."""
    wanted = ref.strip()
    rows = store.where(DatasetRecord, "id = ? or name = ?", [wanted, wanted], limit=1)
    rows = rows or store.where(DatasetRecord, "lower(name) = lower(?)", [wanted], limit=1)
    if rows:
        return rows[0]
    names = [dataset.name for dataset in store.where(DatasetRecord, order="updated_at desc")]
    if not names:
        raise NotFound(f"There is no dataset yet, so none called {wanted!r}; make one with curate_dataset(source=...).")
    from rapidfuzz import process  # here, since it loads numpy and most calls never need it

    near = [name for name, _, _ in process.extract(wanted, names, limit=3)]
    raise NotFound(
        f"There is no dataset {wanted!r}; the nearest are {', '.join(map(repr, near))}. "
        "check_status without a run_id lists them all, in pages."
    )


def all_images(store: Store, dataset_id: str) -> list[ImageRecord]:
    """Every image of a dataset, whatever its status, by number."""
    return store.where(ImageRecord, "dataset_id = ?", [dataset_id], order="number")


def kept_images(store: Store, dataset_id: str) -> list[ImageRecord]:
    """The images that train, by number."""
    return store.where(ImageRecord, "dataset_id = ? and status = ?", [dataset_id, ImageStatus.KEPT], order="number")


def images_of_run(store: Store, run: RunRecord) -> list[ImageRecord]:
    """The images that a training learned from, by number, whatever became of them and their copies since.

    A dataset gives a file name once, and it stays. Where a name is not among its images any more, it is all of them.
    """
    names = {pair.get("file") for pair in run.spec.get("pairs") or []}
    images = all_images(store, run.dataset_id) if run.dataset_id else []
    found = [image for image in images if Path(image.file).name in names]
    return found if len(found) >= len(names) else images


def captions_of(store: Store, dataset_id: str) -> dict[str, CaptionRecord]:
    """Image id -> its caption, for the images that have one."""
    return {row.image_id: row for row in store.where(CaptionRecord, "dataset_id = ?", [dataset_id])}


def copy_path(store: Store, image: ImageRecord) -> Path:
    """Where the normalised copy of an image lies (an unreadable image has none)."""
    return store.workspace.dataset(image.dataset_id) / image.file


def place_for(file: str, status: str) -> str:
    """The copy's place in the dataset's folder, by status: rejected ones lie in `.rejected/`, say."""
    return FOLDERS[ImageStatus(status)] + Path(file).name


# --------------------------------------------------------------------------- which images a caller means


def resolve_images(store: Store, dataset_id: str, refs: Sequence[str]) -> list[ImageRecord]:
    """The images that ids, sheet numbers, ranges ("7-9"), "all", "all but 4, 9" or file names mean, by number.

    Raises NotFound naming every reference that means nothing here.
    """
    return select(all_images(store, dataset_id), refs)


def select(images: Sequence[ImageRecord], refs: Sequence[str]) -> list[ImageRecord]:
    """`resolve_images` on rows at hand. What follows an "all but" is left out, in later references too."""
    return References(images).select(refs)


class References:
    """The images of a dataset by whatever they may be called; made once for all references of a call."""

    def __init__(self, images: Sequence[ImageRecord]) -> None:
        self._images = images
        self._ids = {image.id for image in images}
        self._numbers: defaultdict[int, set[str]] = defaultdict(set)
        self._names: defaultdict[str, set[str]] = defaultdict(set)
        self._stems: defaultdict[str, set[str]] = defaultdict(set)
        for image in images:
            self._numbers[image.number].add(image.id)
            for name in (Path(image.file).name.casefold(), image.original_name.casefold()):
                self._names[name].add(image.id)
                self._stems[Path(name).stem].add(image.id)

    def select(self, refs: Sequence[str]) -> list[ImageRecord]:
        """`resolve_images` on the images at hand."""
        words = [ref.strip() for ref in refs if ref.strip()]
        inverted = bool(words) and ALL_BUT.match(words[0]) is not None
        if inverted:
            words[0] = ALL_BUT.sub("", words[0])
        chosen: set[str] = set()
        unknown: list[str] = []
        for word in words:
            found = self._meant(word)
            chosen |= found
            if not found:
                unknown += self._unknown_parts(word) or ["all but"]
        if unknown:
            raise NotFound(nothing_called(self._images, unknown))
        meant = (image for image in self._images if (image.id in chosen) != inverted)
        return sorted(meant, key=lambda image: image.number)

    def _meant(self, word: str) -> set[str]:
        """Ids of the images that one reference means: as a whole first, then as a comma-separated list of them."""
        whole = self._one(word)
        if whole or "," not in word:
            return whole
        parts = [self._one(part.strip()) for part in word.split(",") if part.strip()]
        return set().union(*parts) if parts and all(parts) else set()

    def _one(self, word: str) -> set[str]:
        """Ids meant by a single reference: "all", an id, a number or range, a file name, or one without its suffix."""
        if word.lower() == "all":
            return self._ids
        if word.lower() in self._ids:
            return {word.lower()}
        numbers = RANGE.match(word)
        if numbers:
            low, high = sorted((int(numbers[1]), int(numbers[2] or numbers[1])))
            return self._between(low, high)
        wanted = Path(word).name.casefold()
        exact = self._names.get(wanted, set()) | self._names.get(word.casefold(), set())
        return exact or self._stems.get(wanted, set())

    def _between(self, low: int, high: int) -> set[str]:
        """Ids of the images with these numbers."""
        if low == high:
            return self._numbers.get(low, set())
        return {image.id for image in self._images if low <= image.number <= high}

    def _unknown_parts(self, word: str) -> list[str]:
        """Which parts of a reference mean nothing."""
        parts = [part.strip() for part in word.split(",") if part.strip()]
        return [part for part in parts if not self._one(part)]


def nothing_called(images: Sequence[ImageRecord], unknown: Iterable[str]) -> str:
    """The sentence for references that mean nothing, with the numbers that would."""
    every = list(unknown)
    more = f" and {len(every) - MOST_UNKNOWN} more" if len(every) > MOST_UNKNOWN else ""
    listed = ", ".join(repr(part) for part in every[:MOST_UNKNOWN]) + more
    if not images:
        return f"The dataset has no images yet, so none is called {listed}; add some with curate_dataset(source=...)."
    last = max(image.number for image in images)
    return (
        f"No image here is called {listed}; use image ids, file names or the sheet numbers 1 to {last} "
        "(curate_dataset with the dataset_id alone lists them)."
    )


# --------------------------------------------------------------------------- the folder that trainers read


def write_folder(store: Store, dataset_id: str) -> Path:
    """Make the folder agree with the rows: copies in their places, sidecars and `metadata.jsonl` rewritten.

    Every file is written atomically, and only where it differs; files that loradeck did not make are left alone.
    Raises DiskFull, WorkspaceReadOnly or StateError.
    """
    folder = store.workspace.dataset(dataset_id)
    images = place_copies(store, dataset_id)
    captions = captions_of(store, dataset_id)
    for image in images:
        caption = captions.get(image.id) if image.status == ImageStatus.KEPT else None
        _write_sidecar(folder / f"{Path(image.file).stem}.txt", caption)
    kept = [image for image in images if image.status == ImageStatus.KEPT]
    _write_if_changed(folder / METADATA_FILE, "".join(_metadata_line(image, captions.get(image.id)) for image in kept))
    return folder


def staging(store: Store, dataset_id: str, resolution: int) -> Path:
    """Where copies are written before their rows are: a cut in between leaves nothing where a trainer looks."""
    return store.workspace.dataset(dataset_id) / f"{STAGING_PREFIX}{resolution}"


def place_copies(store: Store, dataset_id: str) -> list[ImageRecord]:
    """Move every copy to where its row says it lies, from the staging folder or between kept and rejected.

    Returns all images by number. Raises DiskFull, WorkspaceReadOnly or StateError.
    """
    folder = store.workspace.dataset(dataset_id)
    images = all_images(store, dataset_id)
    dataset = store.find(DatasetRecord, dataset_id)
    staged = staging(store, dataset_id, dataset.resolution) if dataset is not None else folder
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for image in images:
            _put_in_place(folder, staged, image)
    return images


def put_in_place(store: Store, dataset: DatasetRecord, image: ImageRecord) -> None:
    """`place_copies` for one image."""
    folder = store.workspace.dataset(dataset.id)
    with told(folder):
        _put_in_place(folder, staging(store, dataset.id, dataset.resolution), image)


def _put_in_place(folder: Path, staged: Path, image: ImageRecord) -> None:
    """A staged copy is newer than any other; else the copy may still lie where its former status put it."""
    there = folder / image.file
    former = (folder / place_for(image.file, status) for status in FOLDERS if status != image.status)
    for elsewhere in (*former, staged / there.name):
        if elsewhere.exists():
            there.parent.mkdir(parents=True, exist_ok=True)
            elsewhere.replace(there)


def _write_sidecar(path: Path, caption: CaptionRecord | None) -> None:
    """The caption alone, without a newline at the end: trainers take the file's text as it is."""
    if caption is not None:
        _write_if_changed(path, caption.text)
        return
    with told(path):
        path.unlink(missing_ok=True)


def _write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_bytes() != text.encode("utf-8"):
        write_text(path, text)


def _metadata_line(image: ImageRecord, caption: CaptionRecord | None) -> str:
    """One line of `metadata.jsonl`, in the shape that the datasets library and most trainers read."""
    row = {
        "file_name": image.file,
        "text": caption.text if caption is not None else "",
        "image_id": image.id,
        "original_name": image.original_name,
        "attributes": image.attributes,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"
