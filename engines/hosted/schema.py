"""The live schema of an endpoint overrules the table: what it no longer takes is not sent, and that is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from loradeck.engines.errors import BadSpec
from loradeck.engines.hosted.host import LiveField

Live = Mapping[str, LiveField]


@dataclass(frozen=True)
class Fitted:
    """Inputs as an endpoint takes them, and sentences on what was left out."""

    inputs: dict[str, Any]
    told: tuple[str, ...] = ()


def fitted(endpoint: str, inputs: Mapping[str, Any], live: Live | None, needed: tuple[str, ...] = ()) -> Fitted:
    """The inputs that an endpoint takes by its live schema; all of them where that cannot be read.

    Raises BadSpec where it lacks one that is `needed`, asks for one that is not known here, or allows other numbers.
    """
    if live is None:
        return Fitted(dict(inputs))
    _must_know(endpoint, inputs, live, needed)
    kept: dict[str, Any] = {}
    told: list[str] = []
    for name, value in inputs.items():
        field = live.get(name)
        if field is None:
            told.append(f"{endpoint} has no input {name} any more (by its live schema), so {name} is left out.")
        elif field.choices and not isinstance(value, dict | list) and value not in field.choices:
            allowed = ", ".join(str(choice) for choice in field.choices[:8])
            told.append(f"{endpoint} does not take {name}={value} any more but {allowed}, so {name} is left out.")
        else:
            _must_be_within(endpoint, field, value)
            kept[name] = value
    return Fitted(kept, tuple(told))


def _must_know(endpoint: str, inputs: Mapping[str, Any], live: Live, needed: tuple[str, ...]) -> None:
    gone = [name for name in needed if name not in live]
    new = [
        field.name for field in live.values() if field.required and field.default is None and field.name not in inputs
    ]
    if gone or new:
        said = [f"has no input {', '.join(gone)} any more"] if gone else []
        said += [f"asks for {', '.join(new)}, which is not known here"] if new else []
        raise BadSpec(
            f"{endpoint} {' and '.join(said)} (by its live schema); nothing was sent. Take a newer loradeck, or "
            "another engine."
        )


def _must_be_within(endpoint: str, field: LiveField, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least = float("-inf") if field.minimum is None else field.minimum
    most = float("inf") if field.maximum is None else field.maximum
    if not least <= value <= most:
        raise BadSpec(f"{field.name} may be {least:g} to {most:g} at {endpoint} (by its live schema), not {value:g}.")
