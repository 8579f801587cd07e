"""A LoRA made elsewhere comes into the library: looked at, named, its base and trigger found or asked for, copied."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from loradeck.engines import lora_origin
from loradeck.engines.base import HIGH_NOISE, HIGH_NOISE_SHA256
from loradeck.engines.lora_origin import Seen
from loradeck.state.files import atomic, new_id, sha256_file
from loradeck.state.records import LoraRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import LorasResult, ManageLorasArgs, TargetModel
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.leaving import made_here
from loradeck.tools.library import (
    SOURCE,
    called,
    find_lora,
    lora_row,
    register_lora,
    safe_name,
    second_file,
    trouble,
    versioned,
    weights,
    with_files,
)
from loradeck.tools.manage_loras.halves import HALF, name_of_both, together
from loradeck.tools.manage_loras.mending import lacking, mend
from loradeck.tools.wording import PREVIEW_NOTE

SAYS_NOTHING = {"pytorch-lora-weights", "adapter-model", "diffusion-pytorch-model", "lora", "model", "weights"}
"""File names that many LoRAs have; the folder or repository names them better."""
COMING = ".coming"
"""Under `loras/`: files on their way in."""
A_DAY = 86400.0
"""Seconds after which no import is under way that could still want a file on its way in."""
MOST_LEFT_OUT = 3


@dataclass(frozen=True)
class Wanted:
    """What a call says of the file that it brings; what it does not say is read from the file."""

    name: str | None = None
    base_model: str | None = None
    trigger: str | None = None
    strength: float | None = None

    @classmethod
    def of(cls, args: ManageLorasArgs) -> Wanted:
        """As the arguments say."""
        trigger = lora_origin.one_line(args.trigger or "") or None
        return cls(args.name, args.base_model and str(args.base_model), trigger, args.strength)

    def as_dict(self) -> dict[str, Any]:
        """JSON, for the spec of a run."""
        return asdict(self)


def bring(store: Store, path: Path, wanted: Wanted, source: str, named_by: str = "") -> LorasResult:
    """Take a file into the library, with its other half where that lies beside it. `path` stays as it is.

    The same bytes again are the same LoRA, and mend it where its file was lost. `source` says where the file came from,
    `named_by` what it is called where its own name says nothing.
    Raises BadWeights, BadArgument where its base must be named, Refused, and StateError.
    """
    halves = together(path)
    seen = lora_origin.look(halves[0])
    files = {sha256_file(one): one for one in halves}
    digest, *further = files
    known = _known(store, digest)
    if known is not None and not lacking(known, list(files)):
        return _there_already(store, known, wanted, [])
    base = known.base_model if known is not None else _base(path.name, seen, wanted)
    name, version = _named(wanted.name or (name_of_both(path) if further else path.stem), named_by)
    with _staged(store, files) as copies, with_files(store) as written:
        if known := _known(store, digest):  # again, under the lock
            there, mended = mend(store, known, copies)
            return _there_already(store, there, wanted, mended)
        lora = register_lora(
            store,
            source=copies[digest],
            name=name,
            base_model=base,
            trigger=wanted.trigger or seen.trigger,
            rank=seen.rank,
            steps=seen.steps,
            dataset_id=None,
            run_id=None,
            parent_lora_id=None,
            fingerprint=None,
            preview=base == TargetModel.PREVIEW,
            meta={
                SOURCE: f"{source}{_with(path, list(files.values()))}, {seen.keys} keys",
                **({HIGH_NOISE: copies[further[0]].name, HIGH_NOISE_SHA256: further[0]} if further else {}),
                **made_here(store, digest),
            },
            version=version,
            staged=digest,
        )
        written += [one for one, _ in weights(lora)]
        if wanted.strength is not None:
            store.change(LoraRecord, lora.id, strength=wanted.strength)
            lora = find_lora(store, lora.id)
    return _came(lora, seen, _remarks(lora, seen, wanted, version))


def _known(store: Store, digest: str) -> LoraRecord | None:
    """The LoRA that has these bytes in one of its files, one that is not deleted first."""
    same = "sha256 = ? or json_extract(meta, ?) = ?"
    values = [digest, f"$.{HIGH_NOISE_SHA256}", digest]
    found = store.where(LoraRecord, same, values, order="deleted_at is not null, rowid", limit=1)
    return found[0] if found else None


def _with(path: Path, files: list[Path]) -> str:
    """Which other file came with the one that the call named."""
    return "".join(f" with {one.name}" for one in files if one != path)


@contextmanager
def _staged(store: Store, files: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Copies in the workspace, by SHA-256, while the block lasts. Raises Refused where a file changed meanwhile."""
    folder = store.workspace.home / "loras" / COMING
    _sweep(folder)
    copies = {digest: folder / f"{new_id('came')}.safetensors" for digest in files}
    with ExitStack() as leaving:
        for digest, path in files.items():
            leaving.callback(copies[digest].unlink, missing_ok=True)
            with atomic(copies[digest]) as temporary:
                shutil.copyfile(path, temporary)
            if sha256_file(copies[digest]) != digest:
                raise Refused(f"{path.name} changed while it was read; make the same call again.")
        yield copies


def _sweep(folder: Path) -> None:
    """Remove what imports that were killed left behind."""
    for left in folder.glob("*"):
        with suppress(OSError):  # another import sweeps too; what cannot be removed is tried again by the next
            if time.time() - left.stat().st_mtime > A_DAY:
                left.unlink()


