"""Batches of pictures that are drawn at the same time on a CPU: how they are shared out, stopped and told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import tiny
from support.reporter import MemoryReporter

from loradeck.engines.base import DrawRequest
from loradeck.engines.errors import Cancelled
from loradeck.engines.local import drawing, opened
from loradeck.engines.local.abreast import abreast, lanes_here, shared_out


def nothing() -> None:
    """Nobody stops."""


@given(st.integers(0, 60), st.integers(1, 4), st.integers(1, 8))
def test_batches_hold_every_job_once_in_order_and_lanes_end_together(count: int, most: int, lanes: int) -> None:
    batches = shared_out(range(count), most, lanes)
    assert [job for batch in batches for job in batch] == list(range(count))
    sizes = [len(batch) for batch in batches]
    assert all(1 <= size <= most for size in sizes)
    assert max(sizes, default=0) - min(sizes, default=0) <= 1
    assert len(batches) in {count, lanes * -(-count // (most * lanes))}


def test_lanes_draw_at_the_same_time_with_a_thread_each_and_never_two_batches_at_once() -> None:
    before, meeting = torch.get_num_threads(), threading.Barrier(2, timeout=20)
    seen: list[tuple[str, int]] = []

    def draw(lane: str, batch: int, on_step: Callable[[], None]) -> int:
        on_step()
        meeting.wait()  # which ends only where both lanes are at work
        seen.append((lane, torch.get_num_threads()))
        return batch * 2

    got = dict(abreast([1, 2, 3, 4], ["a", "b"], draw, nothing))
    assert got == {1: 2, 2: 4, 3: 6, 4: 8}
    assert sorted(seen) == [("a", 1), ("a", 1), ("b", 1), ("b", 1)]
    assert torch.get_num_threads() == before


def test_a_stop_is_heard_at_the_next_step_of_every_lane_and_nothing_else_begins() -> None:
    began: list[int] = []

    def draw(_: str, batch: int, on_step: Callable[[], None]) -> None:
        began.append(batch)
        while True:
            on_step()
            time.sleep(0.001)

    def check() -> None:
        if len(began) == 2:
            raise Cancelled("Stopped as asked.")

    with pytest.raises(Cancelled, match="as asked"):
        list(abreast(range(6), ["a", "b"], draw, check))
    assert sorted(began) == [0, 1]


def test_what_breaks_in_a_lane_is_raised_and_ends_the_others() -> None:
    def draw(_: str, batch: int, on_step: Callable[[], None]) -> None:
        if batch:
            raise ZeroDivisionError
        while True:
            on_step()

    with pytest.raises(ZeroDivisionError):
        list(abreast([0, 1], ["a", "b"], draw, nothing))


@pytest.mark.parametrize("threads", [2, 3])
def test_pictures_are_the_same_to_the_bit_on_any_number_of_cores(
    threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lanes_here() == min(8, torch.get_num_threads())
    base = tiny.base(tmp_path / "weights")
    pictures: list[list[bytes]] = []
    for lanes in (1, threads):
        monkeypatch.setattr(opened, "lanes_here", lambda lanes=lanes: lanes)
        jobs = tuple(tiny.job(tmp_path / f"{lanes}-{i}.png", f"disc {i}", i) for i in range(7))
        drawer = drawing.Drawer(base)
        drawer.draw(DrawRequest("preview", jobs), MemoryReporter())
        pictures.append([job.out.read_bytes() for job in jobs])
    assert pictures[0] == pictures[1]
