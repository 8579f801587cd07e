"""Find the picture that a new one repeats, among those already in the set, and say which of two copies is better."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from loradeck.tools.contracts import ImageFacts
from loradeck.tools.curate_dataset.feature_index import FeatureIndex
from loradeck.tools.curate_dataset.hash_index import HashIndex
from loradeck.tools.curate_dataset.picture import LOSSLESS
from loradeck.tools.curate_dataset.similarity import DHASH_MOST, PHASH_MOST, Look, same_picture

HELD = 128
How = Literal["exact", "near"]


@dataclass(frozen=True)
class Known:
    """A picture of the set, by the hash of its copy's bytes."""

    image_id: str
    copy_sha256: str


class Lookup:
    """The pictures of a set, in the order they came. `load` gives the look of one that is no longer held.

    Each known picture is loaded once, when the first new one is looked for; its hashes and corners alone stay held.
    """

    def __init__(self, known: Iterable[Known], load: Callable[[str], Look]) -> None:
        self._waiting = list(known)
        self._load = load
        self._held: OrderedDict[str, Look] = OrderedDict()
        self._ids: list[str | None] = []
        self._numbers: dict[str, int] = {}
        self._exact: dict[str, list[int]] = {}
        self._phashes, self._dhashes = HashIndex(PHASH_MOST), HashIndex(DHASH_MOST)
        self._features = FeatureIndex()

    def find(self, copy_sha256: str, look: Look) -> tuple[str, How] | None:
        """(image id, how) of the first picture that shows the same, else None. Equal copies are equal pixels."""
        self._take_in()
        for number in self._exact.get(copy_sha256, []):
            if (image_id := self._ids[number]) is not None:
                return image_id, "exact"
        for number in self._worth_comparing(look):
            if (image_id := self._ids[number]) is not None and same_picture(self._look(image_id), look):
                return image_id, "near"
        return None

    def add(self, image_id: str, copy_sha256: str, look: Look) -> None:
        """Remember a new picture."""
        self._take_in()
        self._enter(image_id, copy_sha256, look)
        self._hold(image_id, look)

    def drop(self, image_id: str) -> None:
        """Forget a picture that a better copy replaced."""
        self._take_in()
        if image_id in self._numbers:
            self._ids[self._numbers.pop(image_id)] = None
        self._held.pop(image_id, None)

    def _take_in(self) -> None:
        """Index what was known at the start."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            self._enter(one.image_id, one.copy_sha256, self._load(one.image_id))

    def _enter(self, image_id: str, copy_sha256: str, look: Look) -> None:
        number = self._phashes.add(look.phash)
        self._dhashes.add(look.dhash)
        self._features.add(look.features.descriptors)
        self._exact.setdefault(copy_sha256, []).append(number)
        self._ids.append(image_id)
        self._numbers[image_id] = number

    def _worth_comparing(self, look: Look) -> list[int]:
        """Numbers of pictures whose hash lies near or that share corners, as it is or mirrored, in rising order."""
        near = [
            index.near(value)
            for index, *values in (
                (self._phashes, look.phash, look.mirrored_phash),
                (self._dhashes, look.dhash, look.mirrored_dhash),
            )
            for value in values
        ]
        likely = self._features.likely(look.features.descriptors, look.mirrored.descriptors)
        return sorted({int(number) for numbers in near for number in numbers}.union(likely))

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
