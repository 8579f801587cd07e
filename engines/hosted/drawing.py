"""Pictures at a host: as many under way as it takes, each bought once, those that fail told and the others kept."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loradeck.engines.base import DrawJob, DrawResult, Picture, Purchase
from loradeck.engines.errors import BadSpec, EngineError, NotInstalled, OverBudget, ProviderError, Unknown
from loradeck.engines.hosted import download, outputs, pictures
from loradeck.engines.hosted.counter import Counter, Order
from loradeck.engines.hosted.host import Standing
from loradeck.engines.hosted.purchase import NeverArrived
from loradeck.engines.hosted.table import OutputRow
from loradeck.engines.hosted.wire import Refused

MOST_BYTES = 200 * 2**20
"""A picture of 8192 pixels a side is smaller."""
ITS_OWN = {"content", "input"}
"""Refusals that are of one picture; any other (a key, credit) would meet all that follow."""
SIDE_BY_SIDE = 8
"""So many are bought together: a create takes a connection of its own, and 64 one by one would take as long as the
drawing itself. As many may be in doubt after a crash, each to be looked for."""


@dataclass(frozen=True)
class Asked:
    """One picture: the job, how its order is made when its turn comes (uploads included), what its PNG will tell."""

    key: str
    job: DrawJob
    order: Callable[[], Order]
    told: pictures.Told


@dataclass(frozen=True)
class _Came:
    """A picture that is there to be fetched, and what is known of its cost."""

    asked: Asked
    cost: str
    wanted: download.Wanted


@dataclass
class Drawing:
    """The pictures of one request. `crop` as in `pictures.keep`."""

    counter: Counter
    outputs: Sequence[OutputRow]
    asked: Sequence[Asked]
    crop: bool
    told: dict[str, None] = field(default_factory=dict)
    made: dict[str, Picture] = field(default_factory=dict)
    under_way: dict[str, Asked] = field(default_factory=dict)
    taken: bool = False
    stop: EngineError | None = None

    def all(self) -> DrawResult:
        """Draw what is not there yet.

        Raises what would meet every further picture (no credit, over budget), once those under way are in; a
        resumed run goes on from there.
        """
        left = deque(self._missing())
        while left and self.counter.has(left[0].key):  # under way at the host already: followed before more is bought
            self._buy(left.popleft())
        while left or self.under_way:
            while left and self.stop is None and (room := self.counter.host.at_once - len(self.under_way)) > 0:
                several = min(SIDE_BY_SIDE, room, len(left)) if self.taken else 1
                self._buy_together([left.popleft() for _ in range(several)])
            if self.stop is not None:
                left.clear()
            self._take(self.counter.watch.ended())
            self._progress()
        if self.stop is not None:
            raise self.stop
        return DrawResult(
            tuple(self.made[one.key] for one in self.asked if one.key in self.made), told=tuple(self.told)
        )

    def _missing(self) -> list[Asked]:
        """What is not there yet, first what was bought before."""
        missing: list[Asked] = []
        for one in self.asked:
            if picture := pictures.there(one.job):
                self.made[one.key] = picture
            else:
                missing.append(one)
        return sorted(missing, key=lambda one: not self.counter.has(one.key))

    def _buy_together(self, several: Sequence[Asked]) -> None:
        """Buy some side by side, once the host took one of them: a wrong key, say, is met by a single request."""
        sent = self.counter.send_ahead([(one.key, one.order) for one in several]) if len(several) > 1 else set()
        for one in sorted(several, key=lambda one: one.key not in sent):  # followed before anything waits
            if self.stop is None or self.counter.has(one.key):
                self._buy(one)

    def _buy(self, one: Asked) -> None:
        try:
            purchase = self.counter.place(one.key, one.order)
        except (Unknown, NeverArrived, BadSpec) as error:
            self._tell(one, str(error))
        except ProviderError as error:
            cause = error.__cause__
            if isinstance(cause, Refused) and cause.kind in ITS_OWN:
                self._tell(one, str(error))
            else:
                self.stop = error
        except (OverBudget, NotInstalled) as error:
            self.stop = error
        else:
            self.taken = True
            self.under_way[purchase.key] = one
            self.counter.watch.follow(purchase, quick=True)

    def _take(self, ended: Sequence[tuple[Purchase, Standing]]) -> None:
        """Fetch pictures at once, several at a time, look at them, and keep them; or tell why there is none."""
        host = self.counter.host
        came: list[_Came] = []
        for purchase, standing in ended:
            one = self.under_way.pop(purchase.key)
            cost = outputs.charged(host.name, standing, purchase.worst_usd)
            address = self._address(one, purchase, standing, cost)
            if address:
                came.append(
                    _Came(one, cost, download.Wanted(address, _beside(one.job, purchase), most_bytes=MOST_BYTES))
                )
        fetched = download.fetch_all(
            [one.wanted for one in came], host.download_headers, host.name, sleep=self.counter.sleep
        )
        for picture, file in zip(came, fetched, strict=True):
            if isinstance(file, ProviderError):
                self._tell(picture.asked, f"{file} {picture.cost}")
            else:
                self._keep(picture, file)

    def _address(self, one: Asked, purchase: Purchase, standing: Standing, cost: str) -> str | None:
        """Where a picture can be fetched; else None, and why is told."""
        if standing.stage != "done" or standing.blanked:
            why = f": {standing.error.rstrip('.')}" if standing.error else ""
            what = "was withheld by the host's filter" if standing.blanked else f"was not made ({standing.stage})"
            step = standing.next_step or "ask for it again with another prompt or seed"
            self._tell(one, f"it {what}{why}. {cost} {step[:1].upper()}{step[1:].rstrip('.')}.")
            return None
        address = next((found for row in self.outputs if (found := outputs.at(standing.output, row))), None)
        if address is None or not outputs.is_address(address):
            self._tell(
                one,
                f"{purchase.endpoint} gave no picture where it is known to stand. {cost} Look at "
                f"{purchase.provider_id} in the dashboard of {self.counter.host.name}.",
            )
            return None
        return address

    def _keep(self, came: _Came, file: Path) -> None:
        kept = pictures.keep(came.asked.job, file, crop=self.crop, told=came.asked.told)
        file.unlink(missing_ok=True)
        if isinstance(kept, str):
            self._tell(
                came.asked,
                f"the picture that came back {kept}, so it was not kept. {came.cost} Reword the prompt or change the "
                "seed.",
            )
            return
        self.made[came.asked.key] = kept
        if self.crop and pictures.cropped(kept):
            native, asked = kept.native, (kept.width, kept.height)
            self.told[
                f"{self.counter.host.name} drew {native[0]}x{native[1]}, the nearest shape that it has to "
                f"{asked[0]}x{asked[1]}; the edges were cut."
            ] = None

    def _tell(self, one: Asked, sentence: str) -> None:
        self.told[f"{one.job.id}: {sentence}"] = None
        self.counter.reporter.event(f"{one.job.id}: {sentence}", "warning")

    def _progress(self) -> None:
        if self.asked:
            self.counter.reporter.progress(
                len(self.made),
                len(self.asked),
                f"Drawing at {self.counter.host.name}, {len(self.under_way)} under way.",
            )


def _beside(job: DrawJob, purchase: Purchase) -> Path:
    """Where a picture lies as it came, under a name that no other purchase has."""
    number = hashlib.sha256(f"{purchase.provider_id}".encode()).hexdigest()[:12]
    return job.out.with_name(f".{job.out.stem}-{number}.came")
