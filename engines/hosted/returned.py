"""The LoRA that a host trained: is it whole, a LoRA, of the base that was asked for? Then it is written as ours are.

What a host calls done can be a web page, a pickle, a file that was cut, a LoRA of another base, or one by names that
diffusers passes over in silence. All of that is seen here, before the run says that it succeeded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loradeck.engines import files, lora_metadata, tensor_file
from loradeck.engines.errors import BadSpec, BadWeights
from loradeck.engines.hosted import kinds
from loradeck.engines.hosted.bases import BASES, Architecture
from loradeck.engines.hosted.pairs import Pair, Pairs, read
from loradeck.engines.local.lora_dialects import DOWN
from loradeck.engines.lora_naming import Found

if TYPE_CHECKING:
    from loradeck.engines.hosted.portable import Made, Meant
    from loradeck.engines.tensor_numbers import Source

Matched = list[tuple[Pair, Found]]


@dataclass(frozen=True)
class Accepted:
    """A LoRA file that loads in diffusers and in ComfyUI: SHA-256 of its bytes, its largest rank, what it says.

    `renamed` is true where names or numbers are not the host's any more: other names, a scale folded in, parts cut or
    joined. `left_out` are the names of tensors that are no part of the base's LoRA (text encoders, norms).
    """

    path: Path
    sha256: str
    rank: int
    metadata: dict[str, str]
    renamed: bool
    left_out: tuple[str, ...] = ()


def accept(
    path: Path,
    base_model: str,
    out: Path,
    trigger: str,
    meta: Mapping[str, str],
    bases: Mapping[str, Architecture] = BASES,
) -> Accepted:
    """Check what came back and write it to `out`, atomically and a tensor at a time; `path` stays as it is.

    `meta` joins the metadata (where it was trained, the steps, the title) and has the last word. What the host wrote
    there is not kept: it may hold captions and addresses.

    Raises:
        BadSpec: hosts train no such base.
        BadWeights: it is not a whole LoRA of that base; the sentence says what it looks like.
        NoRoom, CannotWrite: `out` cannot be written.
    """
    from loradeck.engines.hosted.portable import arranged
    from loradeck.engines.tensor_numbers import Source

    if base_model not in bases:
        raise BadSpec(f"No host trains {base_model}; choose one of {', '.join(bases)} as base_model.")
    base, header = bases[base_model], _opened(path)
    held = read(path.name, header.tensors, header.metadata)
    found = matched(held.pairs, base)
    if isinstance(found, str):
        raise BadWeights(_of_another(path.name, base_model, held.pairs, found, bases))
    unfit = [pair.name for pair, one in found if one.matrix.original in base.unfit]
    source = Source(path, header)
    fit = [one for one in found if one[1].matrix.original not in base.unfit]
    meant = _scaled(path.name, fit, held, source)
    made = arranged(meant, base, source)
    rank = max((one.shape[0] for one in made if one.key.endswith(DOWN)), default=0)
    metadata = {**lora_metadata.common(out.stem, base_model, base.told, trigger, rank), **meta}
    metadata, digest = _write(made, metadata, out, path.name)
    renamed = {one.key for one in made} != header.tensors.keys() or any(one.scale != 1 for one in meant)
    return Accepted(out, digest, rank, metadata, renamed, (*held.left_out, *unfit))


def _opened(path: Path) -> tensor_file.Header:
    """The header of a whole file of numbers that are read here. Raises BadWeights."""
    from loradeck.engines.tensor_numbers import is_sound

    try:
        kind = kinds.kind(path)
        if kind not in ("safetensors", "unknown"):
            raise BadWeights(
                f"{path.name} {kinds.WORDS[kind]}, not a LoRA; look at the run at the host for its weights."
            )
        header = tensor_file.read(path)
    except OSError as error:
        raise BadWeights(f"The weights that came back, {path.name}, are not there; fetch them again.") from error
    except ValueError as error:
        raise BadWeights(_cut_short(path.name)) from error
    if path.stat().st_size != header.length:
        raise BadWeights(_cut_short(path.name))
    strange = next((key for key, entry in header.tensors.items() if not is_sound(key, entry, header.length)), None)
    if strange is not None:
        raise BadWeights(
            f"{path.name} holds numbers that cannot be read here ({strange[:80]!r} as "
            f"{header.tensors[strange].get('dtype')!r}); get the file again, in float32, float16 or bfloat16."
        )
    return header


def _cut_short(name: str) -> str:
    return f"{name} is not a whole .safetensors file; fetch it again from the host while it is kept there."


def matched(pairs: Sequence[Pair], base: Architecture) -> Matched | str:
    """What every pair stands for in a base; a few words on the first that has no place there."""
    pairings: Matched = []
    taken: set[str] = set()
    for pair in pairs:
        found = base.naming.find(pair.name)
        sizes = [base.size(module) for module in found.modules] if found else [None]
        if found is None or any(size is None for size in sizes):
            return f"there is no {pair.name[:80]} in it"
        rows, columns = sum(size[0] for size in sizes if size), {size[1] for size in sizes if size}
        if (pair.up.shape[0], {pair.down.shape[1]}) != (rows, columns):
            return f"its {pair.name[:80]} has another size"
        if not taken.isdisjoint(found.modules):
            return f"the file has its {pair.name[:80]} twice"
        taken.update(found.modules)
        pairings.append((pair, found))
    if base.unfit.issuperset(found.matrix.original for _, found in pairings):
        return "it holds nothing that can be used"
    return pairings


def _of_another(name: str, base_model: str, pairs: Sequence[Pair], why: str, bases: Mapping[str, Architecture]) -> str:
    alike = [other for other, base in bases.items() if not isinstance(matched(pairs, base), str)]
    looks = f"looks like a LoRA for {' or '.join(alike)}" if alike else "is a LoRA for no base that is known here"
    further = ", and import it for that base with manage_loras" if alike else ""
    return f"{name} {looks}, not for {base_model} ({why}); it is kept as it came: look at the run at the host{further}."


def _scaled(name: str, matched: Matched, held: Pairs, source: Source) -> list[Meant]:
    """The pairs with their scales: of the tensor beside them, over the rank, and of diffusers' metadata."""
    from loradeck.engines.hosted.portable import Meant

    meant = []
    for pair, found in matched:
        scale = held.told_scale(found.modules[0], pair.rank)
        if pair.alpha is not None:
            try:
                scale *= source.scalar(pair.alpha) / pair.rank
            except ValueError as error:
                raise BadWeights(f"{name} tells its scale in a way that cannot be read; get the file again.") from error
        meant.append(Meant(pair, found, scale))
    return meant


