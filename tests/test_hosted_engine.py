"""The engine of all hosts: rows to requests, one purchase for each, and what came back kept and told."""

from __future__ import annotations

import io
import re
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.hosts_memory import MemoryHost, Request
from support.purse import Killed
from support.reporter import MemoryReporter
from support.tiny_http import Answer, Asked, TinyServer, serving

from loradeck.engines import files, tensor_file
from loradeck.engines.base import (
    CameraTurn,
    DatasetFolder,
    DatasetItem,
    DrawJob,
    DrawRequest,
    DrawResult,
    EditJob,
    EditRequest,
    LoraRef,
    TrainSpec,
)
from loradeck.engines.errors import BadSpec, BadWeights, Cancelled, Leaving, OverBudget, ProviderError
from loradeck.engines.hosted import inputs, pricing
from loradeck.engines.hosted.engine import HostedEngine
from loradeck.engines.hosted.host import LiveField, LivePrice, Standing
from loradeck.engines.hosted.sending import SENT
from loradeck.engines.hosted.table import DrawerRow, EditorRow, OutputRow, PriceRow, Table, TrainerRow
from loradeck.engines.hosted.wire import Ambiguous, NeverSent, Refused

BAR = "train:  90%|#| 900/1000 [02:11<03:40, lr: 4.0e-04 loss: 2.5e-01]"
TRAINER = TrainerRow(
    base_model="flux1-dev",
    endpoint="they/trainer",
    zip_field="zip",
    fields={"trigger": "trigger_word", "steps": "steps", "learning_rate": "lr"},
    fixed={"autocaption": False},
    by_profile={"style": {"is_style": True}},
    bounds={"steps": (3, 6000)},
    defaults={"steps": 1000, "learning_rate": 4e-4},
    price=PriceRow(2.0, "1000 steps", least=0.5, worst=1.5),
    outputs=(OutputRow(("weights",)), OutputRow(("version",), "version"), OutputRow(("config",), "config")),
    minutes=(4.0, 20.0),
    least_images=2,
    most_images=5,
    licence="for tests",
    told=("It takes no seed.",),
    checked="2026-11-28",
)
BARE = replace(TRAINER, endpoint="they/bare", fields={"steps": "steps"}, told=())
WAN = replace(
    TRAINER,
    base_model="wan-2.2",
    endpoint="they/wan",
    outputs=(OutputRow(("low", "url")), OutputRow(("high", "url"), "high_noise_lora")),
)
DRAWER = DrawerRow(
    base_model="flux1-dev",
    endpoint="they/lora",
    fields={"prompt": "prompt", "seed": "seed", "guidance": "guidance_scale", "steps": "num_steps"},
    lora_style="list",
    most_loras=2,
    fixed={"n": 1},
    defaults={"guidance": 3.5, "steps": 28},
    price=PriceRow(0.04, "megapixel", worst=2.0),
    outputs=(OutputRow(("images", 0, "url"), "image"),),
    seconds=10.0,
    checked="2026-11-28",
)
TRAINED = replace(DRAWER, endpoint="", lora_style="destination", lora_fields=("", "lora_scale"), most_loras=1)
KONTEXT = replace(
    DRAWER,
    endpoint="they/kontext",
    fields={"prompt": "prompt", "references": "input_image"},
    lora_style="none",
    most_references=1,
    size_style="aspect_ratio",
    ratios=("1:1", "16:9", "9:16"),
)
TURNER = EditorRow(
    model="multi_angle",
    endpoint="they/turn",
    fields={"images": "image_urls", "seed": "seed", "horizontal": "h", "vertical": "v", "zoom": "zoom"},
    price=PriceRow(0.03, "image"),
    outputs=(OutputRow((0,), "image"),),
    checked="2026-11-28",
)
ENLARGER = replace(TURNER, model="upscale", endpoint="they/up", fields={"images": "image"}, many=False)
TABLE = Table(
    (TRAINER, BARE, WAN),
    (DRAWER, TRAINED, KONTEXT),
    (TURNER, ENLARGER),
    instead={"flux2-dev": "memory does not train flux2-dev; engine=other does."},
)


def lora(*, base: str = "flux1-dev", width: int = 3072) -> bytes:
    """A LoRA of one matrix, as small as one of that base can be."""
    name = "transformer.transformer_blocks.0.attn.to_q" if base == "flux1-dev" else "transformer.blocks.0.attn1.to_q"
    data = np.linspace(-1, 1, 2 * width, dtype=np.float32).tobytes()
    half = len(data) // 2
    entries = {
        f"{name}.lora_A.weight": {"dtype": "F32", "shape": [1, width], "data_offsets": [0, half]},
        f"{name}.lora_B.weight": {"dtype": "F32", "shape": [width, 1], "data_offsets": [half, 2 * half]},
    }
    return tensor_file.written(entries, {}) + data


