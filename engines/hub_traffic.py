"""huggingface_hub at work: what it must not log, and how far it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def quiet() -> Iterator[None]:
    """Keep huggingface_hub from logging the addresses of files, which may carry a signature."""
    from huggingface_hub.utils import logging as hub_logging

    before = hub_logging.get_verbosity()
    hub_logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        hub_logging.set_verbosity(before)


def bar(told: Callable[[int], None]) -> type:
    """A silent progress bar for huggingface_hub that tells how many bytes came.

    The hub counts bytes twice, from the network and onto the disk, in two bars: the larger number is told.
    """
    from huggingface_hub.utils.tqdm import tqdm

    counts: dict[int, int] = {}

    class Bar(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            self._bytes = options.get("unit") == "B"
            super().__init__(*args, **{**options, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            if self._bytes:
                counts[id(self)] = counts.get(id(self), 0) + int(n or 0)
            told(
                max(counts.values(), default=0)
            )  # between files too: what stops a download is heard there at the latest

    return Bar
