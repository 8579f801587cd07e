"""What a deck's pictures are held against: the images that their LoRAs learned from, and what the base draws alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from loradeck.state.records import LoraRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.appearance.copies import Originals
from loradeck.tools.appearance.memory import Memory
from loradeck.tools.appearance.statistics import StatisticsEye
from loradeck.tools.appearance.style import LEAST_PICTURES, TrainingLook
from loradeck.tools.appearance.training import base_pictures_of, pictures_of
from loradeck.tools.render_deck_visuals.looks import Copied, Facts, Style


@dataclass(frozen=True)
class Learned:
    """What some LoRAs learned from; `look` is None where they are several, or of too few pictures."""

    originals: Originals
    look: TrainingLook | None


class Against:
    """Holds pictures against what their LoRAs learned from. Each training set is looked at once, and remembered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._memory = Memory(store.workspace.cache / "looks")
        self._learned: dict[tuple[str, ...], Learned] = {}

    def held(self, facts: Facts, row: VisualRecord) -> Facts:
        """The facts of a visual with what it copies and how far it is from the training look, where that is known."""
        loras = tuple(str(use["lora_id"]) for use in row.meta.get("loras", []) if float(use["strength"]) > 0)
        if not loras:
            return facts
        if loras not in self._learned:
            self._learned[loras] = self._learn(loras)
        learned = self._learned[loras]
        look, seen = self._memory.of(Path(row.path))
        copy = learned.originals.copied_by(look)
        copied = Copied(copy.path.stem, copy.correlation, copy.mirrored) if copy else None
        if learned.look is None:
            return replace(facts, copied=copied)
        away = learned.look.away(seen)
        base = away.base / away.usual if away.base is not None else None
        return replace(facts, copied=copied, style=Style(away.distance / away.usual, away.limit / away.usual, base))

    def _learn(self, lora_ids: Sequence[str]) -> Learned:
        """Look at the training pictures of LoRAs. A stack has no one look, so only its copies are looked for."""
        loras = [lora for one in lora_ids if (lora := self._store.find(LoraRecord, one)) is not None]
        training = list(dict.fromkeys(path for lora in loras for path in pictures_of(self._store, lora)))
        known = [(path, *self._memory.of(path)) for path in training]
        originals = Originals([(path, look) for path, look, _ in known])
        if len(lora_ids) != 1 or len(known) < LEAST_PICTURES:
            return Learned(originals, None)
        base = [self._memory.of(path)[1] for path in base_pictures_of(self._store, loras[0])]
        return Learned(originals, TrainingLook(StatisticsEye(), [seen for *_, seen in known], base))