def tarred(data: bytes, name: str = "output/flux_train/lora.safetensors") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


def picture(width: int = 96, height: int = 64, black: bool = False) -> bytes:
    shades = np.zeros((height, width, 3), np.uint8)
    if not black:
        shades[:, :, 0] = np.linspace(0, 255, width, dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(shades).save(data, "JPEG")
    return data.getvalue()


FILES = {
    "/lora.tar": tarred(lora()),
    "/low.safetensors": lora(base="wan-2.2", width=5120),
    "/high.safetensors": lora(base="wan-2.2", width=5120),
    "/wrong.tar": tarred(b"<html>no</html>"),
    "/config.yaml": b"steps: 1000",
    "/p.jpg": picture(),
    "/square.jpg": picture(64, 64),
    "/large.jpg": picture(300, 200),
    "/black.jpg": picture(black=True),
}


def serve(asked: Asked) -> Answer:
    return Answer(200, FILES[asked.path]) if asked.path in FILES else Answer(404)


class Bench:
    """An engine at a host in memory whose results lie on a real server; a clock that moves when somebody sleeps."""

    def __init__(self, server: TinyServer, folder: Path, table: Table = TABLE) -> None:
        self.server, self.folder, self.table = server, folder, table
        self.host = MemoryHost(self.script, usd=0.1)
        self.reporter = MemoryReporter()
        self.now = 0.0
        self.result: Any = self.url("/p.jpg")

    def url(self, path: str) -> str:
        return f"{self.server.url}{path}"

    def script(self, request: Request) -> list[Standing]:
        if "trainer" in request.endpoint or "bare" in request.endpoint:
            output = {"weights": self.url("/lora.tar"), "version": "me/look:abc", "config": self.url("/config.yaml")}
            return [Standing("running", (BAR,), 900, 1000), Standing("done", (BAR,), 1000, 1000, output, usd=1.8)]
        if "wan" in request.endpoint:
            output = {"low": {"url": self.url("/low.safetensors")}, "high": {"url": self.url("/high.safetensors")}}
            return [Standing("done", output=output)]
        result = self.result(request) if callable(self.result) else self.result
        if isinstance(result, Standing):
            return [result]
        output = [result] if "turn" in request.endpoint or "up" in request.endpoint else {"images": [{"url": result}]}
        return [Standing("running"), Standing("done", output=output, usd=0.04)]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    @property
    def engine(self) -> HostedEngine:
        return HostedEngine(
            self.host,
            self.table,
            sleep=self.sleep,
            clock=lambda: self.now,
            now=lambda: datetime(2026, 11, 28, 12, tzinfo=UTC),
        )

    def spec(self, **changes: Any) -> TrainSpec:
        given = TrainSpec(
            run_id="run_1",
            run_dir=self.folder / "run",
            name="My look",
            base_model="flux1-dev",
            trigger="zorbik",
            profile="style",
            steps=1000,
            rank=16,
            alpha=16.0,
            learning_rate=4e-4,
            batch_size=1,
            resolution=1024,
            seed=7,
            checkpoint_every=100,
            sample_every=100,
        )
        return replace(given, **changes)

    def dataset(self, count: int = 3) -> DatasetFolder:
        items = []
        for number in range(count):
            path = self.folder / f"{number}.png"
            Image.new("RGB", (16, 16), (number * 40, 90, 10)).save(path)
            items.append(DatasetItem(path, f"zorbik, thing {number}", files.sha256_file(path)))
        return DatasetFolder(self.folder, tuple(items), "zorbik", "f" * 64)

    def train(self, **changes: Any) -> Any:
        return self.engine.train(self.spec(**changes), self.dataset(), self.reporter)

    def jobs(self, count: int, width: int = 96, height: int = 64) -> tuple[DrawJob, ...]:
        return tuple(
            DrawJob(f"s{n}", f"a thing {n}", n, width, height, self.folder / "out" / f"{n}.png") for n in range(count)
        )

    def draw(self, count: int = 1, width: int = 96, height: int = 64, **request: Any) -> DrawResult:
        return self.engine.draw(DrawRequest("flux1-dev", self.jobs(count, width, height), **request), self.reporter)

    def lora_file(self, **metadata: str) -> LoraRef:
        path = self.folder / "mine.safetensors"
        path.write_bytes(tensor_file.written({}, metadata))
        return LoraRef(path, 0.8, files.sha256_file(path), "flux1-dev")

    def edits(self, count: int, turn: CameraTurn | None = None) -> tuple[EditJob, ...]:
        images = []
        for number in range(count):
            path = self.folder / f"in{number}.jpg"
            path.write_bytes(picture(80 + number, 60))
            images.append(path)
        return tuple(
            EditJob(replace(job, prompt=""), (image,), turn)
            for job, image in zip(self.jobs(count), images, strict=True)
        )

    @property
    def requests(self) -> list[Request]:
        return list(self.host.requests.values())


@pytest.fixture(scope="module")
def server() -> Iterator[TinyServer]:
    with serving(serve) as server:
        yield server


@pytest.fixture
def bench(server: TinyServer, tmp_path: Path) -> Bench:
    return Bench(server, tmp_path)


# --------------------------------------------------------------------------- what it says of itself


def test_it_says_what_its_rows_can_do(bench: Bench) -> None:
    told = bench.engine.capabilities
    assert told.abilities == {"train", "draw", "edit", "upscale"}
    assert (told.costs_money, told.leaves_machine, told.advanced) == (True, True, ("trainer",))
    assert {base.name: sorted(base.abilities) for base in told.base_models} == {
        "flux1-dev": ["draw", "train"],
        "wan-2.2": ["train"],
    }
    assert told.base("flux1-dev").licence == "for tests"  # type: ignore[union-attr]


def test_the_recipe_is_the_table_s(bench: Bench) -> None:
    recipe = bench.engine.defaults("flux1-dev", 30, "style")
    assert (recipe.steps, recipe.learning_rate, recipe.rank, recipe.alpha) == (1000, 4e-4, 16, 16.0)
    assert (recipe.guidance, recipe.draw_steps) == (3.5, 28)
    with pytest.raises(BadSpec, match="engine=other does"):
        bench.engine.defaults("flux2-dev", 30, "style")
    with pytest.raises(BadSpec, match=r"it can on flux1-dev, wan-2\.2"):
        bench.engine.defaults("preview", 30, "style")


def test_what_the_endpoint_would_reject_is_found_before_anything_is_sent(bench: Bench) -> None:
    engine, start = bench.engine, bench.folder / "old.safetensors"
    with pytest.raises(BadSpec, match="steps may be 3 to 6000 at they/trainer, not 9000"):
        engine.check(bench.spec(steps=9000))
    with pytest.raises(BadSpec, match="cannot go on from a LoRA"):
        engine.check(bench.spec(warm_start=start))
    with pytest.raises(BadSpec, match=r"they/trainer, they/bare. Name one of these"):
        engine.check(bench.spec(advanced={"trainer": "who/knows"}))
    with pytest.raises(BadSpec, match="takes 2 to 5 images, and these are 6"):
        engine.train(bench.spec(), bench.dataset(6), bench.reporter)
    assert (bench.host.sent, bench.host.uploads) == (0, [])


def test_what_is_ignored_is_told_and_how_each_argument_arrives(bench: Bench) -> None:
    engine = bench.engine
    assert engine.check(bench.spec()) == []
    assert engine.check(bench.spec(rank=64, alpha=32.0)) == [
        "they/trainer has its own recipe and ignores rank 64, alpha 32."
    ]
    told = engine.maps(bench.spec())
    assert "trigger: goes to trigger_word, and stands at the start of every caption." in told
    assert "steps 1000 -> steps." in told
    assert "learning_rate 0.0004 -> lr." in told
    assert "rank: ignored there." in told
    assert "Always sent for the profile style: autocaption=False, is_style=True." in told
    assert any("No regularisation images" in sentence for sentence in told)
    bare = engine.maps(bench.spec(advanced={"trainer": "they/bare"}))
    assert bare[0] == ("trigger: written at the start of every caption, since the endpoint has no field for it.")


def test_the_live_schema_overrules_the_table_and_says_so(bench: Bench) -> None:
    names = ("zip", "trigger_word", "steps", "autocaption", "is_style")
    bench.host.live = {name: LiveField(name) for name in names}
    told = "they/trainer has no input lr any more (by its live schema), so lr is left out."
    assert bench.engine.check(bench.spec()) == [told]
    bench.train()
    assert "lr" not in bench.requests[0].inputs
    assert ("warning", told) in bench.reporter.events


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (LiveField("steps", maximum=500), "steps may be -inf to 500"),
        (LiveField("licence_ok", required=True), "asks for licence_ok, which is not known here"),
        (None, "has no input zip any more"),
    ],
)
def test_a_schema_that_drifted_stops_it_before_the_upload(bench: Bench, field: LiveField | None, said: str) -> None:
    names = ("zip", "trigger_word", "steps", "lr", "autocaption", "is_style")
    live = {name: LiveField(name) for name in names if field or name != "zip"}
    bench.host.live = live | ({field.name: field} if field else {})
    for ask in (lambda: bench.engine.check(bench.spec()), bench.train):
        with pytest.raises(BadSpec, match=said):
            ask()
    assert (bench.host.uploads, bench.host.sent) == ([], 0)


