"""A host's own captioner behind the interface of all captioners (`engines.base.Captioner`).

It is asked by the row of the host's table, hears no instructions, and describes what it likes: faces and styles too.
Whoever uses its words marks them (CAP-ORIGIN). A picture is bought as a drawing is: each once, several under way.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from loradeck.engines.base import Availability, CaptionJob, Cost, Described, Purchase, Reporter
from loradeck.engines.errors import BadSpec, EngineError, NotInstalled, OverBudget, ProviderError, Unknown
from loradeck.engines.hosted import outputs, pricing
from loradeck.engines.hosted.answered import Answer, Answers
from loradeck.engines.hosted.counter import Clocks, Counter, Now, Order, Sleep
from loradeck.engines.hosted.drawing import ITS_OWN
from loradeck.engines.hosted.host import Host, Standing
from loradeck.engines.hosted.knowledge import Knowledge
from loradeck.engines.hosted.purchase import NeverArrived, utc_now
from loradeck.engines.hosted.sending import parcel
from loradeck.engines.hosted.table import CaptionerRow
from loradeck.engines.hosted.wire import Refused

WHAT = "picture to be described"
PICTURE = pricing.Amount(images=1)
PICTURE_MINUTES = 0.2
"""What a small captioner takes for a picture, its start included."""
NO_WORDS = "{endpoint} described nothing ({why}). {cost} Look with view_images and write these captions yourself."


class HostedCaptioner:
    """Describes pictures at a host. `sleep`, `clock` (seconds), `now` and `news` as `HostedEngine` has them."""

    follows = False

    def __init__(
        self,
        host: Host,
        row: CaptionerRow,
        *,
        sleep: Sleep = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Now = utc_now,
    ) -> None:
        self._host, self._row = host, row
        self._clocks = Clocks(sleep, clock, now)
        self._known = Knowledge(host, self._clocks)

    @property
    def name(self) -> str:
        """The host's name."""
        return self._host.name

    def available(self) -> Availability:
        """Whether there is a key; nobody is asked."""
        return self._host.available()

    def estimate(self, jobs: Sequence[CaptionJob]) -> Cost:
        """Minutes and USD, by the live price where the host tells one."""
        minutes = PICTURE_MINUTES * len(jobs) / self._host.at_once
        return pricing.cost(self._rate(), [PICTURE] * len(jobs), minutes, self._row.endpoint)

    def describe(
        self, jobs: Sequence[CaptionJob], reporter: Reporter, done: Callable[[Described], None]
    ) -> tuple[str, ...]:
        """Describe pictures, several at once. See `engines.base.Captioner`."""
        answers = Answers(reporter.journal, jobs, done)
        answers.replay()
        counter = Counter(self._host, reporter, self._clocks)
        waiting = deque(sorted(answers.open, key=lambda key: not counter.has(key)))
        stop: EngineError | None = None
        while (
            waiting and stop is None and counter.has(waiting[0])
        ):  # at the host already: followed before more is bought
            stop = self._buy(counter, answers, waiting.popleft())
        while waiting or len(counter.watch):
            while waiting and stop is None and len(counter.watch) < self._host.at_once:
                stop = self._buy(counter, answers, waiting.popleft())
            if isinstance(stop, OverBudget):
                answers.fail([key for key in answers.open if key in waiting], f"Nothing was sent for these: {stop}")
            if stop is not None:
                waiting.clear()
            for purchase, standing in counter.watch.ended():
                answers.take(purchase.key, self._answer(purchase, standing))
        if stop is not None and not isinstance(stop, OverBudget):
            raise stop
        return answers.told()

    def _buy(self, counter: Counter, answers: Answers, key: str) -> EngineError | None:
        """Ask for one picture; what would meet every other one too is given back."""
        try:
            purchase = counter.place(key, partial(self._order, counter, answers.jobs[key]))
        except (Unknown, NeverArrived, BadSpec) as error:
            answers.fail([key], str(error))
        except ProviderError as error:
            cause = error.__cause__
            if not (isinstance(cause, Refused) and cause.kind in ITS_OWN):
                return error
            answers.fail([key], str(error))
        except OverBudget as error:
            answers.fail([key], f"Nothing was sent for these: {error}")
            return error
        except NotInstalled as error:
            return error
        else:
            counter.watch.follow(purchase, quick=True)
        return None

    def _order(self, counter: Counter, job: CaptionJob) -> Order:
        """The request for a picture, which is uploaded for it."""
        (url,) = counter.sending.urls([parcel(job.image, WHAT)])
        return Order(self._row.endpoint, {self._row.image_field: url, **self._row.fixed}, self._rate().worst(PICTURE))

    def _answer(self, purchase: Purchase, standing: Standing) -> Answer:
        """What a request that has ended says."""
        usd, provider_id = purchase.usd, purchase.provider_id or ""
        text = outputs.at(standing.output, self._row.output) if standing.stage == "done" else None
        if text is not None and text.strip():
            return Answer(text, {}, usd, provider_id)
        why = standing.error.rstrip(".") or (
            "it is not where it is known to stand" if standing.output else standing.stage
        )
        cost = outputs.charged(self._host.name, standing, purchase.worst_usd)
        return Answer(
            usd=usd,
            provider_id=provider_id,
            failed=NO_WORDS.format(endpoint=self._row.endpoint, why=why, cost=cost),
        )

    def _rate(self) -> pricing.Rate:
        return self._known.rate(self._row.endpoint, self._row.price, self._row.checked)
