"""A host in memory for the tests of what all hosted engines share: it counts creates and fails as it is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loradeck.engines.base import Availability, Purchase
from loradeck.engines.hosted.host import Created, Lists, LiveField, LivePrice, Standing, Uploaded
from loradeck.engines.hosted.wire import WireError


@dataclass
class Request:
    """What arrived, how it goes on, and how often it was looked at and cancelled."""

    id: str
    endpoint: str
    inputs: dict[str, Any]
    mark: str
    destination: str
    standings: list[Standing]
    looks: int = 0
    cancels: int = 0


@dataclass
class MemoryHost:
    """`faults` are what the next creates raise, and whether the request arrived all the same; None for a good one."""

    script: Callable[[Request], list[Standing]] = lambda request: [Standing("done", output={})]
    lists: Lists = "all"
    at_once: int = 4
    faults: list[tuple[WireError, bool] | None] = field(default_factory=list)
    look_faults: list[Exception | None] = field(default_factory=list)
    find_faults: list[WireError | None] = field(default_factory=list)
    listed_late: int = 0
    marks: bool = True
    cancels_in_vain: bool = False
    usd: float | None = None
    live: dict[str, LiveField] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    name: str = "memory"
    requests: dict[str, Request] = field(default_factory=dict)
    uploads: list[tuple[Path, str, bytes]] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)
    sent: int = 0
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)

    def available(self) -> Availability:
        return Availability(True)

    def upload(self, path: Path, name: str) -> Uploaded:
        self.uploads.append((path, name, path.read_bytes()))
        return Uploaded(f"https://files.memory/{len(self.uploads)}/{name}", "2099-01-01T00:00:00+00:00")

    def prepare(self, endpoint: str, name: str) -> str:
        self.prepared.append(name)
        return f"me/{name}"

    def create(self, endpoint: str, inputs: Mapping[str, Any], purchase: Purchase, destination: str = "") -> Created:
        self.sent += 1
        fault = self.faults.pop(0) if self.faults else None
        if fault and not fault[1]:
            raise fault[0]
        made = self.arrive(endpoint, inputs, purchase.mark, destination)
        if fault:
            raise fault[0]
        return Created(made.id, {"endpoint": endpoint})

    def arrive(self, endpoint: str, inputs: Mapping[str, Any], mark: str, destination: str = "") -> Request:
        """A request as the host has it, whoever sent it."""
        request = Request(f"r{next(self._ids)}", endpoint, dict(inputs), mark, destination, [])
        request.standings = self.script(request)
        self.requests[request.id] = request
        self.most_at_once = max(self.most_at_once, sum(not ended(one) for one in self.requests.values()))
        return request

    def find(self, endpoint: str, inputs: Mapping[str, Any], purchase: Purchase) -> list[Created]:
        fault = self.find_faults.pop(0) if self.find_faults else None
        if fault:
            raise fault
        if self.lists == "never":
            return []
        if self.listed_late:
            self.listed_late -= 1
            return []
        alike = [one for one in self.requests.values() if one.endpoint == endpoint and one.inputs == dict(inputs)]
        return [Created(one.id, {"mark": one.mark} if self.marks else {}) for one in alike]

    def look(self, created: Created, endpoint: str) -> Standing:
        fault = self.look_faults.pop(0) if self.look_faults else None
        if fault:
            raise fault
        request = self.requests.get(created.id)
        if request is None:
            return Standing("failed", gone=True)
        request.looks += 1
        return request.standings.pop(0) if len(request.standings) > 1 else request.standings[0]

    def cancel(self, created: Created, endpoint: str) -> None:
        request = self.requests[created.id]
        request.cancels += 1
        if not ended(request) and not self.cancels_in_vain:
            request.standings = [request.standings[0], Standing("cancelled", usd=self.usd)]

    def price(self, endpoint: str) -> LivePrice | None:
        return None

    def inputs(self, endpoint: str) -> dict[str, LiveField] | None:
        return self.live

    def download_headers(self, url: str) -> dict[str, str]:
        return self.headers


def ended(request: Request) -> bool:
    """Whether nothing more will come of it."""
    return len(request.standings) == 1 and request.standings[0].stage in {"done", "failed", "cancelled"}
