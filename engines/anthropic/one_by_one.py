"""Pictures described by a request each, several under way at a time.

Only the sending itself happens in threads: ledger, journal and caller are heard and told by one thread. A request is
sent again only when it is certain that nothing was bought: never connected, 429 or 529.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from loradeck.engines.anthropic import request
from loradeck.engines.anthropic.client import Client, Message, busy
from loradeck.engines.anthropic.models import ModelRow
from loradeck.engines.anthropic.picture import as_jpeg
from loradeck.engines.base import Reporter
from loradeck.engines.errors import Cancelled, OverBudget, ProviderError
from loradeck.engines.hosted.answered import UNSURE, Answers
from loradeck.engines.hosted.client import pause
from loradeck.engines.hosted.keys import advice
from loradeck.engines.hosted.sent import note_sent, sent_row
from loradeck.engines.hosted.waiting import LOOK_SECONDS, waiter
from loradeck.engines.hosted.wire import NeverSent, Refused, WireError

AT_ONCE = 4
"""Requests under way at a time: the smallest accounts may send 50 a minute, and a picture takes some five seconds."""
TRIES = 6
WHAT = "picture to be described"
UNREACHED = "{why} Nothing was paid for these; make the same call again later."
NOT_SENT = "Nothing was sent for these: {why}"
REFUSED = "Nothing was paid for these, which were not taken: {why}."
UNREADABLE = "The training copy cannot be read, so nothing was sent; curate_dataset on its source makes it anew."


@dataclass
class OneByOne:
    """The requests of one call of `describe`. `sleep` and `clock` (seconds) are for tests."""

    client: Client
    row: ModelRow
    answers: Answers
    reporter: Reporter
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _tries: dict[str, int] = field(default_factory=dict)
    _quiet_until: float = 0.0
    _ending: ProviderError | None = None

    def describe(self, keys: list[str]) -> None:
        """Ask for these pictures. Raises Cancelled, and ProviderError where no further one can be described."""
        waiting, under_way = deque(keys), dict[Future[Message], str]()
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="describe") as pool:
            try:
                while waiting or under_way:
                    self.reporter.raise_if_cancelled()
                    self._send(pool, waiting, under_way)
                    self._take(under_way, waiting, LOOK_SECONDS)
            except Cancelled:
                while under_way:  # they are paid: what they bring is kept
                    self._take(under_way, waiting, None)
                raise
        if self._ending is not None:
            raise self._ending

    # ----------------------------------------------------------------- sending

    def _send(self, pool: ThreadPoolExecutor, waiting: deque[str], under_way: dict[Future[Message], str]) -> None:
        """Send as many as may be under way; where none is and the host wants quiet, wait for that."""
        quiet = self._quiet_until - self.clock()
        if quiet > 0 and under_way:
            return
        if quiet > 0:
            waiter(self.reporter, self.sleep)(quiet)
        while waiting and len(under_way) < AT_ONCE:
            key = waiting.popleft()
            try:
                parameters = self._prepared(key)
            except OSError:
                self.answers.fail([key], UNREADABLE)
                continue
            except OverBudget as error:
                waiting.appendleft(key)
                if not under_way:  # else one that lands below its worst case may make room
                    self.answers.fail(waiting, NOT_SENT.format(why=str(error)))
                    waiting.clear()
                return
            under_way[pool.submit(self.client.describe, parameters)] = key

    def _prepared(self, key: str) -> dict[str, Any]:
        """The request, once its intent and what will leave the machine are written down. Raises OSError, OverBudget."""
        job = self.answers.jobs[key]
        jpeg = as_jpeg(job.image)
        self.reporter.purse.intend(key, self.row.name, request.worst_usd(job, self.row))
        if key not in self._tries:
            note_sent(self.reporter.journal, [sent_row(WHAT, jpeg, self.client.host)])
        return request.parameters(job, self.row, jpeg)

    # ----------------------------------------------------------------- what came back

    def _take(self, under_way: dict[Future[Message], str], waiting: deque[str], seconds: float | None) -> None:
        """Wait for news, at most so long, and write down what became of each request."""
        if not under_way:
            return
        for one in wait(under_way, timeout=seconds, return_when=FIRST_COMPLETED).done:
            key = under_way.pop(one)
            try:
                self._answered(key, one.result())
            except Refused as error:
                self._refused(key, error, waiting)
            except NeverSent as error:
                self._again(key, error, waiting)
            except WireError as error:
                self.reporter.purse.unknown(key, str(error))
                self.answers.fail([key], UNSURE)

    def _answered(self, key: str, message: Message) -> None:
        answer = request.read(message, self.row)
        self.answers.write(key, answer)  # before the ledger hears of it: a crash in between finds the answer
        self.reporter.purse.submitted(key, answer.provider_id)
        self.answers.take(key, answer)
        self.reporter.purse.settle(key, answer.usd)

    def _refused(self, key: str, error: Refused, waiting: deque[str]) -> None:
        if busy(error.status):
            self._again(key, error, waiting)
            return
        self.reporter.purse.void(key, str(error))
        ending = meaning(error)
        if ending is None:
            self.answers.fail([key], REFUSED.format(why=str(error).rstrip(".")))
            return
        self._ending = ending
        waiting.clear()

    def _again(self, key: str, error: WireError, waiting: deque[str]) -> None:
        """It is certain that nothing was bought: send it again after a while, unless that was tried often enough."""
        self.reporter.purse.void(key, str(error))
        tried = self._tries[key] = self._tries.get(key, 0) + 1
        if self._ending is not None:
            return
        if tried >= TRIES:
            self.answers.fail([key], UNREACHED.format(why=str(error)))
            return
        self._quiet_until = max(self._quiet_until, self.clock() + pause(error, tried))
        waiting.appendleft(key)


def meaning(error: Refused) -> ProviderError | None:
    """The error that a refusal stands for where it would meet every other request too; None where it meets this one."""
    if error.kind == "key":
        return ProviderError(
            f"Anthropic refuses the key ({error}); {advice('anthropic')}, then make the same call again."
        )
    if error.kind == "credit":
        return ProviderError(
            f"Anthropic says that no credit is left ({error}); add some at "
            "https://platform.claude.com/settings/billing, then make the same call again: what was described is kept."
        )
    if error.kind in {"forbidden", "missing"}:
        return ProviderError(
            f"Anthropic does not let this key use the model ({error}); set LORADECK_VISION_MODEL to one that it "
            "may use, then make the same call again."
        )
    return None
