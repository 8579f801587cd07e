"""Webhooks: the address that a host calls back at, and how its word is checked before anything is made of it.

A host calls `LORADECK_WEBHOOK_URL/hooks/HOST/MARK`, with the mark of the purchase. Its signature says who speaks; what
it says of the result is not used: the worker asks the host itself.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from loradeck.engines.errors import ProviderError
from loradeck.engines.hosted.host import Created
from loradeck.engines.hosted.wire import Ambiguous

URL_VARIABLE = "LORADECK_WEBHOOK_URL"
PLACE = re.compile(r"/hooks/(?P<host>[a-z]+)/(?P<mark>[\w-]{1,64})")
"""The end of the path that a host calls."""
REQUEST = re.compile(r"[\w-]{1,64}")
"""What a request's id at a host looks like: it becomes part of an address."""
FRESH_SECONDS = 300.0
"""How old, or how far ahead, a signed time may be: both hosts advise five minutes, against replays."""
KEPT_SECONDS = 24 * 3600.0
"""How long fal lets its public keys be kept."""
AGAIN_SECONDS = 60.0
"""How often, at most, a key is asked for anew because a signature does not fit: forgeries must not become traffic."""
FREE_TRIES = 2
"""How often a key is asked for: a host whose webhook was not taken sends it again later."""
T = TypeVar("T")


class Unverified(ProviderError):
    """It is not certain that the host said this: the signature is missing or wrong, or too old."""


class CallsBack(Protocol):
    """A host whose webhooks can be checked."""

    def word(self, headers: Mapping[str, str], body: bytes, now: float) -> Created:
        """The request that a webhook is about; header names are in small letters, `now` in seconds since 1970.

        Raises Unverified where the host did not say it just now; wire.WireError and NotInstalled where what it is
        checked by cannot be had.
        """


def expected() -> bool:
    """Whether hosts are asked to call back."""
    return bool(_base())


def address(host: str, mark: str) -> str:
    """Where a host calls back about a purchase; "" where no address is set."""
    parts = urlsplit(_base())
    path = f"{parts.path.rstrip('/')}/hooks/{host}/{quote(mark, safe='')}"
    return urlunsplit(parts._replace(path=path)) if expected() else ""


def require_fresh(stamp: str, now: float) -> None:
    """Raises Unverified where a signed time (seconds since 1970) is no number, or not about now."""
    if not (stamp.isascii() and stamp.isdecimal() and abs(now - int(stamp)) <= FRESH_SECONDS):
        raise Unverified("The webhook is older than five minutes, or its time is missing; it was not used.")


def request(body: bytes, field: str) -> tuple[str, dict[str, Any]]:
    """The id of the request that a signed body is about, and all that it says. Raises Unverified where it is none."""
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    name = told.get(field) if isinstance(told, dict) else None
    if not isinstance(name, str) or not REQUEST.fullmatch(name):
        raise Unverified("The webhook names no request; it was not used.")
    return name, told


class Trusted(Generic[T]):
    """What signatures are checked by, as a host gives it: kept for a day, in memory alone, and anew where none fits."""

    def __init__(self, ask: Callable[[], T], clock: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._clock = ask, clock
        self._lock = threading.Lock()
        self._known: T | None = None
        self._asked_at: float | None = None

    def require(self, fits: Callable[[T], bool]) -> None:
        """Raises Unverified where it fits neither what is known nor what the host gives now; WireError."""
        known = self._younger_than(KEPT_SECONDS)
        if not fits(known) and not fits(self._younger_than(AGAIN_SECONDS)):
            raise Unverified("The webhook's signature is not its host's; it was not used.")

    def _younger_than(self, seconds: float) -> T:
        with self._lock:
            now = self._clock()
            age = float("inf") if self._asked_at is None else now - self._asked_at
            if age > (seconds if self._known is not None else AGAIN_SECONDS):
                self._asked_at = now
                self._known = self._ask()
            if self._known is None:
                raise Ambiguous("What webhooks are signed with could not be had a moment ago; it is asked for again.")
            return self._known


def _base() -> str:
    return os.environ.get(URL_VARIABLE, "").strip()
