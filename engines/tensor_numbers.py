"""The numbers of a .safetensors file with numpy alone: read one tensor at a time, scaled, cut and joined.

numpy has no bfloat16. Such a tensor is held as its bits, which are the upper half of a float32's: whatever only moves
numbers moves bits, and what computes goes through float32 and rounds as torch does, to the nearest, ties to even.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loradeck.engines import tensor_file
from loradeck.engines.local.lora_dialects import ALPHA

BITS: dict[str, type[np.generic]] = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16}
"""How the numbers of a LoRA are held, by the format's names of types."""
WHOLE: dict[str, type[np.generic]] = {"I32": np.int32, "I64": np.int64, "F64": np.float64}
"""Further types that a scale beside a pair comes in."""
EXPONENTS: dict[str, tuple[np.dtype[Any], int]] = {
    "F16": (np.dtype("<u2"), 0x7C00),
    "BF16": (np.dtype("<u2"), 0x7F80),
    "F32": (np.dtype("<u4"), 0x7F80_0000),
    "F64": (np.dtype("<u8"), 0x7FF0_0000_0000_0000),
}
"""The bits of an exponent, which are all set in infinity and in NaN alone."""
MOST_DIMENSIONS = 8
CHUNK_BYTES = 2**22
"""Bytes that are looked at at once, a multiple of every type's size."""


@dataclass(frozen=True)
class Numbers:
    """A tensor's numbers as the file has them; those of a bfloat16 are its bits."""

    dtype: str
    bits: NDArray[Any]

    def floats(self) -> NDArray[np.float32]:
        """As float32."""
        if self.dtype == "BF16":
            return (self.bits.astype(np.uint32) << 16).view(np.float32)
        return self.bits.astype(np.float32)

    def scaled(self, factor: float) -> Numbers:
        """Times a factor, in the same type."""
        if factor == 1:
            return self
        with np.errstate(over="ignore"):  # too large becomes infinite, which is looked for before it is written
            return of_floats(self.floats() * np.float32(factor), self.dtype)

    def rows(self, start: int, stop: int) -> Numbers:
        """Some of its rows."""
        return Numbers(self.dtype, self.bits[start:stop])

    def halves_swapped(self) -> Numbers:
        """The lower half of its rows above the upper."""
        middle = len(self.bits) // 2
        return Numbers(self.dtype, np.concatenate([self.bits[middle:], self.bits[:middle]]))

    def equals(self, other: Numbers) -> bool:
        """True where both are the same, bit for bit."""
        return self.dtype == other.dtype and np.array_equal(self.bits.view(np.uint8), other.bits.view(np.uint8))

    def is_finite(self) -> bool:
        """True where there is no infinity and no NaN."""
        return bool(np.isfinite(self.floats()).all())


def of_floats(values: NDArray[np.float32], dtype: str) -> Numbers:
    """float32 numbers in another type."""
    if dtype != "BF16":
        return Numbers(dtype, values.astype(BITS[dtype]))
    whole = values.view(np.uint32)
    rounded = (whole + 0x7FFF + ((whole >> 16) & 1)) >> 16
    return Numbers(dtype, np.where(np.isnan(values), np.uint16(0x7FC0), rounded.astype(np.uint16)))


def of_type(numbers: Numbers, dtype: str) -> Numbers:
    """The same in another type."""
    return numbers if numbers.dtype == dtype else of_floats(numbers.floats(), dtype)


def stacked(parts: Sequence[Numbers]) -> Numbers:
    """One under another; all of one type."""
    return Numbers(parts[0].dtype, np.concatenate([part.bits for part in parts]))


def zeros(dtype: str, rows: int, columns: int) -> Numbers:
    """Nothing but zeros."""
    return Numbers(dtype, np.zeros((rows, columns), BITS[dtype]))


def placed(part: Numbers, columns: int, at: int) -> Numbers:
    """The same rows made wider with zeros, the numbers from column `at` on."""
    wide = zeros(part.dtype, len(part.bits), columns)
    wide.bits[:, at : at + part.bits.shape[1]] = part.bits
    return wide


class Source:
    """The tensors of a file that is there and whole, read when they are asked for."""

    def __init__(self, path: Path, header: tensor_file.Header) -> None:
        self._path, self._entries = path, header.tensors
        with path.open("rb") as file:
            size = int.from_bytes(file.read(tensor_file.LENGTH_BYTES), "little")
        self._start = tensor_file.LENGTH_BYTES + size

    def read(self, key: str) -> Numbers:
        """A tensor's numbers. Raises OSError."""
        entry: Mapping[str, Any] = self._entries[key]
        start, stop = entry["data_offsets"]
        with self._path.open("rb") as file:
            file.seek(self._start + start)
            content = file.read(stop - start)
        kind = BITS.get(entry["dtype"]) or WHOLE[entry["dtype"]]
        return Numbers(entry["dtype"], np.frombuffer(content, np.dtype(kind).newbyteorder("<")).reshape(entry["shape"]))

    def not_finite(self) -> str | None:
        """The first tensor with an infinity or a NaN in it, or None; a few megabytes are in memory. Raises OSError."""
        with self._path.open("rb") as file:
            for key, entry in self._entries.items():
                if entry["dtype"] in EXPONENTS and not _is_finite(file, self._start, entry):
                    return key
        return None

    def scalar(self, key: str) -> float:
        """The one number of a tensor. Raises OSError, ValueError where there are more."""
        return float(self.read(key).floats().reshape(()))


def _is_finite(file: BufferedReader, start: int, entry: Mapping[str, Any]) -> bool:
    """True where no number of a tensor is infinite or NaN. The tensors of the file begin at `start`."""
    kind, exponent = EXPONENTS[entry["dtype"]]
    first, stop = (start + place for place in entry["data_offsets"])
    file.seek(first)
    for at in range(first, stop, CHUNK_BYTES):
        bits = np.fromfile(file, kind, min(CHUNK_BYTES, stop - at) // kind.itemsize)
        if (bits & exponent == exponent).any():
            return False
    return True


def is_sound(key: str, entry: Mapping[str, Any], length: int) -> bool:
    """True where an entry of a header names a type that is read here, and as many bytes as its shape asks for."""
    kind = (BITS | WHOLE if key.endswith(ALPHA) else BITS).get(str(entry.get("dtype")))
    shape, place = entry.get("shape"), entry.get("data_offsets")
    if kind is None or not isinstance(shape, list) or not isinstance(place, list) or len(place) != 2:
        return False
    if len(shape) > MOST_DIMENSIONS or not all(
        isinstance(number, int) and 0 <= number <= tensor_file.MOST_LENGTH for number in (*shape, *place)
    ):
        return False
    wanted: int = math.prod(shape) * np.dtype(kind).itemsize
    return bool(place[1] - place[0] == wanted and place[1] <= length)
