"""What a deck's pictures are held against: the images that their LoRAs learned from, and what the base draws alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from loradeck.state.records import LoraRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.appearance.copies import Originals
from loradeck.tools.appearance.eye import Seen
from loradeck.tools.appearance.memory import VERSION, Memory
from loradeck.tools.appearance.statistics import StatisticsEye
from loradeck.tools.appearance.style import LEAST_PICTURES, TrainingLook
from loradeck.tools.appearance.training import base_pictures_of, pictures_of
from loradeck.tools.curate_dataset.similarity import Look
from loradeck.tools.render_deck_visuals.looks import Copied, Facts, Style

HELD = "held"
"""In a visual's `meta`: what was found, and of which picture, LoRAs and training images."""


@dataclass(frozen=True)
class Taught:
    """The LoRAs that drew a picture, and where the images are that they learned from."""

    loras: tuple[LoraRecord, ...]
    training: tuple[Path, ...]

    def key(self, row: VisualRecord) -> list[Any]:
        """All that a picture's answer depends on."""
        return [VERSION, row.sha256, [lora.sha256 for lora in self.loras], len(self.training)]


@dataclass(frozen=True)
class Learned:
    """What was seen of those images; `look` is None for a stack of LoRAs, and for too few pictures."""

    originals: Originals
    look: TrainingLook | None


class Against:
    """Holds pictures against what their LoRAs learned from.

    A training set is looked at once and remembered in the workspace's cache; a picture that was held against the same
    images before is not held again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._memory = Memory(store.workspace.cache / "looks")
        self._taught: dict[tuple[str, ...], Taught] = {}
        self._learned: dict[tuple[str, ...], Learned] = {}

    def held(self, facts: Facts, row: VisualRecord) -> Facts:
        """The facts of a visual with what it copies and how far it is from the training look, where that is known."""
        uses = [use for use in row.meta.get("loras", []) if float(use["strength"]) > 0]
        ids = tuple(str(use["lora_id"]) for use in uses)
        if ids not in self._taught:
            self._taught[ids] = self._teach(ids)
        taught = self._taught[ids]
        if not taught.training:
            return facts
        known = row.meta.get(HELD)
        if known is None or known["key"] != taught.key(row):
            known = {"key": taught.key(row), **self._compared(ids, row, float(uses[0]["strength"]))}
            self._store.change(VisualRecord, row.id, meta={**row.meta, HELD: known})
        copied, style = known["copied"], known["style"]
        return replace(facts, copied=Copied(**copied) if copied else None, style=Style(**style) if style else None)

    def _teach(self, ids: Sequence[str]) -> Taught:
        loras = tuple(lora for one in ids if (lora := self._store.find(LoraRecord, one)) is not None)
        training = dict.fromkeys(path for lora in loras for path in pictures_of(self._store, lora))
        return Taught(loras, tuple(training))

    def _compared(self, ids: tuple[str, ...], row: VisualRecord, strength: float) -> dict[str, Any]:
        """Copied and Style as JSON, None where there is nothing to tell."""
        if ids not in self._learned:
            self._learned[ids] = self._learn(self._taught[ids])
        learned = self._learned[ids]
        look, seen = self._memory.of(Path(row.path))
        copy = learned.originals.copied_by(look)
        copied = Copied(copy.path.stem, round(copy.correlation, 4), copy.mirrored) if copy else None
        style = None
        if learned.look is not None:
            away = learned.look.away(seen)
            base = away.base / away.usual if away.base is not None else None
            style = Style(away.distance / away.usual, away.limit / away.usual, base, ids[0], strength)
        return {"copied": copied and asdict(copied), "style": style and asdict(style)}

    def _learn(self, taught: Taught) -> Learned:
        """Look at the training images. A stack has no one look, so only what it copies is looked for."""
        known = [(path, *seen) for path in taught.training if (seen := self._readable(path)) is not None]
        originals = Originals([(path, look) for path, look, _ in known])
        if len(taught.loras) != 1 or len(known) < LEAST_PICTURES:
            return Learned(originals, None)
        drawn = [self._readable(path) for path in base_pictures_of(self._store, taught.loras[0])]
        base = [one[1] for one in drawn if one is not None]
        return Learned(originals, TrainingLook(StatisticsEye(), [seen for *_, seen in known], base))

    def _readable(self, path: Path) -> tuple[Look, Seen] | None:
        """What is seen of a picture file, None where it cannot be read any more: a render is not lost for that."""
        try:
            return self._memory.of(path)
        except OSError:
            return None
