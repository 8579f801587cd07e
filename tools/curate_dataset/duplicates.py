"""Find the picture that a new one repeats, among those already in the set, and say which of two copies is better."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from loradeck.tools.contracts import ImageFacts
from loradeck.tools.curate_dataset.picture import LOSSLESS
from loradeck.tools.curate_dataset.similarity import Look, same_picture, worth_comparing

HELD = 128
How = Literal["exact", "near"]


@dataclass(frozen=True)
class Known:
    """What is remembered of a picture in the set; hashes are 64-bit."""

    image_id: str
    copy_sha256: str
    phash: int
    dhash: int


class Lookup:
    """The pictures of a set, in the order they came. `load` looks again at one whose pixels are no longer held."""

    def __init__(self, known: list[Known], load: Callable[[str], Look]) -> None:
        self._known = list(known)
        self._load = load
        self._held: OrderedDict[str, Look] = OrderedDict()

    def find(self, copy_sha256: str, look: Look) -> tuple[str, How] | None:
        """(image id, how) of the first picture that shows the same, else None. Equal copies are equal pixels."""
        for one in self._known:
            if one.copy_sha256 == copy_sha256:
                return one.image_id, "exact"
        for one in self._known:
            if worth_comparing(one.phash, one.dhash, look) and same_picture(self._look(one.image_id), look):
                return one.image_id, "near"
        return None

    def add(self, image_id: str, copy_sha256: str, look: Look) -> None:
        """Remember a new picture."""
        self._known.append(Known(image_id, copy_sha256, look.phash, look.dhash))
        self._hold(image_id, look)

    def drop(self, image_id: str) -> None:
        """Forget a picture that a better copy replaced."""
        self._known = [one for one in self._known if one.image_id != image_id]

    def _look(self, image_id: str) -> Look:
        held = self._held.get(image_id)
        if held is None:
            held = self._load(image_id)
        self._hold(image_id, held)
        return held

    def _hold(self, image_id: str, look: Look) -> None:
        self._held[image_id] = look
        self._held.move_to_end(image_id)
        while len(self._held) > HELD:
            self._held.popitem(last=False)


def is_better(new: ImageFacts, old: ImageFacts) -> bool:
    """True when the new copy holds more: more pixels, or as many without loss. A tie stays with the old one."""
    return _worth(new) > _worth(old)


def _worth(facts: ImageFacts) -> tuple[int, bool]:
    return min(facts.width, facts.height), facts.format in LOSSLESS
