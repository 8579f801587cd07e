"""Drawing with the local engine: sizes, the same picture again, memory, what a PNG tells of itself."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from support import tiny
from support.families import TINY
from support.images import save
from support.reporter import MemoryReporter

from loradeck.engines import files
from loradeck.engines.base import DrawJob, DrawRequest, LoraRef
from loradeck.engines.errors import BadSpec, NotInstalled, OutOfMemory
from loradeck.engines.local import bases, batching, drawing, full_size, opened, pipeline, placement
from loradeck.engines.local.bases import Base
from loradeck.engines.local.engine import LocalEngine
from loradeck.engines.local.families.klein import FAMILY
from loradeck.engines.local.machine import Device, Machine
from loradeck.engines.local.references import TAKERS
from loradeck.engines.local.steady import steady


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("draw")


@pytest.fixture(scope="module")
def engine(home: Path) -> LocalEngine:
    base = tiny.base(home / "weights")
    return LocalEngine({"preview": lambda: base})


@pytest.fixture(scope="module")
def lora(engine: LocalEngine, home: Path) -> LoraRef:
    spec = tiny.spec(home / "run", learning_rate=5e-2)
    result = engine.train(spec, tiny.dataset(home / "images"), MemoryReporter())
    return LoraRef(result.lora_path, 1.0, result.sha256, "preview")


def drawn(
    engine: LocalEngine, jobs: tuple[DrawJob, ...], loras: tuple[LoraRef, ...] = (), **more: object
) -> np.ndarray:
    """The first picture's pixels, drawn afresh."""
    engine.draw(replace(DrawRequest("preview", jobs, loras), **more), MemoryReporter())
    with Image.open(jobs[0].out) as picture:
        return np.asarray(picture, dtype=np.int16)


def test_a_lora_acts_by_its_strength_and_leaves_nothing_behind(
    engine: LocalEngine, lora: LoraRef, tmp_path: Path
) -> None:
    plain = drawn(engine, (tiny.job(tmp_path / "plain.png"),))
    full = drawn(engine, (tiny.job(tmp_path / "full.png"),), (lora,))
    weak = drawn(engine, (tiny.job(tmp_path / "weak.png"),), (replace(lora, strength=0.1),))
    off = drawn(engine, (tiny.job(tmp_path / "off.png"),), (replace(lora, strength=0.0),))
    after = drawn(engine, (tiny.job(tmp_path / "after.png"),))
    assert np.abs(full - plain).mean() > np.abs(weak - plain).mean() > 0
    assert np.array_equal(off, plain)
    assert np.array_equal(after, plain)


def test_a_lora_of_the_base_before_an_upgrade_is_told_as_such(
    engine: LocalEngine, lora: LoraRef, tmp_path: Path
) -> None:
    upgraded = LocalEngine({"preview": lambda: tiny.base(tmp_path / "weights", seed=1)})
    job = tiny.job(tmp_path / "a.png")
    assert engine.draw(DrawRequest("preview", (job,), (lora,)), MemoryReporter()).told == ()
    job = tiny.job(tmp_path / "b.png")
    told = upgraded.draw(DrawRequest("preview", (job,), (lora,)), MemoryReporter()).told
    assert len(told) == 1
    assert "earlier preview base" in told[0]
    assert "start_training" in told[0]
    job = tiny.job(tmp_path / "c.png")
    assert upgraded.draw(DrawRequest("preview", (job,)), MemoryReporter()).told == ()


def test_stacked_loras_add_up(engine: LocalEngine, lora: LoraRef, tmp_path: Path) -> None:
    once = drawn(engine, (tiny.job(tmp_path / "once.png"),), (lora,))
    halves = (replace(lora, strength=0.3), replace(lora, strength=0.7))
    twice = drawn(engine, (tiny.job(tmp_path / "twice.png"),), halves)
    assert np.abs(once - twice).max() <= 1


def test_a_picture_is_the_same_to_the_bit_alone_in_any_company_and_order(
    engine: LocalEngine, lora: LoraRef, tmp_path: Path
) -> None:
    alone = drawn(engine, (tiny.job(tmp_path / "alone.png", seed=4),), (lora,))
    for others in (1, 2, 3, 4):
        company = [tiny.job(tmp_path / f"{others}-{i}.png", f"disc {i}", i) for i in range(others)]
        mine = tiny.job(tmp_path / f"{others}.png", seed=4)
        engine.draw(DrawRequest("preview", (*company[::-1], mine), (lora,)), MemoryReporter())
        assert np.array_equal(alone, drawn(engine, (mine,), (lora,)))


