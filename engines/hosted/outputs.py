"""What a finished request gave: the addresses of its files, where the table says that they stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from loradeck.engines.hosted.client import is_private
from loradeck.engines.hosted.host import Standing
from loradeck.engines.hosted.table import OutputRow

WEIGHTS = (".safetensors", ".tar", ".tar.gz", ".tgz", ".zip")


def at(output: Any, row: OutputRow) -> str | None:
    """The text at a row's place, or None where there is none."""
    for key in row.path:
        if isinstance(output, dict) and isinstance(key, str):
            output = output.get(key)
        elif isinstance(output, list) and isinstance(key, int) and key < len(output):
            output = output[key]
        else:
            return None
    if isinstance(output, dict):
        output = output.get("url")
    return output if isinstance(output, str) and output else None


def weights_anywhere(output: Any) -> str | None:
    """An address of weights anywhere in an output whose form has changed."""
    return next((text for text in _texts(output) if urlsplit(text).path.lower().endswith(WEIGHTS)), None)


def is_address(text: str) -> bool:
    """True for what can be fetched without anybody on the way who reads or changes it."""
    return is_private(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if is_address(value):
            yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def charged(host: str, standing: Standing, worst_usd: float) -> str:
    """What is known of the money of a request that ended."""
    if standing.usd is not None:
        return f"It cost {standing.usd:.2f} USD at {host}."
    if standing.charged is False:
        return "It was not charged."
    return f"What {host} charged for it is not told: at most {worst_usd:.2f} USD."
