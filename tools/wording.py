"""Sentences that more than one tool says."""

from __future__ import annotations

PREVIEW_NOTE = (
    "This used the embedded preview base: a tiny model that draws simple flat pictures with soft edges, for "
    "learning the workflow. "
    "A LoRA of it works on it alone; bases for real pictures come with a later release."
)
