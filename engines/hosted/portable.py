"""A LoRA's matrices as tensors that diffusers and ComfyUI both load: named, scaled, cut or joined as a base asks for.

Only what must change does: a matrix at scale 1 keeps its bits. Where the original model holds as one what a file has
in parts, the parts are joined: they keep their rank where they share A, else every part gets columns of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from loradeck.engines.hosted.bases import Architecture, Form
from loradeck.engines.hosted.pairs import Pair, Tensor
from loradeck.engines.lora_naming import Found
from loradeck.engines.tensor_numbers import Numbers, Source, of_type, placed, stacked, zeros


@dataclass(frozen=True)
class Meant:
    """A pair, what it stands for, and its scale."""

    pair: Pair
    found: Found
    scale: float


@dataclass(frozen=True)
class Made:
    """A tensor to be written: its name, type and shape, and how its numbers are made when it is its turn."""

    key: str
    dtype: str
    shape: tuple[int, ...]
    make: Callable[[], Numbers]


def arranged(meant: Sequence[Meant], base: Architecture, source: Source) -> list[Made]:
    """Every tensor of the file to be written. Raises OSError."""
    form = base.form_of(one.found for one in meant)
    if not form.original:
        return [made for one in meant for made in _cut(one, base, form, source)]
    groups: dict[str, list[Meant]] = {}
    for one in meant:
        groups.setdefault(one.found.matrix.original, []).append(one)
    return [made for group in groups.values() for made in _joined(group, base, form, source)]


def _cut(one: Meant, base: Architecture, form: Form, source: Source) -> Iterator[Made]:
    """A matrix as its modules, each with the same A and with its own rows of B."""
    swapped = one.found.by_original and one.found.matrix.original == base.swapped
    start = 0
    for module, rows in zip(one.found.modules, _heights(base, one.found.modules), strict=True):
        yield _copied(form.prefix + module + form.down, one.pair.down, source)
        make = partial(_rows, one, source, start, start + rows, swapped)
        yield Made(form.prefix + module + form.up, one.pair.up.dtype, (rows, one.pair.rank), make)
        start += rows


def _joined(group: Sequence[Meant], base: Architecture, form: Form, source: Source) -> Iterator[Made]:
    """A matrix of the original model from what the file has of it."""
    first, matrix = group[0], group[0].found.matrix
    path = form.prefix + matrix.original
    if first.found.modules == matrix.modules:
        yield _copied(path + form.down, first.pair.down, source)
        make = partial(_rows, first, source, 0, first.pair.up.shape[0], False)
        yield Made(path + form.up, first.pair.up.dtype, first.pair.up.shape, make)
        return
    dtype = _common_type(group)
    places = _places(group, source)
    rank = max(place + one.pair.rank for one, place in zip(group, places, strict=True))
    lines = sum(_heights(base, matrix.modules))
    make = partial(_stacked_downs, [one.pair.down for one in group], dtype, rank, source)
    yield Made(path + form.down, dtype, (rank, first.pair.down.shape[1]), make)
    by_module = {one.found.modules[0]: (one, place) for one, place in zip(group, places, strict=True)}
    make = partial(_stacked_ups, matrix.modules, by_module, base, dtype, rank, source)
    yield Made(path + form.up, dtype, (lines, rank), make)


def _heights(base: Architecture, modules: Iterable[str]) -> list[int]:
    """The rows of each module of the base."""
    sizes = [base.size(module) for module in modules]
    return [size[0] for size in sizes if size is not None]


def _common_type(group: Sequence[Meant]) -> str:
    """The type of all parts, or float32, which holds every other."""
    types = {tensor.dtype for one in group for tensor in (one.pair.down, one.pair.up)}
    return types.pop() if len(types) == 1 else "F32"


def _places(group: Sequence[Meant], source: Source) -> list[int]:
    """Where in the joint A each part's begins: all at the top where all have the same A."""
    first = source.read(group[0].pair.down.key)
    if all(source.read(one.pair.down.key).equals(first) for one in group[1:]):
        return [0] * len(group)
    return [sum(before.pair.rank for before in group[:number]) for number in range(len(group))]


def _copied(key: str, tensor: Tensor, source: Source) -> Made:
    return Made(key, tensor.dtype, tensor.shape, partial(source.read, tensor.key))


def _rows(one: Meant, source: Source, start: int, stop: int, swapped: bool) -> Numbers:
    up = source.read(one.pair.up.key)
    return (up.halves_swapped() if swapped else up).rows(start, stop).scaled(one.scale)


def _stacked_downs(downs: Sequence[Tensor], dtype: str, rank: int, source: Source) -> Numbers:
    """A one under another, as many as make up the rank."""
    return stacked([of_type(source.read(down.key), dtype) for down in downs]).rows(0, rank)


def _stacked_ups(
    modules: Sequence[str],
    by_module: dict[str, tuple[Meant, int]],
    base: Architecture,
    dtype: str,
    rank: int,
    source: Source,
) -> Numbers:
    """B one under another, each in the columns of its own A; zeros for modules that the file leaves alone."""
    parts = []
    for module, rows in zip(modules, _heights(base, modules), strict=True):
        if module not in by_module:
            parts.append(zeros(dtype, rows, rank))
            continue
        one, place = by_module[module]
        up = of_type(source.read(one.pair.up.key), dtype).scaled(one.scale)
        parts.append(placed(up, rank, place))
    return stacked(parts)
