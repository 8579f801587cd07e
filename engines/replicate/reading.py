"""What Replicate's trainings and predictions say: where they stand, what they cost, and which is the one sought."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from loradeck.engines.base import Purchase
from loradeck.engines.hosted.host import Stage, Standing
from loradeck.engines.hosted.progress import steps_told
from loradeck.engines.hosted.table import PriceRow

STAGES: dict[str, Stage] = {
    "queued": "waiting",
    "starting": "waiting",
    "processing": "running",
    "succeeded": "done",
    "failed": "failed",
    "canceled": "cancelled",
    "aborted": "failed",
}
"""Replicate's words for the standing of a request."""
ABORTED = "Replicate ended it before it began to work"
REMOVED = "Replicate keeps what a prediction made for an hour, and that hour is over"
AGAIN = "The picture was paid for and is lost: draw it again."
WITHHELD = re.compile(
    r"nsfw|flagged as sensitive|\bE005\b|safety (filter|checker)|content policy|prohibited", re.IGNORECASE
)
"""In an error: the picture was drawn, and kept back by a filter."""
LINE_ENDS = re.compile(r"[\r\n]+")


def standing(told: Mapping[str, Any], price: PriceRow | None) -> Standing:
    """Where a training or a prediction stands, by its JSON; `price` is what its endpoint costs, where that is known."""
    stage, words = _stage(told), str(told.get("status"))
    lines = tuple(line for line in LINE_ENDS.split(str(told.get("logs") or "")) if line.strip())
    done, steps = steps_told(lines)
    output, error = told.get("output"), " ".join(str(told.get("error") or "").split())
    ended = stage in {"done", "failed", "cancelled"}
    usd = _usd(told, stage, words, price) if ended else None
    if stage == "done" and told.get("data_removed"):
        return Standing("failed", error=REMOVED, next_step=AGAIN, usd=usd, charged=True)
    return Standing(
        stage=stage,
        lines=lines,
        done_steps=done,
        steps=steps,
        output=_listed(output) if stage == "done" else None,
        error="" if stage == "done" else error or _own_words(stage, words),
        next_step=_next_step(stage, words, error),
        blanked=ended and (bool(WITHHELD.search(error)) or (stage == "done" and output == [])),
        usd=usd,
        charged=None if usd is None else usd > 0.0,
    )


def _stage(told: Mapping[str, Any]) -> Stage:
    """The stage; a word that is not known is taken by what else is told: ended or not, with an output or without."""
    known = STAGES.get(str(told.get("status")))
    if known or not told.get("completed_at"):
        return known or "running"
    return "failed" if told.get("error") or told.get("output") is None else "done"


def _own_words(stage: Stage, words: str) -> str:
    """What we say of a standing of which Replicate says no more."""
    if words == "aborted":
        return ABORTED
    known = words in STAGES or stage != "running"
    return "" if known else f"Replicate calls its standing {words!r}, which is not known here and is taken for work."


def _listed(output: Any) -> Any:
    """A list of what was made, also where a model gives one alone; an object stays one."""
    return output if isinstance(output, list | dict) or output is None else [output]


def _usd(told: Mapping[str, Any], stage: Stage, words: str, price: PriceRow | None) -> float | None:
    """What it cost, in USD, or None where that does not follow from what is told.

    Working time is billed by the second, also of what failed or was cancelled; pictures are billed by their number,
    and whether one that failed is billed is not told.
    """
    if words == "aborted" or (stage == "cancelled" and not told.get("started_at")):
        return 0.0
    if price is None:
        return None
    if price.per == "second":
        seconds = (told.get("metrics") or {}).get("predict_time")
        return None if seconds is None else float(seconds) * price.usd
    if price.per == "image" and stage == "done":
        output = told.get("output")
        return price.usd * (len(output) if isinstance(output, list) else 1)
    return None


def _next_step(stage: Stage, words: str, error: str) -> str:
    if stage != "done" and WITHHELD.search(error):
        return "Its filter kept the picture back: word the prompt otherwise, or try another seed."
    if words == "aborted":
        return "It cost nothing: start it again."
    if stage == "failed":
        return "Read the last lines of its log; an error of the machine (CUDA, out of memory) is worth one more try."
    return ""


def likeness(
    told: Mapping[str, Any], endpoint: str, inputs: Mapping[str, Any], purchase: Purchase
) -> Literal["mark", "inputs", "removed"] | None:
    """By what a listed request of the same model can be a purchase of ours: its mark, or the same inputs.

    One whose inputs are gone (removed after an hour) can be any of its model, so it counts too: to leave it out would
    be to claim that nothing arrived. None where it is another's.
    """
    model, _, version = endpoint.partition(":")
    if str(told.get("model")) != model or (version and told.get("version") not in {version, None}):
        return None
    if marked(told, purchase):
        return "mark"
    if told.get("data_removed"):
        return "removed"
    given = told.get("input") or {}
    return "inputs" if all(given.get(name) == value for name, value in inputs.items()) else None


def marked(told: Mapping[str, Any], purchase: Purchase) -> bool:
    """Whether the purchase's mark is anywhere in a request: in the address of its webhook, or of a file."""
    return bool(purchase.mark) and purchase.mark in json.dumps(told)


def when(told: Mapping[str, Any]) -> datetime:
    """When it was created, by Replicate's clock."""
    return datetime.fromisoformat(str(told["created_at"]))
