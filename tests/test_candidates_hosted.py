"""The three passes at fal and at Replicate, over real sockets: quoted, agreed to, drawn, proposed, paid for once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.hosts.fal import Fal
from support.hosts.faults import Fault
from support.hosts.images import paint
from support.hosts.replicate import Replicate
from support.hosts.service import serving
from support.painter import bench

from loradeck.engines.fal.host import FalHost
from loradeck.engines.fal.table import TABLE as FAL
from loradeck.engines.hosted.engine import HostedEngine
from loradeck.engines.replicate.host import ReplicateHost
from loradeck.engines.replicate.table import TABLE as REPLICATE
from loradeck.state import runs
from loradeck.state.files import sha256_file
from loradeck.state.records import DatasetRecord, ImageRecord, PurchaseRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import CandidatesArgs, CandidatesResult, ImageStatus, RunState
from loradeck.tools.datasets import all_images
from loradeck.tools.generate_candidates.tool import TOOL
from loradeck.tools.workbench import Workbench

SHOTS = {"fal": ["medium, front, tired, kitchen, warm lamp light", "profile left"], "replicate": ["profile left"]}
"""At Replicate a restyle comes in 2048 pixels and is enlarged to 4096, which a test need not wait for."""


class Place:
    """A workbench whose only engine works at a loopback host, with a keystone to start from."""

    def __init__(self, folder: Path, service: Any, engine: HostedEngine) -> None:
        self.service, self.shots = service, SHOTS[engine.name]
        self.on: Workbench = bench(Store(folder / "home"), engine)  # type: ignore[arg-type]
        store = self.on.store
        store.add(DatasetRecord("ds_person", "person", "character", "preview", 512, trigger="zorgface"))
        path = store.workspace.dataset("ds_person") / "1.png"
        path.parent.mkdir(parents=True)
        paint("a face", 1, (512, 512)).save(path)
        store.add(
            ImageRecord(
                "img_keystone", "ds_person", 1, path.name, str(path), path.name, sha256_file(path), "kept",
                copy_sha256=sha256_file(path), facts={"width": 1024, "height": 1024, "format": "PNG", "bytes": 9},
                attributes={"framing": "medium", "angle": "front", "expression": "neutral", "keystone": True},
            )
        )  # fmt: skip

    def call(self, **arguments: Any) -> CandidatesResult:
        answer = TOOL.handler(
            CandidatesArgs.model_validate({"dataset_id": "person", "shots": self.shots, **arguments}), self.on
        )
        assert isinstance(answer, CandidatesResult)
        return answer

    def drawn(self) -> CandidatesResult:
        quote = self.call()
        return self.call(quote_id=quote.quote_id, max_cost_usd=5)

    def proposed(self) -> list[ImageRecord]:
        return [row for row in all_images(self.on.store, "ds_person") if row.status == ImageStatus.PROPOSED]


@pytest.fixture(params=["fal", "replicate"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.delenv("LORADECK_WEBHOOK_URL", raising=False)
    service: Any = Fal() if request.param == "fal" else Replicate()
    with serving(service):
        monkeypatch.setenv("FAL_KEY", service.key)
        monkeypatch.setenv("LORADECK_FAL_URL", service.base_url)
        monkeypatch.setenv("REPLICATE_API_TOKEN", service.key)
        monkeypatch.setenv("REPLICATE_BASE_URL", service.base_url)
        host = FalHost if request.param == "fal" else ReplicateHost
        engine = HostedEngine(
            host(sleep=service.clock.forward),
            FAL if request.param == "fal" else REPLICATE,
            sleep=service.clock.forward,
            clock=service.clock,
            now=lambda: datetime.fromtimestamp(service.clock(), UTC),
        )
        yield Place(tmp_path, service, engine)


def test_every_pass_is_bought_once_and_each_candidate_knows_its_share(place: Place) -> None:
    answer = place.drawn()
    assert answer.state == RunState.SUCCEEDED, answer.summary
    bought = place.on.store.where(PurchaseRecord, order="rowid")
    assert len(bought) == len(place.service.creates) == sum(3 if "front" in shot else 2 for shot in place.shots)
    assert {one.state for one in bought} == {"settled"}
    assert len(place.proposed()) == len(place.shots)
    spent = [row.facts["candidate"]["usd"] for row in place.proposed()]
    assert sum(spent) == pytest.approx(runs.get(place.on.store, str(answer.run_id)).cost_usd)
    with Image.open(place.proposed()[-1].original_path) as picture:
        assert picture.size == (1024, 1024), "enlarged twice"


def test_a_black_picture_is_told_and_asked_for_once_more_by_the_same_call(place: Place) -> None:
    place.service.faults.append(Fault("black"))
    first = place.drawn()
    assert len(place.proposed()) == len(place.shots) - 1
    assert "black" in f"{first.told} {first.summary}"
    again = place.call()
    if again.quote_id:
        again = place.call(quote_id=again.quote_id, max_cost_usd=5)
    assert again.run_id == first.run_id
    assert len(place.proposed()) == len(place.shots)
