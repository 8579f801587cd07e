"""References instead of a LoRA: on a base that only draws, cut out on white first, and sheets on white for others."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from diffusers import FluxKontextPipeline
from PIL import ExifTags, Image, ImageDraw, PngImagePlugin
from support import tiny, tiny_flux1
from support.datasets import ready_dataset
from support.decks import deck, render
from support.images import picture, save
from support.painter import Painter, bench
from support.reporter import MemoryReporter

from loradeck.engines import story
from loradeck.engines.base import DrawRequest
from loradeck.engines.errors import BadSpec, NotInstalled
from loradeck.engines.fal.table import TABLE as FAL
from loradeck.engines.hosted import inputs
from loradeck.engines.local import LocalEngine, create, full_size
from loradeck.engines.replicate.table import TABLE as REPLICATE
from loradeck.state.files import sha256_file
from loradeck.state.records import DeckRecord, ImageRecord
from loradeck.state.store import Store
from loradeck.tools.compare_renders.tool import handle as compare_renders
from loradeck.tools.contracts import CompareArgs, RenderResult, RunState
from loradeck.tools.datasets import copy_path
from loradeck.tools.errors import BadArgument, Refused
from loradeck.tools.render_deck_visuals import cutting, reference_picture
from loradeck.tools.render_deck_visuals.plan import Leaned
from loradeck.tools.render_deck_visuals.reference_sheet import clean_white, sheet, sheets, transparent
from loradeck.tools.render_deck_visuals.references import keep
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


def pixels(path: Path) -> list[tuple[str, int]]:
    """The colours of a picture as a viewer shows it, with how many pixels have each; commonest first."""
    with Image.open(path) as shown:
        counted = shown.convert("RGB").getcolors(shown.width * shown.height) or []
    return [("#{:02x}{:02x}{:02x}".format(*colour), count) for count, colour in sorted(counted, reverse=True)]  # type: ignore[misc]


def staying(work: Workbench) -> Path:
    """A figure that is an image of a dataset, marked as not to leave this machine."""
    image = work.store.where(ImageRecord, "dataset_id = ?", [ready_dataset(work.store).id], limit=1)[0]
    path = figure(copy_path(work.store, image))
    work.store.change(ImageRecord, image.id, copy_sha256=sha256_file(path), rights={"may_leave": False})
    return path


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
    assert pixels(painter.requests[0].references[0]) == [("#808080", 64 * 64)]
    assert any("As they are, since their ground is plain: grey.png" in words for words in made.told)


def test_a_copy_cut_out_of_an_image_that_may_not_leave_may_not_leave_either(tmp_path: Path) -> None:
    painter = Painter(base=KONTEXT, elsewhere=True)
    work = bench(Store(tmp_path / "home"), painter)
    path = staying(work)
    with pytest.raises(Refused, match=r"IMG-RIGHTS: references: 1 of the images .*nothing was sent"):
        render(work, deck=deck(), loras=[], base_model=KONTEXT, references=[str(path)], cut_out=True)
    assert painter.requests == []


def stand_in(monkeypatch: pytest.MonkeyPatch, models: Path, remove: Callable[..., Image.Image]) -> None:
    """Something that is imported as rembg and looks for its model in a folder."""
    module = ModuleType("rembg")
    module.__spec__ = type(sys.__spec__)("rembg", None)  # type: ignore[attr-defined]
    module.new_session = lambda name: name  # type: ignore[attr-defined]
    module.remove = remove  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rembg", module)
    monkeypatch.setenv("U2NET_HOME", str(models))


def test_rembg_is_asked_only_where_its_model_lies_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def remove(image: Image.Image, *, session: str, only_mask: bool) -> Image.Image:
        asked.append(session)
        mask = Image.new("L", image.size, 0)
        mask.paste(255 if only_mask else 0, (64, 64, 192, 192))
        return mask

    stand_in(monkeypatch, tmp_path, remove)
    busy = picture(3, 256)
    assert (cutting.mask_of(busy), asked) == ((None, None), [])
    (tmp_path / "u2net.onnx").write_bytes(b"a model")
    mask, _ = cutting.mask_of(busy)
    assert mask is not None
    assert (asked, mask.getpixel((100, 100)), mask.getpixel((10, 10))) == (["u2net"], 255, 0)
    asked.clear()
    with Image.open(figure(tmp_path / "plain.png")) as plain:
        assert cutting.mask_of(plain.convert("RGB"))[0] is not None
    assert asked == [], "a plain ground is exact without it"


def without_backend(*_: object, **__: object) -> Image.Image:
    print("No onnxruntime backend found.")
    raise SystemExit(1)


def without_a_package(*_: object, **__: object) -> Image.Image:
    raise ModuleNotFoundError("No module named 'pymatting'", name="pymatting")


def with_half_a_model(*_: object, **__: object) -> Image.Image:
    raise RuntimeError("INVALID_PROTOBUF : Load model from /home/somebody/u2net.onnx failed")


@pytest.mark.parametrize(
    ("fails", "why"),
    [
        (without_backend, "it ends without its backend, onnxruntime"),
        (without_a_package, "it lacks pymatting"),
        (with_half_a_model, "RuntimeError; is u2net.onnx whole?"),
    ],
)
def test_rembg_that_does_not_work_is_told_and_curation_is_asked(
    work: Workbench,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fails: Callable[..., Image.Image],
    why: str,
) -> None:
    stand_in(monkeypatch, tmp_path, fails)
    (tmp_path / "u2net.onnx").write_bytes(b"half a model")
    with pytest.raises(Refused, match=r"cut_out cannot tell the subject of busy\.png") as refused:
        cut(work, no_subject(tmp_path / "busy.png"))
    assert f"rembg is installed and does not work here ({why})" in str(refused.value)
    assert "/home/somebody" not in str(refused.value)
    monkeypatch.setattr(cutting, "subject_mask", lambda *_: Image.new("L", (256, 256), 0))
    assert any("curation's own guess was asked" in words for words in cut(work, tmp_path / "busy.png").told)
    assert capsys.readouterr().out == "", "stdout is the wire of the protocol"


# --------------------------------------------------------------------------- what is judged is what is drawn


def cut(work: Workbench, path: Path) -> RenderResult:
    return render(work, deck=deck(("cover",)), loras=[], base_model=KONTEXT, references=[str(path)], cut_out=True)


def lean(work: Workbench, *paths: Path) -> RenderResult:
    return render(work, deck=deck(("cover",)), loras=[], base_model=KONTEXT, references=[str(path) for path in paths])


def with_hole(path: Path) -> Path:
    """A picture on a busy ground of which one pixel is a little see-through."""
    busy = picture(3, 256).convert("RGBA")
    busy.putpixel((0, 0), (0, 0, 0, 254))
    return save(busy, path)


def test_a_see_through_pixel_is_no_transparent_ground(work: Workbench, tmp_path: Path) -> None:
    path = with_hole(tmp_path / "busy.png")
    assert any(words.startswith("REF-CLEAN: 1 of 1") for words in lean(work, path).told)
    with pytest.raises(Refused, match=r"cut_out cannot tell the subject of busy\.png"):
        cut(work, path)


def test_a_transparent_reference_stays_so_and_lies_on_white_where_it_is_cut_out(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    shape = Image.new("RGBA", (200, 200), (9, 9, 9, 0))
    ImageDraw.Draw(shape).ellipse((50, 50, 150, 150), fill=(160, 24, 24, 255))
    path = save(shape, tmp_path / "shape.png")
    assert not any(words.startswith("REF-CLEAN") for words in lean(work, path).told)
    with Image.open(painter.requests[-1].references[0]) as kept:
        assert (kept.mode, kept.getpixel((100, 100)), kept.getpixel((5, 5))[3]) == ("RGBA", (160, 24, 24, 255), 0)
    cut(work, path)
    shown = pixels(painter.requests[-1].references[0])
    assert [colour for colour, _ in shown[:2]] == ["#ffffff", "#a01818"]
    with pytest.raises(BadArgument, match=r"'clear.png' is transparent all over"):
        lean(work, save(Image.new("RGBA", (200, 200), (5, 5, 5, 0)), tmp_path / "clear.png"))


def test_a_cut_that_leaves_another_ground_is_refused(
    work: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "subject_mask", lambda *_: Image.new("L", (256, 256), 255))
    with pytest.raises(Refused, match=r"cut_out cannot tell the subject of busy\.png"):
        cut(work, no_subject(tmp_path / "busy.png"))


def test_sixteen_bits_are_drawn_from_as_they_were_judged(work: Workbench, painter: Painter, tmp_path: Path) -> None:
    values = np.full((200, 200), 40000, np.uint16)
    values[50:150, 50:150] = 9000
    lean(work, save(Image.fromarray(values), tmp_path / "grey.png"))
    (kept,) = painter.requests[0].references
    assert pixels(kept) == [("#9c9c9c", 30000), ("#232323", 10000)]


def test_a_photograph_is_kept_upright_and_without_what_the_camera_wrote(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "Somebody"
    lean(work, save(Image.new("RGB", (200, 120), "white"), tmp_path / "photo.jpg", exif=exif))
    (kept,) = painter.requests[0].references
    assert kept.name == "photo.png"
    assert b"Somebody" not in kept.read_bytes()
    with Image.open(kept) as shown:
        assert (shown.size, set(shown.info)) == ((120, 200), {"seen"})


def test_a_phones_picture_is_taken_under_any_name(work: Workbench, painter: Painter, tmp_path: Path) -> None:
    path = save(Image.new("RGB", (96, 96), "white"), tmp_path / "photo.heic")
    lean(work, path, Path(shutil.copy(path, tmp_path / "photo")))
    assert [pixels(kept)[0][0] for kept in painter.requests[0].references] == ["#ffffff"]


def test_a_file_that_changes_while_it_is_judged_is_kept_as_it_was_judged(
    work: Workbench, painter: Painter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(Image.new("RGB", (200, 200), "white"), tmp_path / "white.png")
    judge = reference_picture.ground_of
    monkeypatch.setattr(reference_picture, "ground_of", lambda shown: (no_subject(path), judge(shown))[1])
    assert not any(words.startswith("REF-CLEAN") for words in lean(work, path).told)
    assert pixels(painter.requests[0].references[0]) == [("#ffffff", 200 * 200)]


def test_a_large_reference_is_kept_and_cut_in_as_many_pixels_as_a_base_looks_at(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    cut(work, figure(tmp_path / "large.png", side=2400))
    with Image.open(painter.requests[0].references[0]) as kept:
        assert kept.size == (1414, 1414)


def test_more_references_than_a_base_takes_are_refused_before_any_is_opened(
    work: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_picture, "take", lambda *_, **__: pytest.fail("a file was opened"))
    path = figure(tmp_path / "one.png")
    with pytest.raises(Refused, match="REF-COUNT: 5 references were given"):
        lean(work, *[path] * 5)


# --------------------------------------------------------------------------- what does not leave, and what was kept


def test_what_was_made_or_drawn_from_an_image_that_may_not_leave_does_not_leave_either(
    work: Workbench, tmp_path: Path
) -> None:
    made = cut(work, staying(work))
    kept = copy_of(work, made)
    drawn = Path(made.visuals[0].path)
    again = Path(lean(work, drawn).visuals[0].path)
    elsewhere = Painter(base=KONTEXT, elsewhere=True)
    there = bench(work.store, elsewhere)
    for path in (kept, drawn, again, shutil.copy(kept, tmp_path / "copy.png")):
        with pytest.raises(Refused, match=r"IMG-RIGHTS: references: 1 of the images .*nothing was sent"):
            lean(there, Path(path))
    assert elsewhere.requests == []
    lean(there, figure(tmp_path / "free.png", "white"))
    assert len(elsewhere.requests) == 1


def test_a_copy_that_a_deck_cut_out_before_such_files_told_it_does_not_leave_either(
    work: Workbench, tmp_path: Path
) -> None:
    source = staying(work)
    lean(work, figure(tmp_path / "any.png", "white"))
    record = work.store.where(DeckRecord)[0]
    silent = figure(tmp_path / "silent.png", "white", side=180)
    was = {"name": silent.name, "sha256": sha256_file(silent), "original": sha256_file(source)}
    slides = {"cover": {"references": [was]}}
    work.store.change(DeckRecord, record.id, settings={**record.settings, "slides": slides})
    elsewhere = Painter(base=KONTEXT, elsewhere=True)
    with pytest.raises(Refused, match="IMG-RIGHTS: references: 1 of the images"):
        lean(bench(work.store, elsewhere), silent)
    assert elsewhere.requests == []


def test_the_sheet_of_views_tells_what_they_were_drawn_from(tmp_path: Path) -> None:
    view, hashes = near_white(tmp_path / "front.png"), ("ab" * 32, "cd" * 32)
    with Image.open(view) as shown:
        told = json.dumps([{"file": "a.png", "sha256": hashes[0], "seen": hashes[1:]}])
        story.save(shown, view, {"references": told})
    made = sheets([view, near_white(tmp_path / "back.png")])
    assert [story.seen_in(BytesIO(content)) for content in (made.white, made.clear) if content] == [hashes, hashes]


def test_a_comparison_at_a_host_is_held_to_the_same_rights(work: Workbench) -> None:
    kept = copy_of(work, cut(work, staying(work)))
    there = bench(work.store, Painter(base=KONTEXT, elsewhere=True))
    columns = [{"references": [str(kept)], "base_model": KONTEXT}, {"base_model": KONTEXT, "loras": []}]
    with pytest.raises(Refused, match="IMG-RIGHTS: references: 1 of the images"):
        compare_renders(CompareArgs.model_validate({"prompts": ["a"], "variants": columns}), there)


def copy_of(work: Workbench, made: RenderResult) -> Path:
    """The deck's copy of its only reference."""
    (kept,) = (work.store.workspace.deck(str(made.deck_id)) / "references").rglob("*.png")
    return kept


