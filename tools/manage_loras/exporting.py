"""A LoRA written for other programs: a folder that diffusers loads, a file that ComfyUI reads, each with its hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from loradeck.engines import lora_forms
from loradeck.engines.lora_forms import Program
from loradeck.state.files import sha256_file, told, write_text
from loradeck.state.records import LoraRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import Artefact, LorasResult
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.library import called, find_lora, lora_row, require_whole, second_file
from loradeck.tools.manage_loras import model_card
from loradeck.tools.wording import PREVIEW_NOTE

WRITTEN = "exported"
"""In the `meta` of a LoRA: the files that exports wrote, with their SHA-256, so that these alone are replaced."""
BOTH: tuple[Program, ...] = ("diffusers", "comfyui")
WEIGHTS = "pytorch_lora_weights"
"""What diffusers looks for in a folder."""


@dataclass(frozen=True)
class Target:
    """A file to be written: of which program, from which file of the LoRA."""

    program: Program
    source: Path
    out: Path


def export(
    store: Store, lora: LoraRecord, folder: Path, only: Literal["diffusers", "comfyui"] | None, licence: str
) -> LorasResult:
    """Write a LoRA into a folder for diffusers, ComfyUI or both; a file that loradeck did not write stays.

    Raises Refused, BadArgument, BadWeights, and what cannot be written as errors of the engines and the state.
    """
    require_whole(lora)
    if folder.exists() and not folder.is_dir():
        raise BadArgument(f"{folder} is a file; give a folder to export to.")
    wanted = targets(lora, folder, (only,) if only else BOTH)
    card = folder / f"{lora.name}-v{lora.version}-diffusers" / "README.md" if only != "comfyui" else None
    _refuse_others(store, lora, [*(one.out for one in wanted), *([card] if card else [])])
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
    done: dict[str, str] = {}
    remarks: list[str] = []
    for one in wanted:
        made, notes = write(lora, [one])
        _remember(store, lora, made)  # at once, so that an export that breaks off is made again over what it wrote
        done |= made
        remarks += notes
    if card is not None:
        names = [Path(path).name for path in done if Path(path).parent == card.parent]
        write_text(card, model_card.text(store, lora, licence, [], names))
        done[str(card)] = sha256_file(card)
        _remember(store, lora, {str(card): done[str(card)]})
    return _answer(lora, folder, done, remarks)


def targets(lora: LoraRecord, folder: Path, programs: Sequence[Program]) -> list[Target]:
    """What is written where."""
    called_so, found = f"{lora.name}-v{lora.version}", []
    for source, suffix in ((Path(lora.path), ""), (second_file(lora), "-high-noise")):
        if source is None:
            continue
        for program in programs:
            own = Path(f"{called_so}-diffusers") / f"{WEIGHTS}{suffix.replace('-', '_')}.safetensors"
            out = own if program == "diffusers" else Path(f"{called_so}-comfyui{suffix}.safetensors")
            found.append(Target(program, source, folder / out))
    return found


def write(lora: LoraRecord, wanted: Sequence[Target]) -> tuple[dict[str, str], list[str]]:
    """Write them; SHA-256 by path, and what a person may want to know."""
    done, remarks = {}, []
    meta = {"modelspec.title": f"{lora.name} v{lora.version}", **({"ss_steps": str(lora.steps)} if lora.steps else {})}
    for one in wanted:
        with told(one.out):
            one.out.parent.mkdir(parents=True, exist_ok=True)
        made = lora_forms.write(one.source, lora.base_model, one.out, one.program, lora.trigger or "", meta)
        done[str(one.out)] = made.sha256
        if made.left_out:
            remarks.append(f"{one.out.name} goes without {len(made.left_out)} tensors that {one.program} cannot take.")
    return done, remarks


def _refuse_others(store: Store, lora: LoraRecord, outs: Sequence[Path]) -> None:
    """Raise Refused, before anything is written, where a file is in the way that exports of this LoRA did not write."""
    for out in outs:
        if not out.is_symlink() and not out.exists():
            continue
        writers = _writers(store, out)
        if lora.id not in {writer.id for writer in writers}:
            whose = (
                f"an export of {called(writers[0])} wrote it" if writers else "loradeck did not write it as it is now"
            )
            raise Refused(
                f"{out} is there and {whose}, so that it stays and nothing was exported; give another folder as path."
            )


def _writers(store: Store, out: Path) -> list[LoraRecord]:
    """The LoRAs, deleted ones too, whose exports left a file as it is now."""
    if out.is_symlink() or not out.is_file():
        return []
    digest = sha256_file(out)
    return [lora for lora in store.where(LoraRecord) if lora.meta.get(WRITTEN, {}).get(str(out)) == digest]


def _remember(store: Store, lora: LoraRecord, done: dict[str, str]) -> None:
    with store.transaction():
        meta = find_lora(store, lora.id).meta
        store.change(LoraRecord, lora.id, meta={**meta, WRITTEN: {**meta.get(WRITTEN, {}), **done}})


def _answer(lora: LoraRecord, folder: Path, done: dict[str, str], remarks: list[str]) -> LorasResult:
    hashes = [f"{Path(path).name}: SHA-256 {digest}" for path, digest in done.items()]
    return LorasResult(
        summary=f"{called(lora)} was written to {folder} in {len(done)} files, each read back and as it should be.",
        next_step="pipe.load_lora_weights(<the -diffusers folder>) in diffusers; ComfyUI takes the -comfyui file into "
        "models/loras.",
        loras=[lora_row(lora)],
        files=[
            Artefact(kind="card" if path.endswith(".md") else "lora", path=path, bytes=Path(path).stat().st_size)
            for path in done
        ],
        told=[*hashes, *remarks],
        preview_note=PREVIEW_NOTE if lora.preview else None,
    )
