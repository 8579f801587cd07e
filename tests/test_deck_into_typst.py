"""Visuals in a person's own Typst deck: as images, as cards, as textures, and never at the deck's expense."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typst
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.own_decks import HEADINGS, OWN_SLIDES, THE_BAKER, pages_of

from loradeck.state.errors import WorkspaceReadOnly
from loradeck.tools.contracts import DeckSpec, IntoTypst
from loradeck.tools.errors import NotFound, Refused, ToolFault
from loradeck.tools.render_deck_visuals import into_typst
from loradeck.tools.render_deck_visuals.into_typst import check_into, into
from loradeck.tools.render_deck_visuals.output_folder import RECORD
from loradeck.tools.render_deck_visuals.pages import Page, PagePicture
from loradeck.tools.render_deck_visuals.typst_deck import plain_ends, read_typst
from loradeck.tools.render_deck_visuals.typst_lines import additions, applied, old_lines, partners, without
from loradeck.tools.render_deck_visuals.typst_titles import titles
from loradeck.tools.render_deck_visuals.written import Written

WAYS = ("images", "cards", "backgrounds")
PIECES = ["= One\n", "= Two", "#heading[One];\n", "#heading[Two] <a>; w", "#slide[\n= One", "#slide(title: [Two])["]
PIECES += [" <b> ", "words ", "// note", "/*", "*/", "#pagebreak()", "#set page(", "#import ", *'[]$"`()\n\r', "\r\n"]


class Own:
    """A person's file in a folder of its own, and a deck of pictures for it."""

    def __init__(self, root: Path, source: str | bytes) -> None:
        self.path = root / "mine" / "own.typ"
        self.path.parent.mkdir(parents=True)
        self.path.write_bytes(source if isinstance(source, bytes) else source.encode())
        self.deck = read_typst(self.path)
        (root / "deck").mkdir()
        self.written = Written(root / "deck")
        self.pages = pages_of(self.deck, root / "deck")

    def another_deck(self) -> None:
        """The same slides in a deck of its own, with pictures of one colour."""
        folder = self.path.parent.parent / "other"
        self.written = Written(folder)
        self.pages = pages_of(self.deck, folder)
        for page in self.pages:
            Image.new("RGB", (160, 90), "#ff0000").save(page.pictures[0].path)

    def into(self, **ask: Any) -> list[str]:
        return into(IntoTypst(file=str(self.path), **ask), self.pages, self.written)

    @property
    def beside(self) -> list[str]:
        return sorted(path.name for path in self.path.parent.iterdir())

    def shown(self, name: str = "own.typ") -> list[np.ndarray]:
        pages = typst.compile(str(self.path.with_name(name)), format="png", ppi=36)
        return [
            np.asarray(Image.open(io.BytesIO(page)).convert("RGB")).astype(int)
            for page in (pages if isinstance(pages, list) else [pages])
        ]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("source", [THE_BAKER, OWN_SLIDES, HEADINGS])
def test_every_slide_gets_its_picture_and_no_page_is_added(tmp_path: Path, source: str, how: str) -> None:
    own = Own(tmp_path, source)
    before = own.shown()
    told = own.into(how=how, rewrite=True)
    after = own.shown()
    assert told[0] == "own.typ was changed; as it was before it is own-backup-1.typ beside it."
    assert len(after) == len(before)
    assert all(np.abs(one - other).max() > 20 for one, other in zip(before, after, strict=True))
    for slide in own.deck.slides:
        assert f'"{slide.name}"' in own.path.read_text()


@pytest.mark.parametrize("how", WAYS)
def test_a_second_time_nothing_changes_and_no_backup_is_made(tmp_path: Path, how: str) -> None:
    own = Own(tmp_path, OWN_SLIDES)
    own.into(how=how, rewrite=True)
    first = own.path.read_bytes()
    assert own.into(how=how, rewrite=True)[0].startswith("own.typ has the visuals already")
    assert own.path.read_bytes() == first
    assert own.beside == ["loradeck-visuals", "loradeck-visuals.typ", "own-backup-1.typ", "own.typ"]


