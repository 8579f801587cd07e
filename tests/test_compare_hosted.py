"""A comparison drawn at fal, over real sockets: quoted, agreed to, paid for once, its cost in the table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from support.hosts.fal import Fal
from support.hosts.faults import Fault
from support.hosts.replicate import Replicate
from support.hosts.service import serving
from support.painter import Painter, bench

from loradeck.engines.fal.host import FalHost
from loradeck.engines.fal.table import TABLE
from loradeck.engines.hosted.engine import HostedEngine
from loradeck.engines.replicate.host import ReplicateHost
from loradeck.engines.replicate.table import TABLE as REPLICATE
from loradeck.state import news, runs, spend
from loradeck.state.records import PurchaseRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.money import spent
from loradeck.tools.compare_renders import drawing, job
from loradeck.tools.compare_renders.tool import handle
from loradeck.tools.contracts import CompareArgs, CompareResult, RunState
from loradeck.tools.spending.purse import StorePurse
from loradeck.tools.workbench import Workbench


class Place:
    """A workbench whose only engine works at a loopback fal."""

    def __init__(self, folder: Path, service: Fal, engine: HostedEngine) -> None:
        self.service, self.engine = service, engine
        self.on: Workbench = bench(Store(folder / "home"), engine)  # type: ignore[arg-type]
        self.hero = folder / "hero.png"
        Image.new("RGB", (64, 64), "white").save(self.hero)

    def compare(self, **arguments: Any) -> CompareResult:
        variants = [{"base_model": "flux2-dev"}, {"base_model": "flux2-dev", "references": [str(self.hero)]}]
        asked = {"prompts": ["a red house", "a bell"], "variants": variants, "width": 512, "height": 512}
        return handle(CompareArgs.model_validate({**asked, **arguments}), self.on)

    def bought(self, **arguments: Any) -> CompareResult:
        """Quoted, agreed to and drawn."""
        quoted = self.compare(**arguments)
        return self.compare(**arguments, quote_id=quoted.quote_id, max_cost_usd=5)

    def again(self, made: CompareResult) -> CompareResult:
        """The call that goes on with a comparison."""
        return handle(CompareArgs(run_id=made.run_id), self.on)

    def purchases(self) -> list[PurchaseRecord]:
        return self.on.store.where(PurchaseRecord, order="rowid")


def hosted(kind: type[Any], table: Any, service: Any) -> HostedEngine:
    """The engine of a host at its loopback service, by the service's clock."""
    return HostedEngine(
        kind(sleep=service.clock.forward),
        table,
        sleep=service.clock.forward,
        clock=service.clock,
        now=lambda: datetime.fromtimestamp(service.clock(), UTC),
    )


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.delenv("LORADECK_WEBHOOK_URL", raising=False)
    service = Fal()
    with serving(service):
        monkeypatch.setenv("FAL_KEY", service.key)
        monkeypatch.setenv("LORADECK_FAL_URL", service.base_url)
        yield Place(tmp_path, service, hosted(FalHost, TABLE, service))


def test_a_hosted_comparison_is_quoted_bought_once_and_tells_what_a_picture_cost(place: Place) -> None:
    quoted = place.compare()
    assert quoted.state == RunState.QUOTED
    assert "drawing 4 pictures to compare 2 variants at fal costs" in quoted.summary
    assert place.service.creates == []
    made = place.compare(quote_id=quoted.quote_id, max_cost_usd=5)
    assert made.state == RunState.SUCCEEDED, made.summary
    assert len(place.service.creates) == place.on.store.count(PurchaseRecord) == 4
    assert [one.variant for one in made.variants] == ["base alone", "1 reference"]
    paid = sum(one.usd * one.images for one in made.variants if one.usd is not None)
    assert paid == pytest.approx(runs.get(place.on.store, str(made.run_id)).cost_usd, abs=1e-3)
    assert paid > 0
    assert place.compare().run_id == made.run_id
    assert len(place.service.creates) == 4


