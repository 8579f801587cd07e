"""Requests at a host, followed until they end: with back-off, through outages, and ended there when the person says so.

A worker that merely leaves cancels nothing: the request goes on at its host, and a resumed run finds it again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from loradeck.engines.base import Purchase, Reporter
from loradeck.engines.errors import Cancelled, Leaving, ProviderError
from loradeck.engines.hosted import hooks
from loradeck.engines.hosted.client import pause
from loradeck.engines.hosted.host import Created, Host, Standing
from loradeck.engines.hosted.progress import BAR
from loradeck.engines.hosted.wire import Refused, WireError

Sleep = Callable[[float], None]
TICK_SECONDS = 1.0
"""How often it is asked whether the person said stop, and whether the host sent word."""
SLOW, QUICK = (2.0, 15.0), (1.0, 4.0)
"""Seconds between the first looks at a training and at a picture, and between later ones."""
CALLED_BACK = 60.0
"""Seconds between later looks where the host calls back: a look then only shows progress, or mends a lost call."""
GROWTH = 1.4
GONE_SECONDS = 90.0
"""How long a host may not know a request before it counts as gone: what was made just now may be shown late."""
OUTAGE_SECONDS = 12 * 3600.0
"""How long a host that cannot be reached is tried."""
LONGEST_SECONDS = 24 * 3600.0
REFUSALS = 4
"""So many refused looks in a row end the watch: the key was withdrawn, say."""
CANCEL_SECONDS = 60.0
"""How long a cancelled request is watched until it has ended."""
AT_A_TIME = 8
"""So many are looked at together: 64 pictures one by one would take a quarter of a minute."""
MOST_LINES = 40
"""Lines of a host's log that become lines for a person; all of them stand at the host."""
LONGEST_LINE = 300
NUMBER = r"\b{}[:=]\s*([-+]?[\d.]+(?:e[-+]?\d+)?)"
MEASURED = {"loss": re.compile(NUMBER.format("loss"), re.I), "learning_rate": re.compile(NUMBER.format("lr"), re.I)}
ENDED = {"done", "failed", "cancelled"}


@dataclass
class _Followed:
    """One request under way. Times are in seconds of the watch's clock."""

    purchase: Purchase
    steps: int
    wait: float
    longest_wait: float
    since: float
    due: float
    lines: int = 0
    told: set[str] = field(default_factory=set)
    gone_since: float | None = None
    down_since: float | None = None
    failures: int = 0
    refusals: int = 0

    @property
    def created(self) -> Created:
        return Created(self.purchase.provider_id or "", self.purchase.handle)


