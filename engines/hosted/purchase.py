"""The one way to spend: an intent on the disk, one request, the host's id on the disk; and what became of doubt.

A request goes out again only when the connection was never made or the host plainly refused. Whatever may have arrived
is looked for in the host's list, unless a webhook tells of it first, and is never sent again by itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from loradeck import LoradeckError
from loradeck.engines.base import Purchase, Purse
from loradeck.engines.errors import BadSpec, NotInstalled, OverBudget, ProviderError, Unknown
from loradeck.engines.hosted.client import pause
from loradeck.engines.hosted.host import Created, Host
from loradeck.engines.hosted.wire import Ambiguous, NeverSent, Refused, WireError

TRIES = 4
"""How often a connection is tried that cannot be made."""
THROTTLED_SECONDS = 900.0
"""How long a host that says "later" (429) is waited for, in all."""
LOOKS_SECONDS = (0.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Pauses before each look into a host's list: what was sent just now may be listed late."""
LISTED_AFTER = timedelta(minutes=10)
"""After that long, what is not listed will not be: one look is enough."""
Sleep = Callable[[float], None]
Now = Callable[[], datetime]


NEXT_STEP = {
    "key": "set the key of {host} anew, from its page of keys",
    "credit": "add credit or raise the spending limit on the billing page of {host}",
    "forbidden": "accept the licence of {endpoint} on its page there, or use a key that may use it",
    "missing": "look up whether {endpoint} is still offered there, and choose another engine if not",
    "input": "change what it names, and start again",
    "content": "reword the prompt or choose other pictures: its filter does not take them",
    "throttled": "try again later, or with fewer requests at a time",
}
"""What helps, by the kind of a refusal whose own sentence does not say it."""


class NeverArrived(ProviderError):
    """A request in doubt is surely not at its host: nothing was bought, and a later call sends it anew."""


def utc_now() -> datetime:
    """The time now, with its zone."""
    return datetime.now(UTC)


def buy(
    host: Host,
    purse: Purse,
    key: str,
    endpoint: str,
    inputs: Mapping[str, Any],
    worst_usd: float,
    destination: str = "",
    *,
    sleep: Sleep = time.sleep,
    now: Now = utc_now,
    met: Exception | None = None,
) -> Purchase:
    """Buy once, whatever happens in between; gives the purchase as submitted, or as it was settled before.

    Called again with the same key after a crash it finds its request again and never sends another. Used by one
    thread for one purse. An error that `sleep` raises (the person said stop) ends it where nothing was sent. `met` is
    what the first try met, where it was sent ahead (see `send_together`).

    Raises OverBudget; ProviderError where it is certain that nothing was bought, with the next step; Unknown where
    that is not certain. A purchase of which nothing was bought is sent anew by the next call.
    """
    order = _Order(host, purse, key, endpoint, inputs, destination, sleep, now)
    there = purse.get(key)
    if there is None or there.state == "void":
        there = purse.intend(key, endpoint, worst_usd)
        if there.state == "intended":
            return order.send(there, met)
    if there.state in {"submitted", "settled"}:
        return there
    return order.find_again(there, str(met or "loradeck ended before the answer was written down"))


@dataclass(frozen=True)
class Ahead:
    """A request to be sent together with others: as `buy` takes it."""

    key: str
    endpoint: str
    inputs: Mapping[str, Any]
    worst_usd: float
    destination: str = ""


def send_together(host: Host, purse: Purse, requests: Sequence[Ahead]) -> dict[str, Exception]:
    """Send new requests side by side, each once; gives what went wrong, by key, for `buy` to go on with.

    Every intent is on the disk before the first request leaves, and every answer is written down before this returns;
    the ledger is used by the calling thread alone. What may not be bought (over budget) is left to `buy`, and told
    there. Whatever may have arrived is `unknown` then, and what surely did not is void.
    """
    intended: list[tuple[Ahead, Purchase]] = []
    for request in requests:
        try:
            intended.append((request, purse.intend(request.key, request.endpoint, request.worst_usd)))
        except OverBudget:
            break

    def send(pair: tuple[Ahead, Purchase]) -> Created | Exception:
        request, purchase = pair
        try:
            return host.create(request.endpoint, request.inputs, purchase, request.destination)
        except (WireError, NotInstalled, BadSpec) as error:
            return error

    with ThreadPoolExecutor(max(1, len(intended)), thread_name_prefix="create") as pool:
        outcomes = list(pool.map(send, intended))
    met: dict[str, Exception] = {}
    for (request, _), outcome in zip(intended, outcomes, strict=True):
        if isinstance(outcome, Created):
            purse.submitted(request.key, outcome.id, outcome.handle)
            continue
        met[request.key] = outcome
        if isinstance(outcome, Ambiguous):
            purse.unknown(request.key, str(outcome))
        else:
            purse.void(request.key, str(outcome))
    return met