def _write(made: Sequence[Made], metadata: Mapping[str, str], out: Path, name: str) -> tuple[dict[str, str], str]:
    """Write the tensors one by one behind their header; returns the whole metadata and the file's SHA-256.

    The header holds the hash of what follows it, so that it is written again, at the same length, when that is known.
    """
    from loradeck.engines.tensor_numbers import BITS

    ordered = sorted(made, key=lambda one: (-BITS[one.dtype]().itemsize, one.key))
    body, entries = hashlib.sha256(), _entries(ordered)
    with files.atomic(out) as temporary:
        with temporary.open("wb") as file:
            file.write(tensor_file.written(entries, {**metadata, **lora_metadata.hashes(body.hexdigest())}))
            for one in ordered:
                numbers = one.make()
                if not numbers.is_finite():
                    raise BadWeights(
                        f"{name} holds numbers that are not finite ({one.key}), so the training came apart; train "
                        "again with a lower learning_rate."
                    )
                content = numbers.bits.tobytes()
                body.update(content)
                file.write(content)
            told = {**metadata, **lora_metadata.hashes(body.hexdigest())}
            file.seek(0)
            file.write(tensor_file.written(entries, told))
        return told, files.sha256_file(temporary)


def _entries(ordered: Sequence[Made]) -> dict[str, object]:
    """What a header says of tensors that follow each other."""
    from loradeck.engines.tensor_numbers import BITS

    entries: dict[str, object] = {}
    start = 0
    for one in ordered:
        stop = start + one.shape[0] * one.shape[1] * BITS[one.dtype]().itemsize
        entries[one.key] = {"dtype": one.dtype, "shape": list(one.shape), "data_offsets": [start, stop]}
        start = stop
    return entries
