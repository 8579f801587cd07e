"""What a host's refusal says: its sentence, drawn out of whatever JSON it wrapped it in, and what that means."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

MAY_HAVE_ARRIVED = (408, 499)
"""4xx that a gateway gives when it stopped waiting: what stands behind it may have taken the request."""
KINDS = {400: "input", 401: "key", 402: "credit", 403: "forbidden", 404: "missing", 413: "input", 422: "input"}
BY_STATUS = KINDS | {429: "throttled"}
NO_CREDIT = re.compile(r"\b(balance|billing|payment|credits?|spend(ing)? limit)\b", re.IGNORECASE)
CONTENT = re.compile(r"content.policy|nsfw|safety|sensitive|moderat", re.IGNORECASE)
RESETS = re.compile(r"\bin ~?(\d+(?:\.\d+)?) ?s(ec|\b)", re.IGNORECASE)
"""Replicate says when to come again in words alone: "Your rate limit resets in ~30s."."""
MOST_CHARACTERS = 400
WORDS = ("detail", "error", "message", "title", "errors")


def sentence(text: str) -> str:
    """What the host said, in one line; "" for a page in HTML or nothing."""
    try:
        said = _words(json.loads(text))
    except ValueError:
        said = "" if text.lstrip()[:1] == "<" else text
    said = " ".join(said.split())
    return said if len(said) <= MOST_CHARACTERS else f"{said[:MOST_CHARACTERS]} ..."


def _words(value: Any) -> str:
    """The words in a JSON: a text, the first known key of an object, or a list of {loc, msg}."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(said for said in map(_words, value) if said)
    if not isinstance(value, dict):
        return ""
    if "msg" in value:
        where = ".".join(str(part) for part in value.get("loc") or () if part not in {"body", "input"})
        return f"{where}: {value['msg']}" if where else str(value["msg"])
    return next((said for key in WORDS if (said := _words(value.get(key)))), "")


def kind(status: int, said: str, headers: Mapping[str, str], text: str) -> str:
    """What a refusal means: key, credit, forbidden, missing, input, content, throttled, or "".

    Hosts answer 403 for an exhausted balance too, and 400 or 422 for what their filter refuses.
    """
    if status in {402, 403} and NO_CREDIT.search(said):
        return "credit"
    if status in {400, 422} and CONTENT.search(f"{headers.get('x-fal-error-type', '')} {text[:2000]}"):
        return "content"
    return BY_STATUS.get(status, "")


def retry_after(headers: Mapping[str, str], said: str, now: float) -> float | None:
    """Seconds to wait by a Retry-After in seconds or as a date, or by the sentence; None where nobody says."""
    told = headers.get("retry-after", "").strip()
    with contextlib.suppress(ValueError):
        return max(0.0, float(told))
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - now)
    except ValueError:
        found = RESETS.search(said)
        return float(found[1]) if found else None
