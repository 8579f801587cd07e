"""Models that describe pictures, what they cost, and how each wants to be asked.

Prices are USD per million tokens, from https://platform.claude.com/docs/en/about-claude/pricing. No temperature is set:
models from Opus 4.7 on refuse one, and the SDK has no argument for it any more. Sonnet 5.5 leaves thinking before the
answer out with `between_tools`, and where no tools are offered its answer is text alone. Where a model always thinks,
low effort keeps that short.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CHECKED = "2026-10-24"
"""The day on which prices and parameters were last compared with the published ones."""
VARIABLE = "LORADECK_VISION_MODEL"
DEFAULT = "claude-sonnet-5-5"
BATCH_SHARE = 0.5
"""Of the price, in a message batch."""
MILLION = 1_000_000


@dataclass(frozen=True)
class ModelRow:
    """A model: USD per million tokens in and out, and the parameters that it wants beside the messages.

    `known` is false for a model that this table lacks; it is then counted as the dearest one.
    """

    name: str
    input_usd: float
    output_usd: float
    asked_with: Mapping[str, Any] = field(default_factory=dict)
    effort: str | None = None
    known: bool = True

    def usd(self, input_tokens: float, output_tokens: float, *, batch: bool = False) -> float:
        """What that many tokens cost."""
        full = (input_tokens * self.input_usd + output_tokens * self.output_usd) / MILLION
        return full * BATCH_SHARE if batch else full


MODELS = (
    ModelRow("claude-sonnet-5-5", 2.0, 10.0, {"thinking": {"type": "between_tools"}}),
    ModelRow("claude-sonnet-5", 2.0, 10.0, {"thinking": {"type": "disabled"}}),
    ModelRow("claude-opus-5-5", 4.0, 20.0, effort="low"),
    ModelRow("claude-haiku-5-5", 0.1, 0.5, effort="low"),
    ModelRow("claude-haiku-4-5", 1.0, 5.0),
    ModelRow("claude-sonnet-4-6", 3.0, 15.0),
    ModelRow("claude-fable-5-1", 10.0, 50.0, effort="low"),
)
PATCH = 28
"""Side in pixels of what one token shows: a picture costs a token for each patch that it touches."""
CHARACTERS_A_TOKEN = 3.0
"""English is nearer to 4; JSON and the newest tokenizers are nearer to 3."""


def model(name: str | None = None) -> ModelRow:
    """The row of a model; without a name the one that LORADECK_VISION_MODEL names, else the default.

    A model that is not in the table is asked with nothing special, and counted as the dearest.
    """
    wanted = name or os.environ.get(VARIABLE, "").strip() or DEFAULT
    found = next((row for row in MODELS if row.name == wanted), None)
    if found is not None:
        return found
    dearest = max(MODELS, key=lambda row: row.output_usd)
    return ModelRow(wanted, dearest.input_usd, dearest.output_usd, known=False)


def picture_tokens(width: int, height: int) -> int:
    """Tokens of a picture of that many pixels."""
    return math.ceil(width / PATCH) * math.ceil(height / PATCH)


def text_tokens(text: str) -> int:
    """About how many tokens a text has."""
    return math.ceil(len(text) / CHARACTERS_A_TOKEN)
