"""Hosts that refuse, lie, change or are not there, met through the tools: one sentence, a next step, and the money."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from support.datasets import ready_dataset
from support.decks import deck
from support.hosts.anthropic import Anthropic
from support.hosts.fal import Fal
from support.hosts.faults import ALWAYS, Fault
from support.hosts.jobs import JobService
from support.hosts.replicate import Replicate
from support.hosts.service import serving

from loradeck import LoradeckError
from loradeck.engines.anthropic.captioner import AnthropicCaptioner
from loradeck.engines.fal.host import FalHost
from loradeck.engines.fal.table import TABLE as FAL
from loradeck.engines.hosted.engine import HostedEngine
from loradeck.engines.registry import Registry
from loradeck.engines.replicate.host import ReplicateHost
from loradeck.engines.replicate.table import TABLE as REPLICATE
from loradeck.server.worker import work
from loradeck.state.records import CaptionRecord, ImageRecord
from loradeck.state.store import Store
from loradeck.tools.catalogue import load
from loradeck.tools.contracts import CheckStatusResult, RunState
from loradeck.tools.workbench import Workbench

HOSTS = ("fal", "replicate")
KEY = "key-of-a-person-0123456789"
NOWHERE = "http://127.0.0.1:9"
"""Nothing listens there."""


class Place:
    """A workspace whose worker runs in this process, with a host whose clock may go wrong."""

    def __init__(self, folder: Path, service: Any, name: str, images: int = 44) -> None:
        self.service, self.name, self.waited = service, name, 0.0
        host: Any = FalHost(self.sleep) if name == "fal" else ReplicateHost(sleep=self.sleep)
        table = FAL if name == "fal" else REPLICATE
        engine = HostedEngine(host, table, sleep=self.sleep, clock=lambda: self.waited, now=self.now)
        registry = Registry({name: lambda: engine}, captioners={"anthropic": lambda: AnthropicCaptioner(self.sleep)})
        store = Store(folder / "home")
        home = store.workspace.home

        def launch(run_id: str) -> None:
            work(home, run_id, registry)

        self.bench = Workbench(store, registry, launch)
        ready_dataset(store, images)

    def sleep(self, seconds: float) -> None:
        self.waited += seconds
        self.service.clock.forward(seconds)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.waited)

    def call(self, tool: str, **arguments: Any) -> Any:
        spec = load(tool)
        return spec.handler(spec.args.model_validate(arguments), self.bench)

    def bought(self, tool: str, **arguments: Any) -> CheckStatusResult:
        """The call with a yes to its price, and what check_status says once the worker is done."""
        quote = self.call(tool, **arguments)
        assert quote.quote_id, quote.summary
        answer = self.call(tool, **arguments, quote_id=quote.quote_id, max_cost_usd=40)
        return self.status(str(answer.run_id))

    def status(self, run_id: str) -> CheckStatusResult:
        told = self.call("check_status", run_id=run_id)
        assert isinstance(told, CheckStatusResult)
        return told

    def train(self) -> CheckStatusResult:
        return self.bought("start_training", dataset_id="ready", engine=self.name, base_model="flux1-dev", steps=500)

    def draw(self, **arguments: Any) -> CheckStatusResult:
        given = {"deck": deck().model_dump(mode="json"), "engine": self.name, "base_model": "flux1-dev", **arguments}
        return self.bought("render_deck_visuals", **given)


@pytest.fixture(params=HOSTS)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.delenv("LORADECK_WEBHOOK_URL", raising=False)
    service: JobService = Fal(key=KEY) if request.param == "fal" else Replicate(key=KEY)
    with serving(service):
        monkeypatch.setenv("FAL_KEY", KEY)
        monkeypatch.setenv("LORADECK_FAL_URL", service.base_url)
        monkeypatch.setenv("REPLICATE_API_TOKEN", KEY)
        monkeypatch.setenv("REPLICATE_BASE_URL", service.base_url)
        yield Place(tmp_path, service, request.param)


@dataclass(frozen=True)
class Case:
    """What goes wrong (`does` it to the service), and what the summary must say of it: the next step, and the money.

    `fails` is false where the run gets over it. `creates` is how many the host counts.
    """

    name: str
    does: Callable[[Any], object]
    says: str
    money: str
    creates: int = 0
    fails: bool = True
    spend: tuple[str, ...] = ("quoted",)


def faulty(kind: str, **more: Any) -> Callable[[Any], object]:
    """The fault on the service."""
    return lambda service: service.faults.append(Fault(kind, **more))


def renamed_result(fal: str, replicate: str) -> Callable[[Any], object]:
    """A field of the result is called otherwise from now on."""

    def does(service: Any) -> None:
        on, field = ("result", fal) if service.NAME == "fal" else ("poll", replicate)
        service.faults.append(Fault("renamed", on=on, times=ALWAYS, field=field))

    return does


def wrong_key(service: Any) -> None:
    service.key = "another"


NOT_SPENT = r"[Nn]othing was bought"
TRAINING = [
    Case("wrong key", wrong_key, r"does not know this (key|token); copy it again from https://", NOT_SPENT),
    Case("no credit", faulty("no_credit"), r"credit.*https://\S+billing", NOT_SPENT),
    Case("gated", faulty("refused", status=403, message="Accept it."), r"accept its terms.*Accept it\.", NOT_SPENT),
    Case("a page for an upload", faulty("html", on="upload", times=ALWAYS), r"answered 200.*resuming", NOT_SPENT),
    Case("a page for polls", faulty("html", on="poll", times=3), "has succeeded", r"It cost", 1, False, ("settled",)),
    Case("unknown status", faulty("unknown_status"), "has succeeded", r"It cost", 1, False, ("settled",)),
    Case(
        "status renamed", faulty("renamed", on="poll", times=ALWAYS), "has succeeded", "It cost", 1, False, ("settled",)
    ),
    Case(
        "result renamed", renamed_result("diffusers_lora_file", "weights"), "has succeeded", "It cost", 1, False,
        ("settled",),
    ),
    Case("no LoRA", faulty("not_a_lora"), r"is no LoRA.*look at the run", r"It cost \d", 1, True, ("settled",)),
    Case("a failure", faulty("failed"), r"CUDA out of memory.*start a new one", r"It cost \d", 1, True, ("settled",)),
]  # fmt: skip


def said_once(text: str) -> bool:
    """Whether no sentence, and no word on the money, comes twice, and none has the marks of glued ones."""
    sentences = re.split(r"(?<=[.!?]) ", text)
    nothing = len(re.findall(NOT_SPENT, text))
    return len(sentences) == len(set(sentences)) and nothing <= 1 and not re.search(r"\.[.;:]|\b1 requests", text)


@pytest.mark.parametrize("case", TRAINING, ids=lambda case: case.name)
def test_a_training_at_a_bad_host_is_told_in_sentences_with_the_next_step_and_the_money(
    place: Place, case: Case
) -> None:
    case.does(place.service)
    told = place.train()
    assert told.state == (RunState.FAILED if case.fails else RunState.SUCCEEDED), told.summary
    assert re.search(case.says, told.summary), told.summary
    assert re.search(case.money, told.summary), told.summary
    assert said_once(told.summary), told.summary
    assert "start_training(" in told.next_step or not case.fails
    assert told.spend_state in case.spend
    assert len(place.service.creates) == case.creates


def test_a_training_that_came_to_nothing_is_to_be_planned_anew_and_not_resumed(place: Place) -> None:
    place.service.faults.append(Fault("failed"))
    assert "resume" not in place.train().next_step


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_an_hour_off_hides_no_request_that_arrived_and_never_buys_twice(
    place: Place, hours: int
) -> None:
    place.service.clock.forward(3600 * hours)
    place.service.faults.append(Fault("drop_after_accept"))
    told = place.train()
    if place.name == "replicate":
        assert (told.state, told.spend_state) == (RunState.SUCCEEDED, "settled")
    else:  # fal lists a request once it has ended
        assert (told.state, told.spend_state) == (RunState.FAILED, "unknown")
        assert "up to 1.00 USD" in told.summary
        place.service.advance()
        again = place.call("start_training", dataset_id="ready", resume=told.run_id)
        assert place.status(str(again.run_id)).state == RunState.SUCCEEDED
    assert len(place.service.creates) == 1


@pytest.mark.parametrize("what", ["train", "draw"])
def test_without_a_network_nothing_is_bought(place: Place, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setenv("LORADECK_FAL_URL", NOWHERE)
    monkeypatch.setenv("REPLICATE_BASE_URL", NOWHERE)
    told = place.train() if what == "train" else place.draw()
    assert re.search(r"could not be reached.*check the network", told.summary)
    assert re.search(NOT_SPENT, told.summary)
    assert said_once(told.summary.replace("nothing was sent", "")), told.summary
    assert place.service.calls == []


DRAWING = [
    Case("wrong key", wrong_key, r"does not know this (key|token)", NOT_SPENT),
    Case("no credit", faulty("no_credit"), r"credit.*https://\S+billing", NOT_SPENT),
    Case("gated", faulty("refused", status=403, message="Accept it."), r"accept its terms", NOT_SPENT),
]


@pytest.mark.parametrize("case", DRAWING, ids=lambda case: case.name)
def test_what_would_meet_every_picture_ends_a_deck_with_one_sentence(place: Place, case: Case) -> None:
    case.does(place.service)
    told = place.draw()
    assert told.state == RunState.FAILED
    assert re.search(case.says, told.summary), told.summary
    assert re.search(case.money, told.summary), told.summary
    assert said_once(told.summary), told.summary
    assert place.service.counted("create") == 1, "a refusal of all is met by one request"


@pytest.mark.parametrize("kind", ["black", "nsfw", "charged_422"])
def test_a_withheld_picture_is_in_no_deck_and_the_next_call_asks_for_it_alone(place: Place, kind: str) -> None:
    place.service.faults.append(Fault(kind))
    told = place.draw()
    result = told.result or {}
    assert told.state == RunState.SUCCEEDED
    assert "1 slide has no picture (cover)" in told.summary
    assert [row["slide"] for row in result["visuals"]] == ["story", "closing"]
    (why,) = (sentence for sentence in result["told"] if sentence.startswith("01_cover: "))
    assert re.search(r"USD|charged", why), why
    (pdf,) = (file["path"] for file in [one.model_dump() for one in told.artefacts] if file["kind"] == "pdf")
    assert len(PdfReader(pdf).pages) >= 3
    deck_id = result["deck_id"]
    assert f'render_deck_visuals(deck_id="{deck_id}")' in told.next_step
    again = place.bought("render_deck_visuals", deck_id=deck_id)
    assert [row["slide"] for row in (again.result or {})["visuals"]] == ["cover", "story", "closing"]
    assert len(place.service.creates) == 4


def test_pictures_that_are_not_where_they_stood_are_told_with_what_they_cost(place: Place) -> None:
    renamed_result("images", "output")(place.service)
    told = place.draw()
    assert "3 slides have no picture" in told.summary
    assert all("dashboard" in sentence for sentence in (told.result or {})["told"] if "no picture where" in sentence)
    assert re.search(r"It cost \d", told.summary)


def test_a_picture_that_may_not_leave_stops_all_before_anything_is_sent(place: Place) -> None:
    place.bench.store.change(ImageRecord, "img_ready004", rights={"may_leave": False})
    with pytest.raises(LoradeckError, match=r"IMG-RIGHTS.*nothing was sent"):
        place.train()
    assert place.service.counted("upload") == place.service.counted("create") == 0


CAPTIONING = [
    Case("wrong key", wrong_key, r"refuses the key.*set ANTHROPIC_API_KEY", NOT_SPENT),
    Case("no credit", faulty("no_credit", times=ALWAYS), r"no credit is left.*https://\S+billing", NOT_SPENT),
    Case("gated", faulty("refused", status=403, times=ALWAYS), r"set LORADECK_VISION_MODEL", NOT_SPENT),
]


@contextmanager
def captioned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A place with four pictures without captions, whose captioner is Anthropic."""
    with serving(Anthropic(key=KEY)) as service:
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", service.base_url)
        made = Place(folder, service, "fal", images=4)
        made.bench.store.remove(CaptionRecord, "dataset_id = ?", ["ds_ready"])
        yield made


@pytest.mark.parametrize("case", CAPTIONING, ids=lambda case: case.name)
def test_a_captioner_that_refuses_is_told_with_the_next_step_and_the_money(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with captioned(tmp_path, monkeypatch) as place:
        case.does(place.service)
        told = place.bought("write_captions", dataset_id="ready", mode="vision")
        assert told.state == RunState.FAILED
        assert re.search(case.says, told.summary), told.summary
        assert re.search(case.money, told.summary), told.summary
        assert "once more" in told.next_step
        assert place.service.creates == []
