"""check_status as callers see it."""

from __future__ import annotations

from loradeck.state import runs
from loradeck.tools.check_status.overview import overview
from loradeck.tools.check_status.report import report
from loradeck.tools.contracts import CheckStatusArgs, CheckStatusResult
from loradeck.tools.run_lookup import find_run
from loradeck.tools.spec import ToolSpec
from loradeck.tools.waiting import wait_until
from loradeck.tools.workbench import Workbench


def handle(args: CheckStatusArgs, bench: Workbench) -> CheckStatusResult:
    """Where a run stands, after waiting for news; or everything at a glance. Raises NotFound or BadArgument.

    It also finds runs whose worker is gone, and starts workers for what waits with nobody to run it.
    """
    runs.recover(bench.store, bench.launch)
    if args.run_id is None:
        return overview(bench.store, args.page)
    run = find_run(bench.store, args.run_id)
    if args.wait_seconds:
        run = wait_until(bench.store, run.id, args.wait_seconds, ended_only=False, tell=bench.progress)
    return report(bench.store, run)


TOOL = ToolSpec(
    name="check_status",
    title="Check status",
    description=(
        "Where a run stands: state, step, losses, time left, what is going wrong and the call that remedies it, what "
        "it left, and its result once it succeeded. wait_seconds waits for news (running out is normal); obey "
        "poll_after_seconds between calls. Without run_id: the datasets, runs, LoRAs and decks, newest first in pages, "
        "and what to do next. Call that first in a chat that knows no ids. Pictures come from view_images."
    ),
    args=CheckStatusArgs,
    result=CheckStatusResult,
    handler=handle,
    read_only=True,
    idempotent=True,
)
