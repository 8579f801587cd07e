"""Jobs at a host: they move as the client polls or as the test says, make something, and cost something."""

from __future__ import annotations

import threading
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any

import httpx
from support.hosts.datasets import Dataset
from support.hosts.exchange import Reply, Request
from support.hosts.faults import Fault
from support.hosts.storage import StoringService

LIVE = ("queued", "running")


@dataclass(eq=False)
class Failure(Exception):
    """Why a job ended without a result, as pydantic would tell it, with the status of its answer."""

    message: str
    kind: str = "value_error"
    status: int = 422
    place: tuple[str | int, ...] = ("body",)
    value: Any = None
    billed: bool = False


@dataclass
class Result:
    """What a job made: the host's own output, and what it used (in the host's unit and in seconds)."""

    output: Any
    seconds: float
    units: float = 1.0


@dataclass
class Job:
    """One job; `state` is queued, running, succeeded, failed, cancelled, aborted or gone."""

    id: str
    endpoint: str
    kind: str
    input: dict[str, Any]
    created: float
    webhook: str | None = None
    events: tuple[str, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    fault: Fault | None = None
    state: str = "queued"
    ticks: int = 0
    told: list[tuple[str, float]] = field(default_factory=lambda: [("queued", 0.0)])
    started: float | None = None
    ended: float | None = None
    result: Result | None = None
    failure: Failure | None = None
    dataset: Dataset | None = None
    charged_usd: float = 0.0
    share: float = 1.0
    """How much of it was done when it ended."""

    def meets(self, *kinds: str) -> bool:
        """Whether the fault of its create is one of these."""
        return self.fault is not None and self.fault.kind in kinds

    @property
    def alive(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE


@dataclass(frozen=True)
class Hook:
    """A webhook on its way: signed when it was made."""

    url: str
    body: bytes
    headers: dict[str, str]


@dataclass
class JobService(StoringService):
    """A service with jobs.

    A job is queued for `queued_polls` polls and runs for `running_polls`; with `manual` only `advance` moves it. The
    client is told the state of `lag` polls ago. `most_live` jobs live at a time, and one more is refused; `peak_live`
    is how many there were. `late_hooks` are held back until `send_late_hooks`.
    """

    jobs: dict[str, Job] = field(default_factory=dict)
    cancels: list[str] = field(default_factory=list)
    queued_polls: int = 1
    running_polls: int = 2
    lag: int = 0
    manual: bool = False
    most_live: int | None = None
    peak_live: int = 0
    hooks_sent: list[Hook] = field(default_factory=list)
    late_hooks: list[Hook] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._outbox: list[Hook] = []
        self._sending: list[threading.Thread] = []
        self.afterwards.append(self.send_hooks)

    @abstractmethod
    def work(self, job: Job) -> Result:
        """Do the job. Raises `Failure`, or `ValueError` with words."""

    @abstractmethod
    def cost(self, job: Job, result: Result) -> float:
        """What the whole of it costs, in USD."""

    def bills(self, job: Job, failure: Failure) -> bool:
        """Whether a job that failed costs what one that succeeded does."""
        return failure.billed

    @abstractmethod
    def estimate(self, job: Job) -> Result:
        """What it would use if it ran to its end, for one that did not."""

    @abstractmethod
    def hook(self, job: Job, event: str) -> Hook:
        """The signed webhook that tells of an event (`start`, `completed`)."""

    def accept(self, job: Job, request: Request) -> None:
        """A create went through: from here on it counts."""
        job.fault = request.fault
        self.jobs[job.id] = job
        self.count(request, job.id, job.endpoint, job.kind, job.input)
        self.peak_live = max(self.peak_live, self.live)
        self._settle(job)

    @property
    def live(self) -> int:
        """How many jobs have not ended."""
        return sum(job.alive for job in self.jobs.values())

    def full(self) -> Reply | None:
        """The refusal of one job more than may live at a time, or None."""
        if self.most_live is None or self.live < self.most_live:
            return None
        reply = self.refusal(429, self.throttled_words(1))
        reply.headers["Retry-After"] = "1"
        return reply

    def poll(self, job: Job) -> tuple[str, float]:
        """The client asks: what it is told, a state and how far the job is (0 to 1)."""
        if not self.manual:
            self._tick(job)
        job.told.append((job.state, self._fraction(job)))
        lag = self.lag + (job.fault.polls if job.fault and job.meets("lag") else 0)
        state, fraction = job.told[max(0, len(job.told) - 1 - lag)]
        if job.fault and job.meets("unknown_status") and state != "queued" and len(job.told) - 1 <= job.fault.polls:
            state = "unknown"
        return state, fraction

    def advance(self, polls: int | None = None) -> None:
        """Move every job on by so many polls, without anyone asking; None: to its end."""
        with self.lock:
            for job in list(self.jobs.values()):
                for _ in range(self.queued_polls + self.running_polls if polls is None else polls):
                    self._tick(job)
        self.send_hooks()

    def cancel(self, job: Job) -> bool:
        """The client wants it stopped: whether it was still going."""
        self.cancels.append(job.id)
        if not job.alive:
            return False
        if job.meets("cancel_races"):
            job.ticks = self.queued_polls + self.running_polls
            self._settle(job)
            return True
        job.share = self._fraction(job)
        if job.state == "running":
            self._charge(job)
        self._end(job, "cancelled")
        return True

    def send_hooks(self) -> None:
        """Send what waits to be sent, each hook in a thread of its own."""
        with self.lock:
            going, self._outbox = self._outbox, []
            for hook in going:
                thread = threading.Thread(target=self._send, args=(hook,), daemon=True)
                self._sending.append(thread)
                thread.start()

    def send_late_hooks(self) -> None:
        """Send the webhooks that were held back."""
        self._outbox, self.late_hooks = [*self._outbox, *self.late_hooks], []
        self.send_hooks()

    def wait_for_hooks(self) -> None:
        """Until every webhook has been answered or given up."""
        while self._sending:
            self._sending.pop().join()

    def _tick(self, job: Job) -> None:
        if job.alive:
            job.ticks += 1
            self._settle(job)

    def _fraction(self, job: Job) -> float:
        if job.state == "queued":
            return 0.0
        return min(1.0, (job.ticks - self.queued_polls + 1) / (self.running_polls + 1))

    def _settle(self, job: Job) -> None:
        """The state that its ticks stand for."""
        if job.ticks < self.queued_polls:
            return
        if job.meets("gone_while_queued"):
            job.state = "gone"
            return
        if job.state == "queued":
            job.state, job.started = "running", self.clock()
            self._announce(job, "start")
        if job.meets("aborted"):
            job.share = 0.0
            self._end(job, "aborted")
        elif job.ticks >= self.queued_polls + self.running_polls:
            self._finish(job)

    def _finish(self, job: Job) -> None:
        try:
            job.result = self._worked(job)
        except Failure as failure:
            job.failure = failure
            if self.bills(job, failure):
                self._charge(job)
            return self._end(job, "failed")
        self._charge(job)
        return self._end(job, "succeeded")

    def _worked(self, job: Job) -> Result:
        if job.meets("failed"):
            raise Failure("CUDA out of memory", "internal_error", 500)
        if job.meets("charged_422"):
            raise Failure("The content could not be processed.", "content_policy_violation", billed=True)
        try:
            return self.work(job)
        except ValueError as error:
            raise Failure(str(error)) from error

    def _charge(self, job: Job) -> None:
        job.charged_usd = self.cost(job, job.result or self.estimate(job)) * job.share
        self.charged_usd += job.charged_usd

    def _end(self, job: Job, state: str) -> None:
        job.state, job.ended = state, self.clock()
        self._announce(job, "completed")

    def _announce(self, job: Job, event: str) -> None:
        if not job.webhook or event not in job.events:
            return
        hook = self.hook(job, event)
        if job.meets("late_webhook"):
            self.late_hooks.append(hook)
            return
        self._outbox += [hook] * (2 if job.meets("duplicate_webhook") else 1)

    def _send(self, hook: Hook) -> None:
        try:
            httpx.post(hook.url, content=hook.body, headers=hook.headers, timeout=5, trust_env=False)
        except httpx.HTTPError:
            return
        with self.lock:
            self.hooks_sent.append(hook)
