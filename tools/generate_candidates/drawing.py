"""The passes of a run, one after the other over all its candidates; what lies on the disk already is kept.

A pass that failed for one candidate stops only that one: the others go on, and a later attempt of the same run asks
again for what is missing alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from loradeck.engines.base import DrawRequest, Engine, Reporter
from loradeck.state.files import told
from loradeck.tools.generate_candidates.chain import ORDER, WHY, Candidate, Pass
from loradeck.tools.generate_candidates.looked import spoilt
from loradeck.tools.generate_candidates.passes import (
    OPEN,
    final_place,
    inputs_of,
    key_of,
    left_to_do,
    place_of,
    request_for,
)
from loradeck.tools.generate_candidates.portion import Portion

ATTEMPTS = "candidates.attempts"
"""Journal key: pass of a candidate -> how often it came to nothing, which gives the next attempt a name of its own."""


def _name(attempts: Mapping[str, int], one: Candidate, step: Pass) -> str:
    """The id of a pass of a candidate, another one for each attempt."""
    again = attempts.get(key_of(one, step), 0)
    return key_of(one, step) + (f"_{again + 1}" if again else "")


@dataclass
class Drawing:
    """The passes of one run; `told` is what was said of pictures on the way, each once."""

    engine: Engine
    candidates: Sequence[Candidate]
    folder: Path
    parents: Mapping[str, Path]
    base_model: str
    side: int
    reporter: Reporter
    told: dict[str, None] = field(default_factory=dict)

    @property
    def finished(self) -> list[Candidate]:
        """The candidates whose last pass left a picture."""
        return [one for one in self.candidates if final_place(self.folder, one).is_file()]

    def draw(self) -> None:
        """Do every pass that is missing. Raises what the engine raises; what was done stays on the disk."""
        self.sift()
        steps = sum(len(one.passes) for one in self.candidates)
        before = 0
        for step in ORDER:
            of_it = [one for one in self.candidates if step in one.passes]
            if of_it:
                self.reporter.raise_if_cancelled()
                self._pass(step, of_it, before, steps)
                before += len(of_it)
        self.reporter.progress(steps, steps, "looking at the pictures")

    def sift(self) -> None:
        """Set aside what an attempt that was cut short left on the disk without looking at it."""
        for step in ORDER:
            there = [
                one for one in self.candidates if step in one.passes and place_of(self.folder, one, step).is_file()
            ]
            self._look(step, there)

    def _pass(self, step: Pass, of_it: Sequence[Candidate], before: int, steps: int) -> None:
        """One pass over all candidates that it can be done for."""
        missing = [one for one in of_it if left_to_do(self.folder, one, step) and self._has_inputs(one, step)]
        if not missing:
            return
        first = place_of(self.folder, missing[0], step)
        with told(first):
            first.parent.mkdir(parents=True, exist_ok=True)
        name = partial(_name, self._attempts())
        request = request_for(step, missing, self.folder, self.parents, self.base_model, self.side, name)
        part = Portion(self.reporter, before + len(of_it) - len(missing), steps, f"{step}: {WHY[step]}")
        if isinstance(request, DrawRequest):
            result = self.engine.draw(request, part)
        elif step == Pass.UPSCALE:
            result = self.engine.upscale(request, part)
        else:
            result = self.engine.edit(request, part)
        self.told |= dict.fromkeys(result.told)
        self._look(step, missing)

    def _has_inputs(self, one: Candidate, step: Pass) -> bool:
        if one.passes.index(step) == 0 and any(image_id not in self.parents for image_id in one.parents):
            self.told[f"Candidate {one.number} was left out: the image that it is made from is no longer kept."] = None
            return False
        return all(path.is_file() for path in inputs_of(self.folder, one, step, self.parents))

    def _in_doubt(self, one: Candidate, step: Pass, attempts: Mapping[str, int]) -> bool:
        """True where its host may have taken the request: then that one is looked for again, and no other is bought."""
        asked_for = _name(attempts, one, step)
        return any(asked_for in bought.key and bought.state in OPEN for bought in self.reporter.purse.all())

    def spent_on(self, one: Candidate) -> float | None:
        """USD that a candidate cost, the worst case of what is not settled; None where the ledger does not tell."""
        if not self.engine.capabilities.costs_money:
            return 0.0
        named = f"{one.number:03}_"
        bought = [one for one in self.reporter.purse.all() if named in one.key and one.state != "void"]
        return round(sum(one.worst_usd if one.usd is None else one.usd for one in bought), 6) if bought else None

    def _attempts(self) -> dict[str, int]:
        return self.reporter.journal.get(ATTEMPTS) or {}

    def _look(self, step: Pass, asked_for: Sequence[Candidate]) -> None:
        """Take out of the chain what cannot be used, so that it is asked for again another time, and say so."""
        attempts, failed = self._attempts(), 0
        for one in asked_for:
            path = place_of(self.folder, one, step)
            why = spoilt(path)
            if why is None:
                continue
            failed += 1
            if not self._in_doubt(one, step, attempts):
                attempts[key_of(one, step)] = attempts.get(key_of(one, step), 0) + 1
            self.told[f"Candidate {one.number} ({one.shot}): what {step} made {why}."] = None
            if path.is_file():
                with told(path):
                    path.replace(path.with_suffix(".spoilt"))
        if failed:
            self.reporter.journal.put(ATTEMPTS, attempts)
            self.reporter.event(f"{failed} of {len(asked_for)} pictures of the pass {step} failed.", "warning")