def test_a_picture_that_came_black_is_told_and_left_out_and_the_same_call_buys_nothing(place: Place) -> None:
    place.service.faults.append(Fault("black"))
    quoted = place.compare()
    first = place.compare(quote_id=quoted.quote_id, max_cost_usd=5)
    assert sum(one.images for one in first.variants) == 3
    assert "1 is not there" in first.summary
    assert any("is black" in words for words in first.told)
    one = next(one for one in first.variants if one.images == 1)
    bought = [item.usd for item in place.on.store.where(PurchaseRecord)]
    assert one.usd == one.usd_accepted == pytest.approx(2 * max(usd or 0 for usd in bought), abs=1e-4)
    assert any(f"costs {one.usd:.3f} USD" in words and "; 1 is not there" in words for words in first.break_even)
    paid = sum(one.usd * one.images for one in first.variants if one.usd is not None)
    assert paid == pytest.approx(sum(usd or 0 for usd in bought), abs=1e-3)
    assert place.compare().run_id == first.run_id
    assert len(place.service.creates) == 4


def test_a_lost_table_is_measured_again_and_nothing_is_bought_even_where_a_picture_never_came(place: Place) -> None:
    place.service.faults.append(Fault("black"))
    first = place.bought()
    folder = place.on.store.workspace.run(str(first.run_id))
    (folder / "comparison.json").write_text('{"pictures": [')
    made = place.again(first)
    assert (made.state, made.run_id) == (RunState.SUCCEEDED, first.run_id)
    assert [one.usd for one in made.variants] == [one.usd for one in first.variants]
    assert len(place.service.creates) == len(place.purchases()) == 4


def test_other_labels_and_another_order_buy_nothing_even_where_the_call_is_killed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    variants = [
        {"base_model": "flux2-dev", "references": [str(place.hero)], "label": "leaning"},
        {"base_model": "flux2-dev", "label": "bare"},
    ]

    def killed(*_: Any) -> None:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(FalHost, "look", killed)
        assert place.bought().state == RunState.LOST
    assert {one.state for one in place.purchases()} == {"submitted"}
    under_way = place.compare(variants=variants)
    assert [one.variant for one in under_way.variants] == ["leaning", "bare"]
    first = place.compare()
    assert first.run_id == under_way.run_id
    with monkeypatch.context() as patch:
        patch.setattr(job, "draw", killed)
        assert place.compare(variants=variants).state == RunState.LOST
    made = place.compare(variants=variants)
    assert (made.state, made.run_id) == (RunState.SUCCEEDED, first.run_id)
    assert [(one.variant, one.usd) for one in made.variants] == [
        ("leaning", first.variants[1].usd),
        ("bare", first.variants[0].usd),
    ]
    assert place.compare().run_id == first.run_id
    assert len(place.service.creates) == len(place.purchases()) == 4