# --------------------------------------------------------------------------- prices


def test_a_training_is_priced_by_the_table_with_its_day_and_its_worst_case(bench: Bench) -> None:
    cost = bench.engine.estimate(bench.spec(steps=2000))
    assert (cost.usd, cost.worst_usd, cost.minutes) == (4.0, 6.0, 44.0)
    assert (cost.price_source, cost.price_date) == ("table", "2026-11-28")
    assert bench.engine.estimate(bench.spec(steps=100)).usd == 0.5


def test_a_live_price_overrules_the_table(bench: Bench) -> None:
    bench.host.price = lambda endpoint: LivePrice(0.003, "steps")  # type: ignore[method-assign]
    cost = bench.engine.estimate(bench.spec())
    assert (cost.usd, cost.price_source, cost.price_date) == (3.0, "live", "2026-11-28")
    bench.host.price = lambda endpoint: LivePrice(9.0, "moon phases")  # type: ignore[method-assign]
    assert bench.engine.estimate(bench.spec()).price_source == "table"

    def down(endpoint: str) -> LivePrice | None:
        raise NeverSent("no network")

    bench.host.price = down  # type: ignore[method-assign]
    assert bench.engine.estimate(bench.spec()).usd == 2.0


def test_a_host_that_cannot_be_reached_is_asked_once_for_a_plan_and_again_later(bench: Bench) -> None:
    asked: list[str] = []

    def down(endpoint: str) -> Any:
        asked.append(endpoint)
        raise NeverSent("no network")

    bench.host.price = bench.host.inputs = down  # type: ignore[method-assign]
    engine = bench.engine
    for _ in range(2):
        engine.check(bench.spec())
        engine.maps(bench.spec())
        assert engine.estimate(bench.spec()).price_source == "table"
        assert len(asked) == 1
    bench.now += 61
    engine.check(bench.spec())
    assert len(asked) == 2


