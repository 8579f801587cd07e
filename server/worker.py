"""The process that does one run: claims it, keeps its lease alive, does the job, writes down how it ended.

``python -m loradeck.server.worker RUN_ID`` with LORADECK_HOME set. It speaks to nobody: what it has to say is in the
store, and what it prints is in the run's worker.log. It ends in one of these ways:

- the job returned: succeeded, with the job's result;
- the job raised one of our errors: failed (or cancelled), with its sentence;
- the job raised anything else: failed, with a general sentence, and the traceback in the log;
- SIGTERM or SIGINT (the machine shuts down): it stops at the next step, and the run is lost, which means resumable;
- the run was taken over meanwhile: it stops and writes nothing more.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from loradeck import LoradeckError
from loradeck.engines.errors import Cancelled
from loradeck.server import settings
from loradeck.server.launch import launch
from loradeck.server.telling import hush
from loradeck.state import runs, spend
from loradeck.state.errors import LeaseLost, StateError
from loradeck.state.files import now
from loradeck.state.records import RunRecord
from loradeck.state.store import Store
from loradeck.tools.catalogue import job_for
from loradeck.tools.contracts import RunKind
from loradeck.tools.reporter import StoreReporter, patiently
from loradeck.tools.workbench import Engines, Job

log = logging.getLogger("loradeck.worker")
DEVICE = "local"
DEVICE_KINDS = (RunKind.TRAIN, RunKind.RENDER, RunKind.CANDIDATES, RunKind.COMPARE)
DEVICE_POLL_SECONDS = 0.5
QUEUE_POLL_SECONDS = 1.0


class Worker:
    """One claimed run and what keeps it ours. `stopping` is set by a signal."""

    def __init__(self, store: Store, run: RunRecord, token: str, engines: Engines, stopping: threading.Event) -> None:
        self.store, self.run, self.token, self.engines = store, run, token, engines
        self.stopping = stopping
        self.over = threading.Event()
        self.reporter = StoreReporter(store, run.id, token, stopping)

    def work(self) -> str:
        """Do the run to its end; returns the state it was left in ("taken" when another worker has it)."""
        beating = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        beating.start()
        try:
            return self._do()
        except LeaseLost as error:
            log.warning("%s", error)
            return "taken"
        finally:
            self.over.set()
            beating.join()

    def _beat(self) -> None:
        """Renew the lease until the work is over. A miss is no harm: a run is lost only when its process is gone."""
        while not self.over.wait(runs.HEARTBEAT_SECONDS):
            try:
                runs.renew(self.store, self.run.id, self.token)
            except LeaseLost:
                break  # the reporter finds it too, and stops the job at its next step
            except StateError as error:
                log.warning("heartbeat missed: %s", error)
        self.store.close()

    def _wait_for_device(self) -> bool:
        """Wait, still queued, until the local device is ours; false when the worker must leave first."""
        message = ""
        while self._needs_device() and not patiently(self._take_device):
            if runs.get(self.store, self.run.id).cancel_requested:
                break  # the job's first look at the reporter ends it
            holder = runs.device_holder(self.store, DEVICE)
            said = f"Waiting for {holder.id} ({holder.name or holder.kind}) to end on this machine." if holder else ""
            if said and said != message:
                message = said
                self._update(message=message)
            if self.stopping.wait(DEVICE_POLL_SECONDS):
                return False
        return True

    def _take_device(self) -> bool:
        return runs.take_device(self.store, DEVICE, self.run.id, self.token)

    def _update(self, **values: Any) -> None:
        patiently(lambda: runs.update(self.store, self.run.id, self.token, **values))

    def _needs_device(self) -> bool:
        """Local training and drawing share one device; what another machine does waits for nobody."""
        if RunKind(self.run.kind) not in DEVICE_KINDS:
            return False
        return not self.run.engine or not self.engines.open(self.run.engine).capabilities.leaves_machine

    def _do(self) -> str:
        """Run the job and write down how it ended."""
        run = self.run
        try:
            if not self._wait_for_device():
                patiently(lambda: runs.let_go(self.store, run.id, self.token))
                return "queued"
            if not spend.under_way(self.store, run.id):  # else the engine hears the stop, and ends it at its host too
                self.reporter.raise_if_cancelled()
            started = run.started_at or now()
            self._update(state="preparing", started_at=started, message="Preparing.")
            result = job_for(RunKind(run.kind))(Job(run, self.store, self.engines, self.reporter))
        except LeaseLost:
            raise
        except Cancelled as error:
            return self._left() if self.stopping.is_set() else self._end("cancelled", str(error))
        except LoradeckError as error:
            log.error("%s: %s", type(error).__name__, error)
            self.reporter.journal.put(runs.ERROR_KIND, type(error).__name__)
            return self._end("failed", str(error), error=str(error))
        except Exception:
            # The process's last boundary: a defect must end as a row that says so, never as a silence.
            log.exception("the job of %s broke", run.id)
            message = "The worker broke down on something unforeseen; worker.log in the run's folder has the details."
            return self._end("failed", message, error=message)
        return self._end("succeeded", "Done.", result=result)

    def _left(self) -> str:
        """Asked to leave by the system: resumable, and told so."""
        step = runs.get(self.store, self.run.id).step
        return self._end("lost", f"The worker was ended from outside at step {step}; what was done is kept.")

    def _end(self, state: str, message: str, result: BaseModel | None = None, error: str | None = None) -> str:
        """The last write of a worker."""
        dumped = None if result is None else result.model_dump(mode="json")
        level = {"failed": "error", "lost": "warning"}.get(state, "info")
        self.reporter.flush()

        def write() -> None:
            with runs.owned(self.store, self.run.id, self.token):
                runs.add_event(self.store, self.run.id, message, level)
                runs.finish(self.store, self.run.id, self.token, state, message=message, result=dumped, error=error)

        patiently(write)
        log.info("%s: %s", self.run.id, state)
        return state


def work(home: Path, run_id: str, engines: Engines | None = None, stopping: threading.Event | None = None) -> str:
    """Claim a queued run and do it in this process; returns how it was left, "not claimed" when it is not ours to do.

    `engines` is for tests and embedders; the registry of installed engines otherwise.
    """
    store = Store(home)
    run = patiently(lambda: runs.claim(store, run_id))
    if run is None or run.token is None:
        return "not claimed"
    return Worker(store, run, run.token, engines or _installed(), stopping or threading.Event()).work()


def _installed() -> Engines:
    from loradeck.engines.registry import Registry

    return Registry()


def run_queue(home: Path, once: bool = False, stopping: threading.Event | None = None) -> int:
    """Launch a worker for everything that waits in the queue, until interrupted; returns how many were launched.

    For machines where an MCP client ends its children with itself. With `once` it returns when nothing is under way.
    """
    store, start = Store(home), launch(home)
    stopping = stopping or threading.Event()
    launched = 0

    def counted(run_id: str) -> None:
        nonlocal launched
        start(run_id)
        launched += 1
        log.info("launched %s", run_id)

    while not stopping.wait(QUEUE_POLL_SECONDS):
        try:
            runs.recover(store, counted)
        except StateError as error:  # a database in use or a full disk passes, and the queue is there for long
            log.warning("looking at the queue again: %s", error)
            continue
        if once and not store.count(RunRecord, "state in ('queued', 'preparing', 'running', 'paused')"):
            break
    return launched


def _on_signals(set_stopping: Callable[[], None]) -> None:
    """The first SIGTERM or SIGINT asks the job to stop at its next step; a second one ends the process."""

    def handle(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        set_stopping()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)


def main(arguments: list[str]) -> int:
    """Entry point of the worker process: 0 when the run ended well or is not ours, 1 when it did not, 2 for misuse."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m loradeck.server.worker RUN_ID\n")
        return 2
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.Formatter.converter = time.gmtime
    hush()
    stopping = threading.Event()
    _on_signals(stopping.set)
    try:
        state = work(settings.load().home, arguments[0], stopping=stopping)
    except LoradeckError as error:
        log.error("%s", error)
        return 1
    except KeyError:
        log.error("no run %s", arguments[0])
        return 1
    return 0 if state in {"succeeded", "cancelled", "queued", "not claimed", "taken"} else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