def test_unasked_the_file_stays_and_the_lines_are_told_which_do_the_same_by_hand(tmp_path: Path) -> None:
    own = Own(tmp_path, THE_BAKER)
    told = own.into(how="cards")
    assert own.path.read_text() == THE_BAKER
    assert own.beside == ["loradeck-visuals", "loradeck-visuals.typ", "own.typ"]
    assert told[1] == 'after line 1: #import "loradeck-visuals.typ" as loradeck // loradeck'
    assert told[4].startswith('after line 27 (Fault line): #loradeck.visual_card("fault_line", "", line: 1pt + c_line')
    lines = THE_BAKER.splitlines()
    for words in reversed(told[1:]):
        place, _, line = words.partition(": ")
        lines.insert(int(place.split()[2]), line)
    own.path.write_text("\n".join(lines))
    assert own.into(how="cards", rewrite=True)[0].startswith("own.typ has the visuals already")
    assert len(own.shown()) == 4


def test_the_diff_shows_every_line_and_the_backup_is_what_was_there(tmp_path: Path) -> None:
    own = Own(tmp_path, THE_BAKER)
    told = own.into(rewrite=True)
    assert '+#loradeck.visual("the_bargain") // loradeck' in told[-1]
    assert not any(line.startswith("-") for line in told[-1].splitlines()[1:] if not line.startswith("---"))
    assert (own.path.parent / "own-backup-1.typ").read_text() == THE_BAKER
    own.path.write_text(THE_BAKER)
    own.into(rewrite=True)
    assert (own.path.parent / "own-backup-2.typ").is_file(), "a backup is never overwritten"


def test_another_way_takes_the_place_of_the_first_and_a_line_that_a_person_edited_stays(tmp_path: Path) -> None:
    own = Own(tmp_path, THE_BAKER)
    own.into(how="images", rewrite=True)
    edited = own.path.read_text().replace('visual("the_bargain")', 'visual("the_bargain", height: 20%)')
    own.path.write_text(edited)
    assert own.into(how="images", rewrite=True)[0].startswith("own.typ has the visuals already")
    own.into(how="backgrounds", rewrite=True)
    text = own.path.read_text()
    assert "loradeck.visual(" not in text
    assert text.count("#import") == 1
    own.into(how="images", rewrite=True)
    assert "backgrounds" not in own.path.read_text()


def test_a_texture_lies_behind_its_own_page_alone_and_words_stay_readable(tmp_path: Path) -> None:
    own = Own(tmp_path, THE_BAKER)
    own.pages = own.pages[1:2]
    before = own.shown()
    own.into(how="backgrounds", rewrite=True)
    after = own.shown()
    assert [bool(np.abs(one - other).max() > 8) for one, other in zip(before, after, strict=True)] == [
        False, True, False, False,
    ]  # fmt: skip
    corners = after[1][[2, -3], 2]
    assert corners.max() < 0.2 * 255 + 0.8 * 0x12 + 2, "four fifths of the page's own colour lie on it"


def test_slides_are_found_by_heading_by_name_and_by_a_title_much_alike(tmp_path: Path) -> None:
    own = Own(tmp_path, THE_BAKER)
    deck = DeckSpec.model_validate(
        {
            "title": "T",
            "slides": [
                {"name": "one", "prompt": "x", "heading": "The bargains"},
                {"name": "fault_line", "prompt": "x", "heading": "Something else"},
                {"name": "nowhere", "prompt": "x", "heading": "Lebanon"},
            ],
        }
    )
    own.pages = pages_of(deck, tmp_path / "deck")
    told = own.into()
    assert any('(The bargain): #loradeck.visual("one")' in words for words in told)
    assert any('(Fault line): #loradeck.visual("fault_line")' in words for words in told)
    assert told[0] == ("No slide title in own.typ matches nowhere; give such a slide that title as its heading.")


