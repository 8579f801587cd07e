"""A training that knows how it is going: levels, scores, averaged weights, dropped captions, masks, test scenes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from support import tiny
from support.reporter import Crash, MemoryReporter

from loradeck.engines.base import DatasetFolder, TrainResult
from loradeck.engines.errors import BadSpec
from loradeck.engines.local import bases, checkpoint, masks, material
from loradeck.engines.local.averaging import Average
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.local.families.klein import FAMILY
from loradeck.engines.local.heldout import SIGMAS
from loradeck.engines.local.learner import Learner, row_losses
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.options import Options
from loradeck.engines.local.scoring import Scorer

EVERYTHING = {"ema": 0.9, "caption_dropout": 0.3, "masked_loss": True, "mask_background": 0.1, "held_out": 1}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("knows")


@pytest.fixture(scope="module")
def base(home: Path) -> bases.Base:
    torch.set_num_threads(1)
    return tiny.base(home / "weights")


@pytest.fixture(scope="module")
def engine(base: bases.Base) -> LocalEngine:
    return LocalEngine({"preview": lambda: base})


@pytest.fixture(scope="module")
def dataset(home: Path) -> DatasetFolder:
    """Nine pictures; all but one have a mask whose left half counts."""
    plain = tiny.dataset(home / "images")
    drawn = Image.new("L", (tiny.SIDE, tiny.SIDE), 0)
    drawn.paste(255, (0, 0, tiny.SIDE // 2, tiny.SIDE))
    drawn.save(home / "mask.png")
    masked = [replace(item, mask=home / "mask.png") for item in plain.items[1:]]
    return replace(plain, items=(plain.items[0], *masked))


@pytest.fixture(scope="module")
def whole(engine: LocalEngine, dataset: DatasetFolder, home: Path) -> tuple[TrainResult, MemoryReporter]:
    """One uninterrupted training with every option on."""
    reporter = MemoryReporter()
    spec = tiny.spec(home / "run", advanced=EVERYTHING, test_prompts=("zorvex, a red bridge",), dated="2026-01-02")
    return engine.train(spec, dataset, reporter), reporter


def learner(base: bases.Base, dataset: DatasetFolder, folder: Path, options: Options) -> tuple[Learner, Adapter]:
    loaded = FAMILY.load(base.weights)
    spec = tiny.spec(folder)
    prepared = tiny.encoded(base, FAMILY, loaded, spec, dataset, options)
    adapter = Adapter(loaded.transformer, FAMILY, spec.rank, spec.alpha, spec.seed)
    return Learner(FAMILY, loaded.transformer, adapter, prepared, spec, options), adapter


# --------------------------------------------------------------------------- what is measured


def test_the_held_out_loss_is_told_at_every_noise_level_and_is_their_mean(
    whole: tuple[TrainResult, MemoryReporter],
) -> None:
    for step, value in whole[1].series("held_out_loss"):
        levels = [dict(whole[1].series(f"held_out_loss_at_{sigma}"))[step] for sigma in SIGMAS]
        assert len(set(levels)) == len(SIGMAS)
        assert sum(levels) / len(levels) == pytest.approx(value, rel=1e-5)


def test_every_checkpoint_has_a_held_out_loss_a_leak_and_a_trigger_gain(
    whole: tuple[TrainResult, MemoryReporter],
) -> None:
    reporter = whole[1]
    points = [step for step, _, _ in reporter.checkpoints]
    assert points == [3, 6, 8]
    for name in ("leak", "trigger_gain"):
        assert [step for step, _ in reporter.series(name)] == points
    assert set(points) < {step for step, _ in reporter.series("held_out_loss")}
    leaks = [value for _, value in reporter.series("leak")]
    assert all(leak > 0 for leak in leaks)


def test_a_fresh_lora_leaks_nothing_and_its_trigger_means_what_the_base_makes_of_it(
    base: bases.Base, dataset: DatasetFolder, tmp_path: Path
) -> None:
    learning, adapter = learner(base, dataset, tmp_path, Options())
    scorer = Scorer(learning.flow, adapter, learning._material)
    fresh = scorer.score({"held_out_loss": 0.25, "in_train_loss": 9.0})
    assert fresh["leak"] == 0
    assert adapter.norm() == 0
    learning.step(0)
    taught = scorer.score({"held_out_loss": 0.25, "in_train_loss": 9.0})
    assert taught["leak"] > 0
    assert taught["trigger_gain"] != fresh["trigger_gain"]


def test_the_norm_is_that_of_the_change_to_the_weights(
    base: bases.Base, dataset: DatasetFolder, tmp_path: Path
) -> None:
    learning, adapter = learner(base, dataset, tmp_path, Options())
    learning.step(0)
    weights = adapter.weights()
    names = {key.rsplit(".lora_", 1)[0] for key in weights}
    changes = [weights[f"{name}.lora_B.weight"] @ weights[f"{name}.lora_A.weight"] for name in names]
    assert adapter.norm() == pytest.approx(float(sum(change.square().sum() for change in changes)) ** 0.5, rel=1e-4)


def test_a_number_of_held_out_pictures_that_is_asked_for_is_kept_in_a_small_set_too(dataset: DatasetFolder) -> None:
    learn, held = material.split(dataset.items[:5], 2)
    assert (len(learn), len(held)) == (3, 2)
    assert len(material.split(dataset.items[:2], 20)[0]) == 1


def test_the_test_scene_is_drawn_once_at_the_end(whole: tuple[TrainResult, MemoryReporter]) -> None:
    shown = [(step, prompt) for step, _, prompt in whole[1].samples]
    usual = "zorvex, a red disc"
    assert shown == [(0, usual), (4, usual), (8, usual), (8, "zorvex, a red bridge")]
    assert len({path for _, path, _ in whole[1].samples}) == 4


def test_the_brightness_of_samples_and_of_the_set_is_told(whole: tuple[TrainResult, MemoryReporter]) -> None:
    assert [step for step, _ in whole[1].series("sample_brightness")] == [0, 4, 8]
    assert [step for step, _ in whole[1].series("image_brightness")] == [0]
    assert all(0 < value < 255 for _, value in whole[1].series("sample_brightness"))


# --------------------------------------------------------------------------- options


def test_a_run_with_every_option_on_is_the_same_bytes_after_a_kill(
    engine: LocalEngine, dataset: DatasetFolder, whole: tuple[TrainResult, MemoryReporter], tmp_path: Path
) -> None:
    first = MemoryReporter(crash_at=5)
    spec = tiny.spec(tmp_path, advanced=EVERYTHING, test_prompts=("zorvex, a red bridge",), dated="2026-01-02")
    with pytest.raises(Crash):
        engine.train(spec, dataset, first)
    again = MemoryReporter(first.journal)
    result = engine.train(spec, dataset, again)
    assert again.events[0][1] == "Going on from the checkpoint at step 3."
    assert result.sha256 == whole[0].sha256
    assert again.series("held_out_loss")[-1] == whole[1].series("held_out_loss")[-1]


def test_the_file_tells_the_options_in_force_the_versions_and_the_date_it_was_given(
    whole: tuple[TrainResult, MemoryReporter],
) -> None:
    story = whole[0].metadata
    told = json.loads(story["loradeck.options"])
    assert told == {**told, **EVERYTHING, "preservation": 1.0, "threads": 1}
    assert json.loads(story["loradeck.versions"])["torch"] == torch.__version__
    assert story["modelspec.date"] == "2026-01-02"


def test_averaged_weights_are_exported_and_the_trained_ones_go_on(
    whole: tuple[TrainResult, MemoryReporter], home: Path
) -> None:
    state = load_file(checkpoint.state_path(home / "run" / "checkpoints", 8))
    name = next(key for key in state if key.endswith("single_transformer_blocks.0.attn.to_out.lora_A")).partition("/")[
        2
    ]
    exported = load_file(whole[0].lora_path)["diffusion_model.single_blocks.0.linear2.lora_A.weight"]
    assert torch.equal(exported, state[f"average/{name}"])
    assert not torch.equal(exported, state[f"weight/{name}"])


def test_an_average_follows_slowly_and_leaves_the_weights_as_they_were() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    average = Average({"w": weight}, decay=0.5)
    for step in range(30):
        weight.data.fill_(1.0 + step)
        average.follow(step)
    with average.in_place():
        assert weight.item() == pytest.approx(29.0, abs=0.01)  # the limit of x_n - d / (1 - d) at d = 0.5
    assert weight.item() == 30.0
    off = Average({"w": weight}, decay=0.0)
    off.follow(0)
    with off.in_place():
        assert weight.item() == 30.0
    assert off.tensors() == {}


def test_dropped_captions_see_the_empty_prompt_as_often_as_asked_and_the_same_ones_again(
    base: bases.Base, dataset: DatasetFolder, tmp_path: Path
) -> None:
    learning, _ = learner(base, dataset, tmp_path, Options(caption_dropout=0.3))
    empty = learning._material.empty["states"]

    def silent(step: int) -> list[bool]:
        return [torch.equal(row, empty[0]) for row in learning.learning_rows(step).text["states"]]

    rows = [row for step in range(200) for row in silent(step)]
    assert sum(rows) / len(rows) == pytest.approx(0.3, abs=0.06)
    assert silent(17) == silent(17)
    always, _ = learner(base, dataset, tmp_path, Options(caption_dropout=1.0))
    assert all(torch.equal(row, empty[0]) for row in always.learning_rows(0).text["states"])
    never, _ = learner(base, dataset, tmp_path, Options())
    kept, dropped = never.learning_rows(3), learning.learning_rows(3)
    assert torch.equal(kept.noise, dropped.noise), "which captions are dropped changes no other chance"


def test_caption_dropout_beside_preservation_is_told(engine: LocalEngine, tmp_path: Path) -> None:
    said = engine.check(tiny.spec(tmp_path, advanced={"caption_dropout": 0.1}))
    assert "holds to the base" in said[0]
    free = engine.check(tiny.spec(tmp_path, advanced={"caption_dropout": 0.1, "preservation": 0}))
    assert len(free) == 1
    assert "Preservation is off" in free[0]


def test_what_a_mask_leaves_black_teaches_nothing(base: bases.Base, dataset: DatasetFolder, tmp_path: Path) -> None:
    learning, _ = learner(base, dataset, tmp_path, Options(masked_loss=True, preservation=0))
    rows = learning._noised("learn", 0, learning._material.train, torch.arange(2))
    assert rows.weight is not None
    half = rows.image.shape[-1] // 2
    wrong = torch.zeros_like(rows.image)
    wrong[..., half:] = 7.0
    black = row_losses(rows.target + wrong, rows.target, rows.weight)
    white = row_losses(rows.target + wrong.flip(-1), rows.target, rows.weight)
    whole_picture = [bool((weight == 1).all()) for weight in rows.weight]
    for place, unmasked in enumerate(whole_picture):
        assert (float(black[place]) > 1) == unmasked
        assert float(white[place]) > 1
    assert not all(whole_picture)


def test_masks_weigh_one_on_average_and_black_counts_what_the_background_is_given(home: Path) -> None:
    drawn = Image.new("L", (64, 64), 0)
    drawn.paste(255, (0, 0, 16, 64))
    drawn.save(home / "quarter.png")
    weighed = masks.weights(home / "quarter.png", (64, 64), (4, 4), 0.2)
    assert weighed.shape == (1, 4, 4)
    assert float(weighed.mean()) == pytest.approx(1)
    assert float(weighed[0, 0, 3] / weighed[0, 0, 0]) == pytest.approx(0.2, abs=1e-3)


def test_a_mask_that_is_black_or_missing_or_broken_is_told_with_what_to_do(
    engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path
) -> None:
    Image.new("L", (32, 32), 0).save(tmp_path / "black.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    for name, told in (("black.png", "black all over"), ("broken.png", "cannot be read")):
        items = tuple(replace(item, mask=tmp_path / name) for item in dataset.items)
        with pytest.raises(BadSpec, match=told):
            engine.train(
                tiny.spec(tmp_path / name[:3], advanced={"masked_loss": True}),
                replace(dataset, items=items),
                MemoryReporter(),
            )
    bare = replace(dataset, items=tuple(replace(item, mask=None) for item in dataset.items))
    with pytest.raises(BadSpec, match=r"masks/000\.png for 000\.png"):
        engine.train(tiny.spec(tmp_path / "run", advanced=EVERYTHING), bare, MemoryReporter())


def test_a_changed_mask_is_another_training(engine: LocalEngine, dataset: DatasetFolder, tmp_path: Path) -> None:
    first = MemoryReporter(crash_at=4)
    with pytest.raises(Crash):
        engine.train(tiny.spec(tmp_path, advanced=EVERYTHING), dataset, first)
    Image.new("L", (32, 32), 200).save(tmp_path / "other.png")
    items = (replace(dataset.items[0], mask=tmp_path / "other.png"), *dataset.items[1:])
    with pytest.raises(BadSpec, match="other settings"):
        engine.train(
            tiny.spec(tmp_path, advanced=EVERYTHING), replace(dataset, items=items), MemoryReporter(first.journal)
        )


def test_the_bases_own_pictures_are_left_out_of_preservation_when_asked(
    base: bases.Base, dataset: DatasetFolder, tmp_path: Path
) -> None:
    counts = []
    for prior in (True, False):
        learning, _ = learner(base, dataset, tmp_path, Options(preservation_prior=prior))
        counts.append(len(learning._material.preserve))
    assert counts == [8 + 3, 8]


@pytest.mark.parametrize(
    ("advanced", "told"),
    [
        ({"ema": 1.0}, "0 .off. to 0.99999"),
        ({"caption_dropout": 2}, "from 0 .off. to 1"),
        ({"masked_loss": 1}, "true or false"),
        ({"mask_background": "dark"}, "from 0 to 1"),
        ({"preservation_prior": "no"}, "true or false"),
    ],
)
def test_options_out_of_range_are_told(
    advanced: dict[str, object], told: str, engine: LocalEngine, tmp_path: Path
) -> None:
    with pytest.raises(BadSpec, match=told):
        engine.check(tiny.spec(tmp_path, advanced=advanced))
