"""Finding a base's weights on this machine: what the environment names, the workspace, the hub's cache, in this order.

A base is a folder in diffusers' layout, or such a folder with its transformer in one file beside it. What the
environment names is taken or refused; elsewhere the first complete one is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from loradeck.engines.errors import NotInstalled
from loradeck.engines.local import layout
from loradeck.engines.local.weights import single_file, sources
from loradeck.engines.local.weights.places import Places
from loradeck.engines.local.weights.sources import Source

How = Literal["environment", "workspace", "cache"]
PLACES: dict[How, str] = {
    "environment": "the folder that {variable} names",
    "workspace": "the folder bases/{name} of the workspace",
    "cache": "the cache of huggingface_hub",
}

TRANSFORMER = "transformer"
MOST_NAMED = 3


@dataclass(frozen=True)
class Found:
    """Weights on this machine.

    `folder` is the pipeline's; the transformer comes from `single_file` where there is one. `revision` is the commit
    of a folder in the hub's cache; `how` tells which place named the weights.
    """

    folder: Path
    how: How
    single_file: Path | None = None
    revision: str | None = None


def find(source: Source, places: Places) -> Found:
    """The weights of a base. Raises NotInstalled, with what is missing and what to do, where they are not whole."""
    named = places.environ.get(sources.variable(source.name), "").strip()
    if named:
        return _named(source, Path(named).expanduser(), places)
    beside = places.own(source.name).with_name(source.name + single_file.SUFFIX)
    if beside.is_file():
        return _joined(source, beside, "workspace", places)
    there = list(_folders(source, places))
    for found in there:
        if not layout.absent(found.folder):
            return found
    raise NotInstalled(_incomplete(source, there[0]) if there else _nowhere(source))


def _folders(source: Source, places: Places) -> Iterator[Found]:
    """Folders that may hold the base, best first."""
    if places.own(source.name).is_dir():
        yield Found(places.own(source.name), "workspace")
    for snapshot in places.snapshots(source.repository):
        yield Found(snapshot, "cache", revision=snapshot.name)


def _named(source: Source, path: Path, places: Places) -> Found:
    """What the environment names: a pipeline's folder, or the transformer's file."""
    variable = sources.variable(source.name)
    if path.is_dir():
        found = Found(path, "environment")
        if layout.absent(path):
            raise NotInstalled(_incomplete(source, found))
        return found
    if not path.exists():
        raise NotInstalled(
            f"{variable} names {path.name}, which is not there; set it to a folder in diffusers' layout or to a "
            f".safetensors file of the transformer, or unset it. {sources.how_to_get(source)}"
        )
    return _joined(source, path, "environment", places)


def _joined(source: Source, file: Path, how: How, places: Places) -> Found:
    """The transformer's file with the rest of the pipeline from the first folder that has it."""
    single_file.check_format(file)
    for rest in _folders(source, places):
        if not layout.absent(rest.folder, elsewhere=(TRANSFORMER,)):
            single_file.check_model(file, rest.folder / TRANSFORMER / layout.CONFIG, source.title)
            return replace(rest, single_file=file, how=how)
    raise NotInstalled(
        f"{file.name} is the transformer of {source.name} alone; its text encoder, VAE, tokenizer and scheduler are "
        f"not on this machine. {sources.how_to_get(source, without_transformer=True)}"
    )


def _incomplete(source: Source, found: Found) -> str:
    """The sentence for a folder that lacks something."""
    absent = layout.absent(found.folder)
    where = PLACES[found.how].format(variable=sources.variable(source.name), name=source.name)
    more = f" and {len(absent) - MOST_NAMED} more" if len(absent) > MOST_NAMED else ""
    told = (
        f"The {source.name} base in {where} is not complete: {', '.join(absent[:MOST_NAMED])}{more} missing or cut off"
    )
    pickled = _pickled(found.folder, absent)
    if pickled:
        return (
            f"{told}. {pickled} there is a pickle, which can run any program when it is opened, and is never read. "
            f"{sources.how_to_get(source)}"
        )
    return f"{told}; delete what is cut off. {sources.how_to_get(source)}"


def _pickled(folder: Path, absent: list[str]) -> str:
    """The first pickle in a part that lacks its .safetensors file, by name; nothing where there is none."""
    for part in dict.fromkeys(Path(name).parent for name in absent if single_file.SUFFIX in name):
        for path in sorted((folder / part).glob("*")):
            if path.suffix.lower() in single_file.PICKLES:
                return path.relative_to(folder).as_posix()
    return ""


def _nowhere(source: Source) -> str:
    """The sentence for weights that are not on this machine."""
    return (
        f"The {source.name} base ({source.title}, {source.gigabytes:.0f} GB) is not on this machine. "
        f"{sources.how_to_get(source)} Weights that are here already: set {sources.variable(source.name)} to their "
        "folder in diffusers' layout, or to a .safetensors file of the transformer."
    )