def test_a_full_page_makes_the_pictures_smaller_and_pages_that_must_be_added_are_told(tmp_path: Path) -> None:
    full = "#set page(width: 10cm, height: 6cm, margin: 1cm)\n= One\n" + "Words. " * 20
    own = Own(tmp_path, full)
    assert not any("page more" in words for words in own.into(rewrite=True))
    assert "share = 45%" not in (own.path.parent / "loradeck-visuals.typ").read_text()
    own = Own(tmp_path / "fuller", full + "Words. " * 12)
    told = own.into(rewrite=True)
    assert any("has 1 page more" in words for words in told)


def test_a_file_that_cannot_be_set_stays_and_typst_s_own_words_are_told(tmp_path: Path) -> None:
    broken = THE_BAKER + "\n#nonsense()\n"
    own = Own(tmp_path, broken)
    told = own.into(rewrite=True)
    assert told[0].startswith(
        "own.typ was not checked with the visuals in it: as it is, Typst cannot set it here (unknown"
    )
    assert own.path.read_text() == broken
    assert any("the_bargain" in words for words in told), "the lines are told all the same"


def test_a_change_that_would_break_the_file_is_not_made(tmp_path: Path) -> None:
    guarded = '#show image: it => panic("no pictures here")\n' + HEADINGS
    own = Own(tmp_path, guarded)
    told = own.into(rewrite=True)
    assert "Typst cannot set it then" in told[0]
    assert own.path.read_text() == guarded


def test_pictures_that_the_file_reads_from_above_are_found(tmp_path: Path) -> None:
    (tmp_path / "shared.typ").write_text('#let words = "from above"')
    own = Own(tmp_path, '#import "../shared.typ": words\n' + HEADINGS + "#words")
    assert own.into(rewrite=True)[0].startswith("own.typ was changed")


def test_ends_of_lines_and_the_mark_at_the_start_stay_as_they_were(tmp_path: Path) -> None:
    own = Own(tmp_path, b"\xef\xbb\xbf" + HEADINGS.replace("\n", "\r\n").encode())
    own.path.chmod(0o640)
    own.into(rewrite=True)
    data = own.path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf#import")
    assert data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r")
    assert own.path.stat().st_mode & 0o777 == 0o640


