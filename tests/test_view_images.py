"""What a caller sees of datasets, runs, LoRAs and decks, and what proves that it was looked at."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor
from support.decks import deck, render
from support.painter import Painter, bench, trained

from loradeck.state import runs
from loradeck.state.records import DatasetRecord, ImageRecord, SampleRecord, SheetRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.aside import ASKED, IMAGE_RULES, why_aside
from loradeck.tools.contracts import ListLorasArgs, TargetModel, ViewArgs
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.list_loras.tool import handle as list_loras
from loradeck.tools.pictures.canvas import ORANGE, font
from loradeck.tools.pictures.sheet import THUMBNAILS
from loradeck.tools.spec import Pictures
from loradeck.tools.validate_coverage.tool import judge_now
from loradeck.tools.view_images.dataset import WHOLE
from loradeck.tools.view_images.tool import TOOL, handle
from loradeck.tools.wording import PREVIEW_NOTE
from loradeck.tools.workbench import Workbench

ROOM = 700_000
"""Characters of one answer, pictures in base64 and all."""


@pytest.fixture
def work(tmp_path: Path) -> Workbench:
    return bench(Store(tmp_path / "home"), Painter())


def look(work: Workbench, **arguments: object) -> Pictures:
    answer = handle(ViewArgs.model_validate(arguments), work)
    assert len(answer.text) + sum(len(data) * 4 / 3 for data in answer.jpegs) < ROOM
    assert all(max(Image.open(io.BytesIO(data)).size) <= 768 for data in answer.jpegs)
    return answer


def dataset(store: Store, images: int) -> str:
    """Noisy pictures, the worst for a thumbnail; the last one set aside."""
    store.add(DatasetRecord("ds_test22", "icons", "icons", "preview", 1024))
    folder = store.workspace.dataset("ds_test22")
    folder.mkdir(parents=True)
    for number in range(1, images + 1):
        kept = number < images
        Image.effect_noise((200, 200), 90).save(folder / f"{number:03}.png")
        reasons = [] if kept else [{"rule_id": "IMG-SIZE", "why": "small"}]
        status, name = "kept" if kept else "rejected", f"icon {number}.png"
        image_id, file = f"img_abcd{number:04}", f"{number:03}.png"
        store.add(ImageRecord(image_id, "ds_test22", number, file, "/x", name, str(number), status, reasons=reasons))
    return "ds_test22"


def sampled(work: Workbench, tmp_path: Path, spec: dict[str, Any] | None = None, **columns: str) -> str:
    """The id of a training that has drawn a sample."""
    run = runs.enqueue(work.store, "train", spec or {}, **columns)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "s.png")
    work.store.add(SampleRecord(run.id, 50, str(tmp_path / "s.png"), "a red house"))
    return run.id


def test_a_sheet_has_a_code_that_stands_for_the_images_on_it(work: Workbench) -> None:
    answer = look(work, of=dataset(work.store, 12))
    sheet = work.store.where(SheetRecord)[0]
    assert f"code {sheet.code} " in answer.text
    assert sheet.of == "ds_test22"
    assert sheet.image_ids == [f"img_abcd{number:04}" for number in range(1, 13)]
    assert "12 img_abcd0012 icon 12.png (set aside: too small, IMG-SIZE)" in answer.text


def test_the_same_sheet_again_has_the_same_code(work: Workbench) -> None:
    of = dataset(work.store, 3)
    assert look(work, of=of).text == look(work, of="icons").text
    assert len(work.store.where(SheetRecord)) == 1


def test_fifty_images_are_a_page_on_two_sheets(work: Workbench) -> None:
    of = dataset(work.store, 60)
    first, second = look(work, of=of), look(work, of=of, page=2)
    assert (len(first.jpegs), len(second.jpegs)) == (2, 1)
    assert "page=2" in first.text
    assert "51 img_abcd0051" in second.text
    with pytest.raises(BadArgument, match="last page is 2"):
        look(work, of=of, page=3)


def test_single_images_are_named_by_number_id_or_file_and_prove_a_look(work: Workbench) -> None:
    of = dataset(work.store, 5)
    answer = look(work, of=of, what="image", image_ids=["2", "img_abcd0004"])
    assert len(answer.jpegs) == 2
    assert work.store.where(SheetRecord)[0].image_ids == ["img_abcd0002", "img_abcd0004"]
    with pytest.raises(BadArgument, match="image_ids"):
        look(work, of=of, what="image")


def test_the_id_of_one_image_or_visual_shows_that_one(work: Workbench) -> None:
    dataset(work.store, 3)
    assert "2 img_abcd0002" in look(work, of="img_abcd0002").text
    render(work, deck=deck())
    visual = work.store.where(VisualRecord, "slide = 'story'")[0]
    assert visual.id in look(work, of=visual.id).text


def test_a_dataset_whose_name_looks_like_an_id_is_found_by_it(work: Workbench) -> None:
    of = dataset(work.store, 2)
    work.store.change(DatasetRecord, of, name="deck_pictures")
    assert "deck_pictures: 1 kept" in look(work, of="deck_pictures").text


def test_names_of_decks_loras_and_runs_work_where_their_ids_do(work: Workbench, tmp_path: Path) -> None:
    result = render(work, deck=deck())
    assert str(result.deck_id) in look(work, of="the bakery").text
    assert str(result.deck_id) in look(work, of="The Bakery", what="deck").text
    run = sampled(work, tmp_path, name="my look")
    trained(work.store, "fluent", run_id=run)
    assert run in look(work, of="My Look").text
    assert run in look(work, of="fluent-v1").text


def test_a_name_that_several_bear_means_what_has_the_view_and_the_others_are_told_by_id(
    work: Workbench, tmp_path: Path
) -> None:
    of = dataset(work.store, 2)
    run = sampled(work, tmp_path, name="icons")
    lora = trained(work.store, "icons", run_id=run)
    later = runs.enqueue(work.store, "curate", {}, name="icons", dataset_id=of)
    assert f"This is {of}; called 'icons' too: {lora.id}, {later.id}, {run}." in look(work, of="icons").text
    assert f"Samples of {run}" in look(work, of="icons", what="samples").text
    assert "called" not in look(work, of=of).text


def test_of_two_decks_of_one_title_the_newest_is_shown_and_the_other_told(work: Workbench) -> None:
    first, second = render(work, deck=deck()), render(work, deck=deck())
    text = look(work, of="The Bakery", what="deck").text
    assert f"This is {second.deck_id}; called 'The Bakery' too: {first.deck_id}," in text


# --------------------------------------------------------------------------- crops and reasons on tiles


def cropped(store: Store, original: Path, size: tuple[int, int], square: tuple[int, int, int], reason: str) -> str:
    """A set of one kept image whose copy is blue, cut as told from an original of that upright size."""
    of = dataset(store, 2)
    x, y, side = square
    Image.new("RGB", (64, 64), "blue").save(store.workspace.dataset(of) / "001.png")
    store.change(
        ImageRecord,
        "img_abcd0001",
        original_path=str(original),
        facts={"width": size[0], "height": size[1], "format": "PNG", "bytes": 9},
        crop={"x": x, "y": y, "width": side, "height": side, "reason": reason},
    )
    return of


def first_tile(answer: Pictures) -> np.ndarray:
    """The pixels of the first tile of the first sheet, as height x width x RGB."""
    left, top = THUMBNAILS.gap, THUMBNAILS.text * 2 + 8 + THUMBNAILS.gap
    width, height = THUMBNAILS.cell
    return np.asarray(Image.open(io.BytesIO(answer.jpegs[0])).crop((left, top, left + width, top + height))).astype(int)


def share(tile: np.ndarray, colour: str) -> float:
    """How much of a tile is of that colour, as far as JPEG leaves it."""
    wanted = np.array(ImageColor.getrgb(colour))
    return float((np.abs(tile - wanted).max(axis=2) < 40).mean())


def test_a_crop_is_shown_in_its_original_with_what_is_cut_off_dimmed(work: Workbench, tmp_path: Path) -> None:
    Image.new("RGB", (600, 300), "lime").save(tmp_path / "wide.png")
    of = cropped(work.store, tmp_path / "wide.png", (600, 300), (150, 0, 300), "upper centre")
    tile = first_tile(look(work, of=of))
    middle = tile[24 + 36]  # 144 x 72 pixels of the cell's 144 x 117
    assert (middle[50:94, 1] > 220).all()
    assert (middle[4:30, 1] < 160).all()
    assert (middle[114:140, 1] < 160).all()
    assert share(tile[:, 34:39], ORANGE) > 0.1
    assert share(tile, "blue") == 0


def test_the_reason_of_a_crop_is_marked_on_its_tile(work: Workbench, tmp_path: Path) -> None:
    Image.new("RGB", (600, 300), "lime").save(tmp_path / "wide.png")
    of = cropped(work.store, tmp_path / "wide.png", (600, 300), (150, 0, 300), "face")
    face = share(first_tile(look(work, of=of))[100:], ORANGE)
    work.store.change(ImageRecord, "img_abcd0001", crop={"x": 0, "y": 0, "width": 300, "height": 300, "reason": WHOLE})
    assert face > 0.1
    assert share(first_tile(look(work, of=of))[100:], ORANGE) == 0


def test_a_turned_photograph_is_shown_upright_with_its_crop(work: Workbench, tmp_path: Path) -> None:
    lying = Image.new("RGB", (400, 200), "lime")
    lying.paste("red", (0, 0, 200, 200))  # upright: the upper half
    exif = lying.getexif()
    exif[274] = 6
    lying.save(tmp_path / "tall.jpg", exif=exif, quality=95)
    of = cropped(work.store, tmp_path / "tall.jpg", (200, 400), (0, 0, 200), "asked")
    tile = first_tile(look(work, of=of))
    assert (tile[20, 66:80, 0] > 200).all()
    assert (tile[90, 50:60, 1] < 160).all()


@pytest.mark.parametrize("what", ["gone", "replaced", "damaged", "crop whole"])
def test_where_the_original_cannot_serve_the_copy_is_shown(work: Workbench, tmp_path: Path, what: str) -> None:
    path = tmp_path / "wide.png"
    if what == "damaged":
        path.write_bytes(b"no picture")
    elif what != "gone":
        Image.new("RGB", (600, 300) if what == "crop whole" else (500, 300), "lime").save(path)
    of = cropped(work.store, path, (600, 300), (150, 0, 300), WHOLE if what == "crop whole" else "face")
    tile = first_tile(look(work, of=of))
    assert share(tile, "blue") > 0.5
    assert share(tile, "lime") == 0


def test_a_large_original_is_not_decoded_and_its_crop_is_shown_all_the_same(work: Workbench, tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1500), "lime").save(tmp_path / "large.png", compress_level=1)
    of = cropped(work.store, tmp_path / "large.png", (3000, 1500), (750, 0, 1500), "face")
    tile = first_tile(look(work, of=of))
    assert share(tile, "blue") > 0.2
    assert share(tile, ORANGE) > 0.02
    assert share(tile, "lime") == 0


def test_a_page_of_cropped_noise_stays_in_the_room_of_an_answer(work: Workbench, tmp_path: Path) -> None:
    of = dataset(work.store, 51)
    Image.effect_noise((600, 400), 90).save(tmp_path / "noise.png")
    for image in work.store.where(ImageRecord):
        work.store.change(
            ImageRecord,
            image.id,
            original_path=str(tmp_path / "noise.png"),
            facts={"width": 600, "height": 400, "format": "PNG", "bytes": 9},
            crop={"x": 100, "y": 0, "width": 400, "height": 400, "reason": "upper centre"},
        )
    first, second = look(work, of=of), look(work, of=of, page=2)
    assert (len(first.jpegs), len(second.jpegs)) == (2, 1)


REASONS = {
    "on request": [{"rule_id": "ASKED", "why": "a"}],
    "unreadable": [{"rule_id": "IMG-READABLE", "why": "a"}],
    "duplicate of 1": [{"rule_id": "IMG-DUPLICATE", "why": "a", "of": "img_abcd0001", "how": "near"}],
    "duplicate": [{"rule_id": "IMG-DUPLICATE", "why": "a", "of": "img_gone2345", "how": "near"}],
    "too small 300px": [{"rule_id": "IMG-READABLE", "why": "a", "waived": True}, {"rule_id": "IMG-SIZE", "why": "a"}],
    "another": [{"rule_id": "another", "why": "a"}],
    "set aside": [],
}


@pytest.mark.parametrize("words", REASONS)
def test_what_was_set_aside_says_why_in_a_few_words(work: Workbench, words: str) -> None:
    of = dataset(work.store, 3)
    work.store.change(ImageRecord, "img_abcd0003", reasons=REASONS[words], facts={"width": 400, "height": 300})
    images = {image.id: image for image in work.store.where(ImageRecord)}
    assert why_aside(images["img_abcd0003"], images) == words
    assert why_aside(images["img_abcd0001"], images) == ""
    assert f"icon 3.png (set aside: {words}" in look(work, of=of).text


def test_a_chain_of_better_copies_leads_to_the_one_that_stays(work: Workbench) -> None:
    dataset(work.store, 4)
    for number, better in ((4, 3), (3, 2)):
        reason = {"rule_id": "IMG-DUPLICATE", "why": "a", "of": f"img_abcd{better:04}", "how": "near"}
        work.store.change(ImageRecord, f"img_abcd{number:04}", status="rejected", reasons=[reason])
    images = {image.id: image for image in work.store.where(ImageRecord)}
    assert why_aside(images["img_abcd0004"], images) == "duplicate of 2"


def test_every_short_reason_fits_a_tile() -> None:
    words = [*IMAGE_RULES.values(), "duplicate of 10000", "too small 511px", ASKED]
    room = THUMBNAILS.cell[0] - 10
    assert [one for one in words if font(THUMBNAILS.text).getlength(one) > room] == []


def test_twelve_large_noisy_images_stay_in_the_room_of_an_answer(work: Workbench) -> None:
    of = dataset(work.store, 13)
    assert len(look(work, of=of, what="image", image_ids=["1-12"]).jpegs) == 12


def test_coverage_is_shown_as_it_is_now_judged_or_not(work: Workbench) -> None:
    of = dataset(work.store, 3)
    never = look(work, of=of, what="coverage")
    assert "2 kept images" in never.text
    assert "never judged; call validate_coverage(dataset_id='ds_test22')." in never.text
    verdict = judge_now(work.store, work.store.where(DatasetRecord)[0])
    judged = look(work, of=of, what="coverage").text
    assert f"{verdict.report_id}, judged this very set: verdict fail." in judged
    work.store.change(ImageRecord, "img_abcd0001", attributes={"subject": "bell"})
    stale = look(work, of=of, what="coverage")
    assert f"{verdict.report_id} (verdict fail), is older than this set; call validate_coverage" in stale.text
    assert stale.jpegs != never.jpegs


def test_a_report_for_another_model_is_compared_with_what_it_judged(work: Workbench) -> None:
    of = dataset(work.store, 3)
    judge_now(work.store, work.store.where(DatasetRecord)[0], TargetModel.FLUX2_DEV)
    assert "judged this very set" in look(work, of=of, what="coverage").text


def test_a_figures_coverage_names_the_cells_that_are_wanted(work: Workbench) -> None:
    of = dataset(work.store, 3)
    work.store.change(DatasetRecord, of, profile="character")
    for number in (1, 2):
        work.store.change(ImageRecord, f"img_abcd{number:04}", attributes={"angle": "front", "expression": "calm"})
    answer = look(work, of=of, what="coverage")
    assert len(answer.jpegs) == 2
    assert "Wanted and not there: front exhaustion, front resolve," in answer.text
    assert "front neutral" not in answer.text


def test_a_set_that_keeps_nothing_has_no_coverage(work: Workbench) -> None:
    of = dataset(work.store, 1)
    with pytest.raises(NotFound, match="keeps no images"):
        look(work, of=of, what="coverage")


def test_a_training_shows_samples_and_loss_while_it_runs(work: Workbench, tmp_path: Path) -> None:
    run = runs.enqueue(work.store, "train", {})
    for what in ("samples", "loss"):
        with pytest.raises(NotFound, match="check_status"):
            look(work, of=run.id, what=what)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "s.png")
    work.store.add(SampleRecord(run.id, 50, str(tmp_path / "s.png"), "a red house"))
    runs.add_metrics(work.store, run.id, 1, {"loss": 0.9, "held_out_loss": 0.8})
    runs.add_metrics(work.store, run.id, 50, {"loss": 0.5, "held_out_loss": 0.4})
    assert "a red house" in look(work, of=run.id).text
    assert "from 0.8 to 0.4" in look(work, of=run.id, what="loss").text


def test_a_lora_shows_the_samples_of_its_training(work: Workbench, tmp_path: Path) -> None:
    run = sampled(work, tmp_path)
    assert run in look(work, of=trained(work.store, run_id=run).id).text
    with pytest.raises(BadArgument, match="not trained here"):
        look(work, of=trained(work.store, "imported").id)


def test_a_deck_shows_its_slides_and_a_slide_its_takes(work: Workbench) -> None:
    result = render(work, deck=deck())
    render(work, deck_id=result.deck_id, only=["story"])
    assert "2 story" in look(work, of=str(result.deck_id)).text
    assert len(look(work, of=str(result.run_id)).jpegs) == 1
    takes = look(work, of=str(result.deck_id), what="image", image_ids=["story"])
    assert len(takes.jpegs) == 2
    assert look(work, of=str(result.deck_id), what="deck", image_ids=["2"]).text == takes.text
    with pytest.raises(NotFound, match="its slides are: cover, story, closing"):
        look(work, of=str(result.deck_id), what="image", image_ids=["stori"])


def test_pictures_of_the_preview_base_say_so_and_a_datasets_own_do_not(work: Workbench, tmp_path: Path) -> None:
    deck_id = str(render(work, deck=deck()).deck_id)
    run = sampled(work, tmp_path, spec={"preview": True})
    lora = trained(work.store, run_id=run).id
    runs.add_metrics(work.store, run, 1, {"loss": 0.9})
    for drawn in (
        {"of": deck_id},
        {"of": deck_id, "what": "image", "image_ids": ["story"]},
        {"of": run},
        {"of": run, "what": "loss"},
        {"of": lora},
    ):
        assert look(work, **drawn).text.endswith(PREVIEW_NOTE), drawn
    assert PREVIEW_NOTE not in look(work, of=dataset(work.store, 2)).text
    assert PREVIEW_NOTE not in look(work, of=sampled(work, tmp_path)).text


def test_thirty_slides_are_two_pages(work: Workbench) -> None:
    names = tuple(f"s{number}" for number in range(30))
    result = render(work, deck=deck(names), formats=["png"])
    first, second = look(work, of=str(result.deck_id)), look(work, of=str(result.deck_id), page=2)
    assert (len(first.jpegs), len(second.jpegs)) == (2, 1)


def test_what_cannot_be_shown_is_one_sentence(work: Workbench) -> None:
    of = dataset(work.store, 2)
    with pytest.raises(BadArgument, match="compare_renders"):
        look(work, of=of, what="compare")
    with pytest.raises(BadArgument, match="A dataset has no loss"):
        look(work, of=of, what="loss")
    with pytest.raises(NotFound, match=r"'icons' \(ds_test22\)"):
        look(work, of="nothing")
    with pytest.raises(NotFound, match="no deck"):
        look(work, of="deck_nope99")
    assert TOOL.result is None


def test_the_library_is_listed_newest_first_in_pages_of_fifty(work: Workbench) -> None:
    empty = list_loras(ListLorasArgs(), work)
    assert "start_training" in empty.next_step
    made = [trained(work.store, f"look {number}") for number in range(52)]
    first, second = list_loras(ListLorasArgs(), work), list_loras(ListLorasArgs(page=2), work)
    assert [row.lora_id for row in (*first.loras, *second.loras)] == [lora.id for lora in reversed(made)]
    assert (len(first.loras), first.pages) == (50, 2)
    assert made[-1].id in first.next_step
    assert (empty.preview_note, first.preview_note) == (None, PREVIEW_NOTE)
    assert list_loras(ListLorasArgs(lora_id="look-3"), work).loras[0].lora_id == made[3].id
    with pytest.raises(BadArgument, match="last page is 2"):
        list_loras(ListLorasArgs(page=3), work)
