"""A base's folder without torch: whether it holds what diffusers will open there, and which weights it holds.

The layout is that of `DiffusionPipeline.save_pretrained`: ``model_index.json`` names the parts, each in a folder of
its own; weights too large for one file are cut into shards, which ``*.safetensors.index.json`` lists.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from loradeck.engines import files, tensor_file
from loradeck.engines.errors import NotInstalled

INDEX = "model_index.json"
CONFIG = "config.json"

STEMS = {"transformers": "model"}
"""What a library calls its weights; diffusers and whoever follows it say `DIFFUSERS_STEM`."""
DIFFUSERS_STEM = "diffusion_pytorch_model"

VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))
"""What a tokenizer is read from: the fast form, or the older forms of Qwen2 and CLIP, and of T5."""
PREPROCESSORS = (("preprocessor_config.json",), ("processor_config.json",))
"""What a processor, a tokenizer with pictures, is read from beside the tokenizer."""

WHOLE_BELOW = 1_000_000_000
"""Bytes of weights up to which every byte is hashed; hashing sixty gigabytes would take minutes."""
SAMPLES, SAMPLE_BYTES = 64, 65_536
"""Places, spread evenly over a larger file from its header to its end, and what is hashed at each."""


def parts(weights: Path) -> dict[str, tuple[str, str]]:
    """The parts of the pipeline in a folder: library and class by name. Raises OSError, ValueError."""
    index = json.loads((weights / INDEX).read_text(encoding="utf-8"))
    if not isinstance(index, dict):
        raise ValueError("the index is no table")
    made_of = {name: entry for name, entry in index.items() if isinstance(entry, list) and len(entry) == 2}
    return {name: (str(entry[0]), str(entry[1])) for name, entry in made_of.items() if all(entry)}


def absent(weights: Path, elsewhere: Collection[str] = ()) -> list[str]:
    """What is missing, empty or cut off in a pipeline's folder, by names relative to it; nothing when it is complete.

    Of the parts in `elsewhere`, whose weights come from another file, only the config is asked for.
    """
    try:
        named = parts(weights)
    except (OSError, ValueError):
        return [INDEX]
    missing = []
    for part, (library, kind) in named.items():
        folder = weights / part
        if not is_model(part, kind):
            wanted = [name for name in _needed(folder, part, kind) if not _filled(folder / name)]
        else:
            stem = STEMS.get(library, DIFFUSERS_STEM)
            tensors = [] if part in elsewhere else _shards(folder, stem)
            wanted = [] if _filled(folder / CONFIG) else [CONFIG]
            wanted += [name for name in tensors if not tensor_file.is_whole(folder / name)]
        missing += [f"{part}/{name}" for name in wanted]
    return missing


def is_model(part: str, kind: str) -> bool:
    """A part with weights, going by its name and its class."""
    return not (part.startswith(("tokenizer", "scheduler")) or kind.endswith("Processor"))


def _needed(folder: Path, part: str, kind: str) -> list[str]:
    """The files of a part that is no model."""
    if part.startswith("scheduler"):
        return ["scheduler_config.json"]
    needed = list(_either(folder, PREPROCESSORS)) if kind.endswith("Processor") else []
    if part.startswith("tokenizer"):
        needed += ["tokenizer_config.json", *_either(folder, VOCABULARIES)]
    return needed


def _either(folder: Path, forms: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """The form whose files are all there; the first one where none is."""
    return next((form for form in forms if all(_filled(folder / name) for name in form)), forms[0])


def _filled(path: Path) -> bool:
    """There is such a file, and it is not empty, as a copy that was cut leaves it."""
    return path.is_file() and path.stat().st_size > 0


def _shards(folder: Path, stem: str) -> list[str]:
    """The names of the weight files of a model that diffusers or transformers would open."""
    index = f"{stem}.safetensors.index.json"
    if not (folder / index).is_file():
        return [index] if list(folder.glob(f"{stem}-*-of-*.safetensors")) else [f"{stem}.safetensors"]
    try:
        listed: dict[str, Any] = json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"]
        return sorted({str(name) for name in listed.values()})
    except (ValueError, LookupError, TypeError, AttributeError):
        return [index]


def weight_files(weights: Path, elsewhere: Collection[str] = ()) -> list[Path]:
    """The weight files of a complete pipeline's parts, those in `elsewhere` left out. Raises OSError, ValueError."""
    models = {part: library for part, (library, kind) in parts(weights).items() if is_model(part, kind)}
    return [
        weights / part / name
        for part, library in sorted(models.items())
        if part not in elsewhere
        for name in _shards(weights / part, STEMS.get(library, DIFFUSERS_STEM))
    ]


def digest(weights: Path, single_file: Path | None = None) -> str:
    """SHA-256 that names a complete pipeline's weights, wherever they lie; `single_file` is the transformer's, if any.

    Small ones are hashed whole. Of large ones (see `WHOLE_BELOW`) sizes, headers and `SAMPLES` places of every file
    are: enough to tell two trainings apart, since a training changes whole matrices, and matrices fill the files.

    Raises:
        NotInstalled: the pipeline is not complete.
    """
    lacking = absent(weights, _replaced(single_file))
    if lacking:
        raise NotInstalled(f"The base's folder is not complete: {', '.join(lacking)} missing, empty or cut off.")
    named = {path.relative_to(weights).as_posix(): path for path in weight_files(weights, _replaced(single_file))}
    if single_file is not None:
        named["transformer"] = single_file
    sampled = sum(path.stat().st_size for path in named.values()) >= WHOLE_BELOW
    whole = hashlib.sha256()
    for name, path in sorted(named.items()):
        whole.update(name.encode())
        whole.update(_content(path, sampled).encode())
    return whole.hexdigest()


def _replaced(single_file: Path | None) -> tuple[str, ...]:
    return ("transformer",) if single_file is not None else ()


_known: dict[tuple[Path, int, int, bool], str] = {}
"""Hashes of files by path, size and time of change: a run asks for its base's more than once."""


def _content(path: Path, sampled: bool) -> str:
    """The hash of a file, remembered while the file does not change."""
    stat = path.stat()
    key = (path, stat.st_size, stat.st_mtime_ns, sampled)
    if key not in _known:
        _known[key] = _sampled(path, stat.st_size) if sampled else files.sha256_file(path)
    return _known[key]


def _sampled(path: Path, size: int) -> str:
    """SHA-256 of a file's size, its header and evenly spread places of it."""
    seen = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        length = int.from_bytes(file.read(tensor_file.LENGTH_BYTES), "little")
        seen.update(file.read(min(length, tensor_file.MOST_BYTES)))
        start = file.tell()
        for place in range(SAMPLES):
            file.seek(start + (max(0, size - SAMPLE_BYTES - start)) * place // (SAMPLES - 1))
            seen.update(file.read(SAMPLE_BYTES))
    return seen.hexdigest()