def test_pictures_are_priced_by_begun_megapixels_and_those_that_are_there_cost_nothing(bench: Bench) -> None:
    jobs = bench.jobs(3, 1280, 832)
    jobs[0].out.parent.mkdir()
    jobs[0].out.write_bytes(b"there")
    cost = bench.engine.estimate(DrawRequest("flux1-dev", jobs))
    assert (cost.usd, cost.worst_usd) == (pytest.approx(2 * 2 * 0.04), pytest.approx(2 * 2 * 2 * 0.04))
    edit = bench.engine.estimate(EditRequest("", bench.edits(2), model="upscale"))
    assert edit.usd == pytest.approx(0.03)  # one of the two is there


@pytest.mark.parametrize(
    ("per", "usd"),
    [("run", 1.0), ("1000 steps", 0.5), ("step", 500.0), ("second", 30.0), ("image", 1.0)],
)
def test_every_unit_is_counted(per: pricing.Per, usd: float) -> None:
    rate = pricing.rate(PriceRow(1.0, per, seconds=60.0), "", None, date(2026, 11, 28))
    assert rate.expected(pricing.Amount(steps=500)) == usd


# --------------------------------------------------------------------------- training


def test_a_training_is_packed_sent_bought_followed_fetched_and_kept(bench: Bench) -> None:
    result = bench.train()
    [request] = bench.requests
    assert request.inputs == {
        "zip": "https://files.memory/1/run_1.zip",
        "autocaption": False,
        "is_style": True,
        "trigger_word": "zorbik",
        "steps": 1000,
        "lr": 4e-4,
    }
    assert request.destination == "me/My look"
    assert (result.lora_path.name, result.steps, result.rank, result.final_loss) == (
        "My-look.safetensors",
        1000,
        1,
        0.25,
    )
    assert result.sha256 == files.sha256_file(result.lora_path)
    said = tensor_file.read(result.lora_path).metadata
    assert said["loradeck.model_at_memory"] == "me/look:abc"
    assert said["loradeck.endpoint"] == "they/trainer"
    assert bench.reporter.series("loss") == [(900, 0.25)]
    bought = bench.reporter.purse.bought["train"]
    assert (bought.state, bought.usd, bought.worst_usd) == ("settled", 1.8, 3.0)
    [sent] = bench.reporter.journal.get(SENT) or []
    assert (sent["what"], sent["files"], sent["to"]) == ("training set", 6, "memory")
    assert "url" not in sent
    assert not list((bench.folder / "run" / "upload").iterdir())


