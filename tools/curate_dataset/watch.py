"""How curation is watched, in the call or in a worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Watch:
    """`tell(done, total, message)`, and `check()`, which may raise to stop."""

    tell: Callable[[int, int, str], None]
    check: Callable[[], None]
