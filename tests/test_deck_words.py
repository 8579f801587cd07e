"""Text that a person edited in a made deck survives the next render, in every output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import typst
from pptx import Presentation
from support.made_decks import DRAWN, Folder

from loradeck.tools.contracts import DeckSpec
from loradeck.tools.render_deck_visuals.deck_words import in_pptx, in_typst
from loradeck.tools.render_deck_visuals.merge import merged


def deck(**changes: Any) -> DeckSpec:
    slides = [
        {"name": "cover", "prompt": "x", "heading": "The cover", "body": "A line.\n- A bullet", "notes": "Breathe."},
        {"name": "icons", "layout": "grid", "panels": [{"name": "star", "prompt": "x", "caption": "A star"}]},
        {"name": "closing", "prompt": "x", "heading": "The end"},
    ]
    return DeckSpec.model_validate({"title": "The Bakery", "subtitle": "A film", "slides": slides, **changes})


@pytest.fixture
def made(tmp_path: Path) -> Folder:
    (tmp_path / "out").mkdir()
    return Folder(tmp_path / "deck", deck(), tmp_path / "out")


def test_nothing_is_told_and_nothing_changes_where_nobody_edited(made: Folder) -> None:
    names, source = made.names, made.source
    assert made.render(deck()) == []
    assert (made.names, made.source, made.deck) == (names, source, deck())


def test_words_changed_in_typst_are_in_the_deck_and_so_in_powerpoint(made: Folder) -> None:
    made.typst(
        lambda text: (
            text.replace('"The cover"', '"My \\"own\\" cover"')
            .replace('"A film"', '"A feature film"')
            .replace('"- A bullet"', '"- One",\n    "- Two"')
        )
    )
    assert made.render(deck()) == [
        "The subtitle was changed in deck.typ: it is kept.",
        "The heading of cover was changed in deck.typ: it is kept.",
        "The body of cover was changed in deck.typ: it is kept.",
    ]
    assert made.deck.slides[0].heading == 'My "own" cover'
    assert made.deck.slides[0].body == "A line.\n- One\n- Two"
    words = in_pptx(made.root / "deck.pptx")
    assert words["cover/heading"] == 'My "own" cover'
    assert words["subtitle"] == "A feature film"
    assert "deck-kept-1.typ" not in made.names


def test_words_changed_in_powerpoint_are_in_the_deck_and_so_in_typst(made: Folder) -> None:
    made.pptx("cover/heading", "From PowerPoint")
    made.pptx("icons-star/caption", "A brighter star")
    made.pptx("opening/title", "The Baker")
    told = made.render(deck())
    assert told[:3] == [
        "The title was changed in deck.pptx: it is kept.",
        "The heading of cover was changed in deck.pptx: it is kept.",
        "The caption of icons-star was changed in deck.pptx: it is kept.",
    ]
    assert in_typst(made.source)[0]["cover/heading"] == "From PowerPoint"
    assert made.deck.title == "The Baker"
    assert made.deck.slides[1].panels[0].caption == "A brighter star"
    assert "deck-kept-1.pptx" in made.names, "what else was changed there cannot be merged"


def test_bullets_and_line_breaks_come_back_as_a_body_has_them(made: Folder) -> None:
    path = made.root / "deck.pptx"
    presentation = Presentation(str(path))
    body = next(shape for shape in presentation.slides[1].shapes if shape.name == "cover/body")
    body.text_frame.paragraphs[0].text = "One line\vand another"
    body.text_frame.paragraphs[1].text = "Another bullet"
    presentation.save(str(path))
    made.render(deck())
    assert made.deck.slides[0].body == "One line\nand another\n- Another bullet"


def test_notes_are_taken_over_without_the_lines_on_what_was_drawn(made: Folder) -> None:
    path = made.root / "deck.pptx"
    presentation = Presentation(str(path))
    presentation.slides[1].notes_slide.notes_text_frame.text = f"Breathe, then smile.\n\n{DRAWN}"
    presentation.slides[2].notes_slide.notes_text_frame.text = "All of it is mine."
    presentation.save(str(path))
    told = made.render(deck())
    assert made.deck.slides[0].notes == "Breathe, then smile."
    assert made.deck.slides[1].notes is None
    assert any("The notes of icons in deck.pptx was not taken over" in words for words in told)
    assert "All of it is mine." in (made.root / "words-kept.txt").read_text()


def test_words_taken_over_stand_aside_when_their_slide_is_gone(made: Folder) -> None:
    made.pptx("cover/heading", "From PowerPoint")
    made.render(deck())
    shorter = deck().model_copy(update={"slides": deck().slides[1:]})
    told = made.render(shorter)
    assert any("The heading of cover" in words and "has no such place any more" in words for words in told)
    assert "From PowerPoint" in (made.root / "words-kept.txt").read_text()


def test_a_damaged_record_of_files_costs_a_copy_and_loses_nothing(made: Folder) -> None:
    before = (made.root / "deck.pptx").read_bytes()
    (made.root / ".written.json").write_text('{"deck.pptx": ')
    made.render(deck())
    assert (made.root / "deck.pptx").is_file()
    assert before in [path.read_bytes() for path in made.root.glob("deck*.pptx")]


def test_the_deck_given_again_from_its_file_does_not_undo_what_a_person_wrote(made: Folder) -> None:
    made.pptx("cover/heading", "From PowerPoint")
    made.render(deck())
    for _ in range(2):
        assert made.render(deck()) == []
        assert made.deck.slides[0].heading == "From PowerPoint"
    made.pptx("cover/heading", "And once more")
    made.render(deck())
    assert made.deck.slides[0].heading == "And once more"


def test_a_heading_that_the_call_gives_wins_and_the_other_is_kept_beside(made: Folder) -> None:
    made.typst(lambda text: text.replace('"The cover"', '"Mine"'))
    newer = deck(slides=[{"name": "cover", "prompt": "x", "heading": "From the call"}])
    told = made.render(newer)
    assert made.deck.slides[0].heading == "From the call"
    assert in_typst(made.source)[0]["cover/heading"] == "From the call"
    assert (
        "The heading of cover in deck.typ was not taken over (this call gives other words); it stands in "
        "words-kept.txt."
    ) in told
    assert "cover/heading, from deck.typ:\nMine\n" in (made.root / "words-kept.txt").read_text()


def test_an_edit_back_to_the_first_words_wins_over_what_was_taken_over(made: Folder) -> None:
    made.pptx("cover/heading", "From PowerPoint")
    made.render(deck())
    made.render(deck(), asked=("cover/heading",))
    assert made.deck.slides[0].heading == "The cover"
    made.render(deck())
    assert made.deck.slides[0].heading == "The cover"


def test_typst_wins_over_powerpoint_and_powerpoint_s_words_are_kept_beside(made: Folder) -> None:
    made.typst(lambda text: text.replace('"The cover"', '"From Typst"'))
    made.pptx("cover/heading", "From PowerPoint")
    told = made.render(deck())
    assert made.deck.slides[0].heading == "From Typst"
    assert any("in deck.pptx was not taken over (deck.typ has others)" in words for words in told)
    assert "From PowerPoint" in (made.root / "words-kept.txt").read_text()


def test_words_too_long_for_the_deck_are_kept_beside_and_told(made: Folder) -> None:
    made.pptx("cover/heading", "long " * 40)
    told = made.render(deck())
    assert made.deck.slides[0].heading == "The cover"
    assert any("was not taken over (string should have at most 120 characters)" in words for words in told)
    assert "long long" in (made.root / "words-kept.txt").read_text()


def test_an_emptied_box_empties_the_words_but_a_title_cannot_be_empty(made: Folder) -> None:
    made.pptx("cover/body", "")
    made.pptx("opening/title", " ")
    made.render(deck())
    assert made.deck.slides[0].body is None
    assert made.deck.title == "The Bakery"


def test_pages_and_code_of_a_person_s_own_live_on_beside_new_slides(made: Folder) -> None:
    made.typst(lambda text: text.replace("#opening()", "#opening()\n\n#page[My own page]") + "\n// the end\n")
    grown = deck()
    grown.slides.append(grown.slides[0].model_copy(update={"name": "extra", "heading": "Extra"}))
    assert made.render(grown) == []
    assert "#page[My own page]" in made.source
    assert made.source.endswith("// the end\n")
    assert '"extra"' in made.source
    assert made.render(deck()) == []
    assert '"extra"' not in made.source
    assert "#page[My own page]" in made.source
    typst.compile(str(made.root / "deck.typ"))


def test_slides_that_a_person_left_out_or_moved_stay_so(made: Folder) -> None:
    def moved(text: str) -> str:
        start = text.index('#slide(\n  "closing"')
        return text[:start].replace("#opening()\n", f"#opening()\n\n{text[start:]}")

    made.typst(moved)
    made.render(deck(slides=[{**deck().slides[0].model_dump(), "heading": "New"}, *deck().slides[1:]]))
    assert made.source.index('"closing"') < made.source.index('"cover"')
    assert in_typst(made.source)[0]["cover/heading"] == "New"


def test_words_turned_into_markup_stay_markup_and_reach_the_other_files_as_plain_words(made: Folder) -> None:
    made.typst(lambda text: text.replace('heading: "The cover"', "heading: [The *own* cover]"))
    assert made.render(deck()) == ["The heading of cover was changed in deck.typ: it is kept."]
    assert "heading: [The *own* cover]" in made.source
    assert made.deck.slides[0].heading == "The own cover"
    assert in_pptx(made.root / "deck.pptx")["cover/heading"] == "The own cover"
    assert made.render(deck()) == []
    assert "heading: [The *own* cover]" in made.source


def test_where_both_changed_the_same_lines_a_person_s_stay_and_ours_stand_beside(made: Folder) -> None:
    made.typst(lambda text: text.replace('heading: "The cover"', "heading: [The *cover*]"))
    told = made.render(deck(slides=[{"name": "cover", "prompt": "x", "heading": "Another"}]))
    assert "heading: [The *cover*]" in made.source
    assert '"Another"' in (made.root / "deck-new.typ").read_text()
    assert told == ["In 1 place of deck.typ your lines stand where this render has others; deck-new.typ has those."]
    assert made.render(deck(slides=[{"name": "cover", "prompt": "x", "heading": "Another"}])) == []


def test_a_deck_that_no_longer_compiles_is_kept_and_written_anew(made: Folder) -> None:
    made.typst(lambda text: text + "\n#nonsense()\n")
    told = made.render(deck())
    assert told[0] == (
        "deck.typ as you changed it cannot be set any more (unknown variable: nonsense), so it was written anew."
    )
    assert "#nonsense()" in (made.root / "deck-kept-1.typ").read_text()
    typst.compile(str(made.root / "deck.typ"))


def test_words_of_a_deck_that_does_not_compile_are_taken_over_all_the_same(made: Folder) -> None:
    made.typst(lambda text: text.replace('"The cover"', '"Mine"') + "#slide(")
    made.render(deck())
    assert in_typst(made.source)[0]["cover/heading"] == "Mine"


def test_a_person_s_copies_count_and_of_two_the_newest(made: Folder) -> None:
    out = made.copies
    assert out is not None
    made.typst(lambda text: text.replace('"The cover"', '"In the copy"') + "// mine\n", out)
    assert made.render(deck()) == ["The heading of cover was changed in deck.typ: it is kept."]
    assert "// mine" in made.source
    assert (out / "deck.typ").read_text() == made.source
    assert sorted(path.name for path in out.glob("deck*")) == ["deck.pptx", "deck.typ"]
    made.typst(lambda text: text.replace('"In the copy"', '"Older"'))
    made.typst(lambda text: text.replace('"In the copy"', '"Newer"'), out)
    os.utime(made.root / "deck.typ", (1, 1))
    told = made.render(deck())
    assert made.deck.slides[0].heading == "Newer"
    assert "Older" in (made.root / "words-kept.txt").read_text()
    assert any("deck-kept-1.typ" in words for words in told)


def test_another_deck_s_copies_in_the_same_folder_are_not_taken_for_edits(made: Folder) -> None:
    out = made.copies
    assert out is not None
    for name in ("deck.typ", "deck.pptx"):
        (out / name).unlink()  # as output_folder lets a later deck replace what an earlier one left
    Folder(made.root.parent / "second", deck(title="Another deck"), out)
    made.render(deck())
    assert made.deck.title == "The Bakery"


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 half a file", b"no zip at all"])
def test_a_damaged_powerpoint_file_is_told_and_kept(made: Folder, damage: bytes) -> None:
    (made.root / "deck.pptx").write_bytes(damage)
    told = made.render(deck())
    assert told[0] == "deck.pptx in deck could not be read: it is damaged, or was saved by half."
    assert (made.root / "deck-kept-1.pptx").read_bytes() == damage
    assert in_pptx(made.root / "deck.pptx")["title"] == "The Bakery"


def test_a_powerpoint_file_cut_within_its_parts_is_told_and_kept(made: Folder) -> None:
    import zipfile

    path = made.root / "deck.pptx"
    with zipfile.ZipFile(path) as packed:
        parts = {one.filename: packed.read(one) for one in packed.infolist()}
    parts["ppt/slides/slide1.xml"] = parts["ppt/slides/slide1.xml"][:200]
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in parts.items():
            packed.writestr(name, data)
    assert "could not be read" in made.render(deck())[0]


def test_a_typst_file_that_is_no_text_is_told_and_kept(made: Folder) -> None:
    (made.root / "deck.typ").write_bytes(b"\xff\xfe\x00")
    told = made.render(deck())
    assert "deck.typ in deck could not be read: it is not UTF-8 text." in told
    assert (made.root / "deck-kept-1.typ").is_file()
    typst.compile(str(made.root / "deck.typ"))


def test_a_file_open_in_powerpoint_is_told(made: Folder) -> None:
    made.pptx("cover/heading", "Saved already")
    (made.root / "~$deck.pptx").write_bytes(b"lock")
    told = made.render(deck())
    assert told[0] == "deck.pptx is open in another program: what was saved of it counts."
    assert made.deck.slides[0].heading == "Saved already"


def test_markup_typed_into_a_box_stays_words(made: Folder) -> None:
    made.pptx("cover/heading", '#panic("run") $x$ "quoted" \\ </a:t>')
    made.render(deck())
    assert made.deck.slides[0].heading == '#panic("run") $x$ "quoted" \\ </a:t>'
    typst.compile(str(made.root / "deck.typ"))


def test_a_deck_without_a_record_of_its_words_takes_nothing_over_and_loses_nothing(made: Folder) -> None:
    (made.root / ".base" / "words.json").unlink()
    (made.root / ".base" / "deck.typ").unlink()
    made.typst(lambda text: text.replace('"The cover"', '"Mine"'))
    made.render(deck())
    assert made.deck.slides[0].heading == "The cover"
    assert '"Mine"' in (made.root / "deck-kept-1.typ").read_text()


@pytest.mark.parametrize(
    ("base", "theirs", "ours", "text", "conflicts"),
    [
        ("a b c", "a b c", "a B c", "a B c", 0),
        ("a b c", "A b c", "a b C", "A b C", 0),
        ("a b c", "a X c", "a Y c", "a X c", 1),
        ("a b c", "a X c", "a X c", "a X c", 0),
        ("a b c", "a c", "a b c d", "a c d", 0),
        ("a b c", "x a b c", "a b c y", "x a b c y", 0),
        ("a b c", "a 1 2 b c", "a b", "a 1 2 b", 0),
        ("", "a", "", "a", 0),
        ("a", "", "a b", "b", 0),
        ("a", "a x", "a y", "a y x", 0),
    ],
)
def test_three_versions_are_merged_line_by_line(base: str, theirs: str, ours: str, text: str, conflicts: int) -> None:
    def lines(words: str) -> str:
        return "".join(f"{word}\n" for word in words.split())

    result = merged(lines(base), lines(theirs), lines(ours))
    assert result.conflicts == conflicts
    assert result.text.split() == text.split()
