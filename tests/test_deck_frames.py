"""The pictures that a deck asks for: panels, sizes and seeds, what a deck file says of drawing, and drawing again."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from support.decks import render
from support.painter import Painter, bench, trained

from loradeck.engines.story import save
from loradeck.state.records import DeckRecord, LoraRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.check_status.overview import overview
from loradeck.tools.contracts import DeckSpec, RenderResult
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.render_deck_visuals import gallery
from loradeck.tools.render_deck_visuals.frames import frames, slide_of
from loradeck.tools.render_deck_visuals.stale import waiting_for
from loradeck.tools.workbench import Workbench

ICONS = {
    "name": "icons",
    "layout": "icon_sheet",
    "prompt": "flat icon",
    "panels": [{"name": "star", "prompt": "a star"}, {"prompt": "a key", "caption": "Key", "seed": 5}],
}


@pytest.fixture
def painter() -> Painter:
    return Painter()


@pytest.fixture
def work(tmp_path: Path, painter: Painter) -> Workbench:
    return bench(Store(tmp_path / "home"), painter)


def spec(**changes: Any) -> DeckSpec:
    return DeckSpec.model_validate({"title": "T", "slides": [{"name": "cover", "prompt": "a boat"}, ICONS], **changes})


def small(**changes: Any) -> dict[str, Any]:
    return spec(defaults={"width": 96, "height": 64}, **changes).model_dump(mode="json", exclude_none=True)


def by_slide(result: RenderResult) -> dict[str, Any]:
    return {row.slide: row for row in result.visuals if row.picked}


# --------------------------------------------------------------------------- what is asked for


def test_panels_are_frames_with_the_words_they_share_in_front_and_seeds_of_their_own() -> None:
    told = [(one.key, one.stem, one.prompt, one.seed, one.caption) for one in frames(spec())]
    assert told == [
        ("cover", "01_cover", "a boat", 7, ""),
        ("icons-star", "02_icons-star", "flat icon, a star", 8, ""),
        ("icons-2", "02_icons-2", "flat icon, a key", 5, "Key"),
    ]
    assert {slide_of(one.key) for one in frames(spec())} == {"cover", "icons"}


def test_no_two_frames_of_the_largest_deck_share_a_seed() -> None:
    panels = [{"prompt": "x"}] * 16
    slides = [{"name": f"s{number}", "layout": "grid", "panels": panels} for number in range(60)]
    seeds = [one.seed for one in frames(DeckSpec.model_validate({"title": "T", "slides": slides}))]
    assert len(set(seeds)) == 960


@pytest.mark.parametrize(
    ("aspect", "own", "cover", "icon"),
    [
        ("16:9", {}, (1024, 576), (1024, 1024)),
        ("4:3", {}, (1024, 768), (1024, 1024)),
        ("1:1", {}, (1024, 1024), (1024, 1024)),
        ("a4", {}, (1024, 720), (1024, 1024)),
        ("16:9", {"width": 512}, (512, 288), (512, 512)),
        ("16:9", {"width": 640, "height": 360}, (640, 360), (360, 360)),
    ],
)
def test_pictures_take_the_shape_of_the_page_and_icons_are_square(
    aspect: str, own: dict[str, int], cover: tuple[int, int], icon: tuple[int, int]
) -> None:
    sizes = [(one.width, one.height) for one in frames(spec(theme={"aspect": aspect}, defaults=own))]
    assert sizes == [cover, icon, icon]


def test_a_reference_sheet_with_a_prompt_alone_shows_the_usual_views_on_white() -> None:
    sheet = {"name": "tabby", "layout": "reference_sheet", "prompt": "a tabby cat"}
    asked = frames(DeckSpec.model_validate({"title": "T", "slides": [sheet]}))
    assert [one.key for one in asked] == [
        f"tabby-{view}" for view in ("front", "three_quarter", "profile", "back", "close_up")
    ]
    assert all(one.prompt.startswith("a tabby cat, ") and "plain white" in one.prompt for one in asked)


def test_a_deck_of_before_with_seed_and_size_beside_its_title_reads_the_same() -> None:
    before = DeckSpec.model_validate({"title": "T", "seed": 3, "width": 320, "height": 180, "slides": [ICONS]})
    assert (before.defaults.seed, before.defaults.width, before.defaults.height) == (3, 320, 180)


# --------------------------------------------------------------------------- drawn, and drawn again


def test_panels_are_drawn_under_their_own_names_and_one_of_them_again_touches_no_other(
    work: Workbench, painter: Painter
) -> None:
    first = render(work, deck=small())
    folder = work.store.workspace.deck(str(first.deck_id))
    assert {path.name for path in folder.glob("0*.png")} == {"01_cover.png", "02_icons-star.png", "02_icons-2.png"}
    painter.drawn.clear()
    again = render(work, deck_id=first.deck_id, only=["icons-star"], edits=[{"slide": "icons-star", "add": "in gold"}])
    assert painter.drawn == ["02_icons-star"]
    assert by_slide(again)["icons-star"].prompt == "flat icon, a star, in gold"


def test_a_slide_named_in_only_means_all_its_panels(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=small())
    painter.drawn.clear()
    render(work, deck_id=first.deck_id, only=["icons"])
    assert painter.drawn == ["02_icons-star", "02_icons-2"]


def test_words_that_all_panels_share_are_changed_at_the_slide_and_draw_them_all(
    work: Workbench, painter: Painter
) -> None:
    first = render(work, deck=small())
    painter.drawn.clear()
    result = render(work, deck_id=first.deck_id, edits=[{"slide": "icons", "prompt": "line icon"}])
    assert painter.drawn == ["02_icons-star", "02_icons-2"]
    assert by_slide(result)["icons-2"].prompt == "line icon, a key"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"edits": [{"slide": "icons-star", "heading": "Star"}]}, "belongs to the slide 'icons'"),
        ({"pick": [{"slide": "icons", "take": 1}]}, "name one of them: icons-star, icons-2"),
        ({"edits": [{"slide": "cover", "layout": "grid"}]}, "needs panels"),
    ],
)
def test_what_belongs_to_a_slide_or_to_a_panel_is_told(work: Workbench, call: dict[str, Any], says: str) -> None:
    first = render(work, deck=small())
    with pytest.raises(BadArgument, match=says):
        render(work, deck_id=first.deck_id, **call)


def test_an_unknown_panel_is_told_with_those_there_are(work: Workbench) -> None:
    first = render(work, deck=small())
    with pytest.raises(NotFound, match="did you mean 'icons-star'"):
        render(work, deck_id=first.deck_id, only=["icons-stra"])


# --------------------------------------------------------------------------- what a deck file says of drawing


def test_a_deck_says_how_it_is_drawn_and_the_call_comes_first(work: Workbench, painter: Painter) -> None:
    lora = trained(work.store)
    own = {"loras": [{"lora_id": "fluent", "strength": 0.7}], "guidance": 3.0, "steps": 9, "before": "oil paint",
           "after": "warm light", "width": 96, "height": 64}  # fmt: skip
    result = render(work, deck=spec(defaults=own).model_dump(mode="json"), steps=4)
    request = painter.requests[-1]
    assert [(one.strength, one.sha256) for one in request.loras] == [(0.7, lora.sha256)]
    assert (request.guidance, request.steps) == (3.0, 4)
    assert by_slide(result)["cover"].prompt == "fluentlook, oil paint a boat, warm light"


def test_a_deck_file_called_again_goes_on_with_its_deck_and_draws_what_changed(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    file = tmp_path / "deck.json"
    file.write_text(json.dumps(small()))
    first = render(work, deck=str(file))
    painter.drawn.clear()
    changed = small()
    changed["slides"][0]["prompt"] = "a ship"
    changed["slides"][0]["heading"] = "Ship"
    file.write_text(json.dumps(changed))
    again = render(work, deck=str(file))
    assert again.deck_id == first.deck_id
    assert painter.drawn == ["01_cover"]
    assert any("was made from this file before" in words for words in again.told)
    assert len(work.store.where(DeckRecord)) == 1


def test_style_words_that_a_file_changes_draw_the_whole_deck_anew(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    file = tmp_path / "deck.json"
    file.write_text(json.dumps(small()))
    render(work, deck=str(file))
    painter.drawn.clear()
    changed = small()
    changed["defaults"]["after"] = "at night"
    file.write_text(json.dumps(changed))
    result = render(work, deck=str(file))
    assert len(painter.drawn) == 3
    assert all(row.prompt.endswith(", at night") for row in result.visuals if row.picked)


def test_the_same_file_with_another_lora_is_another_deck(work: Workbench, tmp_path: Path) -> None:
    one, other = trained(work.store), trained(work.store, name="other")
    file = tmp_path / "deck.json"
    file.write_text(json.dumps(small()))
    first = render(work, deck=str(file), loras=[{"lora_id": one.id}])
    second = render(work, deck=str(file), loras=[{"lora_id": other.id}])
    assert first.deck_id != second.deck_id


def test_naming_the_loras_of_an_older_deck_of_a_file_goes_on_with_it(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    one, other = trained(work.store), trained(work.store, name="other")
    file = tmp_path / "deck.json"
    file.write_text(json.dumps(small()))
    first = render(work, deck=str(file), loras=[{"lora_id": one.id}])
    second = render(work, deck=str(file), loras=[{"lora_id": other.id}])
    painter.drawn.clear()
    assert render(work, deck=str(file), loras=[{"lora_id": one.id}]).deck_id == first.deck_id
    assert render(work, deck=str(file)).deck_id == second.deck_id
    assert painter.drawn == []


def test_new_wording_for_a_deck_keeps_a_pick_where_its_slide_stays_the_same(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=small(), takes=2)
    render(work, deck_id=first.deck_id, pick=[{"slide": "cover", "take": 2}])
    changed = small()
    changed["slides"][1]["panels"][0]["prompt"] = "a moon"
    painter.drawn.clear()
    again = render(work, deck_id=first.deck_id, deck=changed)
    assert painter.drawn == ["02_icons-star"]
    assert by_slide(again)["cover"].take == 2


def three(*names: str) -> dict[str, Any]:
    slides = [{"name": name, "prompt": f"a {name}"} for name in names]
    return {"title": "T", "defaults": {"width": 96, "height": 64}, "slides": slides}


def test_a_slide_that_is_called_otherwise_keeps_its_pictures_and_what_was_set_for_it(
    work: Workbench, painter: Painter
) -> None:
    first = render(work, deck=three("boat", "key", "star"), takes=2)
    render(work, deck_id=first.deck_id, only=["key"], guidance=3.5)
    render(work, deck_id=first.deck_id, pick=[{"slide": "star", "take": 2}])
    before = {row.slide: (row.take, row.prompt, row.seed) for row in gallery_of(work, first) if row.picked}
    changed = three("star", "boat", "key")
    for slide, name in zip(changed["slides"], ("the_star", "boat", "the_key"), strict=True):
        slide["name"] = name
    painter.drawn.clear()
    again = render(work, deck_id=first.deck_id, deck=changed)
    assert painter.drawn == []
    after = {row.slide: (row.take, row.prompt, row.seed) for row in gallery_of(work, first) if row.picked}
    assert after == {"the_star": before["star"], "boat": before["boat"], "the_key": before["key"]}
    assert "star is called the_star now; its pictures went with it." in again.told
    names = sorted(path.name for path in work.store.workspace.deck(str(first.deck_id)).glob("0*.png"))
    assert names == ["01_the_star.png", "02_boat.png", "03_the_key.png"]


def test_a_slide_that_takes_the_name_of_one_that_is_gone_shows_its_own_picture(
    work: Workbench, painter: Painter
) -> None:
    first = render(work, deck=three("boat", "key"))
    tug = three("ship", "key")
    tug["slides"][0]["prompt"] = "a tug"
    render(work, deck_id=first.deck_id, deck=tug)
    tug["slides"][0]["name"] = "boat"
    painter.drawn.clear()
    render(work, deck_id=first.deck_id, deck=tug)
    assert painter.drawn == []
    rows = [row for row in gallery_of(work, first) if row.slide == "boat"]
    assert [(row.prompt, row.take, row.picked) for row in rows] == [("a boat", 1, False), ("a tug", 2, True)]


def gallery_of(work: Workbench, result: RenderResult) -> list[VisualRecord]:
    return gallery.there(work.store, str(result.deck_id))


def test_slides_in_another_order_or_with_one_between_keep_their_pictures(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=three("boat", "key", "star"))
    painter.drawn.clear()
    moved = render(work, deck_id=first.deck_id, deck=three("star", "moon", "boat"))
    assert painter.drawn == ["02_moon"]
    folder = work.store.workspace.deck(str(moved.deck_id))
    assert {path.name for path in folder.glob("0*.png")} == {"01_star.png", "02_moon.png", "03_boat.png"}


def test_panels_of_a_slide_that_moves_keep_their_pictures_too(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=small())
    painter.drawn.clear()
    turned = small()
    turned["slides"].reverse()
    render(work, deck_id=first.deck_id, deck=turned)
    assert painter.drawn == []


def test_pictures_of_slides_that_are_gone_leave_the_copies_too_but_not_what_a_person_changed(
    work: Workbench, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = render(work, deck=three("boat", "key"), output_dir=str(out))
    (out / "02_key.png").write_bytes(b"retouched by hand")
    render(work, deck_id=first.deck_id, deck=three("key", "star"))
    assert {path.name for path in out.glob("0*.png")} == {"01_key.png", "02_key.png", "02_star.png"}
    assert (out / "02_key.png").read_bytes() == b"retouched by hand"


def test_a_slide_is_not_picked_and_drawn_again_in_one_call(work: Workbench) -> None:
    first = render(work, deck=three("boat"), takes=2)
    for more in ({"only": ["boat"]}, {"edits": [{"slide": "boat", "add": "in gold"}]}):
        with pytest.raises(BadArgument, match="picked and drawn again"):
            render(work, deck_id=first.deck_id, pick=[{"slide": "boat", "take": 1}], **more)


@pytest.mark.parametrize("path", ["a\0b", "x" * 300, "~nobody-of-that-name/x"])
def test_an_output_dir_that_is_no_path_is_refused_before_anything_is_drawn(
    work: Workbench, painter: Painter, path: str
) -> None:
    with pytest.raises(BadArgument, match="no usable path on this machine"):
        render(work, deck=three("boat"), output_dir=path)
    assert painter.drawn == []


# --------------------------------------------------------------------------- a retrained look, and a picture made again


def test_a_retrained_lora_marks_what_it_would_change_and_says_the_call(work: Workbench) -> None:
    old = trained(work.store)
    first = render(work, deck=small(), loras=[{"lora_id": old.id}])
    assert not any(row.stale for row in first.visuals)
    new = trained(work.store, steps=200)
    again = render(work, deck_id=first.deck_id)
    assert all(row.stale for row in again.visuals)
    words = next(words for words in again.told if "stale" in words)
    assert words.startswith("3 pictures are stale, since fluent v2 is newer")
    assert f'loras=[{{"lora_id": "{new.id}"}}]' in words
    assert waiting_for(work.store, new) == {first.deck_id: 3}
    assert [row.state for row in overview(work.store).overview if row.kind == "deck"] == ["3 visuals, 3 stale"]
    after = render(work, deck_id=first.deck_id, loras=[{"lora_id": new.id}])
    assert not any(row.stale for row in after.visuals)
    assert waiting_for(work.store, new) == {}


def test_a_lora_trained_on_under_another_name_makes_stale_too_and_a_deleted_one_does_not(work: Workbench) -> None:
    old = trained(work.store)
    first = render(work, deck=small(), loras=[{"lora_id": old.id}])
    child = trained(work.store, name="grown", parent_lora_id=old.id)
    assert any("grown v1" in words for words in render(work, deck_id=first.deck_id).told)
    work.store.change(LoraRecord, child.id, deleted_at="2026-01-01T00:00:00Z")
    assert not any("stale" in words for words in render(work, deck_id=first.deck_id).told)


def test_a_picture_is_drawn_again_from_what_its_png_says_pixel_for_pixel(work: Workbench) -> None:
    lora = trained(work.store)
    first = render(work, deck=small(), loras=[{"lora_id": lora.id, "strength": 0.6}], guidance=2.5, steps=7)
    path = Path(by_slide(first)["icons-star"].path)
    again = render(work, deck=str(path))
    remade = Path(by_slide(again)["icons_star"].path)
    with Image.open(path) as one, Image.open(remade) as other:
        assert one.info == other.info
        assert one.tobytes() == other.tobytes()


def test_a_picture_is_drawn_again_as_it_was_under_a_trigger_that_was_said_since(
    work: Workbench, painter: Painter
) -> None:
    lora, other = trained(work.store), trained(work.store, name="ink", trigger="inkline")
    first = render(work, deck=small(), loras=[{"lora_id": lora.id}])
    work.store.change(LoraRecord, lora.id, trigger="newlook")
    path = by_slide(first)["cover"].path
    again = render(work, deck=path)
    assert by_slide(again)["cover"].prompt == "fluentlook, a boat"
    assert not any("RND-TRIGGER" in words for words in again.told)
    assert pixels_of(by_slide(again)["cover"].path) == pixels_of(path)
    edited = render(work, deck_id=again.deck_id, edits=[{"slide": "cover", "add": "at night"}])
    assert by_slide(edited)["cover"].prompt == "newlook, fluentlook, a boat, at night"
    unlike = render(work, deck=path, loras=[{"lora_id": other.id}], prompt_prefix="oil paint")
    assert by_slide(unlike)["cover"].prompt == "inkline, oil paint fluentlook, a boat"


def pixels_of(path: str) -> bytes:
    with Image.open(path) as picture:
        return picture.tobytes()


def test_a_picture_of_a_long_prompt_with_style_words_is_drawn_again(work: Workbench) -> None:
    long = spec(slides=[{"name": "cover", "prompt": "a boat " * 280}], defaults={"before": "oil " * 90})
    first = by_slide(render(work, deck=long.model_dump(mode="json")))["cover"].path
    again = render(work, deck=first)
    assert pixels_of(by_slide(again)["cover"].path) == pixels_of(first)


def test_how_a_picture_was_drawn_is_no_field_that_a_schema_or_a_sentence_offers(work: Workbench) -> None:
    assert "as_drawn" not in json.dumps(DeckSpec.model_json_schema())
    wrong = {"title": "T", "slides": [{"name": "a", "prompt": "a", "zzz": 1, "as_drwn": "a"}]}
    with pytest.raises(BadArgument, match="zzz is not known") as refused:
        render(work, deck=json.dumps(wrong))
    assert "as_drawn" not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "abc"),
        ("seed", "9" * 5000),
        ("steps", "2.5"),
        ("guidance", "nan"),
        ("loras", "{"),
        ("loras", "3"),
        ("loras", '["a"]'),
        ("loras", '[{"file": "x"}]'),
        ("loras", "[" * 100_000),
        ("references", "xx"),
        ("references", "null"),
        ("prompt", "p" * 10_000),
    ],
)
def test_a_picture_whose_texts_were_changed_is_refused_with_what_was(
    work: Workbench, tmp_path: Path, key: str, value: str
) -> None:
    told = {"prompt": "a", "seed": "1", "engine": "painter", "base_model": "preview", "loras": "[]", key: value}
    save(Image.new("RGB", (64, 64)), tmp_path / "a.png", told)
    with pytest.raises(BadArgument, match=rf"What 'a\.png' says of how it was drawn was changed since \({key}\)"):
        render(work, deck=str(tmp_path / "a.png"))


def test_a_lora_that_a_picture_names_is_told_by_its_file_name_alone(work: Workbench, tmp_path: Path) -> None:
    lora = [{"file": "/home/somebody/" + "x" * 20_000, "sha256": "ab" * 32, "strength": 1}]
    told = {"prompt": "a", "seed": "1", "engine": "painter", "base_model": "preview", "loras": json.dumps(lora)}
    save(Image.new("RGB", (64, 64)), tmp_path / "a.png", told)
    with pytest.raises(NotFound, match=r"drawn with the LoRA x{60} \(SHA-256 abababababab"):
        render(work, deck=str(tmp_path / "a.png"))


def test_a_png_that_announces_more_pixels_than_any_picture_has_is_refused(work: Workbench, tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + content)
    with pytest.raises(BadArgument, match=r"'bomb\.png' cannot be read as a PNG"):
        render(work, deck=str(tmp_path / "bomb.png"))


def test_a_picture_whose_lora_is_gone_or_that_says_nothing_is_refused_with_what_to_do(
    work: Workbench, tmp_path: Path
) -> None:
    lora = trained(work.store)
    first = render(work, deck=small(), loras=[{"lora_id": lora.id}])
    path = by_slide(first)["cover"].path
    work.store.change(LoraRecord, lora.id, deleted_at="2026-01-01T00:00:00Z")
    with pytest.raises(NotFound, match="manage_loras"):
        render(work, deck=path)
    Image.new("RGB", (64, 64)).save(tmp_path / "bare.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    for name, says in (("bare.png", "does not say how it was drawn"), ("broken.png", "cannot be read as a PNG")):
        with pytest.raises(BadArgument, match=says):
            render(work, deck=str(tmp_path / name))
    with pytest.raises(NotFound, match=r"no picture 'gone\.png'"):
        render(work, deck=str(tmp_path / "gone.png"))


def test_a_picture_that_leant_on_references_says_that_it_cannot_be_made_from_its_file_alone(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    painter.base = "flux2-klein-4b"
    Image.new("RGB", (64, 64), "white").save(tmp_path / "ref.png")
    first = render(work, deck=small(), references=[str(tmp_path / "ref.png")], base_model="flux2-klein-4b")
    with pytest.raises(BadArgument, match=r"ref\.png"):
        render(work, deck=by_slide(first)["cover"].path)