def test_a_kept_copy_that_is_changed_or_gone_is_not_drawn_from_and_giving_it_again_mends_that(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    path = figure(tmp_path / "one.png")
    made = lean(work, path)
    kept = copy_of(work, made)
    whole = kept.read_bytes()
    for change in (lambda: kept.write_bytes(no_subject(tmp_path / "other.png").read_bytes()), kept.unlink):
        change()
        with pytest.raises(Refused, match=r"copy of the reference one.png is gone or changed; give references="):
            render(work, deck_id=made.deck_id, only=["cover"])
    assert len(painter.requests) == 1
    render(work, deck_id=made.deck_id, only=["cover"], references=[str(path)])
    assert (len(painter.requests), kept.read_bytes()) == (2, whole)


def test_a_kept_copy_that_changes_after_the_call_fails_the_run(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    begin = work.launch

    def changed_meanwhile(run_id: str) -> None:
        (kept,) = work.store.workspace.home.glob("decks/*/references/*/*.png")
        no_subject(kept)
        begin(run_id)

    made = lean(replace(work, launch=changed_meanwhile), figure(tmp_path / "one.png"))
    assert (made.state, painter.requests) == (RunState.FAILED, [])
    assert "copy of the reference one.png is gone or changed" in made.summary


def test_a_deck_of_before_draws_on_from_the_copy_that_it_kept_then(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    made = lean(work, figure(tmp_path / "one.png"))
    record = work.store.where(DeckRecord)[0]
    content = figure(tmp_path / "two.jpg").read_bytes()
    before = Leaned("two.jpg", hashlib.sha256(content).hexdigest())
    keep(work.store.workspace.deck(record.id), {before: content})
    was = {"name": before.name, "sha256": before.sha256, "original": None}
    work.store.change(DeckRecord, record.id, settings={**record.settings, "references": [was]})
    assert render(work, deck_id=made.deck_id, only=["cover"]).state == RunState.SUCCEEDED
    assert painter.requests[-1].references[0].read_bytes() == content


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
