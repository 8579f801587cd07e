"""Many pictures described in message batches, at half the price and within a day, mostly within an hour.

A batch is one purchase. Its custom ids carry the purchase's mark, so that a batch whose creation went unanswered is
found again in the list by what its results are called. Until it is found it is not known whether it was bought, and it
is never begun again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from loradeck.engines.anthropic import request
from loradeck.engines.anthropic.client import TRIES, Client, Message, busy
from loradeck.engines.anthropic.models import ModelRow
from loradeck.engines.anthropic.one_by_one import NOT_SENT, REFUSED, UNREACHED, UNREADABLE, WHAT, meaning
from loradeck.engines.anthropic.picture import as_jpeg
from loradeck.engines.base import Purchase, Reporter
from loradeck.engines.errors import Cancelled, Leaving, OverBudget, ProviderError
from loradeck.engines.hosted.answered import UNSURE, Answer, Answers
from loradeck.engines.hosted.client import pause
from loradeck.engines.hosted.sent import note_sent, sent_row
from loradeck.engines.hosted.waiting import waiter
from loradeck.engines.hosted.wire import Ambiguous, NeverSent, Refused, WireError

FROM = 41
"""Pictures from which on a batch is worth its wait."""
MOST = 100
"""Pictures a batch: some 50 MB as they are sent. Anthropic takes 100,000 requests or 256 MB."""
PREFIX = "batch-"
POLL_SECONDS = (5.0, 60.0)
LIST_LOOKS = (0.0, 5.0, 20.0)
"""Pauses before the looks at the list for a batch whose creation went unanswered."""
SKEW = timedelta(minutes=10)
"""By so much the clocks here and there may differ."""
LONGEST_MARK = 56
CANCELLED = "The batch was ended before these were described, and they were not paid; make the same call again."
FAILED = "Anthropic could not describe these ({why}), and they were not paid; make the same call again."


@dataclass
class Batches:
    """The batches of one call of `describe`. `sleep` is for tests."""

    client: Client
    row: ModelRow
    answers: Answers
    reporter: Reporter
    sleep: Callable[[float], None] = time.sleep

    def describe(self, keys: list[str]) -> None:
        """Begin batches for these pictures and see them to their end. Raises Cancelled or ProviderError."""
        for start in range(0, len(keys), MOST):
            self._begin(keys[start : start + MOST])
        self.follow()

    def follow(self) -> None:
        """See all batches of this run to their end that were begun, in this call or before. Raises Cancelled."""
        for purchase in self._unsettled():
            if purchase.state != "submitted":
                found = self._found(purchase)
                if found is None:
                    self.answers.fail(self._keys(purchase), UNSURE)
                    continue
                self.reporter.purse.submitted(purchase.key, found)
        for purchase in self._unsettled():
            if purchase.state == "submitted":
                self._see_through(purchase)

    def _unsettled(self) -> list[Purchase]:
        bought = self.reporter.purse.all()
        unsettled = (one for one in bought if one.key.startswith(PREFIX) and one.state not in {"settled", "void"})
        return [one for one in unsettled if not self.answers.jobs.keys().isdisjoint(self._keys(one))]

    def _keys(self, purchase: Purchase) -> list[str]:
        """The pictures of a batch, in the order of its requests."""
        return list(self.reporter.journal.get(purchase.key) or [])

    # ----------------------------------------------------------------- beginning one

    def _begin(self, keys: list[str]) -> None:
        """One batch: the pictures in it are written down, then the intent, and only then it is sent."""
        jpegs = dict(self._pictures(keys))
        if not jpegs:
            return
        key = f"{PREFIX}{len(self.reporter.purse.all())}"
        self.reporter.journal.put(key, list(jpegs))
        jobs = [self.answers.jobs[one] for one in jpegs]
        worst = sum(request.worst_usd(job, self.row, batch=True) for job in jobs)
        rows = [sent_row(WHAT, jpeg, self.client.host) for jpeg in jpegs.values()]
        why = ""
        for tried in range(1, TRIES + 1):
            try:
                purchase = self.reporter.purse.intend(key, self.row.name, worst)
            except OverBudget as error:
                self.answers.fail(jpegs, NOT_SENT.format(why=str(error)))
                return
            if tried == 1:
                note_sent(self.reporter.journal, rows)
            later = self._sent(purchase, self._requests(purchase, jpegs), list(jpegs))
            if later is None:
                return
            why = str(later)
            waiter(self.reporter, self.sleep)(pause(later, tried))
        self.answers.fail(jpegs, UNREACHED.format(why=why))

    def _pictures(self, keys: list[str]) -> Iterator[tuple[str, bytes]]:
        for key in keys:
            try:
                yield key, as_jpeg(self.answers.jobs[key].image)
            except OSError:
                self.answers.fail([key], UNREADABLE)

    def _requests(self, purchase: Purchase, jpegs: dict[str, bytes]) -> list[dict[str, Any]]:
        return [
            {
                "custom_id": f"{_mark(purchase)}{place:04d}",
                "params": request.parameters(self.answers.jobs[key], self.row, jpeg),
            }
            for place, (key, jpeg) in enumerate(jpegs.items())
        ]

    def _sent(self, purchase: Purchase, requests: Sequence[dict[str, Any]], keys: list[str]) -> WireError | None:
        """Send a batch once; what came in its way where it may be sent again, since nothing was bought."""
        purse = self.reporter.purse
        try:
            batch_id = _id(self.client.batch(requests))
        except NeverSent as error:
            purse.void(purchase.key, str(error))
            return error
        except Refused as error:
            purse.void(purchase.key, str(error))
            if busy(error.status):
                return error
            ending = meaning(error)
            if ending is not None:
                raise ending from None
            self.answers.fail(keys, REFUSED.format(why=str(error).rstrip(".")))
            return None
        except Ambiguous as error:
            purse.unknown(purchase.key, str(error))
            return None
        purse.submitted(purchase.key, batch_id)
        return None

    # ----------------------------------------------------------------- finding one again

    def _found(self, purchase: Purchase) -> str | None:
        """The id of a batch whose creation went unanswered, or None where the list has none that is it."""
        if purchase.state == "intended":
            self.reporter.purse.unknown(purchase.key, "The process ended before the answer was there.")
        wait = waiter(self.reporter, self.sleep)
        size, since = len(self._keys(purchase)), datetime.fromisoformat(purchase.intended_at) - SKEW
        for seconds in LIST_LOOKS:
            wait(seconds)
            candidates = [one for one in self._recent(since) if _total(one) == size and not self._is_held(one)]
            for one in candidates:
                if self._is_it(_id(one), purchase):
                    return _id(one)
        return None

    def _recent(self, since: datetime) -> Iterator[Message]:
        for batch in self.client.batches(waiter(self.reporter, self.sleep)):
            made = _made(batch)
            if made is not None and made < since:
                return
            yield batch

    def _is_held(self, batch: Message) -> bool:
        return self.reporter.purse.held(_id(batch))

    def _is_it(self, batch_id: str, purchase: Purchase) -> bool:
        """Whether a batch's results are called as this purchase's; for one at work that shows when it has ended."""
        if self._ended(batch_id, "Looking whether a batch at Anthropic is this run's.") is None:
            return False
        results = self.client.results(batch_id, waiter(self.reporter, self.sleep))
        return any(str(one.get("custom_id", "")).startswith(_mark(purchase)) for one in results)

    # ----------------------------------------------------------------- seeing one through

    def _see_through(self, purchase: Purchase) -> None:
        """Wait for a batch, keep what it brings, and settle it.

        A person's stop ends it at Anthropic too; a worker that merely leaves lets it go on.
        """
        batch_id, wait = str(purchase.provider_id), waiter(self.reporter, self.sleep)
        try:
            ended = self._ended(batch_id, "Anthropic describes the pictures in a batch, at half the price.")
        except Leaving:
            raise
        except Cancelled:
            self._cancel(batch_id)
            raise
        if ended is None:
            self.reporter.purse.unknown(purchase.key, "Anthropic does not know the batch any more.")
            self.answers.fail(self._keys(purchase), UNSURE)
            return
        usd: float | None = 0.0
        keys, mark = self._keys(purchase), _mark(purchase)
        for one in self.client.results(batch_id, wait):
            place = str(one.get("custom_id", "")).removeprefix(mark)
            if place.isdigit() and int(place) < len(keys):
                answer = self._taken(keys[int(place)], one.get("result") or {})
                if answer is not None:
                    usd = None if usd is None or answer.usd is None else usd + answer.usd
        self.reporter.purse.settle(purchase.key, usd)

    def _cancel(self, batch_id: str) -> None:
        """End a batch at Anthropic too, and say what that leaves."""
        try:
            self.client.cancel(batch_id, self.sleep)
        except ProviderError as error:
            self.reporter.event(
                f"The batch {batch_id} goes on at Anthropic, which could not be told: {error}", "warning"
            )
            return
        self.reporter.event(
            f"The batch {batch_id} was ended at Anthropic; what it had described by then is paid, and is fetched when "
            "the same call is made again."
        )

    def _ended(self, batch_id: str, message: str) -> Message | None:
        """Wait until a batch has ended; None where Anthropic does not know it."""
        wait, (seconds, longest) = waiter(self.reporter, self.sleep), POLL_SECONDS
        while True:
            try:
                batch = self.client.standing(batch_id, wait)
            except Refused as error:
                if error.status != 404:
                    raise
                return None
            if batch.get("processing_status") == "ended":
                return batch
            counts = batch.get("request_counts") or {}
            total = _total(batch)
            self.reporter.progress(total - int(counts.get("processing") or 0), total, message)
            wait(seconds)
            seconds = min(seconds * 1.5, longest)

    def _taken(self, key: str, result: Message) -> Answer | None:
        """Keep the result of one picture; None where it was not paid."""
        kind = result.get("type")
        if kind == "succeeded":
            answer = request.read(result.get("message") or {}, self.row, batch=True)
            self.answers.take(key, answer)
            return answer
        if kind == "errored":
            error = (result.get("error") or {}).get("error") or {}
            self.answers.fail([key], FAILED.format(why=str(error.get("message") or "no word on why")))
        else:
            self.answers.fail([key], CANCELLED)
        return None


def _mark(purchase: Purchase) -> str:
    """The mark as a custom id may be spelt: letters, digits, _ and -, 64 at most with the place behind it."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", purchase.mark)[-LONGEST_MARK:] + "-"


def _id(batch: Message) -> str:
    """A batch's id. Raises Ambiguous where there is none."""
    found = batch.get("id")
    if not isinstance(found, str) or not found:
        raise Ambiguous("Anthropic answered with a batch that has no id.")
    return found


def _made(batch: Message) -> datetime | None:
    """When a batch was created, or None where that cannot be read."""
    try:
        return datetime.fromisoformat(str(batch.get("created_at")))
    except ValueError:
        return None


def _total(batch: Message) -> int:
    """How many requests a batch has."""
    return sum(int(count or 0) for count in (batch.get("request_counts") or {}).values())
