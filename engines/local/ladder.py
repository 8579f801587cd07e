"""Down a rung when memory runs out: the training goes on from its last step with a plan that takes less."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from loradeck.engines.base import Reporter
from loradeck.engines.errors import OutOfMemory
from loradeck.engines.local import memory, planner
from loradeck.engines.local.planner import Plan

KEY = "plan"
"""Where a run's journal remembers its plan: a resume takes steps as they were begun, whatever memory is free now."""

Made = TypeVar("Made")


def climb_down(work: Callable[[Plan | None], Made], first: Plan | None, reporter: Reporter) -> Made:
    """What `work` makes with the first plan that fits, beginning with the one that this run had last.

    `work` keeps its last step before it raises OutOfMemory. Raises OutOfMemory at the bottom, or without a plan.
    """
    kept = reporter.journal.get(KEY)
    plan = first if kept is None else planner.restored(kept)
    if plan is not None and kept is None:
        reporter.event(" ".join([planner.told(plan), *plan.why]))
        reporter.journal.put(KEY, planner.stored(plan))
    while True:
        try:
            return work(plan)
        except OutOfMemory:
            plan = None if plan is None else planner.lower(plan)
            if plan is None:
                raise
            reporter.journal.put(KEY, planner.stored(plan))
            reporter.event(f"{plan.why[0]} The training goes on from its last step.", "warning")
        memory.give_back()  # out here: the error that was caught kept what it was raised in alive