def set_trigger(store: Store, lora: LoraRecord, trigger: str) -> LoraRecord:
    """Say the trigger of an imported LoRA. Raises Refused for one that was trained here, which learned its own."""
    if SOURCE not in lora.meta:
        raise Refused(f"{called(lora)} was trained here on its trigger {lora.trigger!r}, which cannot be changed.")
    store.change(LoraRecord, lora.id, trigger=trigger)
    return find_lora(store, lora.id)


def trigger_set(lora: LoraRecord) -> LorasResult:
    """The answer to a call that says no more than a trigger."""
    return LorasResult(
        summary=f"{called(lora)} is called by {lora.trigger!r} now, which is put in front of every prompt.",
        next_step=_activate(lora),
        loras=[lora_row(lora)],
    )


def _there_already(store: Store, lora: LoraRecord, wanted: Wanted, mended: list[str]) -> LorasResult:
    """The answer where the bytes are known; what the call says besides is done or told. Raises Refused if deleted."""
    if lora.deleted_at is not None:
        raise Refused(
            f"This file is {called(lora)}, which is deleted and lies in the trash; "
            f'manage_loras(action="restore", lora_id="{lora.id}") brings it back.'
        )
    what = f"The same bytes are in the library already, as {called(lora)}"
    told = [f"{what}. {' '.join(mended)}" if mended else f"{what}; nothing was copied."]
    if found := trouble(lora):
        told.append(f"Its file {found[0].name} {found[1]}; import a copy of that too, or put it back at {found[0]}.")
    if wanted.name and versioned(safe_name(wanted.name))[0] != lora.name:
        told.append(f"It keeps its name, {lora.name}.")
    if wanted.strength is not None and wanted.strength != lora.strength:
        store.change(LoraRecord, lora.id, strength=wanted.strength)
        lora = find_lora(store, lora.id)
        told.append(f"Its strength is {lora.strength:g} now.")
    if wanted.base_model not in {None, lora.base_model}:
        told.append(f"It stays a LoRA for {lora.base_model}: delete it first to import it for {wanted.base_model}.")
    if wanted.trigger and wanted.trigger != lora.trigger:
        lora = set_trigger(store, lora, wanted.trigger)
        told.append(f"Its trigger is {lora.trigger!r} now.")
    return LorasResult(
        summary=f"{told[0]} {_word(lora)}", next_step=_activate(lora), loras=[lora_row(lora)], told=told[1:]
    )


def _base(file: str, seen: Seen, wanted: Wanted) -> str:
    """The base that is asked for where the file can be of it, else the one that it tells."""
    if wanted.base_model is not None:
        if wanted.base_model in seen.bases:
            return wanted.base_model
        raise Refused(
            f"{file} is a LoRA for {' or '.join(seen.bases)} by its shapes, not for {wanted.base_model}; leave "
            "base_model out, or name one that it fits."
        )
    if seen.told is None:
        choices = " or ".join(f'base_model="{base}"' for base in seen.bases)
        raise BadArgument(
            f"{file} fits {' and '.join(seen.bases)} and does not tell which; ask the person, then make the same call "
            f"with {choices}."
        )
    return seen.told


def _named(text: str, named_by: str) -> tuple[str, int | None]:
    """Name and version: "icons-fluent2-v1.safetensors" is version 1 of icons-fluent2."""
    name = safe_name(text)
    if name in SAYS_NOTHING and named_by:
        name = safe_name(named_by)
    return versioned(name)


def _came(lora: LoraRecord, seen: Seen, told: list[str]) -> LorasResult:
    how = "by its shapes" if len(seen.bases) == 1 else "as it was named"
    return LorasResult(
        summary=(
            f"{called(lora)} is in the library: a LoRA for {lora.base_model} ({how}), rank {lora.rank}, with "
            f"{seen.keys} keys. {_halves(lora)}{_word(lora)}"
        ),
        next_step=_activate(lora) if lora.trigger else _say_trigger(lora),
        loras=[lora_row(lora)],
        told=told,
        preview_note=PREVIEW_NOTE if lora.preview else None,
    )


def _halves(lora: LoraRecord) -> str:
    """What is told of the second file, where its base wants one."""
    if lora.base_model != TargetModel.WAN_22:
        return ""
    second = second_file(lora)
    return f"{HALF} " if second is None else f"Its half for high noise came with it, as {second.name}. "


def _remarks(lora: LoraRecord, seen: Seen, wanted: Wanted, version: int | None) -> list[str]:
    """What a person may want to know beside the row."""
    told = []
    if version is not None and version != lora.version:
        told.append(
            f"Version {version} of {lora.name} was given before for {lora.base_model}, so this is v{lora.version}."
        )
    if lora.trigger and not wanted.trigger:
        told.append(f"The trigger {lora.trigger!r} is what the file says; {_say_trigger(lora)}")
    if seen.left_out:
        more = f" and {len(seen.left_out) - MOST_LEFT_OUT} more" if len(seen.left_out) > MOST_LEFT_OUT else ""
        told.append(
            f"It holds more than acts here (text encoders, norms): {', '.join(seen.left_out[:MOST_LEFT_OUT])}{more}."
        )
    return told


def _word(lora: LoraRecord) -> str:
    if lora.trigger:
        return f"Its trigger is {lora.trigger!r}."
    return "It does not tell a trigger word, so none is put into prompts until one is said."


def _say_trigger(lora: LoraRecord) -> str:
    return (
        f'manage_loras(action="import", lora_id="{lora.id}", trigger="...") says another.'
        if lora.trigger
        else (
            f'manage_loras(action="import", lora_id="{lora.id}", trigger="...") says its word; where it has none, '
            f"{_activate(lora)}"
        )
    )


def _activate(lora: LoraRecord) -> str:
    return f'manage_loras(action="activate", lora_id="{lora.id}", strength=1.0) puts it in use.'