@pytest.mark.parametrize("company", [2, 3, 4])
def test_no_rounding_before_the_picture_depends_on_company(home: Path, company: int) -> None:
    made = pipeline.load(tiny.base(home / "weights"), FAMILY)
    steady(made)
    chance = torch.Generator().manual_seed(company)
    noisy, latents = (torch.randn(company, channels, 8, 8, generator=chance) for channels in (16, 4))
    text = {"states": torch.randn(company, 24, 3 * tiny.TEXT_WIDTH, generator=chance)}
    with torch.no_grad():
        flow = FAMILY.flow(made.transformer, noisy, torch.full((company,), 0.7), text)
        picture = made.vae.decode(latents).sample
        for row in range(company):
            only = slice(row, row + 1)
            alone = FAMILY.flow(made.transformer, noisy[only], torch.tensor([0.7]), {"states": text["states"][only]})
            assert torch.equal(flow[only], alone)
            assert torch.equal(picture[only], made.vae.decode(latents[only]).sample)


def test_what_a_stop_left_to_be_drawn_comes_out_as_it_would_have(engine: LocalEngine, tmp_path: Path) -> None:
    def jobs(folder: Path) -> tuple[DrawJob, ...]:
        return tuple(tiny.job(folder / f"{i}.png", f"disc {i}", i) for i in range(3))

    whole, parts = jobs(tmp_path / "whole"), jobs(tmp_path / "parts")
    engine.draw(DrawRequest("preview", whole), MemoryReporter())
    engine.draw(DrawRequest("preview", parts[1:2]), MemoryReporter())
    engine.draw(DrawRequest("preview", parts), MemoryReporter())
    assert [job.out.read_bytes() for job in parts] == [job.out.read_bytes() for job in whole]


def test_seed_prompt_steps_and_guidance_all_matter(engine: LocalEngine, tmp_path: Path) -> None:
    def job(name: str, **changes: object) -> tuple[DrawJob, ...]:
        return (replace(tiny.job(tmp_path / f"{name}.png"), **changes),)

    pictures = [
        drawn(engine, job("one")),
        drawn(engine, job("seed", seed=2)),
        drawn(engine, job("prompt", prompt="a wholly different thing")),
        drawn(engine, job("steps"), steps=3),
        drawn(engine, job("guidance"), guidance=6.0),
    ]
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


@pytest.mark.parametrize(
    ("asked", "native"),
    [((1920, 1080), (64, 40)), ((512, 512), (32, 32)), ((100, 300), (32, 32)), ((640, 200), (64, 40))],
)
def test_the_nearest_native_shape_is_drawn_and_scaled(
    asked: tuple[int, int], native: tuple[int, int], engine: LocalEngine, tmp_path: Path
) -> None:
    job = tiny.job(tmp_path / "a.png", width=asked[0], height=asked[1])
    (picture,) = engine.draw(DrawRequest("preview", (job,)), MemoryReporter()).pictures
    assert (picture.width, picture.height) == asked
    assert picture.native == native


def test_a_png_tells_how_it_was_made(engine: LocalEngine, lora: LoraRef, tmp_path: Path) -> None:
    job = tiny.job(tmp_path / "a.png", prompt="zorvex, a disc 🎨 for Zoë", seed=12)
    engine.draw(DrawRequest("preview", (job,), (replace(lora, strength=0.8),), guidance=3.0), MemoryReporter())
    with Image.open(job.out) as picture:
        told = picture.info
    assert (told["prompt"], told["seed"], told["base_model"]) == ("zorvex, a disc 🎨 for Zoë", "12", "preview")
    assert (told["steps"], told["guidance"]) == ("2", "3.0")
    (used,) = json.loads(told["loras"])
    assert used == {"file": lora.path.name, "strength": 0.8, "sha256": files.sha256_file(lora.path)}


def test_a_look_is_drawn_at_the_guidance_that_suits_looks(
    lora: LoraRef, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "_drawers", {})
    base = tiny.base(home / "weights")
    picky = LocalEngine({"preview": lambda: replace(base, guidance=4.0, recipe=replace(base.recipe, guidance=1.5))})
    told = []
    for name, loras in (("plain", ()), ("look", (lora,))):
        job = tiny.job(tmp_path / f"{name}.png")
        picky.draw(DrawRequest("preview", (job,), loras), MemoryReporter())
        with Image.open(job.out) as picture:
            told.append(picture.info["guidance"])
    assert told == ["4.0", "1.5"]