def test_called_again_it_gives_what_is_there_and_asks_nobody(bench: Bench) -> None:
    first = bench.train()
    looks = bench.requests[0].looks
    assert bench.train() == first
    assert (bench.host.sent, bench.requests[0].looks) == (1, looks)


def test_wan_brings_two_files(bench: Bench) -> None:
    result = bench.train(base_model="wan-2.2")
    second = result.lora_path.with_name(result.metadata["high_noise_lora"])
    assert files.sha256_file(second) == result.metadata["high_noise_sha256"]
    assert second != result.lora_path


@pytest.mark.parametrize("last", ["submitted", "settle"])
def test_a_kill_after_the_purchase_goes_on_with_it(bench: Bench, last: str) -> None:
    bench.reporter.purse.crash_on = last
    with pytest.raises(Killed):
        bench.train()
    assert bench.train().lora_path.exists()
    assert bench.host.sent == 1


def test_a_kill_between_intent_and_answer_finds_the_request_by_the_order_that_was_written_down(bench: Bench) -> None:
    bench.host.marks = False
    create = bench.host.create

    def killed(*given: Any) -> Any:
        create(*given)
        raise Killed

    bench.host.create = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        bench.train()
    bench.host.create = create  # type: ignore[method-assign]
    assert bench.train().lora_path.exists()
    assert (bench.host.sent, len(bench.host.uploads)) == (1, 1)


def test_a_kill_at_every_write_of_the_journal_never_buys_twice(bench: Bench) -> None:
    put, left = bench.reporter.journal.put, [0]

    def counted(key: str, value: Any) -> None:
        put(key, value)
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    bench.reporter.journal.put = counted  # type: ignore[method-assign]
    killed, at = 0, 0
    while True:
        at += 1
        left[0] = at
        try:
            bench.train()
        except Killed:
            killed += 1
        else:
            break
    assert killed >= 3
    assert bench.host.sent == 1


def test_a_refused_purchase_costs_nothing_and_the_next_call_uses_the_upload_again(bench: Bench) -> None:
    bench.host.faults = [(Refused("memory answered 402", 402, "credit"), False)]
    with pytest.raises(ProviderError, match=r"Nothing was bought.* add credit"):
        bench.train()
    assert bench.train().lora_path.exists()
    assert len(bench.host.uploads) == 1


def test_an_upload_that_fails_says_that_nothing_was_bought(bench: Bench) -> None:
    def down(path: Path, name: str) -> Any:
        raise NeverSent("memory could not be reached.")

    bench.host.upload = down  # type: ignore[method-assign]
    with pytest.raises(ProviderError, match="nothing was bought, and resuming"):
        bench.train()


def test_a_training_that_failed_there_is_told_with_its_cost_and_never_bought_again(bench: Bench) -> None:
    failed = Standing("failed", error="CUDA out of memory.", usd=0.3, next_step="Take fewer pixels.")
    bench.host.script = lambda _: [failed]
    for _ in range(2):
        with pytest.raises(ProviderError, match=r"CUDA out of memory. It cost 0.30 USD at memory. Take fewer pixels."):
            bench.train()
    assert bench.host.sent == 1


def test_what_is_no_lora_is_kept_aside_told_with_its_cost_and_fetched_anew(bench: Bench) -> None:
    output = {"weights": bench.url("/wrong.tar")}
    bench.host.script = lambda _: [Standing("done", output=output, usd=1.5)]
    with pytest.raises(BadWeights, match=r"It cost 1\.50 USD at memory"):
        bench.train()
    assert (bench.folder / "run" / "returned" / "refused-lora.tar").exists()
    output["weights"] = bench.url("/lora.tar")
    assert bench.train().lora_path.exists()
    assert bench.host.sent == 1


def test_an_output_of_another_form_is_searched_for_weights_else_told(bench: Bench) -> None:
    bench.host.script = lambda _: [Standing("done", output={"new": [bench.url("/lora.tar")]})]
    assert bench.train().lora_path.exists()
    assert ("warning", "they/trainer gives its weights in another place than before.") in bench.reporter.events


def test_an_output_without_weights_says_where_to_get_them(bench: Bench) -> None:
    bench.host.script = lambda _: [Standing("done", output={"weights": None})]
    with pytest.raises(ProviderError, match="dashboard of memory, download them there"):
        bench.train()


