"""References instead of a LoRA: on a base that only draws, cut out on white first, and sheets on white for others."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from diffusers import FluxKontextPipeline
from PIL import Image, ImageDraw, PngImagePlugin
from support import tiny, tiny_flux1
from support.datasets import ready_dataset
from support.decks import deck, render
from support.images import picture, save
from support.painter import Painter, bench
from support.reporter import MemoryReporter

from loradeck.engines.base import DrawRequest
from loradeck.engines.errors import BadSpec, NotInstalled
from loradeck.engines.fal.table import TABLE as FAL
from loradeck.engines.hosted import inputs
from loradeck.engines.local import LocalEngine, create, full_size
from loradeck.engines.replicate.table import TABLE as REPLICATE
from loradeck.state.records import ImageRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import RunState
from loradeck.tools.datasets import copy_path
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.render_deck_visuals import cutting
from loradeck.tools.render_deck_visuals.reference_sheet import clean_white, sheet, sheets, transparent
from loradeck.tools.workbench import Workbench

KONTEXT = "flux1-kontext"


@pytest.fixture
def painter() -> Painter:
    return Painter(base=KONTEXT)


@pytest.fixture
def work(tmp_path: Path, painter: Painter) -> Workbench:
    return bench(Store(tmp_path / "home"), painter)


def figure(path: Path, ground: str = "#9fb4c8", side: int = 200) -> Path:
    """A red figure with a firm outline on one colour."""
    image = Image.new("RGB", (side, side), ground)
    ImageDraw.Draw(image).ellipse((side // 4, side // 4, 3 * side // 4, 3 * side // 4), fill="#a01818")
    return save(image, path)


def no_subject(path: Path) -> Path:
    """A picture in which nothing stands out."""
    return save(picture(3, 256), path)


# --------------------------------------------------------------------------- the base


def test_kontext_is_drawn_on_and_not_trained() -> None:
    engine = create()
    info = engine.capabilities.base(KONTEXT)
    assert info is not None
    assert info.abilities == {"draw"}
    assert "34 GB of weights (FLUX.1 [dev] Non-Commercial License)" in info.needs
    with pytest.raises(BadSpec, match=r"flux1-kontext draws with references and is not trained; train one of preview"):
        engine.check(tiny.spec(Path("/nowhere"), base_model=KONTEXT))


def test_missing_weights_of_kontext_say_how_to_get_them() -> None:
    with pytest.raises(NotInstalled, match=r"black-forest-labs/FLUX.1-Kontext-dev.*LORADECK_BASE_FLUX1_KONTEXT"):
        full_size.opened(KONTEXT)


def test_kontext_in_diffusers_layout_is_found_and_draws_from_references(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights"
    FluxKontextPipeline(**tiny_flux1.pipeline().components).save_pretrained(weights)
    monkeypatch.setenv("LORADECK_BASE_FLUX1_KONTEXT", str(weights))
    base = full_size.opened(KONTEXT)
    assert (base.weights, base.trains) == (weights, False)
    small = replace(base, sizes=((tiny.SIDE, tiny.SIDE),), max_tokens=24, draw_steps=2)
    engine = LocalEngine({KONTEXT: lambda: small}, known={KONTEXT: small})
    seen = (figure(tmp_path / "a.png"), figure(tmp_path / "b.png", "white"))
    pixels = []
    for number, references in enumerate(((), seen[:1], seen)):
        out = tmp_path / f"{number}.png"
        engine.draw(DrawRequest(KONTEXT, (tiny.job(out),), references=references), MemoryReporter())
        with Image.open(out) as drawn:
            pixels.append(np.asarray(drawn).tobytes())
            told = json.loads(drawn.info.get("references", "[]"))
        assert [one["file"] for one in told] == [path.name for path in references]
    assert len(set(pixels)) == 3
    with pytest.raises(BadSpec, match="5 references were given and the base flux1-kontext takes 4 at most"):
        engine.draw(DrawRequest(KONTEXT, (tiny.job(tmp_path / "x.png"),), references=seen[:1] * 5), MemoryReporter())


@pytest.mark.parametrize(("table", "most"), [(FAL, 4), (REPLICATE, 1)], ids=["fal", "replicate"])
def test_kontext_at_a_host_takes_references_and_draws_on_nothing_else(table, most: int) -> None:
    rows = [row for row in table.drawers if row.base_model == KONTEXT]
    able = [[inputs.takes(row, (), count, False) for row in rows] for count in range(most + 2)]
    assert able == [[False], *[[True]] * most, [False]]
    assert table.trainer(KONTEXT) is None
    said = inputs.why_not(rows, KONTEXT, "the host", 0, 0)
    assert f"with 1 to {most} references and not from words alone; give references=[...]" in said


# --------------------------------------------------------------------------- the deck


def test_a_deck_is_drawn_from_references_without_a_lora(work: Workbench, painter: Painter, tmp_path: Path) -> None:
    paths = [str(figure(tmp_path / "one.png")), str(figure(tmp_path / "two.png", "white"))]
    made = render(work, deck=deck(), loras=[], base_model=KONTEXT, references=paths)
    assert made.state == RunState.SUCCEEDED
    (request,) = painter.requests
    assert ([path.name for path in request.references], request.loras) == (["one.png", "two.png"], ())
    assert any(
        "flux1-kontext (REF-COUNT, REF-CLEAN): at most 4, each on one plain clean ground" in words
        for words in made.told
    )
    with pytest.raises(Refused, match="REF-COUNT: 5 references were given, flux1-kontext takes at most 4"):
        render(work, deck=deck(), loras=[], base_model=KONTEXT, references=paths[:1] * 5)


def test_a_reference_with_a_ground_of_its_own_is_told_with_the_call_that_takes_it_away(
    work: Workbench, tmp_path: Path
) -> None:
    made = render(work, deck=deck(), loras=[], base_model=KONTEXT, references=[str(no_subject(tmp_path / "busy.png"))])
    assert any("REF-CLEAN: 1 of 1 references" in words and "cut_out=true" in words for words in made.told)


def test_cut_out_hands_over_copies_on_white_and_leaves_the_files(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    path = figure(tmp_path / "baker.png")
    before = path.read_bytes()
    made = render(work, deck=deck(), loras=[], base_model=KONTEXT, references=[str(path)], cut_out=True)
    (handed,) = painter.requests[0].references
    with Image.open(handed) as copy:
        assert (copy.size, copy.getpixel((0, 0)), copy.getpixel((199, 100))) == ((200, 200), *[(255, 255, 255)] * 2)
        assert copy.getpixel((100, 100)) == (160, 24, 24)
    assert path.read_bytes() == before
    assert any(words.startswith("Drawn from a copy on plain white") for words in made.told)
    painter.drawn.clear()
    render(work, deck_id=made.deck_id, references=[str(path)], cut_out=True)
    assert painter.drawn == [], "the same file cut out again is the same reference"


def test_what_cannot_be_cut_out_is_refused_with_what_to_install_before_anything_is_drawn(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    path = no_subject(tmp_path / "busy.png")
    with pytest.raises(Refused, match=r"cut_out cannot tell the subject of busy.png .*pip install 'rembg"):
        render(work, deck=deck(), loras=[], base_model=KONTEXT, references=[str(path)], cut_out=True)
    with pytest.raises(BadArgument, match=r"give them with references=\[\.\.\.\] in this call"):
        render(work, deck=deck(), loras=[], base_model=KONTEXT, cut_out=True)
    assert painter.requests == []


def test_a_plain_reference_without_an_outline_stays_as_it_is(work: Workbench, painter: Painter, tmp_path: Path) -> None:
    path = save(Image.new("RGB", (64, 64), "#808080"), tmp_path / "grey.png")
    made = render(work, deck=deck(), loras=[], base_model=KONTEXT, references=[str(path)], cut_out=True)
    assert painter.requests[0].references[0].read_bytes() == path.read_bytes()
    assert any("As they are, since their ground is plain: grey.png" in words for words in made.told)


def test_a_copy_cut_out_of_an_image_that_may_not_leave_may_not_leave_either(tmp_path: Path) -> None:
    painter = Painter(base=KONTEXT, elsewhere=True)
    work = bench(Store(tmp_path / "home"), painter)
    image = work.store.where(ImageRecord, "dataset_id = ?", [ready_dataset(work.store).id], limit=1)[0]
    path = figure(copy_path(work.store, image))
    from loradeck.tools.curate_dataset.adding import hash_of

    work.store.change(ImageRecord, image.id, copy_sha256=hash_of(path), rights={"may_leave": False})
    with pytest.raises(Refused, match=r"IMG-RIGHTS: references: 1 of the images .*nothing was sent"):
        render(work, deck=deck(), loras=[], base_model=KONTEXT, references=[str(path)], cut_out=True)
    assert painter.requests == []


def test_rembg_is_asked_only_where_its_model_lies_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    stand_in = ModuleType("rembg")
    stand_in.__spec__ = type(sys.__spec__)("rembg", None)  # type: ignore[attr-defined]
    stand_in.new_session = lambda name: name  # type: ignore[attr-defined]

    def remove(image: Image.Image, *, session: str, only_mask: bool) -> Image.Image:
        asked.append(session)
        mask = Image.new("L", image.size, 0)
        mask.paste(255 if only_mask else 0, (64, 64, 192, 192))
        return mask

    stand_in.remove = remove  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rembg", stand_in)
    monkeypatch.setenv("U2NET_HOME", str(tmp_path))
    busy = picture(3, 256)
    assert (cutting.mask_of(busy), asked) == (None, [])
    (tmp_path / "u2net.onnx").write_bytes(b"a model")
    mask = cutting.mask_of(busy)
    assert mask is not None
    assert (asked, mask.getpixel((100, 100)), mask.getpixel((10, 10))) == (["u2net"], 255, 0)
    asked.clear()
    with Image.open(figure(tmp_path / "plain.png")) as plain:
        assert cutting.mask_of(plain.convert("RGB")) is not None
    assert asked == [], "a plain ground is exact without it"


# --------------------------------------------------------------------------- sheets for video tools


def near_white(path: Path) -> Path:
    """A view as a model draws it: on an off-white that shades off, with a prompt in its metadata."""
    shade = np.linspace(236, 250, 240)[:, None, None] * np.ones((1, 160, 3))
    image = Image.fromarray(shade.astype(np.uint8), "RGB")
    ImageDraw.Draw(image).rectangle((50, 60, 110, 200), fill="#335577")
    told = PngImagePlugin.PngInfo()
    told.add_itxt("prompt", "zorvex, front view")
    return save(image, path, pnginfo=told)


def test_a_ground_that_is_nearly_white_becomes_exactly_white_and_the_story_stays(tmp_path: Path) -> None:
    path = near_white(tmp_path / "front.png")
    content = clean_white(path)
    assert content is not None
    (tmp_path / "clean.png").write_bytes(content)
    with Image.open(tmp_path / "clean.png") as clean:
        pixels = np.asarray(clean.convert("RGB"))
        assert clean.info["prompt"] == "zorvex, front view"
    outside = np.ones(pixels.shape[:2], dtype=bool)
    outside[57:204, 47:114] = False
    assert (pixels[outside] == 255).all()
    assert tuple(pixels[130, 80]) == (0x33, 0x55, 0x77)


def test_a_view_on_a_busy_ground_is_not_passed_off_as_clean(tmp_path: Path) -> None:
    path = no_subject(tmp_path / "busy.png")
    assert clean_white(path) is None
    assert transparent(path) is None


def test_a_transparent_view_has_nothing_behind_its_subject(tmp_path: Path) -> None:
    content = transparent(near_white(tmp_path / "front.png"))
    assert content is not None
    (tmp_path / "clear.png").write_bytes(content)
    with Image.open(tmp_path / "clear.png") as clear:
        assert (clear.mode, clear.getpixel((5, 5))[3], clear.getpixel((80, 130))[3]) == ("RGBA", 0, 255)


def test_a_sheet_holds_every_view_in_its_own_shape_on_white() -> None:
    views = [Image.new("RGB", size, "red") for size in ((100, 100), (50, 100), (300, 200), (100, 100), (100, 100))]
    page = sheet(views, gap=10)
    red = np.asarray(page)[..., 1] == 0
    assert red.sum() == 3 * 100 * 100 + 50 * 100 + 150 * 100
    assert not red[:10].any()
    assert not red[:, :10].any()
    assert page.mode == "RGB"
    assert page.getpixel((0, 0)) == (255, 255, 255)
    with pytest.raises(ValueError, match="one picture or more"):
        sheet([])


def test_a_sheet_of_transparent_views_is_transparent_between_them() -> None:
    page = sheet([Image.new("RGBA", (40, 40), (255, 0, 0, 255))] * 2, gap=4)
    assert (page.mode, page.getpixel((0, 0))[3], page.getpixel((20, 20))) == ("RGBA", 0, (255, 0, 0, 255))
    assert sheet([Image.new("RGBA", (40, 40)), Image.new("RGB", (40, 40))]).mode == "RGB"


def test_the_views_of_a_slide_become_two_sheets_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    views = [near_white(tmp_path / "01_baker-front.png"), no_subject(tmp_path / "01_baker-back.png")]
    made = sheets(views)
    assert made.white is not None
    assert made.clear is not None
    assert [Image.open(BytesIO(content)).mode for content in (made.white, made.clear)] == ["RGB", "RGBA"]
    (told,) = made.told
    assert "the ground is not plain: 01_baker-back; render these again" in told
    assert sheets(views[1:]).white is None
