"""The hosts' own captioners behind the interface of all captioners, against the loopback hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.hosts import images
from support.hosts.fal import Fal
from support.hosts.faults import Fault
from support.hosts.replicate import Replicate
from support.hosts.service import serving
from support.purse import Killed, MemoryPurse
from support.reporter import MemoryJournal, MemoryReporter

from loradeck.engines.base import Captioner, CaptionJob, Described
from loradeck.engines.errors import ProviderError
from loradeck.engines.fal.host import FalHost
from loradeck.engines.fal.table import CAPTIONER as FLORENCE
from loradeck.engines.hosted.captioner import HostedCaptioner
from loradeck.engines.hosted.sending import SENT
from loradeck.engines.registry import Registry
from loradeck.engines.replicate.host import ReplicateHost
from loradeck.engines.replicate.table import CAPTIONER as BLIP


@dataclass
class Desk:
    """A captioner, the service that it speaks to, and a run whose journal and ledger stay."""

    service: Any
    captioner: HostedCaptioner
    jobs: list[CaptionJob]
    heard: dict[str, str] = field(default_factory=dict)
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    purse: MemoryPurse = field(default_factory=MemoryPurse)

    def describe(self) -> tuple[str, ...]:
        reporter = MemoryReporter(self.journal, purse=self.purse)
        return self.captioner.describe(self.jobs, reporter, self._hear)

    def _hear(self, one: Described) -> None:
        self.heard[one.job_id] = one.caption

    @property
    def states(self) -> list[str]:
        return sorted(one.state for one in self.purse.all())


@pytest.fixture(params=["replicate", "fal"])
def desk(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    at_fal = request.param == "fal"
    with serving(Fal() if at_fal else Replicate()) as service:
        for name in ("FAL_KEY", "REPLICATE_API_TOKEN"):
            monkeypatch.setenv(name, service.key)
        monkeypatch.setenv("LORADECK_FAL_URL" if at_fal else "REPLICATE_BASE_URL", service.base_url)
        monkeypatch.delenv("LORADECK_WEBHOOK_URL", raising=False)

        def now() -> datetime:
            return datetime.fromisoformat(service.clock.iso())

        def sleep(seconds: float) -> None:
            service.clock.forward(seconds)
            service.advance()

        host = FalHost(sleep=sleep, now=now) if at_fal else ReplicateHost(sleep=sleep)
        row = FLORENCE if at_fal else BLIP
        captioner = HostedCaptioner(host, row, sleep=sleep, clock=service.clock, now=now)
        desk = Desk(service, captioner, [job(tmp_path, number) for number in range(5)])
        desk.purse.now = service.clock.iso()
        yield desk


def job(folder: Path, number: int) -> CaptionJob:
    path = folder / f"{number:03d}.png"
    Image.new("RGB", (32, 32), (number * 50, 90, 200)).save(path)
    return CaptionJob(f"img_{number}", path, "is not heard")


def test_each_picture_is_described_once_by_the_hosts_own_model(desk: Desk) -> None:
    assert desk.describe() == ()
    assert desk.heard == {job.id: images.described(job.image.read_bytes()) for job in desk.jobs}
    assert len(desk.service.creates) == 5
    assert desk.states == ["settled"] * 5
    assert len(desk.journal.get(SENT) or []) == 5
    assert isinstance(desk.captioner, Captioner)
    assert not desk.captioner.follows


def test_its_price_is_told_with_its_source_and_day(desk: Desk) -> None:
    cost = desk.captioner.estimate(desk.jobs)
    assert cost.usd is not None
    assert cost.worst_usd is not None
    assert 0 < cost.usd <= cost.worst_usd
    assert cost.price_source in {"live", "table"}
    desk.describe()
    assert sum(one.worst_usd for one in desk.purse.all()) == pytest.approx(cost.worst_usd)


@pytest.mark.parametrize("moment", ["submitted", "settle"])
def test_a_process_that_dies_goes_on_with_what_it_bought(desk: Desk, moment: str) -> None:
    desk.purse.crash_on = moment
    with pytest.raises(Killed):
        desk.describe()
    assert desk.describe() == ()
    assert (len(desk.heard), len(desk.service.creates), desk.states) == (5, 5, ["settled"] * 5)


def test_an_answer_that_was_lost_is_never_bought_twice(desk: Desk) -> None:
    desk.service.faults = [Fault("drop_after_accept", on="create")]
    told = desk.describe()
    assert desk.describe() == told
    assert len(desk.service.creates) == 5
    assert len(desk.heard) + len(told) == 5  # found again in the host's list, or told
    assert desk.states.count("unknown") == len(told)


def test_a_picture_that_fails_is_told_and_the_others_are_kept(desk: Desk) -> None:
    desk.service.faults = [Fault("failed", on="create")]
    (told,) = desk.describe()
    assert told.startswith("000.png: ")
    assert "view_images" in told
    assert len(desk.heard) == 4
    assert desk.describe() == (told,)  # it is not asked for again in this run
    assert len(desk.service.creates) == 5


def test_a_refused_key_ends_it_with_the_next_step(desk: Desk) -> None:
    desk.service.key = "another"
    with pytest.raises(ProviderError, match="key"):
        desk.describe()
    assert desk.heard == {}


def test_a_limit_keeps_what_came(desk: Desk) -> None:
    one = (desk.captioner.estimate(desk.jobs).worst_usd or 0.0) / 5
    desk.purse.limit_usd = 1.5 * one
    (told,) = desk.describe()
    assert "max_cost_usd" in told
    assert len(desk.heard) == desk.states.count("settled") < 5


@pytest.mark.parametrize("name", ["replicate", "fal"])
def test_the_registry_opens_it_late(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    for variable, of in (("REPLICATE_API_TOKEN", "replicate"), ("FAL_KEY", "fal")):
        monkeypatch.setenv(variable, "a-key-of-some-length" if of == name else "")
    opened: Callable[[str], Captioner] = Registry().captioner
    assert opened(name).name == opened("auto").name == name
