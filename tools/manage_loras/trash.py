"""Delete and restore: a deleted LoRA's files lie in `loras/.trash/` until somebody wants them back.

The row is changed and the files are moved in one transaction. A cut between the two leaves a file where the row does
not look for it; the same call made again finds it in the other place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from loradeck.state import runs
from loradeck.state.files import now, told
from loradeck.state.records import DeckRecord, LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import LorasResult
from loradeck.tools.errors import NotFound, Refused
from loradeck.tools.library import called, find_deleted, find_lora, find_sure, lora_row, weights, wrong

TRASH = ".trash"


def delete(store: Store, ref: str) -> LorasResult:
    """Move a LoRA to the trash. Raises NotFound, and Refused while a run under way uses it.

    A name of several versions is refused, so that the same call made again takes no other one.
    """
    with store.transaction():
        lora = find_sure(store, ref, newest=False)
        _refuse_busy(store, lora)
        missing = _move(lora, _trash(store, lora))
        place = _trash(store, lora) / Path(lora.path).name
        store.change(LoraRecord, lora.id, path=str(place), active=False, deleted_at=now())
    gone = _deleted(store, lora.id)
    decks = decks_with(store, lora)
    remarks = [f"Decks that are drawn with it: {', '.join(decks)}; they keep their pictures."] if decks else []
    return LorasResult(
        summary=f"{called(lora)} is in the trash, and nothing draws with it any more."
        + (" Its file was gone already." if missing else " Its file, version and history are kept."),
        next_step=f'manage_loras(action="restore", lora_id="{lora.id}") takes it back.',
        loras=[lora_row(gone)],
        told=remarks,
    )


def restore(store: Store, ref: str) -> LorasResult:
    """Take a LoRA back from the trash: the same id, name and version. Raises NotFound and Refused."""
    with store.transaction():
        lora = find_deleted(store, ref)
        if lora is None:
            there = find_lora(store, ref)  # says what there is, where there is nothing of that name
            raise NotFound(f"{called(there)} is not deleted, so there is nothing to restore.")
        home = store.workspace.loras(lora.base_model)
        place = home / Path(lora.path).name
        _require_whole(lora, home)
        _refuse_taken(lora, home)
        _move(lora, home)
        store.change(LoraRecord, lora.id, path=str(place), deleted_at=None)
        back = find_lora(store, lora.id)
    return LorasResult(
        summary=f"{called(back)} is back, with its version and its file, whose hash is as it was.",
        next_step=f'manage_loras(action="activate", lora_id="{back.id}") puts it in use.',
        loras=[lora_row(back)],
    )


def decks_with(store: Store, lora: LoraRecord) -> list[str]:
    """The decks that are drawn with a LoRA, by title and id."""
    decks = store.where(DeckRecord, order="created_at")
    return [f"{deck.title!r} ({deck.id})" for deck in decks if any(use["lora_id"] == lora.id for use in deck.loras)]


def _refuse_busy(store: Store, lora: LoraRecord) -> None:
    """A run under way reads the file while it goes on."""
    marks = ", ".join("?" for _ in runs.ACTIVE)
    values = [*runs.ACTIVE, f'%"{lora.id}"%']
    busy = store.where(RunRecord, f"state in ({marks}) and spec like ?", values, limit=1)
    if busy:
        raise Refused(
            f"{called(lora)} is used by the {busy[0].kind} run {busy[0].id}, which is under way; delete it once "
            f'check_status(run_id="{busy[0].id}") says that it ended.'
        )


def _require_whole(lora: LoraRecord, home: Path) -> None:
    """Judged before anything moves; what a cut left at home already may lie there."""
    for path, digest in weights(lora):
        why = wrong(path, digest)
        if why and wrong(home / path.name, digest):
            raise Refused(
                f"The file of {called(lora)} in the trash {why}; import a copy of it, or put it at {path} and call "
                "again."
            )


def _refuse_taken(lora: LoraRecord, home: Path) -> None:
    """The weights move first: where they are at home, so may be what belongs to them."""
    coming = Path(lora.path).exists()
    taken = [home / one.name for one in _files(lora) if (coming or one.exists()) and (home / one.name).exists()]
    if taken:
        raise Refused(f"{taken[0]} is there, and not by loradeck; move it away, then restore {called(lora)}.")


def _move(lora: LoraRecord, folder: Path) -> bool:
    """Put a LoRA's files into a folder; true where its own file is in neither place."""
    for path in _files(lora):
        place = folder / path.name
        if path.is_file() and path != place:
            with told(place):
                folder.mkdir(parents=True, exist_ok=True)
                path.replace(place)
    first = Path(lora.path)
    return not (first.is_file() or (folder / first.name).is_file())


def _files(lora: LoraRecord) -> Iterator[Path]:
    """The file, its card beside it, and the second file of a LoRA that has two."""
    first, *further = (path for path, _ in weights(lora))
    yield from (first, first.with_suffix(".md"), *further)


def _trash(store: Store, lora: LoraRecord) -> Path:
    return store.workspace.home / "loras" / TRASH / lora.id


def _deleted(store: Store, lora_id: str) -> LoraRecord:
    return store.where(LoraRecord, "id = ?", [lora_id])[0]
