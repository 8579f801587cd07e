"""The file of a LoRA that was lost or changed, put back from a copy of the same bytes that is imported again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from loradeck.engines.base import HIGH_NOISE, HIGH_NOISE_SHA256
from loradeck.state.files import told
from loradeck.state.records import LoraRecord
from loradeck.state.store import Store
from loradeck.tools.library import find_any, move, place_beside, second_file, weights, wrong
from loradeck.tools.manage_loras.trash import restore


def lacking(lora: LoraRecord, digests: list[str]) -> list[tuple[Path, str]]:
    """Where files of these SHA-256 are missing in a LoRA, and which: lost, changed, or a second that it never had."""
    found = [(path, digest) for path, digest in weights(lora) if digest in digests and wrong(path, digest)]
    if second_file(lora) is None and len(digests) > 1 and digests[0] == lora.sha256:
        found.append((place_beside(Path(lora.path)), digests[1]))
    return found


def mend(store: Store, lora: LoraRecord, copies: Mapping[str, Path]) -> tuple[LoraRecord, list[str]]:
    """Move copies, by their SHA-256, into the places where they are missing; a deleted LoRA is restored then.

    Returns the LoRA as it is now, and a sentence for each file. Raises StateError, and what `restore` does.
    """
    said = []
    for path, digest in lacking(lora, list(copies)):
        kept = _kept_aside(path)
        move(copies[digest], path)
        said.append(f"Its file {path.name} is back in its place.{f' What lay there is {kept} now.' if kept else ''}")
        if path not in {one for one, _ in weights(lora)}:
            meta = {**lora.meta, HIGH_NOISE: path.name, HIGH_NOISE_SHA256: digest}
            store.change(LoraRecord, lora.id, meta=meta)
            said[-1] = f"It has its half for high noise now, {path.name}."
    if said and lora.deleted_at is not None:
        restore(store, lora.id)
        said.append("It was deleted and is restored.")
    return find_any(store, lora.id), said


def _kept_aside(path: Path) -> str | None:
    """The free name that a file in the way got, which may be a person's; None where there is none."""
    if not path.exists():
        return None
    number = 1
    while (free := path.with_stem(f"{path.stem}-kept-{number}")).exists():
        number += 1
    with told(path):
        path.rename(free)
    return free.name