class _Order:
    """One thing to buy, and what it is bought with."""

    def __init__(
        self,
        host: Host,
        purse: Purse,
        key: str,
        endpoint: str,
        inputs: Mapping[str, Any],
        destination: str,
        sleep: Sleep,
        now: Now,
    ) -> None:
        self.host, self.purse, self.key, self.endpoint = host, purse, key, endpoint
        self.inputs, self.destination, self.sleep, self.now = inputs, destination, sleep, now

    def send(self, purchase: Purchase, met: Exception | None = None) -> Purchase:
        """Send what was just intended, again only while it is certain that nothing arrived.

        `met` counts as what the first try came to.
        """
        tried, waited = 0, 0.0
        while True:
            tried += 1
            try:
                if met is not None:
                    first, met = met, None
                    raise first
                created = self.host.create(self.endpoint, self.inputs, purchase, self.destination)
            except NeverSent as error:
                if tried >= TRIES:
                    raise self._nothing_bought(str(error), "start again when it can be reached") from error
                wait = pause(error, tried)
            except Refused as error:
                wait = pause(error, tried)
                if not error.throttled or waited + wait > THROTTLED_SECONDS:
                    step = "" if error.says_how else NEXT_STEP.get(error.kind, NEXT_STEP["input"])
                    raise self._nothing_bought(str(error), step) from error
                waited += wait
            except Ambiguous as error:
                return self.find_again(self.purse.unknown(self.key, str(error)), str(error))
            except (NotInstalled, BadSpec) as error:  # found before anything was sent
                self.purse.void(self.key, str(error))
                raise
            else:
                return self.purse.submitted(self.key, created.id, created.handle)
            self._wait(wait)

    def find_again(self, purchase: Purchase, why: str) -> Purchase:
        """Look in the host's list for a request that may have arrived."""
        looked = False
        for wait in self._looks(purchase):
            if wait:
                self.sleep(wait)
            if taken := self._taken():
                return taken
            try:
                found = self._ours(purchase)
                looked = True
            except WireError as error:
                looked, found, why = False, None, str(error)
            if found is not None:
                return self.purse.submitted(self.key, found.id, found.handle)
        if taken := self._taken():
            return taken
        if looked and self.host.lists == "all":
            raise self._nothing_bought(
                f"The request to {self.endpoint} never arrived at {self.host.name}, whose list does not have it",
                "resume the run, which sends it anew",
                NeverArrived,
            )
        if purchase.state != "unknown":
            purchase = self.purse.unknown(self.key, why)
        raise Unknown(self._doubt(purchase, why))

    def _taken(self) -> Purchase | None:
        """The purchase, where the host's own word (a webhook) brought its id to the ledger meanwhile."""
        there = self.purse.get(self.key)
        if there is None or there.provider_id is None:
            return None
        return self.purse.submitted(self.key, there.provider_id, there.handle)

    def _looks(self, purchase: Purchase) -> tuple[float, ...]:
        old = self.now() - datetime.fromisoformat(purchase.intended_at) > LISTED_AFTER
        return LOOKS_SECONDS[:1] if old or self.host.lists == "never" else LOOKS_SECONDS

    def _ours(self, purchase: Purchase) -> Created | None:
        """The request that can be this purchase: with its mark, else the oldest that no other purchase has."""
        listed = self.host.find(self.endpoint, self.inputs, purchase)
        free = [one for one in listed if not self.purse.held(one.id)]
        marked = [one for one in free if one.handle.get("mark") == purchase.mark]
        return next(iter(marked or free), None)

    def _wait(self, seconds: float) -> None:
        """Wait while nothing is on its way; asked to stop meanwhile, nothing was bought."""
        try:
            self.sleep(seconds)
        except LoradeckError:
            self.purse.void(self.key, "stopped before anything was sent")
            raise

    def _nothing_bought(self, said: str, next_step: str, kind: type[ProviderError] = ProviderError) -> ProviderError:
        """The error for what was surely not bought; `next_step` is empty where `said` names it."""
        self.purse.void(self.key, said)
        step = f": {next_step.format(host=self.host.name, endpoint=self.endpoint)}" if next_step else ""
        return kind(f"{said.rstrip('.')}. Nothing was bought and nothing was spent{step}.")

    def _doubt(self, purchase: Purchase, why: str) -> str:
        listing = {
            "all": "its list could not be read",
            "ended": "its list shows a request only once it has ended",
            "never": "it has no list to look in",
        }[self.host.lists]
        return (
            f"It is not known whether {self.host.name} took the request to {self.endpoint} ({why.rstrip('.')}), and "
            f"{listing}; it may have cost up to {purchase.worst_usd:.2f} USD, which stay set aside. Look at the "
            f"requests of {purchase.intended_at} in the dashboard of {self.host.name}; it is never sent again by "
            "itself, and resuming the run only looks for it again."
        )
