"""The LoRA library: files under `loras/<base>/` and their rows, one version a training."""

from __future__ import annotations

import difflib
import re
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from loradeck.engines.base import HIGH_NOISE, HIGH_NOISE_SHA256
from loradeck.state.files import atomic, new_id, sha256_file, told
from loradeck.state.records import LoraRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import LoraRow, Waiver
from loradeck.tools.errors import NotFound, Refused

SOURCE = "source"
"""In the `meta` of an imported LoRA: where it came from, and whose keys it has."""
ACTIVATED = "activated_at"
"""In the `meta` of a LoRA: when it was put in use last."""
VERSIONED = re.compile(r"(.+?)(?:-v[1-9]\d{0,3})*-v([1-9]\d{0,3})")
MOST_NAMED = 6
"""LoRAs that a refusal names."""


def safe_name(name: str) -> str:
    """A name that is a file name everywhere: small letters and digits of any script, joined by hyphens."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return re.sub(r"[\W_]+", "-", text).strip("-")[:60].strip("-") or "lora"


def versioned(name: str) -> tuple[str, int | None]:
    """A safe name without the version at its end, and the version: "icons-v2" is icons 2, and no name of its own."""
    found = VERSIONED.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, None)


@contextmanager
def with_files(store: Store) -> Iterator[list[Path]]:
    """A transaction that writes files: those on the list are removed where it fails, also at its commit."""
    put: list[Path] = []
    with ExitStack() as undo:
        undo.callback(_remove, put)
        with store.transaction():
            yield put
        undo.pop_all()


def register_lora(
    store: Store,
    *,
    source: Path,
    name: str,
    base_model: str,
    trigger: str | None,
    rank: int | None,
    steps: int | None,
    dataset_id: str | None,
    run_id: str | None,
    parent_lora_id: str | None,
    fingerprint: str | None,
    preview: bool,
    meta: dict[str, Any],
    version: int | None = None,
    staged: str | None = None,
) -> LoraRecord:
    """Copy a LoRA file into the library as the next version of its name and base, and write its row.

    A `version` that is asked for, or that ends the name, is given where none had it and no file has its place.
    `staged` is the SHA-256 of a source that was copied into the workspace for this: it is moved, so that the lock is
    held for no copy, and so is its second file, whose SHA-256 `meta` tells then.

    Called again for the same run it gives the same record, and only puts the file back where it is gone. The copy
    happens under the write lock, so that two trainings of one name never take the same version. A second file that
    `meta` names beside the source (`engines.base.HIGH_NOISE`) is kept beside the first, and named anew.
    Raises DiskFull or WorkspaceReadOnly; the library is then as it was.
    """
    with with_files(store) as written:
        known = store.where(LoraRecord, "run_id = ?", [run_id], limit=1) if run_id else []
        if known:
            _copy_missing(source, Path(known[0].path))
            _copy_missing(_second(source, meta), second_file(known[0]))
            return known[0]
        name, named = versioned(safe_name(name))
        version = _free_version(store, base_model, name, version or named)
        path = _place(store, base_model, name, version)
        put = _copy if staged is None else move
        written.append(path)
        put(source, path)
        if second := _second(source, meta):
            beside = place_beside(path)
            written.append(beside)
            put(second, beside)
            digest = sha256_file(beside) if staged is None else meta[HIGH_NOISE_SHA256]
            meta = {**meta, HIGH_NOISE: beside.name, HIGH_NOISE_SHA256: digest}
        record = LoraRecord(
            id=new_id("lora"),
            name=name,
            version=version,
            base_model=base_model,
            path=str(path),
            sha256=staged or sha256_file(path),
            bytes=path.stat().st_size,
            trigger=trigger,
            rank=rank,
            steps=steps,
            dataset_id=dataset_id,
            run_id=run_id,
            parent_lora_id=parent_lora_id,
            fingerprint=fingerprint,
            preview=preview,
            meta=meta,
        )
        store.add(record)
        return store.where(LoraRecord, "id = ?", [record.id])[0]


def find_lora(store: Store, ref: str) -> LoraRecord:
    """The LoRA of an id, of a name (its newest version) or of a name with its version ("the-baker-v2").

    Raises NotFound with the nearest names, or with how to restore one that is deleted.
    """
    there = library(store)
    if found := _meant(there, ref):
        return found[0]
    if trashed := find_deleted(store, ref):
        raise NotFound(
            f"{called(trashed)} is deleted and lies in the trash; "
            f'manage_loras(action="restore", lora_id="{trashed.id}") brings it back.'
        )
    wanted = safe_name(ref)
    if not there:
        raise NotFound(f"There is no LoRA {ref!r} yet; train one with start_training first.")
    names = list(dict.fromkeys(lora.name for lora in there))
    near = difflib.get_close_matches(wanted, names, n=3, cutoff=0.4) or names[:3]
    raise NotFound(f"There is no LoRA {ref!r}; the nearest are {', '.join(near)}: list_loras shows all.")


def find_sure(store: Store, ref: str, *, newest: bool = True) -> LoraRecord:
    """As `find_lora`, for what must hit no other LoRA than the one that is meant.

    A name means its newest version, without `newest` the only one. Raises NotFound, and Refused with the ids where
    several LoRAs fit: of two bases, or where one's name reads as another's name and version.
    """
    found = find_lora(store, ref)
    fit = _meant(library(store), ref)
    if newest:
        fit = list({(lora.base_model, lora.name): lora for lora in reversed(fit)}.values())
    if len(fit) > 1:
        named = ", ".join(f"{called(lora)} for {lora.base_model}" for lora in fit[:MOST_NAMED])
        more = f" and {len(fit) - MOST_NAMED} more" if len(fit) > MOST_NAMED else ""
        raise Refused(
            f"{ref.strip()!r} fits {len(fit)} LoRAs: {named}{more}; make the same call with the id of the one that "
            "is meant."
        )
    return found


def find_deleted(store: Store, ref: str) -> LoraRecord | None:
    """The deleted LoRA of an id, a name or a name with its version, the last deleted first, or None."""
    there = store.where(LoraRecord, "deleted_at is not null", order="deleted_at desc, rowid desc")
    return next(iter(_meant(there, ref)), None)


def find_any(store: Store, ref: str) -> LoraRecord:
    """As `find_lora`, and a deleted one where no other is meant. Raises NotFound."""
    return next(iter(_meant(library(store), ref)), None) or find_deleted(store, ref) or find_lora(store, ref)


def _meant(there: list[LoraRecord], ref: str) -> list[LoraRecord]:
    """The one of some LoRAs that has this id, else all that have this name, or name and version, in their order."""
    exact = [lora for lora in there if lora.id == ref.strip()]
    wanted = safe_name(ref)
    return exact or [lora for lora in there if wanted in {lora.name, f"{lora.name}-v{lora.version}"}]


def called(lora: LoraRecord) -> str:
    """A LoRA in a sentence: name, version and id."""
    return f"{lora.name} v{lora.version} ({lora.id})"


def weights(lora: LoraRecord) -> list[tuple[Path, str | None]]:
    """The files of a LoRA with the SHA-256 that each came with: its own, and the second of one that has two.

    None is the hash of a second file that came when it was not kept yet.
    """
    second = second_file(lora)
    further = [(second, lora.meta.get(HIGH_NOISE_SHA256))] if second is not None else []
    return [(Path(lora.path), lora.sha256), *further]


def trouble(lora: LoraRecord) -> tuple[Path, str] | None:
    """The first file of a LoRA that is not as it came, and what is wrong with it as a clause; None where all are."""
    found = ((path, wrong(path, digest)) for path, digest in weights(lora))
    return next(((path, why) for path, why in found if why is not None), None)


def wrong(path: Path, digest: str | None) -> str | None:
    """What is wrong with a file of the library, as a clause, by its SHA-256; None where it is as it came."""
    try:
        stat = path.stat()
        if not path.is_file():
            return "is gone"
        changed = digest is not None and _hash(str(path), stat.st_mtime_ns, stat.st_size) != digest
    except FileNotFoundError:
        return "is gone"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "was changed since it came into the library" if changed else None


@lru_cache(maxsize=256)
def _hash(path: str, _changed_at: int, _bytes: int) -> str:
    """SHA-256 of a file, once for as long as its time and size stay the same."""
    return sha256_file(Path(path))


def require_whole(lora: LoraRecord) -> None:
    """Raise Refused where a file of a LoRA is not the one that came into the library."""
    if found := trouble(lora):
        path, why = found
        raise Refused(
            f"The file of {called(lora)} {why}; import a copy of it or put it back at {path}, or choose another from "
            "list_loras."
        )


def default_loras(store: Store, base_model: str | None = None) -> list[LoraRecord]:
    """The LoRAs that are used where none is named, each with its own strength; none in an empty library.

    All active ones of a base, in the order in which they came: of the base asked for, else of the one that was
    activated last. Where none is active it is the newest LoRA.
    """
    first = default_lora(store, base_model)
    if first is None or not first.active:
        return [] if first is None else [first]
    return [lora for lora in library(store, first.base_model)[::-1] if lora.active]


def default_lora(store: Store, base_model: str | None = None) -> LoraRecord | None:
    """The LoRA that is used where none is named: the last activated, else the newest; None in an empty library."""
    there = library(store, base_model)
    active = (lora for lora in there if lora.active)
    return max(active, key=lambda lora: str(lora.meta.get(ACTIVATED, "")), default=there[0] if there else None)


def library(store: Store, base_model: str | None = None) -> list[LoraRecord]:
    """Every LoRA that is not deleted, newest first, of one base or of all."""
    condition, values = "deleted_at is null", []
    if base_model is not None:
        condition, values = "deleted_at is null and base_model = ?", [base_model]
    return store.where(LoraRecord, condition, values, order="created_at desc, version desc, rowid desc")


def second_file(lora: LoraRecord) -> Path | None:
    """The second file of a LoRA that has two (Wan 2.2: the half for high noise), or None."""
    return _second(Path(lora.path), lora.meta)


def lora_row(record: LoraRecord) -> LoraRow:
    """What a caller sees of a LoRA."""
    return LoraRow(
        lora_id=record.id,
        name=record.name,
        version=record.version,
        base_model=record.base_model,
        trigger=record.trigger,
        path=record.path,
        bytes=record.bytes,
        sha256=record.sha256,
        rank=record.rank,
        steps=record.steps,
        dataset_id=record.dataset_id,
        run_id=record.run_id,
        parent_lora_id=record.parent_lora_id,
        active=record.active,
        strength=record.strength,
        preview=record.preview,
        source=str(record.meta.get(SOURCE, "")),
        deleted_at=record.deleted_at,
        waived=[Waiver.model_validate(waiver) for waiver in record.meta.get("waived") or []],
        created_at=record.created_at,
    )


def place_beside(path: Path) -> Path:
    """Where the second file of a LoRA lies, by where its first does."""
    return path.with_name(f"{path.stem}-high-noise{path.suffix}")


def _place(store: Store, base_model: str, name: str, version: int) -> Path:
    return store.workspace.loras(base_model) / f"{name}-v{version}.safetensors"


def _free_version(store: Store, base_model: str, name: str, wanted: int | None) -> int:
    """The version that is wanted where it is free, else the next one; a file that is there by hand is passed over."""
    given = {lora.version for lora in _versions(store, base_model, name)}
    if wanted is not None and wanted not in given and not _taken(_place(store, base_model, name, wanted)):
        return wanted
    version = 1 + max(given, default=0)
    while _taken(_place(store, base_model, name, version)):
        version += 1
    return version


def _taken(path: Path) -> bool:
    return path.exists() or place_beside(path).exists()


def _versions(store: Store, base_model: str, name: str) -> list[LoraRecord]:
    """All versions of a name, the deleted ones too, since a version is never given twice."""
    return store.where(LoraRecord, "base_model = ? and name = ?", [base_model, name])


def _second(first: Path, meta: dict[str, Any]) -> Path | None:
    name = meta.get(HIGH_NOISE)
    return first.with_name(str(name)) if name else None


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _copy_missing(source: Path | None, path: Path | None) -> None:
    if source is not None and path is not None and not path.is_file():
        _copy(source, path)


def _copy(source: Path, path: Path) -> None:
    with atomic(path) as temporary:
        shutil.copyfile(source, temporary)


def move(source: Path, path: Path) -> None:
    """Put a file into its place in the library. Raises StateError."""
    with told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        source.replace(path)
