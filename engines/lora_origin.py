"""A LoRA file from anywhere, looked at without torch: is it one, is it whole, of which base, by whose keys, called how.

What a file says of itself is a stranger's word: its shapes decide which bases it can be of, and its metadata only
chooses among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loradeck.engines import tensor_file
from loradeck.engines.errors import BadWeights
from loradeck.engines.hosted import kinds, pairs
from loradeck.engines.hosted.bases import BASES, Architecture, flux2
from loradeck.engines.hosted.returned import matched

MOST_BYTES = 8 * 2**30
"""LoRAs are files of 2 MB to 3 GB."""
MOST_HEADER_BYTES = 16 * 2**20
"""A header of some thousand tensors takes under one megabyte; trainers' metadata a few more."""
LONGEST_TRIGGER = 60
UNFIT = frozenset('"`\\')
"""What no trigger has, and what ends a string in the programs and cards that triggers are written into."""
LONGEST_BASE = 200
"""Of what a file calls its base so many letters are looked at, since patterns take their time over long ones."""
INSTEAD = "look for the plain LoRA where the file came from"
AGAIN = "get the file again, as .safetensors in float32, float16 or bfloat16"
PICKLES = (".ckpt", ".bin", ".pt", ".pth", ".pkl")

PREVIEW = flux2("Flux.2-klein-preview/lora", 192, 2, 4, 192, channels=128, mlp=3, guided=False, clock=128)
"""The embedded base; its numbers are those of `local/preview/weights/transformer/config.json`."""
ARCHITECTURES: Mapping[str, Architecture] = {**BASES, "preview": PREVIEW}

BASE_KEYS = ("ss_base_model_version", "modelspec.architecture", "base_model", "ss_sd_model_name")
"""Where kohya, ai-toolkit, OneTrainer and modelspec name the base."""
TOLD_BASES = (
    (re.compile(r"preview"), "preview"),
    (re.compile(r"klein.*4b"), "flux2-klein-4b"),
    (re.compile(r"klein.*9b"), "flux2-klein-9b"),
    (re.compile(r"flux3"), "flux3-klein"),
    (re.compile(r"flux2(?!.*klein)"), "flux2-dev"),
    (re.compile(r"flux1|flux(dev|kontext|$)"), "flux1-dev"),
    (re.compile(r"z-?image.*turbo"), "z-image"),
    (re.compile(r"z-?image.*(base|deturbo)"), "z-image-base"),
    (re.compile(r"wan2?2"), "wan-2.2"),
)
"""What other tools call the bases, small letters and digits alone."""
TRIGGER_KEYS = ("modelspec.trigger_phrase", "trigger_word", "trigger_words", "trigger", "instance_prompt")
DIALECTS = (
    ("lora_unet_", "kohya's"),
    ("lora_transformer_", "OneTrainer's"),
    ("lycoris_", "LyCORIS'"),
    ("base_model.model.", "peft's, as fal writes them"),
    ("transformer.", "diffusers'"),
    ("diffusion_model.", "ComfyUI's"),
    ("model.diffusion_model.", "ComfyUI's"),
)


@dataclass(frozen=True)
class Seen:
    """What a LoRA file is. `bases` are those that its shapes fit; `told` is the one of them that it names itself.

    `keys` says whose names its tensors have, `left_out` which tensors take no part in drawing.
    """

    bases: tuple[str, ...]
    told: str | None
    trigger: str | None
    keys: str
    rank: int
    steps: int | None
    left_out: tuple[str, ...]


def look(path: Path) -> Seen:
    """Look at a file. Raises BadWeights, in one sentence, where it is no whole LoRA of a base that is known here."""
    header = _header(path)
    held = pairs.read(path.name, header.tensors, header.metadata, INSTEAD)
    why = {name: matched(held.pairs, base) for name, base in ARCHITECTURES.items()}
    fits = tuple(name for name, found in why.items() if not isinstance(found, str))
    if not fits:
        raise BadWeights(_of_no_base(path.name, header.metadata, why))
    _require_finite(path, header)
    steps = header.metadata.get("ss_steps", "")
    return Seen(
        fits,
        _told_base(header.metadata, fits),
        _trigger(header.metadata),
        _keys(held.pairs[0].down.key),
        max(pair.rank for pair in held.pairs),
        int(steps) if steps.isascii() and steps.isdigit() and len(steps) < 9 else None,
        held.left_out,
    )


def _header(path: Path) -> tensor_file.Header:
    """The header of a whole file whose numbers can be read here."""
    from loradeck.engines.tensor_numbers import is_sound

    try:
        _require_file(path)
        header = tensor_file.read(path)
        length = path.stat().st_size
    except OSError as error:
        raise BadWeights(_unreadable(path, error)) from error
    except ValueError as error:
        raise BadWeights(
            f"{path.name} begins like a .safetensors file and its header is broken: {error}; {AGAIN}."
        ) from error
    if length != header.length:
        raise BadWeights(
            f"{path.name} is not whole: it has {length} bytes, and its header says {header.length}; {AGAIN}."
        )
    for key, entry in header.tensors.items():
        if not isinstance(entry, dict) or not is_sound(key, entry, header.length):
            raise BadWeights(f"{path.name} holds numbers that cannot be read here ({key[:80]!r}); {AGAIN}.")
    return header