class Watch:
    """Follows requests for one thread. `sleep` and `clock` (seconds) are for tests.

    Where hosts call back, the ledger is asked each second whether one sent word of a request, which is then looked at
    at once.
    """

    def __init__(
        self,
        host: Host,
        reporter: Reporter,
        *,
        sleep: Sleep = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host, self._reporter, self._sleep, self._clock = host, reporter, sleep, clock
        self._called_back = hooks.expected()
        self._under_way: dict[str, _Followed] = {}
        self._outage = False
        self.reached = (0, 0)
        """How far the work is, for what is told while it waits: steps done, and all of them."""

    def __len__(self) -> int:
        """How many requests are under way."""
        return len(self._under_way)

    def follow(self, purchase: Purchase, *, steps: int = 0, quick: bool = False) -> None:
        """Follow a request that was bought. With `steps` its log is told as progress, metrics and lines."""
        first, longest = QUICK if quick else SLOW
        longest = CALLED_BACK if self._called_back else longest
        now = self._clock()
        due = now if purchase.state == "settled" else now + first
        self._under_way[purchase.key] = _Followed(
            purchase, steps, first, longest, now, due, int(self._reporter.journal.get(_lines(purchase)) or 0)
        )

    def ended(self) -> list[tuple[Purchase, Standing]]:
        """Wait until some have ended, and give these with what they cost settled; empty where none is under way.

        Raises Cancelled once what is under way was ended at the host too, Leaving with all left as it is, and
        ProviderError where a request can be followed no longer.
        """
        while self._under_way:
            if over := [pair for one in self._looked_at() if (pair := self._over(*one))]:
                return over
            self._tick(min(one.due for one in self._under_way.values()) - self._clock())
        return []

    def wait(self, seconds: float) -> None:
        """Sleep, and hear the person meanwhile. Raises as `ended` does."""
        until = self._clock() + seconds
        while (left := until - self._clock()) > 0:
            self._tick(left)

    def hear(self) -> None:
        """Hear whether the person said stop. Raises as `ended` does."""
        try:
            self._reporter.raise_if_cancelled()
        except Leaving:
            raise
        except Cancelled as error:
            raise Cancelled(f"{error} {self._end_all()}".strip()) from error

    def _tick(self, seconds: float) -> None:
        """One short sleep, then hear whether to stop."""
        if seconds > 0:
            self._sleep(min(seconds, TICK_SECONDS))
        self.hear()
        for one in self._under_way.values() if self._called_back else ():
            if self._reporter.purse.news(one.created.id):
                one.due = self._clock()

    def _looked_at(self) -> list[tuple[_Followed, Standing]]:
        """Look at all that are due, several at a time."""
        due = [one for one in self._under_way.values() if one.due <= self._clock()]
        if len(due) < 2:
            seen = [self._look(one) for one in due]
        else:
            with ThreadPoolExecutor(min(len(due), AT_A_TIME), thread_name_prefix="look") as pool:
                seen = list(pool.map(self._look, due))
        for one, found in zip(due, seen, strict=True):
            if isinstance(found, WireError):
                self._down(one, found)
            else:
                self._up(one)
        return [(one, found) for one, found in zip(due, seen, strict=True) if isinstance(found, Standing)]

    def _look(self, one: _Followed) -> Standing | WireError:
        """Where a request stands, or why its host cannot be asked; in any thread."""
        try:
            return self._host.look(one.created, one.purchase.endpoint)
        except WireError as error:
            return error

    def _up(self, one: _Followed) -> None:
        """A host that answered."""
        one.wait = min(one.wait * GROWTH, one.longest_wait)
        one.due = self._clock() + one.wait
        one.down_since, one.failures, one.refusals = None, 0, 0
        if self._outage and all(other.down_since is None for other in self._under_way.values()):
            self._outage = False
            self._reporter.event(f"{self._host.name} answers again.")

    def _down(self, one: _Followed, error: WireError) -> None:
        """A host that cannot be reached: try on for long, since the work goes on there."""
        now = self._clock()
        one.failures += 1
        one.refusals = one.refusals + 1 if isinstance(error, Refused) and not error.throttled else 0
        one.due = now + max(one.wait, pause(error, one.failures))
        one.down_since = now if one.down_since is None else one.down_since
        if not self._outage:
            self._outage = True
            said = f"{error} What was bought goes on at {self._host.name} meanwhile, and is looked for again."
            self._reporter.pause(*self.reached, said)
        if one.refusals >= REFUSALS or now - one.down_since > OUTAGE_SECONDS:
            raise ProviderError(
                f"{error} The request {one.created.id} was bought and goes on at {self._host.name}; mend that, then "
                "resume the run before its result expires there, and nothing is bought again."
            ) from error

    def _over(self, one: _Followed, standing: Standing) -> tuple[Purchase, Standing] | None:
        """The request with what it cost, once it has ended."""
        if standing.gone and not self._surely_gone(one):
            return None
        if standing.stage in ENDED:
            self._tell(one, standing)
            del self._under_way[one.purchase.key]
            return self._settled(one.purchase, standing), standing
        self._tell(one, standing)
        if self._clock() - one.since > LONGEST_SECONDS:
            raise ProviderError(
                f"The request {one.created.id} is still under way at {self._host.name} after "
                f"{LONGEST_SECONDS / 3600:.0f} hours; look at it in the dashboard there, or resume the run to wait on."
            )
        return None

    def _surely_gone(self, one: _Followed) -> bool:
        now = self._clock()
        one.gone_since = now if one.gone_since is None else one.gone_since
        return now - one.gone_since >= GONE_SECONDS or one.purchase.state == "settled"

    def _settled(self, purchase: Purchase, standing: Standing) -> Purchase:
        """Write down what it cost, where that was not done before."""
        if purchase.state == "settled":
            return purchase
        usd = 0.0 if standing.usd is None and standing.charged is False else standing.usd
        return self._reporter.purse.settle(purchase.key, usd)

    def _tell(self, one: _Followed, standing: Standing) -> None:
        """Progress, metrics, and the lines of its log that are no progress bar."""
        if standing.stage not in ENDED and standing.error and standing.error not in one.told:
            one.told.add(standing.error)
            self._reporter.event(standing.error, "warning")
        if not one.steps:
            return
        done, steps = standing.done_steps or 0, standing.steps or one.steps
        fresh = standing.lines[one.lines :]
        if len(standing.lines) != one.lines:
            one.lines = len(standing.lines)
            for line in fresh:
                done, steps = self._line(one, line, (done, steps))
            self._reporter.flush()
            self._reporter.journal.put(_lines(one.purchase), one.lines)
        if standing.stage in {"waiting", "running"}:
            self.reached = done, steps
            message = "Waiting for a machine at {}." if standing.stage == "waiting" else "Training at {}."
            self._reporter.progress(done, steps, message.format(self._host.name))

    def _line(self, one: _Followed, line: str, reached: tuple[int, int]) -> tuple[int, int]:
        """One new line of a log; gives how far it says that the work is."""
        bar = BAR.search(line)
        if bar is None:
            said = " ".join(line.split())[:LONGEST_LINE]
            if said and said not in one.told and len(one.told) < MOST_LINES:
                one.told.add(said)
                self._reporter.event(f"{self._host.name}: {said}")
            return reached
        step, steps = int(bar[1]), int(bar[2])
        values = {name: float(found[1]) for name, number in MEASURED.items() if (found := number.search(line))}
        if values:
            self._reporter.metrics(step, values)
        return max(step, reached[0] if reached[1] == steps else 0), steps

    def _end_all(self) -> str:
        """End everything at the host; a sentence on what it cost."""
        doomed = list(self._under_way.values())
        unreached = [one for one in doomed if not self._cancel(one)]
        until, over = self._clock() + CANCEL_SECONDS, []
        while self._under_way and self._clock() < until:
            over += [pair for one in self._looked_at() if (pair := self._over(*one))]
            if self._under_way:
                self._sleep(TICK_SECONDS)
        return self._cost([*over], list(self._under_way.values()), unreached) if doomed else ""

    def _cancel(self, one: _Followed) -> bool:
        """Ask the host once to end a request; false where it could not be asked."""
        one.due, one.wait, one.longest_wait = self._clock(), *QUICK
        try:
            self._host.cancel(one.created, one.purchase.endpoint)
        except WireError as error:
            self._reporter.event(str(error), "warning")
            return False
        return True

    def _cost(self, over: list[tuple[Purchase, Standing]], left: list[_Followed], unreached: list[_Followed]) -> str:
        name = self._host.name
        known = [purchase.usd for purchase, _ in over if purchase.usd is not None]
        most = sum(purchase.worst_usd for purchase, _ in over if purchase.usd is None)
        said = [f"It was ended at {name} and cost {sum(known):.2f} USD there."] if known else []
        if most:
            said.append(f"What {name} charged is not told: at most {most:.2f} USD.")
        if any(standing.stage == "done" for _, standing in over):
            said.append("What was done before the stop arrived was paid for: resume the run to fetch it.")
        if left:
            why = "could not be told to stop" if unreached else "has not ended yet"
            most = sum(one.purchase.worst_usd for one in left)
            said.append(f"What runs at {name} {why}, and may cost up to {most:.2f} USD: end it in the dashboard there.")
        return " ".join(said)


def _lines(purchase: Purchase) -> str:
    """The journal's key for how many lines of a log were told."""
    return f"lines/{purchase.key}"
