"""A comparison drawn at fal, over real sockets: quoted, agreed to, paid for once, its cost in the table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.hosts.fal import Fal
from support.hosts.faults import Fault
from support.hosts.service import serving
from support.painter import bench

from loradeck.engines.fal.host import FalHost
from loradeck.engines.fal.table import TABLE
from loradeck.engines.hosted.engine import HostedEngine
from loradeck.state import runs
from loradeck.state.records import PurchaseRecord
from loradeck.state.store import Store
from loradeck.tools.compare_renders.tool import handle
from loradeck.tools.contracts import CompareArgs, CompareResult, RunState
from loradeck.tools.workbench import Workbench


class Place:
    """A workbench whose only engine works at a loopback fal."""

    def __init__(self, folder: Path, service: Fal, engine: HostedEngine) -> None:
        self.service = service
        self.on: Workbench = bench(Store(folder / "home"), engine)  # type: ignore[arg-type]
        self.hero = folder / "hero.png"
        Image.new("RGB", (64, 64), "white").save(self.hero)

    def compare(self, **arguments: Any) -> CompareResult:
        variants = [{"base_model": "flux2-dev"}, {"base_model": "flux2-dev", "references": [str(self.hero)]}]
        asked = {"prompts": ["a red house", "a bell"], "variants": variants, "width": 512, "height": 512}
        return handle(CompareArgs.model_validate({**asked, **arguments}), self.on)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.delenv("LORADECK_WEBHOOK_URL", raising=False)
    service = Fal()
    with serving(service):
        monkeypatch.setenv("FAL_KEY", service.key)
        monkeypatch.setenv("LORADECK_FAL_URL", service.base_url)
        host = FalHost(sleep=service.clock.forward)
        engine = HostedEngine(
            host,
            TABLE,
            sleep=service.clock.forward,
            clock=service.clock,
            now=lambda: datetime.fromtimestamp(service.clock(), UTC),
        )
        yield Place(tmp_path, service, engine)


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
