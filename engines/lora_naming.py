"""How LoRA files name the matrices of a transformer: as the original model does or as diffusers does, dotted or flat.

An original model may hold as one matrix what diffusers holds as several modules (q, k and v of a stream). Tools that
write underscores for dots lose nothing: a name is found by its flat form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Modules = tuple[str, ...]
Table = Mapping[str, Modules]
"""Matrices by the original model's names, with the modules of diffusers' model that make each up."""


@dataclass(frozen=True)
class Stack:
    """Blocks of one kind, by the original model's name and by diffusers'. Names in the tables are those in a block.

    `trained` are the matrices that loradeck trains, `besides` what others adapt too.
    """

    original: str
    diffusers: str
    trained: Table
    besides: Table = field(default_factory=dict)


@dataclass(frozen=True)
class Matrix:
    """A matrix of the original model: its whole name there, and the modules that make it up."""

    original: str
    modules: Modules


@dataclass(frozen=True)
class Found:
    """What a name stands for: all modules of a matrix where it is the original model's, one where it is diffusers'."""

    matrix: Matrix
    modules: Modules
    by_original: bool


class Naming:
    """The names of one architecture: its stacks of blocks, and the matrices outside of them."""

    def __init__(self, stacks: Sequence[Stack], outside: Table) -> None:
        self.stacks = tuple(stacks)
        self._outside = _by_flat_name(outside)
        self._inside = {
            _flat(name): (stack, _by_flat_name({**stack.trained, **stack.besides}))
            for stack in stacks
            for name in (stack.original, stack.diffusers)
        }
        self._block = re.compile(rf"({'|'.join(self._inside)})_(\d{{1,4}})_(.+)")

    def find(self, name: str) -> Found | None:
        """What a name without prefix and ending stands for, or None."""
        block = self._block.fullmatch(_flat(name))
        if block is None:
            return self._outside.get(_flat(name))
        stack, table = self._inside[block[1]]
        found = table.get(block[3])
        return found and _in_block(found, stack, int(block[2]))

    def trained(self, *depths: int) -> Iterator[Matrix]:
        """The matrices that loradeck trains in a model of so many blocks a stack."""
        for stack, blocks in zip(self.stacks, depths, strict=True):
            for number in range(blocks):
                for original, modules in stack.trained.items():
                    yield _in_block(Found(Matrix(original, modules), modules, True), stack, number).matrix

    def depths(self, modules: Iterable[str]) -> tuple[int, ...]:
        """How many blocks of each stack the names of modules reach."""
        found = {stack.diffusers: 0 for stack in self.stacks}
        for name in modules:
            stack, block, _ = name.split(".", 2)
            found[stack] = max(found[stack], int(block) + 1)
        return tuple(found.values())


def _flat(name: str) -> str:
    return name.replace(".", "_")


def _by_flat_name(table: Table) -> dict[str, Found]:
    """What the flat names stand for: the modules' own, and the originals'."""
    matrices = [Matrix(original, modules) for original, modules in table.items()]
    own = {_flat(module): Found(matrix, (module,), False) for matrix in matrices for module in matrix.modules}
    return own | {_flat(matrix.original): Found(matrix, matrix.modules, True) for matrix in matrices}


def _in_block(found: Found, stack: Stack, number: int) -> Found:
    """The same with the block in front of the names."""

    def named(modules: Modules) -> Modules:
        return tuple(f"{stack.diffusers}.{number}.{module}" for module in modules)

    whole = Matrix(f"{stack.original}.{number}.{found.matrix.original}", named(found.matrix.modules))
    return Found(whole, named(found.modules), found.by_original)