def test_progress_counts_pictures_and_starts_from_those_that_exist(engine: LocalEngine, tmp_path: Path) -> None:
    jobs = tuple(tiny.job(tmp_path / f"{i}.png", seed=i) for i in range(6))
    first = MemoryReporter()
    engine.draw(DrawRequest("preview", jobs[:2]), first)
    again = MemoryReporter()
    engine.draw(DrawRequest("preview", jobs), again)
    assert [step for step, _, _ in again.steps] == [2, 3, 4, 5, 6]
    assert first.steps[-1][:2] == (2, 2)


def test_the_base_is_loaded_once_a_process(
    engine: LocalEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.draw(DrawRequest("preview", (tiny.job(tmp_path / "a.png"),)), MemoryReporter())

    def forbidden(base: bases.Base, family: object) -> None:
        raise AssertionError("loaded again")

    monkeypatch.setattr(opened, "load", forbidden)
    engine.draw(DrawRequest("preview", (tiny.job(tmp_path / "b.png"),)), MemoryReporter())
    assert (tmp_path / "b.png").exists()


# --------------------------------------------------------------------------- memory


def test_as_many_pictures_go_together_as_free_memory_holds() -> None:
    each = batching.bytes_a_picture(tokens=4608, widest=27648, bytes_a_value=2)  # klein-4B at 1024 x 1024
    assert each == pytest.approx(0.76e9, rel=0.01)
    fitting = {free: batching.at_once(free, each) for free in (None, 0, each - 1, 2 * each, 3 * each + 1, 99 * each)}
    assert list(fitting.values()) == [4, 1, 1, 2, 3, 4]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """Let memory run out where more than so many pictures are drawn at once; returns the batches that were tried."""

    def make(room: int) -> list[int]:
        tried: list[int] = []
        whole = FAMILY.draw

        def draw(pipeline: Any, text: Any, empty: Any, seeds: Sequence[int], *more: Any) -> Any:
            tried.append(len(seeds))
            if len(seeds) > room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.")
            return whole(pipeline, text, empty, seeds, *more)

        monkeypatch.setattr(FAMILY, "draw", draw)
        return tried

    return make


@pytest.mark.parametrize(("small", "batches", "told"), [(True, [2, 3, 1, 1, 1], (3, 1)), (False, [4, 2, 2, 1], (4, 2))])
def test_a_batch_that_memory_does_not_hold_is_halved_and_drawing_goes_on(
    small: bool,
    batches: list[int],
    told: tuple[int, int],
    home: Path,
    tmp_path: Path,
    narrow: Callable[[int], list[int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(opened, "lanes_here", lambda: 1)
    if not small:
        monkeypatch.setattr(placement, "SMALL", 0)
    jobs = tuple(tiny.job(tmp_path / f"{i}.png", f"disc {i}", i) for i in range(5))
    tried, reporter = narrow(2), MemoryReporter()
    drawing.Drawer(tiny.base(home / "weights")).draw(DrawRequest("preview", jobs), reporter)
    assert tried == batches
    assert all(job.out.exists() for job in jobs)
    words = f"Memory does not hold {told[0]} pictures at once; going on with {told[1]}."
    assert reporter.events == [("warning", words)]


def test_a_single_picture_that_memory_does_not_hold_is_told_with_what_to_do(
    engine: LocalEngine, tmp_path: Path, narrow: Callable[[int], list[int]]
) -> None:
    tried = narrow(0)
    with pytest.raises(OutOfMemory, match="64 x 40 pixels does not fit beside this base; close other programs"):
        engine.draw(DrawRequest("preview", (tiny.job(tmp_path / "a.png", width=160, height=90),)), MemoryReporter())
    assert tried == [1]


@pytest.fixture
def large(home: Path, engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> tuple[LocalEngine, list[str]]:
    """The tiny base as though it were a large one, and what was opened: "encoders" or "transformer".

    Nothing may be opened before what was open is gone.
    """
    there: list[weakref.ref[Any]] = []
    told: list[str] = []
    whole = pipeline.load

    def load(base: Base, family: Any, dtype: Any, device: Any, without: Collection[str] = ()) -> Any:
        assert not [one for one in there if one() is not None], "two parts of a large base at the same time"
        made = whole(base, family, dtype, device, without)
        there.append(weakref.ref(made))
        told.append("encoders" if made.transformer is None else "transformer")
        assert (made.text_encoder is None) == (made.transformer is not None)
        return made

    monkeypatch.setattr(placement, "SMALL", 0)
    monkeypatch.setattr(pipeline, "load", load)
    monkeypatch.setattr(opened, "load", load)
    monkeypatch.setattr(drawing, "_drawers", {})
    return engine, told


def test_of_a_large_base_encoders_come_and_go_before_the_transformer_comes(
    large: tuple[LocalEngine, list[str]], lora: LoraRef, tmp_path: Path
) -> None:
    engine, told = large
    jobs = tuple(tiny.job(tmp_path / f"{i}.png", f"disc {i}", i) for i in range(2))
    engine.draw(DrawRequest("preview", jobs), MemoryReporter())
    assert told == ["encoders", "transformer"]
    again = tuple(replace(job, out=tmp_path / f"again-{job.id}.png", seed=9) for job in jobs)
    engine.draw(DrawRequest("preview", again, (lora,)), MemoryReporter())
    assert told == ["encoders", "transformer"], "the prompts are known"
    new = (tiny.job(tmp_path / "new.png", "a square"),)
    engine.draw(DrawRequest("preview", new, (lora,), upcoming=("a star",)), MemoryReporter())
    assert told == ["encoders", "transformer"] * 2
    engine.draw(DrawRequest("preview", (tiny.job(tmp_path / "star.png", "a star"),), (lora,)), MemoryReporter())
    assert told == ["encoders", "transformer"] * 2, "it was encoded when the encoders were there"


def test_a_large_base_draws_what_a_small_one_draws(
    engine: LocalEngine, lora: LoraRef, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    small = drawn(engine, (tiny.job(tmp_path / "small.png"),), (lora,))
    engine, _ = request.getfixturevalue("large")
    drawn(engine, (tiny.job(tmp_path / "other.png", "a square"),), (lora,))
    assert np.array_equal(drawn(engine, (tiny.job(tmp_path / "large.png"),), (lora,)), small)


def test_a_base_whose_files_are_gone_is_told(tmp_path: Path) -> None:
    base = tiny.base(tmp_path / "weights")
    (base.weights / "model_index.json").unlink()
    with pytest.raises(NotInstalled, match="files of the base preview are missing"):
        drawing.draw(base, DrawRequest("preview", (tiny.job(tmp_path / "a.png"),)), MemoryReporter())


@pytest.mark.parametrize("name", TINY)
def test_every_family_draws_the_same_as_a_large_base_and_in_company(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = TINY[name](tmp_path / "weights")
    engine = LocalEngine({base.name: lambda: base})
    job, other = tiny.job(tmp_path / "one.png"), tiny.job(tmp_path / "other.png", "a square", 2)
    engine.draw(DrawRequest(base.name, (job,)), MemoryReporter())
    alone = job.out.read_bytes()
    job.out.unlink()
    more = tuple(tiny.job(tmp_path / f"{i}.png", f"disc {i}", i) for i in range(6))
    monkeypatch.setattr(opened, "lanes_here", lambda: 3)
    monkeypatch.setattr(drawing, "_drawers", {})
    engine.draw(DrawRequest(base.name, (*more, job)), MemoryReporter())
    assert job.out.read_bytes() == alone
    job.out.unlink()
    monkeypatch.setattr(placement, "SMALL", 0)
    monkeypatch.setattr(drawing, "_drawers", {})
    engine.draw(DrawRequest(base.name, (other, job)), MemoryReporter())
    assert job.out.read_bytes() == alone


@pytest.mark.parametrize(
    ("device", "bf16", "placed"),
    [
        ("cuda", True, ("cuda", torch.bfloat16)),
        ("mps", False, ("mps", torch.float32)),
        ("cpu", True, ("cpu", torch.float32)),
    ],
)
def test_a_base_is_drawn_where_the_machine_is_strongest_and_the_preview_on_the_cpu(
    home: Path, monkeypatch: pytest.MonkeyPatch, device: Device, bf16: bool, placed: tuple[str, torch.dtype]
) -> None:
    machine = Machine(device, "a chip", 24.0, 24.0, 64.0, 64.0, 100.0, bf16=bf16)
    monkeypatch.setattr(placement, "detect", lambda folder: machine)
    base = tiny.base(home / "weights")
    assert placement.placement(base) == (torch.device("cpu"), torch.float32)
    assert placement.placement(replace(base, preview=False)) == (torch.device(placed[0]), placed[1])


# --------------------------------------------------------------------------- references


def referred(engine: LocalEngine, out: Path, *references: Path) -> np.ndarray:
    return drawn(engine, (tiny.job(out),), references=references)


def test_references_act_and_are_told_in_the_picture(engine: LocalEngine, tmp_path: Path) -> None:
    one, other = save(tiny.picture(1, 64), tmp_path / "one.png"), save(tiny.picture(2, 64), tmp_path / "other.png")
    plain = referred(engine, tmp_path / "plain.png")
    leaned = referred(engine, tmp_path / "leaned.png", one, other)
    assert not np.array_equal(plain, leaned)
    assert not np.array_equal(leaned, referred(engine, tmp_path / "swapped.png", other, one))
    assert np.array_equal(leaned, referred(engine, tmp_path / "again.png", one, other))
    with Image.open(tmp_path / "leaned.png") as picture:
        told = json.loads(picture.info["references"])
    assert told == [{"file": path.name, "sha256": files.sha256_file(path)} for path in (one, other)]


def test_a_reference_is_seen_upright_and_on_white(engine: LocalEngine, tmp_path: Path) -> None:
    upright = tiny.picture(3, 96).crop((0, 0, 96, 64))
    save(upright, tmp_path / "upright.png")
    turned = Image.Exif()
    turned[ExifTags.Base.Orientation] = 6  # to be turned a quarter clockwise
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=turned)
    seen = referred(engine, tmp_path / "a.png", tmp_path / "upright.png")
    assert np.array_equal(seen, referred(engine, tmp_path / "b.png", tmp_path / "turned.png"))
    save(Image.new("RGBA", (64, 64), (200, 0, 0, 0)), tmp_path / "clear.png")
    save(Image.new("RGB", (64, 64), "white"), tmp_path / "white.png")
    white = referred(engine, tmp_path / "c.png", tmp_path / "white.png")
    assert np.array_equal(white, referred(engine, tmp_path / "d.png", tmp_path / "clear.png"))


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ([(64, 64)] * 11, "11 references were given and the base preview takes 10 at most"),
        ([(63, 64)], "0.png is 63 x 64 pixels; give one whose sides have 64"),
        ([(64, 64), (64, 513)], "1.png is 64 x 513 pixels"),
        ([None], "0.png cannot be read as a picture; give a PNG or JPEG"),
    ],
)
def test_references_that_cannot_be_used_are_told_in_a_sentence(
    engine: LocalEngine, tmp_path: Path, sizes: list[tuple[int, int] | None], says: str
) -> None:
    for number, size in enumerate(sizes):
        path = tmp_path / f"{number}.png"
        if size is None:
            path.write_text("no picture")
        else:
            save(Image.new("RGB", size), path)
    references = tuple(tmp_path / f"{number}.png" for number in range(len(sizes)))
    with pytest.raises(BadSpec, match=says):
        engine.draw(DrawRequest("preview", (tiny.job(tmp_path / "a.png"),), references=references), MemoryReporter())


def test_a_base_that_never_learned_to_look_at_references_names_those_that_did(home: Path, tmp_path: Path) -> None:
    assert bases.preview().most_references == 0
    blind = LocalEngine({"preview": lambda: replace(tiny.base(home / "weights"), most_references=0)})
    request = DrawRequest("preview", (tiny.job(tmp_path / "a.png"),), references=(tmp_path / "r.png",))
    with pytest.raises(BadSpec, match=r"preview never learned .* draw on flux2-klein-4b, .* or flux1-kontext"):
        blind.draw(request, MemoryReporter())
    assert set(TAKERS) <= full_size.KNOWN.keys()


@pytest.mark.parametrize(
    ("share", "fmt"), [(1.01, None), (0.8, "int8"), (0.5, "nf4")], ids=["room", "less room", "little room"]
)
def test_a_large_base_is_drawn_in_the_most_exact_numbers_that_fit(
    share: float, fmt: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny.base(tmp_path / "weights")
    monkeypatch.setattr("loradeck.engines.local.frozen.SMALL", 16)
    pipeline = FAMILY.load(base.weights)
    parts = (pipeline.transformer, pipeline.vae)
    whole = sum(tensor.nbytes for part in parts for tensor in (*part.parameters(), *part.buffers()))
    free = int(whole * share) + placement.ROOM_TO_DRAW
    monkeypatch.setattr(placement, "free_bytes", lambda device: free)
    monkeypatch.setattr("loradeck.engines.local.frozen.multiplies_fp8", lambda device: False)
    assert placement.number_format(pipeline, torch.device("cuda")) == fmt


def test_encoders_that_do_not_fit_a_device_encode_on_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny.base(tmp_path / "weights")
    device, text = torch.device("cuda"), FAMILY.text_parts
    size = (base.weights / "text_encoder" / "model.safetensors").stat().st_size
    for spare, where in ((0, device), (-1, torch.device("cpu"))):
        monkeypatch.setattr(placement, "free_bytes", lambda _, spare=spare: size + placement.ROOM_TO_DRAW + spare)
        assert placement.encoders_device(base, text, device) == where