def test_a_stop_ends_the_training_there_and_a_leaving_worker_does_not(bench: Bench) -> None:
    bench.host.script = lambda _: [Standing("running")]

    def stopped() -> None:
        if bench.now > 5:
            raise kind("Stopped as asked.")

    bench.reporter.raise_if_cancelled = stopped  # type: ignore[method-assign]
    kind: type[Cancelled] = Leaving
    with pytest.raises(Leaving):
        bench.train()
    assert bench.requests[0].cancels == 0
    kind = Cancelled
    with pytest.raises(Cancelled, match=r"cost 0\.10 USD"):
        bench.train()
    assert (bench.requests[0].cancels, bench.host.sent) == (1, 1)


# --------------------------------------------------------------------------- drawing


def test_pictures_are_bought_once_each_and_written_as_png_in_their_size(bench: Bench) -> None:
    result = bench.draw(6, 48, 32)
    assert [one.job_id for one in result.pictures] == [f"s{n}" for n in range(6)]
    assert {(one.width, one.height, one.native) for one in result.pictures} == {(48, 32, (96, 64))}
    with Image.open(result.pictures[0].path) as picture:
        assert (picture.format, picture.size) == ("PNG", (48, 32))
    assert bench.requests[0].inputs == {
        "n": 1,
        "image_size": {"width": 64, "height": 64},
        "prompt": "a thing 0",
        "seed": 0,
        "guidance_scale": 3.5,
        "num_steps": 28,
    }
    assert bench.host.most_at_once <= bench.host.at_once == 4
    assert sorted(path.name for path in (bench.folder / "out").iterdir()) == [f"{n}.png" for n in range(6)]
    assert bench.draw(6, 48, 32).pictures[5].native == (48, 32)
    assert bench.host.sent == 6


def test_a_local_lora_is_sent_once_for_all_pictures_and_again_when_it_is_gone_there(bench: Bench) -> None:
    mine = bench.lora_file()
    bench.draw(3, loras=(mine,), guidance=2.0, steps=20)
    assert len(bench.host.uploads) == 1
    sent = bench.requests[2].inputs
    assert sent["loras"] == [{"path": f"https://files.memory/1/{mine.sha256[:16]}.safetensors", "scale": 0.8}]
    assert (sent["guidance_scale"], sent["num_steps"]) == (2.0, 20)
    known = bench.reporter.journal.get("uploads/memory") or {}
    known[mine.sha256]["expires_at"] = "2026-11-28T12:10:00Z"
    bench.reporter.journal.put("uploads/memory", known)
    bench.draw(4, loras=(mine,))
    assert len(bench.host.uploads) == 2


def test_a_lora_that_was_trained_there_draws_by_its_own_model(server: TinyServer, tmp_path: Path) -> None:
    bench = Bench(server, tmp_path, replace(TABLE, drawers=(replace(DRAWER, lora_refusal="Publish it."), TRAINED)))
    mine = bench.lora_file(**{"loradeck.model_at_memory": "me/look:abc"})
    assert bench.draw(1, loras=(mine,)).pictures
    assert (bench.requests[0].endpoint, bench.requests[0].inputs["lora_scale"]) == ("me/look:abc", 0.8)
    assert bench.host.uploads == []
    with pytest.raises(BadSpec, match="Publish it"):
        bench.draw(2, loras=(bench.lora_file(),))


def test_what_cannot_be_drawn_there_is_refused_in_a_sentence(bench: Bench) -> None:
    mine = bench.lora_file()
    with pytest.raises(BadSpec, match="is a LoRA for preview"):
        bench.draw(1, loras=(replace(mine, base_model="preview"),))
    with pytest.raises(BadSpec, match="2 LoRAs or 1 references at most, not with 3 LoRAs"):
        bench.draw(1, loras=(mine,) * 3)
    with pytest.raises(BadSpec, match="memory does not draw on preview"):
        bench.engine.draw(DrawRequest("preview", bench.jobs(1)), bench.reporter)
    mine.path.write_bytes(b"no")
    with pytest.raises(BadSpec, match="no whole LoRA file"):
        bench.draw(1, loras=(mine,))
    assert bench.host.sent == 0