def _require_file(path: Path) -> None:
    """Raise BadWeights for what is plainly no .safetensors file, before any of it is taken in. Raises OSError."""
    if path.is_dir():
        raise BadWeights(f"{path.name} is a folder; give the .safetensors file in it.")
    if not path.is_file():
        raise BadWeights(f"There is no file {path.name}; give the path of a .safetensors file.")
    if path.suffix.lower() in PICKLES:
        raise BadWeights(
            f"{path.name} is a pickle by its name, which can run any program when it is opened; only .safetensors "
            "files are taken."
        )
    if path.stat().st_size > MOST_BYTES:
        raise BadWeights(
            f"{path.name} is larger than {MOST_BYTES // 2**30} GiB, which no LoRA is; give the LoRA alone."
        )
    kind = kinds.kind(path)
    if kind != "safetensors":
        raise BadWeights(
            f"{path.name} {kinds.WORDS.get(kind, 'is no weights file')}; only .safetensors files are taken."
        )
    with path.open("rb") as file:
        size = int.from_bytes(file.read(tensor_file.LENGTH_BYTES), "little")
    if size > min(MOST_HEADER_BYTES, path.stat().st_size):
        raise BadWeights(f"{path.name} has a header of {size} bytes, longer than a LoRA's can be; {AGAIN}.")


def _require_finite(path: Path, header: tensor_file.Header) -> None:
    """Raise BadWeights where a number of the file is infinite or NaN: whatever is drawn with it is black."""
    from loradeck.engines.tensor_numbers import Source

    try:
        key = Source(path, header).not_finite()
    except OSError as error:
        raise BadWeights(_unreadable(path, error)) from error
    if key is not None:
        raise BadWeights(
            f"{path.name} holds numbers that are not finite ({key[:80]}), so its training came apart; look for one of "
            "an earlier step where the file came from."
        )


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path.name} cannot be read ({error.strerror}); give a file that can."


def _of_no_base(name: str, metadata: Mapping[str, str], why: Mapping[str, object]) -> str:
    said = next((metadata[key][:60] for key in BASE_KEYS if metadata.get(key)), "")
    own = f" (it names {said!r} as its base)" if said else ""
    nearest = _named(metadata)
    because = f": of {nearest}, {why[nearest]}" if nearest is not None else ""
    return f"{name} is a LoRA for no base that is known here{own}{because}; known are {', '.join(why)}."


def _told_base(metadata: Mapping[str, str], fits: Sequence[str]) -> str | None:
    """The base that a file names among those that it fits; the only one that it fits, whatever it names."""
    if len(fits) == 1:
        return fits[0]
    named = _named(metadata)
    return named if named in fits else None


def _named(metadata: Mapping[str, str]) -> str | None:
    """Our name of the base that the metadata names, whether it fits or not."""
    for key in BASE_KEYS:
        said = metadata.get(key, "")[:LONGEST_BASE]
        if said in ARCHITECTURES:
            return said
        plain = re.sub(r"[^a-z0-9]", "", said.lower().removesuffix("/lora"))
        found = next((name for pattern, name in TOLD_BASES if plain and pattern.search(plain)), None)
        if found is not None:
            return found
    return None


def _trigger(metadata: Mapping[str, str]) -> str | None:
    """The word that a file names as its trigger: by a key of its own, else as the commonest of its tags."""
    said = next((metadata[key] for key in TRIGGER_KEYS if metadata.get(key, "").strip()), "")
    return _clean(said.partition(",")[0]) or _commonest_tag(metadata)


def _commonest_tag(metadata: Mapping[str, str]) -> str | None:
    """Tags are counted by kohya a folder, and ai-toolkit writes its trigger as the only one.

    A tag that stands alone at the top is the likely trigger; two that are as common are not.
    """
    try:
        counts: dict[str, int] = {}
        for tags in tensor_file.object_in(metadata, "ss_tag_frequency").values():
            for tag, count in tags.items():
                counts[tag] = counts.get(tag, 0) + int(count)
    except (ValueError, TypeError, AttributeError, OverflowError):  # overflow: infinity is no number of times
        return None
    top = sorted(counts.items(), key=lambda item: -item[1])[:2]
    alone = len(top) == 1 or (len(top) == 2 and top[0][1] > top[1][1])
    return _clean(top[0][0]) if alone else None


def _clean(text: str) -> str | None:
    """One line that can be a trigger, or None: a stranger's word goes into prompts, programs and cards."""
    words = " ".join(text.split())
    fits = 2 <= len(words) <= LONGEST_TRIGGER and words.isprintable() and UNFIT.isdisjoint(words)
    return words if fits else None


def one_line(text: str) -> str:
    """Text in one line, without what cannot be seen."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _keys(key: str) -> str:
    """Whose way of naming tensors it is."""
    return next((whose for start, whose in DIALECTS if key.startswith(start)), "the original model's")
