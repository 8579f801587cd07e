"""Several batches of pictures at the same time on a CPU, a thread for each.

Threads that share one small picture wait for each other half of their time: on two cores 13 pictures of the preview in
batches of four took 13.3 s by two threads together and 9.4 s by two threads that draw a batch each (20.0 s one by one).
And a product of matrices that several threads share is rounded otherwise than by one: a picture that one thread draws
is the same to the bit on a machine of any number of cores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event
from typing import TypeVar

import torch

Batch = TypeVar("Batch")
Lane = TypeVar("Lane")
Drawn = TypeVar("Drawn")
MOST_LANES = 8
"""Above it they wait for Python itself."""
LOOK_SECONDS = 0.1


class _Stopped(Exception):
    """Nobody waits for this batch any more. Never leaves this module."""


def lanes_here() -> int:
    """How many batches this machine draws at the same time: as many as torch would use threads."""
    return min(MOST_LANES, torch.get_num_threads())


def shared_out(jobs: Sequence[Batch], most: int, lanes: int) -> list[list[Batch]]:
    """Batches of nearly one size, `most` at most, in the order of the jobs, so that all lanes end at about one time."""
    if not jobs:
        return []
    rounds = -(-len(jobs) // (most * lanes))
    count = min(len(jobs), rounds * lanes)
    return [list(jobs[len(jobs) * at // count : len(jobs) * (at + 1) // count]) for at in range(count)]


def abreast(
    batches: Sequence[Batch],
    lanes: Sequence[Lane],
    draw: Callable[[Lane, Batch, Callable[[], None]], Drawn],
    check: Callable[[], None],
) -> Iterator[tuple[Batch, Drawn]]:
    """Each batch with what `draw(lane, batch, on_step)` gave, as they are done; no lane has two batches at a time.

    `check` is called here, in the caller's thread, over and over; what it raises ends the batches at their next step,
    where `draw` calls its `on_step`, and is raised on. So is what `draw` raises.
    """
    stop, free = Event(), SimpleQueue[Lane]()
    for lane in lanes:
        free.put(lane)

    def on_step() -> None:
        if stop.is_set():
            raise _Stopped

    def drawn(batch: Batch) -> Drawn:
        lane = free.get_nowait()  # there is one for every thread
        try:
            return draw(lane, batch, on_step)
        finally:
            free.put(lane)

    with one_thread(), ThreadPoolExecutor(len(lanes), initializer=torch.set_num_threads, initargs=(1,)) as pool:
        waiting: dict[Future[Drawn], Batch] = {pool.submit(drawn, batch): batch for batch in batches}
        try:
            while waiting:
                check()
                done, _ = wait(waiting, LOOK_SECONDS, FIRST_COMPLETED)
                for future in done:
                    yield waiting.pop(future), future.result()
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread, as before afterwards. Threads that start meanwhile are told so by themselves."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
