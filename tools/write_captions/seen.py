"""What a vision model saw, as loradeck keeps it: its caption behind the trigger, and attributes that are attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from loradeck.tools.contracts import Attributes
from loradeck.tools.rulebook.facts import UNKNOWN
from loradeck.tools.rulebook.words import body, tidy


def worded(caption: str, trigger: str) -> str:
    """The caption with the trigger first and once."""
    rest = body(tidy(caption), trigger)
    if not rest:
        return trigger
    return f"{trigger}. {rest}" if rest[0].isupper() else f"{trigger}, {rest}"


def attributes_of(seen: Mapping[str, Any]) -> dict[str, Any]:
    """The values that were seen and can be kept; what is unknown, strange or of another shape is left out."""
    kept: dict[str, Any] = {}
    for name, value in seen.items():
        try:
            kept |= Attributes.model_validate({name: _plain(value)}).model_dump(mode="json", exclude_none=True)
        except ValidationError:
            continue
    return kept


def _plain(value: Any) -> Any:
    """A value without spaces around it; nothing for what says that it is not known."""
    if isinstance(value, list):
        return [tidy(one) for one in value if isinstance(one, str) and tidy(one).lower() not in {"", UNKNOWN}] or None
    text = tidy(value) if isinstance(value, str) else value
    return None if str(text).lower() in {"", UNKNOWN} else text
