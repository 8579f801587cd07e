"""The engine at Replicate, end to end on the loopback service: a look is trained, drawn, changed and enlarged there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.hosts.replicate import Replicate
from support.hosts.service import serving
from support.reporter import MemoryReporter

from loradeck.engines import files, replicate, tensor_file
from loradeck.engines.base import (
    CameraTurn,
    DatasetFolder,
    DatasetItem,
    DrawJob,
    DrawRequest,
    EditJob,
    EditRequest,
    LoraRef,
    TrainResult,
    TrainSpec,
)
from loradeck.engines.errors import BadSpec
from loradeck.engines.hosted.engine import HostedEngine
from loradeck.engines.hosted.training import model_at
from loradeck.engines.replicate.host import ReplicateHost
from loradeck.engines.replicate.table import TABLE


class Bench:
    """The engine at a loopback service, and a clock that moves when somebody sleeps."""

    def __init__(self, service: Replicate, folder: Path) -> None:
        self.service, self.folder, self.seconds = service, folder, 0.0
        self.reporter = MemoryReporter()
        self.engine = HostedEngine(ReplicateHost(sleep=self.sleep), TABLE, sleep=self.sleep, clock=lambda: self.seconds)

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def spec(self, base_model: str = "flux1-dev", **advanced: str) -> TrainSpec:
        folder = self.folder / "run"
        folder.mkdir(exist_ok=True)
        numbers = {"steps": 100, "rank": 16, "alpha": 16.0, "learning_rate": 4e-4, "batch_size": 1}
        return TrainSpec(
            "run_1", folder, "a look", base_model, "TOK", "style", **numbers, resolution=1024, seed=7,
            checkpoint_every=0, sample_every=0, advanced=dict(advanced),
        )  # fmt: skip

    def dataset(self, images: int = 3) -> DatasetFolder:
        items = []
        for number in range(images):
            path = self.picture(f"{number}.png", number)
            items.append(DatasetItem(path, f"TOK, box {number}", files.sha256_file(path)))
        return DatasetFolder(self.folder, tuple(items), "TOK", "fp_1")

    def picture(self, name: str, seed: int = 0) -> Path:
        path = self.folder / name
        noise = np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(noise).save(path)
        return path

    def train(self, **advanced: str) -> TrainResult:
        return self.engine.train(self.spec(**advanced), self.dataset(), self.reporter)

    def job(self, name: str) -> DrawJob:
        return DrawJob(name, "TOK, a box", 7, 256, 256, self.folder / f"{name}.png")

    def sent(self) -> dict[str, object]:
        """What the last paid request carried."""
        return self.service.creates[-1].input


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with serving(Replicate()) as service:
        monkeypatch.setenv("REPLICATE_API_TOKEN", service.key)
        monkeypatch.setenv("REPLICATE_BASE_URL", service.base_url)
        monkeypatch.delenv("LORADECK_WEBHOOK_URL", raising=False)
        yield Bench(service, tmp_path)


def test_the_factory_makes_the_engine_of_the_environment(bench):
    engine = replicate.create()
    assert (engine.name, engine.available().ready) == ("replicate", True)
    assert engine.capabilities.abilities == {"train", "draw", "edit", "upscale"}
    assert not bench.service.calls, "nobody is asked for that"


def test_a_look_is_trained_there_and_drawn_by_the_private_model_that_has_it(bench):
    trained = bench.train()
    ours = {name: model for name, model in bench.service.models.items() if name.startswith("me/")}
    assert [model.visibility for model in ours.values()] == ["private"]
    assert bench.sent()["autocaption"] is False
    assert bench.sent()["caption_dropout_rate"] == 0.1, "the profile is a style"
    version = tensor_file.read(trained.lora_path).metadata[model_at("replicate")]
    lora = LoraRef(trained.lora_path, 0.9, trained.sha256, "flux1-dev")
    drawn = bench.engine.draw(DrawRequest("flux1-dev", (bench.job("one"),), (lora,)), bench.reporter)
    assert drawn.pictures[0].native == (256, 256)
    assert bench.service.creates[-1].endpoint == version.partition(":")[0] == next(iter(ours))
    assert bench.sent()["lora_scale"] == 0.9
    assert bench.service.counted("create") == 2


def test_what_is_settled_is_what_the_host_charged_and_the_key_reaches_no_host_that_outputs_lie_on(bench):
    bench.train()
    bench.engine.draw(DrawRequest("flux1-dev", (bench.job("one"),)), bench.reporter)
    spent = sum(one.usd for one in bench.reporter.purse.all())
    assert spent == pytest.approx(bench.service.charged_usd)
    assert all(one.usd <= one.worst_usd for one in bench.reporter.purse.all())
    assert bench.service.authorized["delivery"] == []
    assert set(bench.service.authorized["api"]) == {f"Bearer {bench.service.key}"}


def test_the_fast_trainer_is_chosen_by_name_and_told_by_profile_what_it_learns(bench):
    name = "replicate/fast-flux-trainer"
    cost = bench.engine.estimate(bench.spec(trainer=name))
    assert cost.usd == pytest.approx(1.464)
    bench.train(trainer=name)
    assert set(bench.sent()) == {"input_images", "trigger_word", "lora_type"}
    assert bench.sent()["lora_type"] == "style"
    assert bench.service.charged_usd == pytest.approx(cost.usd)


def test_a_trainer_of_another_base_is_asked_as_its_live_schema_says(bench):
    spec = bench.spec("qwen-image", trainer="replicate/qwen-image-lora-trainer")
    assert any("rank 16 -> lora_rank" in sentence for sentence in bench.engine.maps(spec))
    assert any("its price is assumed" in sentence for sentence in bench.engine.maps(spec))


def test_bases_that_are_not_trained_there_are_refused_with_what_does(bench):
    with pytest.raises(BadSpec, match=r"No trainer for flux2-dev was found at Replicate.*engine=fal"):
        bench.engine.check(bench.spec("flux2-dev"))


def test_a_lora_that_was_not_trained_there_is_refused_before_it_is_sent(bench):
    trained = bench.train()
    elsewhere = bench.folder / "elsewhere.safetensors"
    header = tensor_file.read(trained.lora_path)
    content = trained.lora_path.read_bytes()
    data = content[8 + int.from_bytes(content[:8], "little") :]
    elsewhere.write_bytes(tensor_file.written(header.tensors, {}) + data)
    before = len(bench.service.calls)
    lora = LoraRef(elsewhere, 1.0, files.sha256_file(elsewhere), "flux1-dev")
    with pytest.raises(BadSpec, match=r"public address.*engine=replicate.*engine=local"):
        bench.engine.draw(DrawRequest("flux1-dev", (bench.job("one"),), (lora,)), bench.reporter)
    assert len(bench.service.calls) == before


def test_a_reference_is_leaned_on_by_kontext(bench):
    request = DrawRequest("flux1-kontext", (bench.job("one"),), references=(bench.picture("reference.png"),))
    assert len(bench.engine.draw(request, bench.reporter).pictures) == 1
    assert bench.service.creates[-1].endpoint == "black-forest-labs/flux-kontext-dev"
    assert str(bench.sent()["input_image"]).startswith(bench.service.base_url)


@pytest.mark.parametrize(
    ("model", "turn", "endpoint"),
    [
        ("multi_angle", CameraTurn(315, 0, 7.5), "qwen/qwen-edit-multiangle"),
        ("restyle", None, "google/nano-banana-pro"),
        ("edit", None, "qwen/qwen-image-edit-plus"),
    ],
)
def test_pictures_are_changed_there(bench, model, turn, endpoint):
    job = EditJob(bench.job("one"), (bench.picture("source.png"),), turn)
    assert len(bench.engine.edit(EditRequest("", (job,), model=model), bench.reporter).pictures) == 1
    assert bench.service.creates[-1].endpoint == endpoint
    if turn:
        assert (bench.sent()["rotate_degrees"], bench.sent()["move_forward"]) == (-45, 5)


def test_pictures_are_enlarged_there(bench):
    job = EditJob(bench.job("one"), (bench.picture("source.png"),))
    enlarged = bench.engine.upscale(EditRequest("", (job,)), bench.reporter)
    assert enlarged.pictures[0].native == (128, 128), "twice the 64 pixels"
    assert bench.service.creates[-1].endpoint == "nightmareai/real-esrgan"
