"""The engine fal, from the set to the LoRA and the pictures, against the loopback service over a real socket."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from support.hosts.fal import Fal
from support.hosts.faults import Fault
from support.hosts.service import serving
from support.reporter import MemoryReporter

from loradeck.engines import files
from loradeck.engines.base import (
    CameraTurn,
    DatasetFolder,
    DatasetItem,
    DrawJob,
    DrawRequest,
    EditJob,
    EditRequest,
    LoraRef,
    TrainSpec,
)
from loradeck.engines.errors import ProviderError
from loradeck.engines.fal.host import FalHost
from loradeck.engines.fal.table import TABLE
from loradeck.engines.hosted.engine import HostedEngine

BASES = list(dict.fromkeys(row.base_model for row in TABLE.trainers))
LIGHT = """
import sys
from loradeck.engines import fal
engine = fal.create()
assert engine.name == "fal" and engine.capabilities.costs_money and engine.capabilities.leaves_machine
print([name for name in ("httpx", "torch", "PIL", "numpy", "fal_client") if name in sys.modules])
"""


class Studio:
    """The engine on a service, with a clock that moves when somebody sleeps."""

    def __init__(self, service: Fal, folder: Path) -> None:
        self.service, self.folder, self.reporter, self.now = service, folder, MemoryReporter(), 0.0
        self.engine = HostedEngine(FalHost(self.sleep), TABLE, sleep=self.sleep, clock=lambda: self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def spec(self, base: str, profile: str = "character") -> TrainSpec:
        recipe = self.engine.defaults(base, 4, profile)
        return TrainSpec(
            run_id="run_1",
            run_dir=self.folder / "run",
            name="look",
            base_model=base,
            trigger="zorbik",
            profile=profile,
            steps=recipe.steps,
            rank=recipe.rank,
            alpha=recipe.alpha,
            learning_rate=recipe.learning_rate,
            batch_size=1,
            resolution=1024,
            seed=7,
            checkpoint_every=500,
            sample_every=500,
        )

    def dataset(self) -> DatasetFolder:
        items = []
        for number in range(4):
            path = self.picture(f"{number}", 16)
            items.append(DatasetItem(path, f"zorbik, thing {number}", files.sha256_file(path)))
        return DatasetFolder(self.folder, tuple(items), "zorbik", "f" * 64)

    def picture(self, name: str, side: int) -> Path:
        path = self.folder / f"{name}.png"
        Image.linear_gradient("L").resize((side, side)).convert("RGB").save(path)
        return path

    def job(self, name: str, width: int = 64, height: int = 64) -> DrawJob:
        return DrawJob(name, f"a fox {name}", 7, width, height, self.folder / "out" / f"{name}.png")


@pytest.fixture
def studio(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Studio]:
    with serving(Fal()) as service:
        monkeypatch.setenv("FAL_KEY", service.key)
        monkeypatch.setenv("LORADECK_FAL_URL", service.base_url)
        monkeypatch.delenv("LORADECK_WEBHOOK_URL", raising=False)
        yield Studio(service, tmp_path)


def test_opening_the_engine_loads_nothing_heavy_and_needs_no_key() -> None:
    told = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("base", BASES)
def test_a_lora_of_each_base_is_trained_fetched_and_paid_once(studio: Studio, base: str) -> None:
    spec = studio.spec(base)
    quoted = studio.engine.estimate(spec)
    result = studio.engine.train(spec, studio.dataset(), studio.reporter)
    assert (result.base_model, result.steps) == (base, spec.steps)
    assert result.lora_path.exists()
    (purchase,) = studio.reporter.purse.all()
    assert (purchase.state, purchase.usd) == ("settled", pytest.approx(studio.service.charged_usd))
    assert (quoted.price_source, quoted.usd) == ("live", pytest.approx(purchase.usd))
    assert len(studio.service.creates) == 1
    (job,) = studio.service.jobs.values()
    assert job.dataset is not None
    assert all(caption.startswith("zorbik") for caption in job.dataset.captions.values())


def test_wan_gives_two_files_and_both_are_kept(studio: Studio) -> None:
    result = studio.engine.train(studio.spec("wan-2.2"), studio.dataset(), studio.reporter)
    assert (result.lora_path.parent / result.metadata["high_noise_lora"]).exists()


def test_a_look_is_trained_as_one(studio: Studio) -> None:
    studio.engine.train(studio.spec("flux1-dev", "style"), studio.dataset(), studio.reporter)
    (create,) = studio.service.creates
    assert (create.input["is_style"], create.input["create_masks"]) == (True, False)


def test_the_plan_tells_where_each_argument_goes(studio: Studio) -> None:
    told = studio.engine.maps(studio.spec("flux2-dev"))
    assert "steps 1000 -> steps." in told
    assert "learning_rate 0.00012 -> learning_rate." in told
    assert any("regularisation" in sentence for sentence in told)
    assert studio.engine.check(studio.spec("flux2-dev")) == []


def test_a_trained_lora_draws_with_and_without_references(studio: Studio) -> None:
    result = studio.engine.train(studio.spec("flux2-dev"), studio.dataset(), studio.reporter)
    lora = LoraRef(result.lora_path, 0.8, result.sha256, "flux2-dev")
    drawn = studio.engine.draw(DrawRequest("flux2-dev", (studio.job("a"),), (lora,)), studio.reporter)
    leaning = DrawRequest("flux2-dev", (studio.job("b"),), (lora,), references=(studio.picture("r", 32),))
    leaned = studio.engine.draw(leaning, studio.reporter)
    assert [(one.pictures[0].width, one.told) for one in (drawn, leaned)] == [(64, ())] * 2
    assert [create.endpoint for create in studio.service.creates[1:]] == [
        "fal-ai/flux-2/lora",
        "fal-ai/flux-2/lora/edit",
    ]
    # FLUX.2 takes no side under 512 pixels there: it is drawn larger, and made smaller here.
    assert drawn.pictures[0].native == (512, 512)
    assert [create.input["loras"][0]["scale"] for create in studio.service.creates[1:]] == [0.8, 0.8]


def test_kontext_leans_on_references_without_a_lora(studio: Studio) -> None:
    request = DrawRequest("flux1-kontext", (studio.job("a", 128, 72),), references=(studio.picture("r", 32),))
    (picture,) = studio.engine.draw(request, studio.reporter).pictures
    (create,) = studio.service.creates
    assert (create.endpoint, create.input["aspect_ratio"]) == ("fal-ai/flux-pro/kontext/multi", "16:9")
    assert (picture.width, picture.height) == (128, 72)


@pytest.mark.parametrize(
    ("model", "endpoint", "sent"),
    [
        ("multi_angle", "fal-ai/qwen-image-edit-2511-multiple-angles", {"horizontal_angle": 90, "zoom": 5}),
        ("restyle", "fal-ai/nano-banana-pro/edit", {"num_images": 1, "resolution": "1K", "output_format": "png"}),
        ("edit", "fal-ai/qwen-image-edit-2511", {"guidance_scale": 3.5, "num_inference_steps": 45}),
        ("edit", "fal-ai/qwen-image-edit-2511", {"acceleration": "none", "output_format": "png"}),
    ],
)
def test_pictures_are_changed_with_the_settings_of_the_rules(
    studio: Studio, model: str, endpoint: str, sent: dict[str, object]
) -> None:
    turn = CameraTurn(90) if model == "multi_angle" else None
    job = EditJob(studio.job("a"), (studio.picture("in", 64),), turn)
    result = studio.engine.edit(EditRequest("", (job,), model=model), studio.reporter)
    assert result.pictures[0].path.exists()
    (create,) = studio.service.creates
    assert create.endpoint == endpoint
    assert {name: create.input[name] for name in sent} == sent


def test_a_picture_is_enlarged(studio: Studio) -> None:
    job = EditJob(studio.job("a", 128, 128), (studio.picture("in", 64),))
    (picture,) = studio.engine.upscale(EditRequest("", (job,), model="upscale"), studio.reporter).pictures
    assert picture.native == (128, 128)


def test_no_credit_is_told_and_nothing_was_bought(studio: Studio) -> None:
    studio.service.faults.append(Fault("refused", status=403, message="User is locked. Reason: Exhausted balance."))
    with pytest.raises(ProviderError, match=r"credit at fal is used up.*Nothing was bought"):
        studio.engine.train(studio.spec("flux2-dev"), studio.dataset(), studio.reporter)
    assert studio.service.creates == []


def test_the_key_stands_in_no_file_row_or_line_of_a_run(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    studio.service.key = "0d1f2a3b-key:9a8b7c6d5e4f"
    monkeypatch.setenv("FAL_KEY", studio.service.key)
    studio.engine.train(studio.spec("flux2-dev"), studio.dataset(), studio.reporter)
    written = [path.read_bytes() for path in studio.folder.rglob("*") if path.is_file()]
    told = f"{studio.reporter.events}{studio.reporter.journal.kept}{studio.reporter.purse.all()}"
    assert all(
        part.encode() not in data for data in [*written, told.encode()] for part in studio.service.key.split(":")
    )