def test_a_link_stays_a_link_and_the_file_behind_it_is_changed(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    link = tmp_path / "link.typ"
    link.symlink_to(own.path)
    into(IntoTypst(file=str(link), rewrite=True), own.pages, own.written)
    assert link.is_symlink()
    assert "loradeck" in own.path.read_text()
    assert own.beside[0] == "loradeck-visuals"


def test_files_of_the_same_names_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    theirs = own.path.parent / "loradeck-visuals.typ"
    theirs.write_text("mine")
    own.into(rewrite=True)
    own.into(rewrite=True)
    assert theirs.read_text() == "mine"
    assert '#import "loradeck-visuals-2.typ" as loradeck' in own.path.read_text()
    assert own.beside.count("loradeck-visuals-3.typ") == 0


def test_a_folder_that_cannot_be_written_is_told_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Own(tmp_path, HEADINGS)

    def denied(path: Path, data: bytes, mode: int) -> None:
        raise WorkspaceReadOnly(f"{path} cannot be written; make its folder writable.")

    monkeypatch.setattr(into_typst, "write_bytes", denied)
    (told,) = own.into(rewrite=True)
    assert told.startswith("The visuals did not get into own.typ:")
    assert "cannot be written" in told
    assert own.path.read_text() == HEADINGS


def test_words_of_the_deck_stay_words_in_the_file(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    sly = 'x") #panic("run") ['
    slides = [
        {"name": "one", "heading": "One", "prompt": sly},
        {"name": "two", "layout": "grid", "panels": [{"prompt": sly, "caption": sly}]},
    ]
    deck = DeckSpec.model_validate({"title": "T", "slides": slides})
    own.pages = pages_of(deck, tmp_path / "deck")
    assert own.into(how="cards", rewrite=True)[0].startswith("own.typ was changed")


def test_several_pictures_of_a_slide_stand_side_by_side(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    first, second = own.pages
    own.pages = [type(first)(first.slide, (*first.pictures, *second.pictures))]
    own.into(how="images", rewrite=True)
    assert '#loradeck.visual("one", "two") // loradeck' in own.path.read_text()
    assert len(own.shown()) == 2


def test_new_pictures_reach_the_deck_without_a_change_to_it(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    own.into(rewrite=True)
    before, text = own.shown(), own.path.read_bytes()
    Image.new("RGB", (160, 90), "#ff0000").save(own.pages[0].pictures[0].path)
    own.into()
    assert own.path.read_bytes() == text
    assert np.abs(own.shown()[0] - before[0]).max() > 50
    record = json.loads((tmp_path / "deck" / ".written.json").read_text())
    picture = own.path.parent / "loradeck-visuals" / "01_one.png"
    assert record[str(picture)] == hashlib.sha256(picture.read_bytes()).hexdigest()


def test_a_wrong_path_is_told_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no Typst file"):
        check_into(IntoTypst(file=str(tmp_path / "none.typ")))


def test_what_a_person_types_while_the_file_is_checked_is_never_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Own(tmp_path, HEADINGS)
    typed = HEADINGS + "= Typed meanwhile\n"
    ask = into_typst.queried

    def slowly(*given: Any) -> list[Any]:
        own.path.write_text(typed)
        return ask(*given)

    monkeypatch.setattr(into_typst, "queried", slowly)
    (told,) = own.into(rewrite=True)
    assert "was changed while it was checked" in told
    assert own.path.read_text() == typed
    monkeypatch.undo()
    own.into(rewrite=True)
    assert own.path.with_name("own-backup-1.typ").read_text() == typed


def test_another_deck_s_pictures_take_the_place_of_the_first_one_s(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    own.into(rewrite=True)
    before = own.shown()
    own.another_deck()
    own.pages = own.pages[1:]
    assert own.into(rewrite=True)[0].startswith("own.typ was changed")
    text = own.path.read_text()
    assert (text.count("#import"), text.count('"one"'), text.count('"two"')) == (1, 0, 1)
    assert np.abs(own.shown()[1] - before[1]).max() > 50


def test_another_deck_takes_over_a_module_that_this_file_alone_imports(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    own.into(rewrite=True)
    before = own.shown()
    own.another_deck()
    for number, page in enumerate(own.pages):
        moved = page.pictures[0].path.with_name(f"0{number + 5}_moved.png")
        picture = replace(page.pictures[0], path=page.pictures[0].path.rename(moved))
        own.pages[number] = replace(page, pictures=(picture,))
    assert own.into(rewrite=True)[0].startswith("own.typ has the visuals already")
    assert own.beside == ["loradeck-visuals", "loradeck-visuals.typ", "own-backup-1.typ", "own.typ"]
    assert len(list(own.path.with_name("loradeck-visuals").glob("*.png"))) == 2, "the first deck's are gone"
    assert all(np.abs(one - other).max() > 50 for one, other in zip(own.shown(), before, strict=True))
    own.written = Written(tmp_path / "deck")
    own.pages = pages_of(own.deck, tmp_path / "deck")
    own.into(rewrite=True)
    assert all((one == other).all() for one, other in zip(own.shown(), before, strict=True)), "and back the same way"
    assert own.beside.count("loradeck-visuals-2.typ") == 0


@pytest.mark.parametrize("theirs", ["a file imports it", "a person changed it", "it has more pictures", "unasked"])
def test_a_module_that_is_somebody_s_still_stays_as_another_deck_comes(tmp_path: Path, theirs: str) -> None:
    own = Own(tmp_path, HEADINGS)
    own.into(rewrite=True)
    module = own.path.with_name("loradeck-visuals.typ")
    if theirs == "a person changed it":
        module.write_text(module.read_text() + "// mine")
    if theirs == "a file imports it":
        own.path.with_name("next.typ").write_bytes(own.path.read_bytes())
    before = module.read_bytes()
    own.another_deck()
    if theirs == "it has more pictures":
        own.pages = own.pages[1:]
    told = own.into(rewrite=theirs != "unasked")
    assert module.read_bytes() == before
    assert '#import "loradeck-visuals-2.typ" as loradeck' in "\n".join(told)


def test_an_import_that_is_commented_out_is_none(tmp_path: Path) -> None:
    own = Own(tmp_path, '// #import "loradeck-visuals.typ" as loradeck // loradeck\n' + HEADINGS)
    assert own.into(rewrite=True)[0].startswith("own.typ was changed")
    assert len(own.shown()) == 2


def test_pictures_stay_out_of_equations_and_of_calls_that_end_in_a_semicolon_or_a_label(tmp_path: Path) -> None:
    page = "#set page(width: 16cm, height: 9cm)\n"
    own = Own(tmp_path, f"{page}#heading[One];\n$ f(x)\n  = x^2 $\n#pagebreak()\n#align(center)[#heading[Two] <x>]\n")
    own.into(rewrite=True)
    assert own.path.read_text().splitlines()[2:] == [
        "#heading[One];",
        '#loradeck.visual("one") // loradeck',
        "$ f(x)",
        "  = x^2 $",
        "#pagebreak()",
        "#align(center)[#heading[Two] <x>",
        '#loradeck.visual("two") // loradeck',
        "]",
    ]


def test_a_picture_stands_in_the_markup_that_a_slide_s_body_names(tmp_path: Path) -> None:
    source = '#let slide(title: "", body: []) = { pagebreak(weak: true); heading(title); body }\n'
    own = Own(tmp_path, source + '#slide(title: "One", body: [a])\n')
    own.into(rewrite=True)
    assert own.path.read_text().endswith('body: [\n  #loradeck.visual("one") // loradeck\na])\n')


def test_lines_are_told_at_their_places_in_the_file_as_it_is_with_those_to_take_out(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    own.into(how="images", rewrite=True)
    lines = own.path.read_text().splitlines()
    told = own.into(how="cards")
    assert told[1] == 'after line 4 (One): #loradeck.visual_card("one", "") // loradeck'
    assert told[2] == 'after line 7 (Two): #loradeck.visual_card("two", "") // loradeck'
    assert lines[6] == "= Two"
    assert told[3:] == [
        'take out line 5: #loradeck.visual("one") // loradeck',
        'take out line 8: #loradeck.visual("two") // loradeck',
    ]
    assert lines[4] == '#loradeck.visual("one") // loradeck'


@pytest.mark.parametrize(
    "mixed", ["My words. {}", "#align(center)[{}] // loradeck", '#loradeck.visual("two") Mine (all). {}']
)
def test_a_person_s_words_on_a_line_of_ours_stay_and_are_told(tmp_path: Path, mixed: str) -> None:
    own = Own(tmp_path, HEADINGS)
    own.into(how="images", rewrite=True)
    ours = '#loradeck.visual("two") // loradeck'
    theirs = mixed.format(ours if "align" not in mixed else '#loradeck.visual("two")')
    own.path.write_text(own.path.read_text().replace(ours, theirs))
    told = own.into(how="cards", rewrite=True)
    assert f"Line 8 of own.typ has words of your own beside ours, so it stays as it is: {theirs}" in told
    assert theirs in own.path.read_text()
    assert '#loradeck.visual("one")' not in own.path.read_text()


def test_nobody_may_read_the_copies_of_a_file_that_they_may_not_read(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    own.path.chmod(0o600)
    own.into(rewrite=True)
    files = [path for path in own.path.parent.rglob("*") if path.is_file() and path.name != RECORD]
    assert len(files) == 5
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_lines_end_as_their_neighbours_do(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS.replace("= Two\n", "= Two\r\n").encode())
    own.into(rewrite=True)
    lines = own.path.read_bytes().split(b"\n")
    assert [number for number, line in enumerate(lines, 1) if b"\r" in line] == [7, 8]
    assert lines[6:8] == [b"= Two\r", b'#loradeck.visual("two") // loradeck\r']


def test_a_link_in_the_backup_s_place_stays_though_it_leads_nowhere(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    link = own.path.with_name("own-backup-1.typ")
    link.symlink_to(tmp_path / "nowhere.typ")
    own.into(rewrite=True)
    assert link.is_symlink()
    assert own.path.with_name("own-backup-2.typ").read_text() == HEADINGS


def test_a_read_only_file_is_not_changed_and_its_lines_are_told(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    own.path.chmod(0o444)
    with pytest.raises(Refused, match="is read-only"):
        check_into(IntoTypst(file=str(own.path), rewrite=True))
    assert "is read-only" in own.into(rewrite=True)[0]
    assert any('visual("one")' in words for words in own.into())
    assert own.path.read_text() == HEADINGS


def test_a_diff_that_is_cut_names_the_copy_to_compare_with(tmp_path: Path) -> None:
    own = Own(tmp_path, "".join(f"= Title {sign}\nword\n\n#pagebreak()\n" for sign in "abcdefghijklmnopqrstuvwxyz"))
    last = own.into(rewrite=True)[-1].splitlines()[-1]
    assert last.endswith("more lines; compare own.typ with own-backup-1.typ to see them all.")


@pytest.mark.parametrize("file", ["~nobody-here/x.typ", f"/{'a' * 300}.typ", "a\0.typ"])
def test_a_path_that_can_be_none_is_told_in_a_sentence(file: str) -> None:
    with pytest.raises(ToolFault, match="path"):
        check_into(IntoTypst(file=file))


def test_a_file_that_goes_while_pictures_are_drawn_is_told_and_ends_nothing(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    own.path.unlink()
    assert own.into(rewrite=True)[0].startswith("The visuals did not get into own.typ: There is no Typst file")
    own.path.write_text(HEADINGS)
    own.pages[0].pictures[0].path.unlink()
    assert own.into(rewrite=True)[0].startswith("The visuals did not get into own.typ: ")


def test_a_folder_of_their_own_that_takes_no_files_is_told_in_their_terms(tmp_path: Path) -> None:
    own = Own(tmp_path, HEADINGS)
    theirs = own.path.with_name("loradeck-visuals.typ")
    own.into()
    shutil.rmtree(theirs.with_suffix(""))
    theirs.with_suffix("").write_text("a file of mine")
    (told,) = own.into(rewrite=True)
    assert "LORADECK_HOME" not in told
    assert "its folder cannot be written (File exists)" in told


def test_packages_that_the_check_gets_from_the_network_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(into_typst, "queried", lambda *_: [1])
    own = Own(tmp_path, '#import "@preview/polylux:0.4.0": *\n#slide[\n= One\n]\n')
    assert any("@preview packages from the network" in words for words in own.into())
    assert not any("network" in words for words in Own(tmp_path / "plain", HEADINGS).into())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.sampled_from(WAYS))
def test_our_lines_come_out_of_any_text_as_they_went_in(source: str, how: Any) -> None:
    plain = plain_ends(source)
    slides = [{"name": name, "heading": name.title(), "prompt": "x"} for name in ("one", "two")]
    deck = DeckSpec.model_validate({"title": "T", "slides": slides})
    pages = [Page(slide, (PagePicture(slide.name, Path("x.png"), (1, 1), "x", 1),)) for slide in deck.slides]
    added = additions(plain, how, "loradeck-visuals.typ", pages, partners(pages, titles(plain)))
    after = applied(source, added)
    assert not old_lines(after, how, ["one", "two"], "loradeck-visuals.typ").gone
    again = plain_ends(after)
    assert additions(again, how, "loradeck-visuals.typ", pages, partners(pages, titles(again))) == []
    ours = old_lines(after, "images" if how == "backgrounds" else "backgrounds", [], "").gone
    assert len(ours) == len(added)
    assert "".join(without(after, ours).split()) == "".join(source.split())
    assert "\r\r" not in after or "\r\r" in source