def test_references_are_sent_and_another_shape_is_cut_and_told(bench: Bench) -> None:
    reference = bench.folder / "like.jpg"
    reference.write_bytes(picture())
    bench.result = bench.url("/square.jpg")
    result = bench.draw(1, 96, 48, references=(reference,))
    assert bench.requests[0].endpoint == "they/kontext"
    assert bench.requests[0].inputs["input_image"].startswith("https://files.memory/1/")
    assert bench.requests[0].inputs["aspect_ratio"] == "16:9"
    assert (result.pictures[0].width, result.pictures[0].height) == (96, 48)
    assert result.told == ("memory drew 64x64, the nearest shape that it has to 96x48; the edges were cut.",)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ("/black.jpg", "is black, .* withheld, so it was not kept. It cost 0.04 USD"),
        ("/config.yaml", "is not a whole picture, so it was not kept"),
        ("/nowhere.jpg", r"no more \(404\)"),
        (Standing("failed", error="NSFW", blanked=True, charged=False), "filter: NSFW. It was not charged"),
        (Standing("failed", error="a crash"), r"not made \(failed\): a crash. What memory charged for it is not told"),
        (Standing("done", output={}, usd=0.04, blanked=True), "withheld by the host's filter. It cost 0.04 USD"),
        (Standing("done", output={"images": []}), "gave no picture where it is known to stand"),
    ],
)
def test_a_picture_that_came_to_nothing_is_told_and_the_others_are_kept(bench: Bench, result: Any, said: str) -> None:
    bad = result if isinstance(result, Standing) else bench.url(result)
    bench.result = lambda request: bad if request.inputs["seed"] == 1 else bench.url("/p.jpg")
    drawn = bench.draw(3)
    assert [one.job_id for one in drawn.pictures] == ["s0", "s2"]
    assert len(drawn.told) == 1
    assert re.search(f"^s1: .*{said}", drawn.told[0])
    assert not (bench.folder / "out" / "1.png").exists()
    assert bench.draw(3).told == drawn.told
    assert bench.host.sent == 3


def test_one_refused_prompt_or_lost_answer_keeps_no_other_picture_back(bench: Bench) -> None:
    bench.host.lists = "never"
    bench.host.faults = [
        (Refused("memory answered 422: prompt: no", 422, "content"), False),
        (Ambiguous("The connection broke."), True),
        None,
    ]
    drawn = bench.draw(3)
    assert [one.job_id for one in drawn.pictures] == ["s2"]
    assert "reword the prompt" in drawn.told[0]
    assert "never sent again by itself" in drawn.told[1]
    bench.draw(3)
    assert bench.host.sent == 4  # the refused one alone is sent again


@pytest.mark.parametrize("kind", ["key", "credit"])
def test_what_would_meet_every_picture_ends_it_once_those_under_way_are_in(bench: Bench, kind: str) -> None:
    bench.host.faults = [None, None, (Refused("memory answered 4xx", 402, kind), False)]
    with pytest.raises(ProviderError, match=r"[Nn]othing was bought"):
        bench.draw(9)
    assert bench.host.sent == 4, "one by itself, then the three that go with it"
    assert len(list((bench.folder / "out").iterdir())) == 3
    assert len(bench.draw(9).pictures) == 9
    assert len(bench.requests) == 9


@pytest.mark.parametrize("kind", ["key", "credit", "forbidden"])
def test_what_refuses_every_picture_is_met_by_a_single_request(bench: Bench, kind: str) -> None:
    bench.host.at_once, bench.host.faults = 64, [(Refused("memory answered 4xx", 403, kind), False)] * 64
    with pytest.raises(ProviderError, match=r"[Nn]othing was bought"):
        bench.draw(9)
    assert bench.host.sent == 1


def test_pictures_are_bought_side_by_side_once_the_host_took_one(bench: Bench) -> None:
    bench.host.at_once, alone = 64, bench.host.create
    meeting = threading.Barrier(8)

    def create(endpoint: str, inputs: Any, purchase: Any, destination: str = "") -> Any:
        if bench.host.requests:
            meeting.wait(5)  # broken where fewer than eight are on their way together
        with lock:
            return alone(endpoint, inputs, purchase, destination)

    lock = threading.Lock()
    bench.host.create = create  # type: ignore[method-assign]
    assert len(bench.draw(9).pictures) == 9
    assert bench.host.sent == 9


def test_a_picture_that_is_named_twice_is_bought_once(bench: Bench) -> None:
    bench.host.at_once = 64
    jobs = bench.jobs(3)
    bench.engine.draw(DrawRequest("flux1-dev", (*jobs, *jobs)), bench.reporter)
    assert bench.host.sent == 3


def test_over_budget_what_was_bought_is_brought_in(bench: Bench) -> None:
    bench.reporter.purse.limit_usd = 0.2
    with pytest.raises(OverBudget):
        bench.draw(5)
    assert len(list((bench.folder / "out").iterdir())) == bench.host.sent == 2


