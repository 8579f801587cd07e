"""What has to be drawn, from the deck as it should be and the pictures that are there. Plain data in and out.

A picture's *recipe* is the hash of all that decides its pixels: prompt as drawn, seed, size, LoRA bytes and
strengths, bytes of references, guidance, steps, base and engine. A slide whose recipe was drawn before is never drawn
again by itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from loradeck.state.files import sha256_json
from loradeck.tools.render_deck_visuals.frames import Frame

SEEDS = 2**32
TAKE_STRIDE = 1000
"""Between the seeds of two takes; more than a deck has frames, so that no two frames share a seed."""


@dataclass(frozen=True)
class Look:
    """One LoRA as a deck uses it."""

    lora_id: str
    sha256: str
    base_model: str
    strength: float
    trigger: str | None


@dataclass(frozen=True)
class Leaned:
    """A reference picture that a deck keeps; `sha256` is of its bytes, `original` of the file it was made from.

    `seen` are hashes of what else is seen in it, as far as that file tells: what it was drawn or made from itself.
    """

    name: str
    sha256: str
    original: str | None = None
    seen: tuple[str, ...] = ()

    @staticmethod
    def from_json(data: dict[str, Any]) -> Leaned:
        """Back from a run's specification."""
        return Leaned(**{**data, "seen": tuple(data.get("seen", ()))})


@dataclass(frozen=True)
class Brush:
    """Everything that decides a picture but its slide."""

    engine: str
    base_model: str
    looks: tuple[Look, ...] = ()
    guidance: float | None = None
    steps: int | None = None
    prefix: str = ""
    suffix: str = ""
    references: tuple[Leaned, ...] = ()


@dataclass(frozen=True)
class Visual:
    """One picture that the deck wants: a take of a frame. `slide` is the frame's key, `number` its slide's place."""

    slide: str
    number: int
    prompt: str
    seed: int
    width: int
    height: int
    brush: Brush

    @property
    def recipe(self) -> str:
        """The hash of all that decides its pixels."""
        brush = asdict(self.brush) | {"looks": [[look.sha256, look.strength] for look in self.brush.looks]}
        del brush["prefix"]  # they stand in the prompt
        del brush["suffix"]
        del brush["references"]
        if self.brush.references:  # without any, a picture's recipe is what it was before there were references
            brush["references"] = [one.sha256 for one in self.brush.references]
        return sha256_json([self.prompt, self.seed, self.width, self.height, brush])

    @property
    def stem(self) -> str:
        """The file name without its suffix: 01_cover."""
        return f"{self.number:02}_{self.slide}"

    def to_json(self) -> dict[str, Any]:
        """As a run's specification keeps it."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> Visual:
        """Back from a run's specification."""
        brush = data["brush"]
        looks = tuple(Look(**look) for look in brush["looks"])
        references = tuple(Leaned.from_json(one) for one in brush.get("references", ()))
        return Visual(**{**data, "brush": Brush(**{**brush, "looks": looks, "references": references})})


def worded(prompt: str, brush: Brush, settled: Collection[str] = ()) -> tuple[str, list[str]]:
    """The prompt as drawn, style words around it, missing triggers in front; and the triggers that were put there.

    Of the LoRAs whose ids are `settled` no trigger is missing.
    """
    text = f"{brush.prefix.strip()} {prompt.strip()}".strip()
    if brush.suffix.strip():
        text = f"{text.rstrip(' .,')}, {brush.suffix.strip()}"
    triggers = dict.fromkeys(look.trigger for look in brush.looks if look.trigger and look.lora_id not in settled)
    missing = [trigger for trigger in triggers if not carries(text, trigger)]
    return ", ".join([*missing, text]), missing


def carries(prompt: str, trigger: str) -> bool:
    """Whether a prompt has the trigger as a word or phrase of its own, in any case of letters."""
    return re.search(alone([trigger]), prompt, re.IGNORECASE) is not None


def alone(phrases: Sequence[str]) -> str:
    """A pattern for any of some phrases as a word of its own: "zorbik" is none in "zorbik-like"."""
    longest_first = sorted(phrases, key=len, reverse=True)
    return rf"(?<![\w-])(?:{'|'.join(map(re.escape, longest_first))})(?![\w-])"


def visuals_of(frame: Frame, brush: Brush, takes: int) -> list[Visual]:
    """The pictures that a frame wants: one a take, each with its own seed."""
    prompt, _ = worded(frame.prompt, brush, frame.settled)
    return [
        Visual(
            frame.key,
            frame.number,
            prompt,
            (frame.seed + take * TAKE_STRIDE) % SEEDS,
            frame.width,
            frame.height,
            brush,
        )
        for take in range(takes)
    ]


def next_seed(frame: Frame, brush: Brush, takes: int, drawn: set[str]) -> int:
    """The first seed of a frame at which none of its takes was drawn before: what "do that one again" means."""
    while True:
        wanted = visuals_of(frame, brush, takes)
        if not any(visual.recipe in drawn for visual in wanted):
            return wanted[0].seed
        frame = replace(frame, seed=(wanted[-1].seed + TAKE_STRIDE) % SEEDS)


def groups(visuals: Sequence[Visual]) -> list[list[Visual]]:
    """Pictures that one request can draw, since they share a brush, in the deck's order."""
    together: dict[Brush, list[Visual]] = {}
    for visual in visuals:
        together.setdefault(visual.brush, []).append(visual)
    return list(together.values())
