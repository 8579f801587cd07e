"""A deck from the first call to "only the cover again": what is drawn, what is kept, what is told."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pptx import Presentation
from pypdf import PdfReader
from support.datasets import ready_dataset
from support.decks import deck, render
from support.images import save
from support.painter import Buyer, Painter, bench, trained

from loradeck.state import runs
from loradeck.state.records import DeckRecord, ImageRecord, PurchaseRecord, RunRecord, SpendRecord, VisualRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import RenderResult, RunState
from loradeck.tools.datasets import copy_path
from loradeck.tools.errors import BadArgument, NotFound, Refused
from loradeck.tools.render_deck_visuals.output_folder import RECORD
from loradeck.tools.render_deck_visuals.plan import Brush, Leaned, Look, Visual
from loradeck.tools.workbench import Workbench


@pytest.fixture
def painter() -> Painter:
    return Painter()


@pytest.fixture
def work(tmp_path: Path, painter: Painter) -> Workbench:
    return bench(Store(tmp_path / "home"), painter)


def folder(work: Workbench, result: RenderResult) -> Path:
    return work.store.workspace.deck(str(result.deck_id))


def bytes_of(where: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in where.glob("[0-9]*.png")}


def shown(result: RenderResult) -> dict[str, Any]:
    return {row.slide: row for row in result.visuals if row.picked}


def test_a_deck_leaves_named_pictures_a_contact_sheet_typst_and_a_pdf_with_a_page_a_slide_and_a_title(
    work: Workbench,
) -> None:
    trained(work.store)
    result = render(work, deck=deck())
    where = folder(work, result)
    assert result.state == RunState.SUCCEEDED
    assert sorted(bytes_of(where)) == ["01_cover.png", "02_story.png", "03_closing.png"]
    assert Image.open(where / "01_cover.png").size == (320, 180)
    documents = {"typst", "typst_module", "pdf", "pptx", "parity"}
    assert {file.kind for file in result.files} == {"visual", "contact_sheet", *documents}
    assert all(Path(file.path).stat().st_size == file.bytes for file in result.files)
    assert len(PdfReader(where / "deck.pdf").pages) == 4
    assert all(row.fresh for row in result.visuals)
    assert result.preview_note is not None
    assert result.preview_note in result.summary
    assert Path(shown(result)["cover"].path) == where / "01_cover.png"


def test_the_newest_lora_is_used_and_told_and_its_trigger_put_in_front(work: Workbench) -> None:
    trained(work.store, "old", trigger="oldlook")
    lora = trained(work.store)
    result = render(work, deck=deck())
    assert all(row.prompt.startswith("fluentlook, a red house") for row in result.visuals)
    assert any(lora.id in words and "newest" in words for words in result.told)
    assert any(words.startswith("RND-TRIGGER: 'fluentlook' was put in front of 3") for words in result.told)


def test_a_prompt_that_carries_the_trigger_is_left_as_it_is(work: Workbench) -> None:
    trained(work.store)
    slides = [{"name": "one", "prompt": "A red house in FluentLook"}, {"name": "two", "prompt": "fluentlooking glass"}]
    result = render(work, deck=deck(slides=slides))
    assert [row.prompt for row in result.visuals] == ["A red house in FluentLook", "fluentlook, fluentlooking glass"]


def test_without_a_lora_the_base_draws_alone_and_says_so(work: Workbench) -> None:
    result = render(work, deck=deck())
    assert result.visuals[0].prompt == "a red house, cover"
    assert any("no LoRA yet" in words for words in result.told)
    assert "No LoRA was used: the base drew alone." in result.summary
    assert "Its LoRA" not in result.summary
    trained(work.store)
    assert "No LoRA was used" not in render(work, deck=deck(title="In the look")).summary


def test_a_call_that_draws_nothing_says_nothing_of_a_missing_lora(work: Workbench) -> None:
    trained(work.store)
    slides = [{"name": "cover", "prompt": "a red house"}]
    first = render(work, deck=deck(slides=slides))
    picked = render(work, deck_id=first.deck_id, pick=[{"slide": "cover", "take": 1}])
    assert "No LoRA was used" not in picked.summary


def test_seeds_follow_the_deck_and_the_slide_unless_given(work: Workbench) -> None:
    slides = [{"name": "a", "prompt": "x"}, {"name": "b", "prompt": "x", "seed": 99}, {"name": "c", "prompt": "x"}]
    result = render(work, deck=deck(seed=40, slides=slides))
    assert [row.seed for row in result.visuals] == [40, 99, 42]


def test_the_cover_again_with_light_words_and_guidance_touches_nothing_else(work: Workbench, painter: Painter) -> None:
    trained(work.store)
    first = render(work, deck=deck())
    where = folder(work, first)
    before, times = bytes_of(where), {path: path.stat().st_mtime_ns for path in where.glob("0[23]*.png")}
    painter.drawn.clear()
    edits = [{"slide": "cover", "add": "bright daylight", "guidance": 2.5}]
    result = render(work, deck_id=first.deck_id, only=["cover"], edits=edits)
    after = bytes_of(where)
    assert painter.drawn == ["01_cover"]
    assert after["01_cover.png"] != before["01_cover.png"]
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert shown(result)["cover"].prompt == "fluentlook, a red house, cover, bright daylight"
    assert {row.slide: row.fresh for row in result.visuals if row.picked} == {
        "cover": True, "story": False, "closing": False,
    }  # fmt: skip


def test_the_same_edit_again_adds_its_words_once(work: Workbench) -> None:
    first = render(work, deck=deck())
    edits = [{"slide": "cover", "add": "bright daylight"}]
    render(work, deck_id=first.deck_id, edits=edits)
    again = render(work, deck_id=first.deck_id, edits=edits)
    assert shown(again)["cover"].prompt.count("bright daylight") == 1
    assert not any(row.fresh for row in again.visuals)


def test_only_without_an_edit_draws_that_slide_with_a_new_seed_and_tells_it(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=deck())
    painter.drawn.clear()
    result = render(work, deck_id=first.deck_id, only=["story"])
    assert painter.drawn == ["02_story"]
    assert shown(result)["story"].seed == 8 + 1000
    assert any("new seed: 1008" in words for words in result.told)
    render(work, deck_id=first.deck_id)
    assert painter.drawn == ["02_story"], "the new seed is the deck's from now on"


def test_a_new_heading_draws_nothing_and_stands_in_the_document(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=deck())
    painter.drawn.clear()
    edits = [{"slide": "story", "heading": "What happened"}]
    result = render(work, deck_id=first.deck_id, only=["story"], edits=edits)
    assert painter.drawn == []
    assert "What happened" in PdfReader(folder(work, result) / "deck.pdf").pages[2].extract_text()


def test_guidance_for_the_whole_deck_draws_all_and_the_same_again_draws_none(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=deck())
    painter.drawn.clear()
    render(work, deck_id=first.deck_id, guidance=3.0)
    assert painter.drawn == ["01_cover", "02_story", "03_closing"]
    render(work, deck_id=first.deck_id, guidance=3.0)
    assert len(painter.drawn) == 3


def test_an_edit_taken_back_shows_the_earlier_picture_without_drawing(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=deck())
    before = bytes_of(folder(work, first))
    render(work, deck_id=first.deck_id, edits=[{"slide": "cover", "prompt": "a blue boat"}])
    painter.drawn.clear()
    render(work, deck_id=first.deck_id, edits=[{"slide": "cover", "prompt": "a red house, cover"}])
    assert painter.drawn == []
    assert bytes_of(folder(work, first)) == before


def test_a_slide_that_comes_to_want_the_picture_of_another_gets_one_of_its_own(work: Workbench) -> None:
    first = render(work, deck=deck())
    edits = [{"slide": "story", "prompt": "a red house, cover", "seed": shown(first)["cover"].seed}]
    after = bytes_of(folder(work, render(work, deck_id=first.deck_id, edits=edits)))
    assert after["02_story.png"] == after["01_cover.png"]


def test_takes_are_drawn_with_their_own_seeds_and_a_pick_stays_until_the_slide_is_asked_for(
    work: Workbench, painter: Painter
) -> None:
    first = render(work, deck=deck())
    result = render(work, deck_id=first.deck_id, only=["cover"], takes=3)
    assert [(row.take, row.seed) for row in result.visuals if row.slide == "cover"] == [(1, 7), (2, 1007), (3, 2007)]
    picked = render(work, deck_id=first.deck_id, pick=[{"slide": "cover", "take": 3}])
    assert shown(picked)["cover"].take == 3
    painter.drawn.clear()
    later = render(work, deck_id=first.deck_id)
    assert shown(later)["cover"].take == 3
    assert painter.drawn == []
    rows = work.store.where(VisualRecord, "slide = 'cover' and take = 3")
    assert bytes_of(folder(work, first))["01_cover.png"] == Path(rows[0].path).read_bytes()


def test_the_seed_and_prompt_that_the_engine_wrote_into_a_picture_stay_in_its_copy(work: Workbench) -> None:
    result = render(work, deck=deck())
    assert Image.open(folder(work, result) / "01_cover.png").text["prompt"] == "a red house, cover"  # type: ignore[attr-defined]


def test_a_stop_keeps_what_was_drawn_and_the_next_call_draws_the_rest(work: Workbench, painter: Painter) -> None:
    painter.stop_after = 2
    stopped = render(work, deck=deck())
    assert stopped.state == RunState.CANCELLED
    assert "deck_id" in stopped.next_step
    assert len(work.store.where(VisualRecord)) == 2
    painter.stop_after = None
    result = render(work, deck_id=stopped.deck_id)
    assert painter.drawn == ["01_cover", "02_story", "03_closing"]
    assert result.state == RunState.SUCCEEDED


def test_a_worker_killed_between_two_pictures_is_gone_on_with_by_the_same_run(
    work: Workbench, painter: Painter
) -> None:
    painter.die_after = 1
    lost = render(work, deck=deck())
    assert lost.state == RunState.LOST
    painter.die_after = None
    runs.requeue(work.store, str(lost.run_id))
    work.launch(str(lost.run_id))
    assert runs.get(work.store, str(lost.run_id)).state == "succeeded"
    assert painter.drawn == ["01_cover", "02_story", "03_closing"]
    assert len(work.store.where(VisualRecord)) == 3


def test_a_picture_that_was_deleted_is_drawn_again_and_its_row_stays_one(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=deck())
    row = work.store.where(VisualRecord, "slide = 'story'")[0]
    Path(row.path).unlink()
    painter.drawn.clear()
    render(work, deck_id=first.deck_id)
    assert painter.drawn == ["02_story"]
    assert len(work.store.where(VisualRecord)) == 3


def test_copies_go_to_output_dir(work: Workbench, tmp_path: Path) -> None:
    result = render(work, deck=deck(), output_dir=str(tmp_path / "out" / "deck"))
    names = {path.name for path in (tmp_path / "out" / "deck").iterdir()}
    pictures = {"01_cover.png", "02_story.png", "03_closing.png", "contact_sheet.png"}
    assert names == {*pictures, "deck.typ", "loradeck.typ", "deck.pdf", "deck.pptx", "parity.json", RECORD}
    assert any("Copies are in" in words for words in result.told)


def test_the_copies_of_a_deck_follow_every_later_change_and_that_is_told(work: Workbench, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = render(work, deck=deck(), output_dir=str(out))
    stale = (out / "deck.pdf").read_bytes()
    edits = [{"slide": "cover", "add": "bright daylight"}]
    again = render(work, deck_id=first.deck_id, only=["cover"], edits=edits)
    assert stale != (out / "deck.pdf").read_bytes() == (folder(work, first) / "deck.pdf").read_bytes()
    assert bytes_of(out) == bytes_of(folder(work, first))
    assert f"The copies in {out} were renewed too." in again.told


def test_another_output_dir_takes_the_place_of_the_first_and_an_empty_one_ends_the_copies(
    work: Workbench, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    first = render(work, deck=deck(), output_dir=str(one))
    render(work, deck_id=first.deck_id, output_dir=str(two))
    render(work, deck_id=first.deck_id, edits=[{"slide": "cover", "prompt": "a blue boat"}])
    assert bytes_of(two) == bytes_of(folder(work, first)) != bytes_of(one)
    for output_dir in ("", None):
        again = render(work, deck_id=first.deck_id, only=["cover"], output_dir=output_dir)
        assert not any("opies" in words for words in again.told)
    assert bytes_of(two) != bytes_of(folder(work, first))


def test_a_folder_of_copies_that_is_gone_is_told_and_made_again_only_when_it_is_named(
    work: Workbench, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = render(work, deck=deck(), output_dir=str(out))
    shutil.rmtree(out)
    again = render(work, deck_id=first.deck_id, only=["cover"])
    assert again.state == RunState.SUCCEEDED
    assert any("that folder is gone" in words for words in again.told)
    assert not out.exists()
    render(work, deck_id=first.deck_id, output_dir=str(out))
    assert bytes_of(out) == bytes_of(folder(work, first))


def test_a_render_that_was_stopped_before_its_first_copies_makes_them_later(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    painter.stop_after = 2
    stopped = render(work, deck=deck(), output_dir=str(tmp_path / "out"))
    painter.stop_after = None
    render(work, deck_id=stopped.deck_id)
    assert (tmp_path / "out" / "deck.pdf").is_file()


def test_files_of_ones_own_in_output_dir_are_never_replaced_and_nothing_is_drawn(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "deck.pdf").write_bytes(b"the board's own deck")
    (out / "01_cover.png").write_bytes(b"a scan")
    with pytest.raises(Refused, match=r"'out' holds files of your own .*: 01_cover\.png, deck\.pdf\. Name another"):
        render(work, deck=deck(), output_dir=str(out))
    assert (painter.drawn, work.store.where(DeckRecord)) == ([], [])
    assert (out / "deck.pdf").read_bytes() == b"the board's own deck"


def test_a_later_deck_takes_the_place_of_an_earlier_ones_copies_and_keeps_what_a_person_edited(
    work: Workbench, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    render(work, deck=deck(), output_dir=str(out))
    (out / "contact_sheet.png").write_bytes(b"drawn over by hand")
    second = render(work, deck=deck(seed=99), output_dir=str(out))
    assert (out / "01_cover.png").read_bytes() == (folder(work, second) / "01_cover.png").read_bytes()
    assert [path.name for path in out.glob("*kept*")] == ["contact_sheet-kept-1.png"]
    assert (out / "contact_sheet-kept-1.png").read_bytes() == b"drawn over by hand"


def test_what_a_person_wrote_into_the_documents_is_in_every_output_of_the_next_render(
    work: Workbench, tmp_path: Path
) -> None:
    first = render(work, deck=deck(), output_dir=str(tmp_path / "out"))
    document = folder(work, first) / "deck.typ"
    document.write_text(document.read_text().replace('heading: "cover"', 'heading: "Bread"') + "#page[My own page]\n")
    shown_to = Presentation(str(tmp_path / "out" / "deck.pptx"))
    box = next(shape for slide in shown_to.slides for shape in slide.shapes if shape.name == "story/body")
    box.text_frame.paragraphs[0].runs[0].text = "Typed in PowerPoint."
    shown_to.save(str(tmp_path / "out" / "deck.pptx"))
    again = render(work, deck_id=first.deck_id, edits=[{"slide": "closing", "heading": "The end"}])
    text = [page.extract_text() for page in PdfReader(folder(work, first) / "deck.pdf").pages]
    assert "Bread" in text[1]
    assert "Typed in PowerPoint." in text[2]
    assert "The end" in text[3]
    assert "My own page" in text[4]
    slides = Presentation(str(folder(work, first) / "deck.pptx")).slides
    words = [[shape.text_frame.text for shape in slide.shapes if shape.has_text_frame] for slide in slides]
    assert "Bread" in words[1]
    assert "Typed in PowerPoint." in words[2]
    assert {words for words in again.told if "it is kept" in words} == {
        "The heading of cover was changed in deck.typ: it is kept.",
        "The body of story was changed in deck.pptx: it is kept.",
    }
    record = work.store.find(DeckRecord, str(first.deck_id))
    assert record is not None
    assert record.spec["slides"][0]["heading"] == "Bread"


def test_photographs_are_held_as_jpeg_and_flat_pictures_as_they_are(work: Workbench, painter: Painter) -> None:
    painter.noisy = {"02_story"}
    first = render(work, deck=deck())
    where = folder(work, first)
    assert [path.name for path in where.glob("*.jpg")] == ["02_story.jpg"]
    made = (where / "02_story.jpg").stat().st_mtime_ns
    assert '"02_story.jpg"' in (where / "loradeck.typ").read_text()
    render(work, deck_id=first.deck_id, edits=[{"slide": "cover", "heading": "Another"}])
    assert (where / "02_story.jpg").stat().st_mtime_ns == made


def test_a_typst_file_as_the_deck_is_answered_with_a_proposal_and_takes_its_visuals(
    work: Workbench, painter: Painter, tmp_path: Path
) -> None:
    own = tmp_path / "mine.typ"
    own.write_text("#set page(width: 320pt, height: 180pt)\n= The harbour\nBoats at dusk.\n#pagebreak()\n= The end\n")
    proposed = render(work, deck=str(own))
    assert proposed.proposal is not None
    assert (painter.drawn, work.store.where(DeckRecord)) == ([], [])
    small = {**proposed.proposal, "defaults": {"width": 320, "height": 180}}
    drawn = render(work, deck=small, into={"file": str(own), "how": "images", "rewrite": True})
    assert drawn.state == RunState.SUCCEEDED
    assert own.read_text().count("loradeck") >= 1
    assert list(tmp_path.glob("mine*.typ")) != [own]
    with pytest.raises(NotFound, match="mine2"):
        render(work, deck=small, into={"file": str(tmp_path / "mine2.typ")})


def test_a_slide_goes_though_a_person_took_its_picture_away_before(work: Workbench) -> None:
    first = render(work, deck=deck())
    picture = work.store.workspace.deck(str(first.deck_id)) / "02_story.png"
    picture.unlink()
    again = render(work, deck_id=first.deck_id, deck=deck(("cover", "closing")))
    assert (again.state, picture.exists()) == (RunState.SUCCEEDED, False)


def test_an_output_dir_that_cannot_be_written_is_told_and_the_deck_is_whole(work: Workbench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = render(work, deck=deck(), output_dir=str(tmp_path / "file" / "deck"))
    assert result.state == RunState.SUCCEEDED
    assert any("could not be copied" in words for words in result.told)


def test_a_render_at_work_is_joined_when_nothing_else_is_asked_and_never_doubled(
    work: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loradeck.tools.render_deck_visuals.tool.WAIT_SECONDS", 0.1)
    lora = trained(work.store)
    first = render(work, deck=deck())
    busy = runs.enqueue(work.store, "render", {"output_dir": "/out"}, deck_id=first.deck_id, steps=3)
    joined = render(work, deck_id=first.deck_id, loras=[{"lora_id": lora.id}], output_dir="/out")
    assert (joined.run_id, joined.state) == (busy.id, RunState.QUEUED)
    assert "check_status" in joined.next_step
    for more in ({"only": ["cover"]}, {"guidance": 2.0}, {"output_dir": "/elsewhere"}, {"takes": 2}):
        with pytest.raises(Refused, match=f"{busy.id} is still at work"):
            render(work, deck_id=first.deck_id, **more)
    assert len(work.store.where(RunRecord)) == 2


def test_a_call_on_a_deck_at_work_that_wants_other_files_is_refused_and_not_forgotten(
    work: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loradeck.tools.render_deck_visuals.tool.WAIT_SECONDS", 0.1)
    own = tmp_path / "mine.typ"
    own.write_text("= Cover\n")
    first = render(work, deck=deck())
    into = {"file": str(own), "how": "images", "rewrite": False}
    busy = runs.enqueue(work.store, "render", {"into": into, "formats": ["png"]}, deck_id=first.deck_id, steps=3)
    for same in ({}, {"into": into}, {"formats": ["png"]}):
        assert render(work, deck_id=first.deck_id, **same).run_id == busy.id
    for other in ({"into": {**into, "rewrite": True}}, {"formats": ["png", "pdf"]}):
        with pytest.raises(Refused, match=f"{busy.id} is still at work"):
            render(work, deck_id=first.deck_id, **other)


def test_a_lora_of_another_base_is_refused_with_what_to_do(work: Workbench) -> None:
    lora = trained(work.store, base_model="flux2-dev")
    with pytest.raises(Refused, match="trained on flux2-dev"):
        render(work, deck=deck(), loras=[{"lora_id": lora.id}], base_model="preview")


def test_loras_by_name_are_stored_by_id_so_that_a_deck_stays_with_its_version(
    work: Workbench, painter: Painter
) -> None:
    lora = trained(work.store)
    first = render(work, deck=deck(), loras=[{"lora_id": "fluent", "strength": 0.8}])
    trained(work.store, trigger="newer")
    painter.drawn.clear()
    render(work, deck_id=first.deck_id)
    record = work.store.find(DeckRecord, str(first.deck_id))
    assert painter.drawn == []
    assert record is not None
    assert record.loras == [{"lora_id": lora.id, "strength": 0.8}]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({}, BadArgument, "Give deck"),
        ({"deck_id": "deck_nope99"}, NotFound, "The Bakery"),
        ({"deck": "/nowhere/deck.yaml"}, NotFound, "no deck file 'deck.yaml'"),
        ({"deck": '{"title": "x"}'}, BadArgument, "slides is missing"),
        ({"deck": "DECK", "references": ["a.png"]}, Refused, "preview never learned to look at reference pictures"),
        ({"deck": "DECK", "only": ["covr"]}, NotFound, "did you mean 'cover'"),
        ({"deck": "DECK", "pick": [{"slide": "cover", "take": 1}]}, BadArgument, "no takes"),
        ({"deck": "DECK", "loras": [{"lora_id": "nope"}]}, NotFound, "start_training"),
        ({"deck": "DECK", "edits": [{"slide": "cover", "heading": "x" * 121}]}, BadArgument, "heading"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_leaves_no_deck_behind(
    work: Workbench, arguments: dict[str, Any], error: type[Exception], says: str
) -> None:
    render(work, deck=deck())
    if arguments.get("deck") == "DECK":
        arguments = {**arguments, "deck": deck()}
    with pytest.raises(error, match=says):
        render(work, **arguments)
    assert len(work.store.where(DeckRecord)) == 1


# --------------------------------------------------------------------------- references


@pytest.fixture
def klein(painter: Painter, work: Workbench) -> Workbench:
    """The same workbench, drawing on a base that takes references."""
    painter.base = "flux2-klein-4b"
    return work


def plain(path: Path, colour: str = "#808080") -> str:
    return str(save(Image.new("RGB", (64, 64), colour), path))


def pixels_of(path: Path) -> bytes:
    with Image.open(path) as picture:
        return picture.convert("RGB").tobytes()


def test_references_are_kept_with_the_deck_and_handed_to_the_engine(
    klein: Workbench, painter: Painter, tmp_path: Path
) -> None:
    paths = [plain(tmp_path / "one.png"), plain(tmp_path / "two.png", "#204060")]
    first = render(klein, deck=deck(), base_model=painter.base, references=paths)
    handed = painter.requests[0].references
    assert [(path.name, pixels_of(path)) for path in handed] == [
        (Path(path).name, pixels_of(Path(path))) for path in paths
    ]
    assert all(klein.store.workspace.holds(path) for path in handed)
    assert any("keeps copies of its references" in words for words in first.told)
    rows = klein.store.where(VisualRecord)
    assert [one["file"] for one in rows[0].meta["references"]] == ["one.png", "two.png"]
    for path in paths:
        Path(path).unlink()
    painter.drawn.clear()
    assert render(klein, deck_id=first.deck_id).state == RunState.SUCCEEDED
    assert painter.drawn == [], "the deck has its own copies"


def test_a_changed_reference_draws_anew_and_the_same_one_does_not(
    klein: Workbench, painter: Painter, tmp_path: Path
) -> None:
    path = plain(tmp_path / "one.png")
    first = render(klein, deck=deck(), base_model=painter.base, references=[path])
    before = bytes_of(folder(klein, first))
    painter.drawn.clear()
    render(klein, deck_id=first.deck_id, references=[path])
    assert painter.drawn == []
    render(klein, deck_id=first.deck_id, references=[plain(tmp_path / "one.png", "#204060")])
    assert painter.drawn == ["01_cover", "02_story", "03_closing"]
    assert all(before[name] != content for name, content in bytes_of(folder(klein, first)).items())


def test_references_for_one_slide_or_for_none_touch_what_they_are_for(
    klein: Workbench, painter: Painter, tmp_path: Path
) -> None:
    first = render(klein, deck=deck(), base_model=painter.base)
    before = bytes_of(folder(klein, first))
    painter.drawn.clear()
    render(klein, deck_id=first.deck_id, only=["story"], references=[plain(tmp_path / "one.png")])
    assert painter.drawn == ["02_story"]
    render(klein, deck_id=first.deck_id, only=["story"], references=[])
    assert painter.drawn == ["02_story"], "without any it is the picture from before"
    assert bytes_of(folder(klein, first)) == before


def test_references_are_judged_before_anything_is_drawn(klein: Workbench, painter: Painter, tmp_path: Path) -> None:
    path = plain(tmp_path / "plain.png")
    busy = save(Image.effect_noise((256, 256), 80).convert("RGB"), tmp_path / "busy.png")
    (tmp_path / "text.png").write_text("no")
    for references, error, says in (
        ([path] * 11, Refused, "REF-COUNT: 11 references were given, flux2-klein-4b takes at most 10"),
        ([str(tmp_path / "text.png")], BadArgument, "cannot be used: The file is no picture"),
        ([str(tmp_path / "none.png")], BadArgument, "no reference picture 'none.png'"),
        ([str(save(Image.new("RGB", (8, 8)), tmp_path / "tiny.png"))], BadArgument, "8 x 8 pixels; give one whose"),
        ([str(save(Image.new("RGB", (999, 99)), tmp_path / "bar.png"))], BadArgument, "neither is over 8 times the"),
        (["~nobody_of_that_name/a.png"], BadArgument, "is no usable path on this machine"),
        (["/" + "a" * 300 + ".png"], BadArgument, "is no usable path on this machine"),
    ):
        with pytest.raises(error, match=says):
            render(klein, deck=deck(), base_model=painter.base, references=references)
    assert painter.requests == []
    told = render(klein, deck=deck(), base_model=painter.base, references=[path, str(busy)]).told
    assert any(words.startswith("REF-CLEAN: 1 of 2 references") for words in told)


def test_a_base_that_takes_no_references_is_told_with_those_that_do(
    klein: Workbench, painter: Painter, tmp_path: Path
) -> None:
    path = plain(tmp_path / "one.png")
    first = render(klein, deck=deck(), base_model=painter.base, references=[path])
    painter.base = "preview"
    says = "preview never learned to look at reference pictures; draw with base_model='flux2-dev'"
    with pytest.raises(Refused, match=says):
        render(klein, deck=deck(), references=[path])
    with pytest.raises(Refused, match=says):
        render(klein, deck_id=first.deck_id, base_model="preview")
    assert render(klein, deck_id=first.deck_id, base_model="preview", references=[]).state == RunState.SUCCEEDED


def test_a_picture_without_references_has_the_recipe_it_had_before_there_were_any() -> None:
    look = Look("lora_a", "ab" * 32, "preview", 0.8, "x")
    visual = Visual("cover", 1, "a red house", 7, 320, 180, Brush("local", "preview", (look,), 2.5, None, "p"))
    assert visual.recipe == "a79c55d1d8e801f66c3be6bb5e1fca8f88d0fc4d8d0fc9e6841c142e2d8e4c2e"
    leaning = replace(visual, brush=replace(visual.brush, references=(Leaned("one.png", "cd" * 32),)))
    assert leaning.recipe != visual.recipe
    assert Visual.from_json(leaning.to_json()) == leaning


def test_the_engine_is_told_the_prompts_that_later_requests_bring(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=deck())
    painter.requests.clear()
    render(work, deck_id=first.deck_id, only=["story"], guidance=3.0)
    render(work, deck_id=first.deck_id, prompt_prefix="at night,", edits=[{"slide": "cover", "guidance": 2.0}])
    story, cover, closing = painter.requests[0], *painter.requests[1:3]
    assert story.upcoming == ()
    assert cover.upcoming == tuple(job.prompt for request in painter.requests[2:] for job in request.jobs)
    assert closing.upcoming == tuple(job.prompt for request in painter.requests[3:] for job in request.jobs)


def test_what_the_engine_has_to_tell_of_its_pictures_is_told_once(tmp_path: Path) -> None:
    words = "It was trained on an earlier base; train it again."
    work = bench(Store(tmp_path), Painter(tells=(words,)))
    first = render(work, deck=deck())
    again = render(work, deck_id=first.deck_id, only=["cover"], guidance=3.0)
    assert first.told.count(words) == again.told.count(words) == 1


def test_a_costly_engine_draws_only_what_was_agreed_to_and_only_what_is_missing(tmp_path: Path) -> None:
    painter = Painter(costs=True)
    work = bench(Store(tmp_path), painter)
    quoted = render(work, deck=deck())
    assert (quoted.state, quoted.deck_id, painter.drawn) == (RunState.QUOTED, None, [])
    made = render(work, deck=deck(), quote_id=quoted.quote_id, max_cost_usd=1.0)
    assert made.state == RunState.SUCCEEDED
    assert render(work, deck_id=made.deck_id).state == RunState.SUCCEEDED, "nothing is missing, nothing is paid"
    one = render(work, deck_id=made.deck_id, edits=[{"slide": "cover", "add": "at night"}])
    assert one.state == RunState.QUOTED
    assert "drawing 1 pictures" in one.summary


def test_pictures_that_were_bought_and_not_fetched_are_fetched_by_the_next_call_and_not_bought_again(
    tmp_path: Path,
) -> None:
    painter = Buyer(costs=True)
    work = bench(Store(tmp_path), painter)
    quoted = render(work, deck=deck())
    failed = render(work, deck=deck(), quote_id=quoted.quote_id, max_cost_usd=0.15)
    assert failed.state == RunState.FAILED
    painter.lost = False
    made = render(work, deck_id=failed.deck_id)
    assert (made.state, made.run_id) == (RunState.SUCCEEDED, failed.run_id)
    assert work.store.count(PurchaseRecord) == 3
    assert render(work, deck_id=failed.deck_id, only=["cover"]).state == RunState.QUOTED, "a new picture is a new price"


def test_a_run_goes_on_beyond_what_was_agreed_to_for_its_whole_cost_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    painter = Buyer(costs=True)
    work = bench(Store(tmp_path), painter)
    quoted = render(work, deck=deck())
    failed = render(work, deck=deck(), quote_id=quoted.quote_id, max_cost_usd=0.15)
    work.store.change(SpendRecord, str(quoted.quote_id), max_cost_usd=0.1)
    monkeypatch.setenv("LORADECK_MAX_DAY_USD", "0.2")  # room for the whole cost once, and not for it on top
    beyond = render(work, deck_id=failed.deck_id)
    assert beyond.state == RunState.QUOTED
    assert f"with 0.15 USD that {failed.run_id} has spent or may have at painter costs 0.15 USD" in beyond.summary
    painter.lost = False
    made = render(work, deck_id=failed.deck_id, quote_id=beyond.quote_id, max_cost_usd=0.15)
    assert (made.state, made.run_id) == (RunState.SUCCEEDED, failed.run_id)


def test_a_reference_that_may_not_leave_is_not_sent_elsewhere(tmp_path: Path) -> None:
    painter = Painter(base="flux2-klein-4b", elsewhere=True)
    work = bench(Store(tmp_path / "home"), painter)
    image = work.store.where(ImageRecord, "dataset_id = ?", [ready_dataset(work.store).id], limit=1)[0]
    work.store.change(ImageRecord, image.id, rights={"may_leave": False})
    copy = shutil.copyfile(copy_path(work.store, image), tmp_path / "renamed.png")
    with pytest.raises(Refused, match=r"IMG-RIGHTS: references: 1 of the images .*nothing was sent"):
        render(work, deck=deck(), base_model=painter.base, loras=[], references=[str(copy)])
    assert painter.requests == []


def test_a_lora_that_learned_from_what_may_not_leave_is_not_sent_elsewhere(tmp_path: Path) -> None:
    painter = Painter(elsewhere=True)
    work = bench(Store(tmp_path), painter)
    image = work.store.where(ImageRecord, "dataset_id = ?", [ready_dataset(work.store).id], limit=1)[0]
    work.store.change(ImageRecord, image.id, rights={"may_leave": False})
    run = runs.enqueue(work.store, "train", {"pairs": [{"image": image.copy_sha256}]})
    runs.request_cancel(work.store, run.id)
    first = trained(work.store, run_id=run.id)
    grown = trained(work.store, parent_lora_id=first.id)
    for lora in (first, grown):
        with pytest.raises(Refused, match=r"IMG-RIGHTS: what .* learned from: 1 of the images"):
            render(work, deck=deck(), loras=[{"lora_id": lora.id}])
    assert painter.requests == []


def test_a_pick_that_is_not_there_names_the_takes(work: Workbench) -> None:
    first = render(work, deck=deck())
    with pytest.raises(NotFound, match="no take 4; its takes are: 1"):
        render(work, deck_id=first.deck_id, pick=[{"slide": "cover", "take": 4}])


def test_a_deck_is_found_by_its_title(work: Workbench, painter: Painter) -> None:
    first = render(work, deck=deck())
    assert render(work, deck_id="the bakery").deck_id == first.deck_id


def test_a_deck_given_as_json_text_is_taken(work: Workbench) -> None:
    assert render(work, deck=json.dumps(deck().model_dump())).state == RunState.SUCCEEDED


def test_machine_looks_are_findings_on_the_pictures(tmp_path: Path) -> None:
    work = bench(Store(tmp_path), Painter(colour=lambda prompt, seed: (250, 250, 250)))
    result = render(work, deck=deck())
    assert {finding.rule_id for row in result.visuals for finding in row.findings} == {"RND-BLANK"}
    assert "3 pictures want a second look, first cover: It is one even colour" in result.summary


def test_the_answer_on_the_largest_deck_stays_small(work: Workbench) -> None:
    slides = [{"name": f"s{n}", "prompt": "long words " * 180, "width": 64, "height": 64} for n in range(60)]
    result = render(work, deck=deck(slides=slides), takes=2, formats=["png"])
    assert len(result.model_dump_json()) < 60_000
    assert len(result.visuals) == 60
    assert all(row.picked for row in result.visuals)
    assert any("60 more takes" in words for words in result.told)