def test_a_stop_before_all_are_bought_buys_no_more_and_ends_what_is_under_way(bench: Bench) -> None:
    bench.host.at_once = 64
    bench.result = Standing("running")

    def stopped() -> None:
        if bench.host.sent > 1:
            raise Cancelled("Stopped as asked.")

    bench.reporter.raise_if_cancelled = stopped  # type: ignore[method-assign]
    with pytest.raises(Cancelled, match=r"cost 0\.90 USD"):
        bench.draw(20)
    assert [request.cancels for request in bench.requests] == [1] * 9


def test_a_stop_after_a_crash_ends_all_that_an_earlier_worker_bought(bench: Bench) -> None:
    bench.result = Standing("running")
    bench.host.at_once = 2

    def leave() -> None:
        if bench.now > 5:
            raise Leaving("The worker was asked to end.")

    bench.reporter.raise_if_cancelled = leave  # type: ignore[method-assign]
    with pytest.raises(Leaving):
        bench.draw(4)

    def stop() -> None:
        raise Cancelled("Stopped as asked.")

    bench.reporter.raise_if_cancelled = stop  # type: ignore[method-assign]
    with pytest.raises(Cancelled):
        bench.draw(4)
    assert [request.cancels for request in bench.requests] == [1, 1]


def test_a_kill_at_every_write_of_the_ledger_buys_each_picture_once(bench: Bench) -> None:
    crashes = iter(("intend", "submitted", "settle") * 4)
    pictures = 0
    while pictures < 9:
        bench.reporter.purse.crash_on = next(crashes, None)
        try:
            pictures = len(bench.draw(9).pictures)
        except Killed:
            continue
    marks = [request.mark for request in bench.requests]
    assert len(marks) == len(set(marks)) == 9


# --------------------------------------------------------------------------- editing


def test_the_camera_is_turned_and_pictures_go_up_together(bench: Bench) -> None:
    edits = bench.edits(3, CameraTurn(90, 15, 5))
    result = bench.engine.edit(EditRequest("", edits, model="multi_angle"), bench.reporter)
    assert len(result.pictures) == 3
    sent = bench.requests[1].inputs
    assert (sent["h"], sent["v"], sent["zoom"]) == (90, 15, 5)
    assert len(sent["image_urls"]) == 1
    assert len({request.inputs["image_urls"][0] for request in bench.requests}) == 3
    assert len(bench.host.uploads) == 3
    assert {name for _, name, _ in bench.host.uploads}.isdisjoint({"in0.jpg", "in1.jpg", "in2.jpg"})


def test_an_enlarged_picture_keeps_its_shape(bench: Bench) -> None:
    bench.result = bench.url("/large.jpg")
    result = bench.engine.upscale(EditRequest("", bench.edits(1)), bench.reporter)
    [enlarged] = result.pictures
    assert (enlarged.width, enlarged.height, enlarged.native) == (96, 64, (300, 200))
    assert isinstance(bench.requests[0].inputs["image"], str)


def test_what_an_editor_cannot_do_is_refused_or_told(bench: Bench) -> None:
    engine = bench.engine
    with pytest.raises(BadSpec, match="has no editor 'restyle'; it has multi_angle, upscale"):
        engine.edit(EditRequest("", bench.edits(1), model="restyle"), bench.reporter)
    edits = bench.edits(1)
    with pytest.raises(BadSpec, match="changes 1 to 1 pictures"):
        engine.edit(EditRequest("", (replace(edits[0], images=()),), model="multi_angle"), bench.reporter)
    told = engine.upscale(EditRequest("", bench.edits(1, CameraTurn(90))), bench.reporter).told
    assert "they/up does not turn the camera" in told[0]
    assert bench.host.uploads == []


# --------------------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("style", "size", "sent"),
    [
        ("image_size", (1000, 500), {"image_size": {"width": 992, "height": 496}}),
        ("width_height", (4096, 2048), {"width": 2048, "height": 1024}),
        ("width_height", (4096, 64), {"width": 2048, "height": 64}),
        ("aspect_ratio", (1920, 1080), {"aspect_ratio": "16:9"}),
        ("aspect_ratio", (700, 1400), {"aspect_ratio": "9:16"}),
        ("aspect_ratio", (1000, 1024), {"aspect_ratio": "1:1"}),
        ("none", (10, 10), {}),
    ],
)
def test_a_size_is_asked_for_in_the_endpoint_s_terms(style: Any, size: tuple[int, int], sent: dict[str, Any]) -> None:
    assert inputs.size(replace(KONTEXT, size_style=style), *size) == sent
