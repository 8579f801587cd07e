"""What a host is to the engine that works at it: uploads, paid requests, their standing, prices.

Wire formats stay inside a host.
A host holds no state: what must outlast a crash is in the ledger and the journal of the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from loradeck.engines.base import Availability, Purchase
from loradeck.engines.hosted.table import TrainerRow

Stage = Literal["waiting", "running", "done", "failed", "cancelled"]
Lists = Literal["all", "ended", "never"]
"""Whether a host lists its requests: those under way too, so that absence is proof; ended ones alone; or none."""


@dataclass(frozen=True)
class Created:
    """A request that a host took: its id there, and what it gave to ask for it again."""

    id: str
    handle: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Standing:
    """Where a request stands at its host. A status that is not known counts as running, and `error` says what it is.

    `lines` are all log lines so far, oldest first; `done_steps` of `steps` is the progress that they tell. `output` is
    the host's own, once done. `error` is in the host's words, `next_step` in ours. `blanked` is true where the host
    says that it withheld or blackened a picture. `usd` is what it cost, where the host tells, and `charged` whether a
    failure costs anything (None: not known). `gone` is true where the host does not know the request (any more).
    """

    stage: Stage
    lines: tuple[str, ...] = ()
    done_steps: int | None = None
    steps: int | None = None
    output: Any = None
    error: str = ""
    next_step: str = ""
    blanked: bool = False
    usd: float | None = None
    charged: bool | None = None
    gone: bool = False


@dataclass(frozen=True)
class Uploaded:
    """A file at the host: where the host reads it, and when it is gone there (ISO 8601, or "" where nobody tells)."""

    url: str
    expires_at: str = ""


@dataclass(frozen=True)
class LivePrice:
    """A price that the host told just now: USD per unit, in its words."""

    usd: float
    unit: str


@dataclass(frozen=True)
class LiveField:
    """One input of an endpoint as its live schema has it."""

    name: str
    required: bool = False
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Any, ...] = ()
    default: Any = None


class Host(Protocol):
    """A hosted service. Every method raises the errors of `wire.py` where the service does not answer."""

    @property
    def name(self) -> str:
        """replicate, fal."""

    @property
    def lists(self) -> Lists:
        """What its list of requests holds."""

    @property
    def at_once(self) -> int:
        """The most requests that are kept under way there at a time."""

    def available(self) -> Availability:
        """Whether there is a key, and a package that is needed; asks nobody."""

    def upload(self, path: Path, name: str) -> Uploaded:
        """Store a file there, private and for the shortest time that works; free of charge, may be repeated."""

    def prepare(self, endpoint: str, name: str) -> str:
        """What must be there before a training can be asked for (a private destination model); returns its name."""

    def create(self, endpoint: str, inputs: Mapping[str, Any], purchase: Purchase, destination: str = "") -> Created:
        """The paid request, sent exactly once. Raises wire.NeverSent, wire.Refused or wire.Ambiguous."""

    def find(self, endpoint: str, inputs: Mapping[str, Any], purchase: Purchase) -> list[Created]:
        """Requests in the host's list that can be that one: sent since its intent, with its mark or the same inputs.

        The likeliest come first, then the oldest; one with its mark has the mark in its handle as `mark`. A host that
        does not list gives none.
        """

    def look(self, created: Created, endpoint: str) -> Standing:
        """Where a request stands."""

    def cancel(self, created: Created, endpoint: str) -> None:
        """Ask the host to end it; `look` tells what came of that."""

    def price(self, endpoint: str) -> LivePrice | None:
        """The price as the host tells it now, or None where it tells none."""

    def inputs(self, endpoint: str) -> dict[str, LiveField] | None:
        """The inputs of an endpoint by its live schema, or None where it cannot be read."""

    def download_headers(self, url: str) -> dict[str, str]:
        """The headers that a result is fetched with: the key for the host's own addresses alone, else none."""


@runtime_checkable
class FindsTrainers(Protocol):
    """A host whose other trainers can be used by name: their live schema says how."""

    def trainer(self, base_model: str, endpoint: str) -> TrainerRow:
        """The row of a trainer that the table does not have. Raises BadSpec where its schema is no trainer's."""