def test_the_time_of_a_picture_that_failed_first_is_in_the_seconds(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.service.clock.still = place.service.clock()  # only waiting takes time
    monkeypatch.setattr(drawing, "time", SimpleNamespace(monotonic=place.service.clock))
    place.service.faults.append(Fault("black"))
    asked = {"prompts": [f"thing {number}" for number in range(3)]}
    before = place.service.clock()
    made = place.bought(**asked)
    taken = place.service.clock() - before
    timed = sum((one.seconds or 0.0) * one.images for one in made.variants)
    assert timed == pytest.approx(taken, abs=0.1), "nothing is loaded at a host: its time begins with the request"


# --------------------------------------------------------------------------- several engines in one comparison


class Together:
    """A painter here, and two hosts."""

    def __init__(self, *engines: Any) -> None:
        self.of = {engine.name: engine for engine in engines}

    def names(self) -> list[str]:
        return list(self.of)

    def open(self, name: str) -> Any:
        return self.of[name]

    def choose(self, base_model: str, ability: str) -> Any:
        return next(one for one in self.of.values() if one.capabilities.base(base_model))


@pytest.fixture
def mixed(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Replicate]:
    """The place with a painter before fal, and Replicate after it."""
    service = Replicate(clock=place.service.clock)
    with serving(service):
        monkeypatch.setenv("REPLICATE_API_TOKEN", service.key)
        monkeypatch.setenv("REPLICATE_BASE_URL", service.base_url)
        engines = Together(Painter(), place.engine, hosted(ReplicateHost, REPLICATE, service))
        place.on = bench(place.on.store, engines.of["painter"], engines)
        yield service


def sides(place: Place) -> dict[str, Any]:
    """The same base and reference here and there."""
    at = {"base_model": "flux1-kontext", "references": [str(place.hero)]}
    return {"variants": [{"base_model": "preview"}, *({**at, "engine": name} for name in ("fal", "replicate"))]}


def test_of_several_hosts_each_has_the_purchases_made_there_and_its_own_copy_of_what_is_sent(
    place: Place, mixed: Replicate
) -> None:
    made = place.bought(**sides(place))
    assert made.state == RunState.SUCCEEDED, made.summary
    assert [one.provider for one in place.purchases()] == ["fal"] * 2 + ["replicate"] * 2
    for one in place.purchases():
        assert spend.holds(place.on.store, one.provider, str(one.provider_id))
        assert news.marked(place.on.store, one.provider, one.id) == one
    assert runs.get(place.on.store, str(made.run_id)).engine == "painter"
    images = [create.input["input_image"] for create in mixed.creates]
    assert all(image.startswith(mixed.base_url) for image in images), "never an address at the other host"
    assert place.compare(**sides(place)).run_id == made.run_id
    assert len(place.service.creates) == len(mixed.creates) == 2


def test_killed_among_several_hosts_it_goes_on_with_each_ones_requests_and_buys_nothing_again(
    place: Place, mixed: Replicate, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, look = [0], ReplicateHost.look

    def killed(self: ReplicateHost, *arguments: Any) -> Any:
        looked[0] += 1
        if looked[0] == 1:
            raise SystemExit("killed")
        return look(self, *arguments)

    monkeypatch.setattr(ReplicateHost, "look", killed)
    lost = place.bought(**sides(place))
    assert lost.state == RunState.LOST
    assert {one.provider for one in place.purchases() if one.state == "submitted"} == {"replicate"}
    assert "at replicate are under way" in spent(place.on.store, runs.get(place.on.store, str(lost.run_id)))
    made = place.again(lost)
    assert (made.state, made.run_id) == (RunState.SUCCEEDED, lost.run_id)
    assert len(place.service.creates) == len(mixed.creates) == 2
    assert [one.provider for one in place.purchases()] == ["fal"] * 2 + ["replicate"] * 2


@pytest.mark.parametrize("moment", ["intend", "submitted", "settle"])
@pytest.mark.parametrize("host", ["fal", "replicate"])
def test_killed_at_any_point_of_a_purchase_at_either_host_nothing_is_bought_twice(
    place: Place, mixed: Replicate, monkeypatch: pytest.MonkeyPatch, moment: str, host: str
) -> None:
    done, dead = getattr(StorePurse, moment), []

    def killing(self: StorePurse, *arguments: Any, **more: Any) -> Any:
        made = done(self, *arguments, **more)
        if not dead and spend.purchase(place.on.store, self._run_id, arguments[0]).provider == host:
            dead.append(moment)
            raise SystemExit("killed")
        return made

    monkeypatch.setattr(StorePurse, moment, killing)
    lost = place.bought(**sides(place))
    assert (lost.state, dead) == (RunState.LOST, [moment])
    place.service.clock.forward(60)
    assert place.again(lost).state == RunState.SUCCEEDED
    assert place.compare(**sides(place)).run_id == lost.run_id, "sends what is sure never to have arrived"
    doubted = [one for one in place.purchases() if one.state == "unknown"]
    assert len(doubted) == (moment == "intend" and host == "fal"), "its list shows a request only once it has ended"
    assert len(mixed.creates) == 2
    assert len(place.service.creates) == 2 - len(doubted)
    assert {one.provider for one in doubted} <= {"fal"}
    assert sorted(one.provider for one in place.purchases()) == ["fal"] * 2 + ["replicate"] * 2
