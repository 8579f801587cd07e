"""Sentences that more than one tool says."""

from __future__ import annotations

PREVIEW_NOTE = (
    "This used the embedded preview base: a tiny model that draws simple coloured forms, for learning the workflow. "
    "Its LoRA works on the preview base alone; for real pictures train on a full-size base."
)
