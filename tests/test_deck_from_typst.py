"""A Typst file given as the deck: its slides are read, and a visual is proposed for each."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.own_decks import HEADINGS, OWN_SLIDES, THE_BAKER

from loradeck.tools.contracts import DeckSpec
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.render_deck_visuals.typst_deck import proposed, read_typst


def read(tmp_path: Path, source: str | bytes) -> DeckSpec:
    path = tmp_path / "mine.typ"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    return read_typst(path)


def names(deck: DeckSpec) -> list[str]:
    return [slide.name for slide in deck.slides]


def test_each_page_becomes_a_slide_with_its_words_as_plain_text(tmp_path: Path) -> None:
    deck = read(tmp_path, THE_BAKER)
    assert deck.title == "THE BAKER"
    assert names(deck) == ["the_baker", "the_bargain", "fault_line", "thank_you"]
    assert [slide.heading for slide in deck.slides] == ["THE BAKER", "The bargain", "Fault line", "Thank you"]
    assert deck.slides[1].body == (
        "Fredric sells the estate to keep the bread alive. Magda knows; she says nothing. It snows.\n"
        "- Grandeur with decay\n- Blood and bread"
    )


def test_a_visual_is_proposed_from_the_heading_and_the_first_sentences_in_the_colours_of_the_file(
    tmp_path: Path,
) -> None:
    deck = read(tmp_path, THE_BAKER)
    assert deck.slides[1].prompt == (
        "The bargain. Fredric sells the estate to keep the bread alive. Magda knows; she says nothing."
    )
    assert deck.defaults.after == "deep black background #121212, gold accents"
    assert (deck.theme.background, deck.theme.text, deck.theme.accent) == ("#121212", "#f2efe6", "#c9a227")
    assert deck.theme.aspect == "16:9"


def test_slides_that_functions_make_are_read_with_their_titles(tmp_path: Path) -> None:
    deck = read(tmp_path, OWN_SLIDES)
    assert names(deck) == ["the_bargain", "fault_line", "billys_oven"]
    assert deck.slides[1].body == "Two brothers.\nNot a slide\nInside."
    assert deck.theme.aspect == "4:3"


def test_headings_alone_make_slides_and_deeper_ones_belong_to_them(tmp_path: Path) -> None:
    deck = read(tmp_path, HEADINGS)
    assert [(slide.heading, slide.body) for slide in deck.slides] == [
        ("One", "Words of one."),
        ("Two", "Words of two.\nA detail\nMore words."),
    ]


@pytest.mark.parametrize(
    ("source", "headings"),
    [
        ('#import "@preview/touying:0.6.1": *\n#show: a.with(x: [y])\n= Act\n== One\nA\n== Two\nB', "Act One Two"),
        ('#import "@preview/polylux:0.4.0": *\n#slide[\n  = One\n  A\n]\n#slide[\n  = Two\n]', "One Two"),
        ("#heading(level: 1)[One]\nA\n#heading[Two]", "One Two"),
        ("#focus-slide[One]\n#title-slide(title: [Two])[x]", "One Two"),
        ("#slide[One][The body]\n#slide[Two][The body]", "One Two"),
        ("One\n#pagebreak()\nTwo\n\nmore\n#pagebreak()\n", "One Two"),
        ("= One // = no\n`= raw`\n/* = Hidden */\n#let x = [= Not here]\n= Two", "One Two"),
        ("\ufeff= One\r\nwords\r\n= Two\r\n", "One Two"),
        ("= One\rwords\r= Two", "One Two"),
        ("= One\nFor $x in [0, 1)$ and $ ]a $ it holds.\n= Two", "One Two"),
        ("= One\n$ f(x)\n  = x^2 $\n$ #text[$] \"$\" \\$ // $\n $\n= Two", "One Two"),
        ("#let half = $[0, 1)$\n= One\n#box($x in (0, 1]$)\n= Two", "One Two"),
        ("= One\nIt costs $5\n= Two", "One Two"),
        ("#[= One\n#set text(red)\na]\n#[\n  = Two\n];", "One Two"),
        ("= One\nFrom [0, 1) on.\n#emph[a [b] c]\n= Two", "One Two"),
        ("= One\n/* a /* b */\n= Hidden\n*/\n= Two", "One Two"),
        ("/* first */ = One\na \\\n= Two", "One Two"),
        ('#slide(title: "One", body: [a])\n#slide(title: "Two", content: [b])', "One Two"),
        ("#heading[One];\na\n#pagebreak();\n#heading(level: \u00b2)[Two];", "One Two"),
    ],
)  # fmt: skip
def test_decks_of_many_kinds_are_read_without_their_packages(tmp_path: Path, source: str, headings: str) -> None:
    assert [slide.heading for slide in read(tmp_path, source).slides] == headings.split()


def test_the_title_comes_from_the_document_else_from_the_theme_else_from_the_first_slide(tmp_path: Path) -> None:
    assert read(tmp_path, '#set document(author: "x", title: [The *Book*])\n= One').title == "The Book"
    assert read(tmp_path, '#show: t.with(config-info(title: "Bread"))\n= One').title == "Bread"
    assert read(tmp_path, '#let title = "Let it"\n= One').title == "Let it"
    assert read(tmp_path, "= One\n= Two").title == "One"


def test_the_shape_comes_from_the_rule_for_pages_and_words_that_look_like_one_are_words(tmp_path: Path) -> None:
    words = "= Menu\nSet the width: ... in the menu, height: 9cm.\n"
    assert read(tmp_path, f"#set page(height: 9cm)\n{words}").theme.aspect == "16:9"
    assert read(tmp_path, f"#set page(width: 9cm, height: 9cm)\n{words}").theme.aspect == "1:1"
    function = "#let look(doc) = { set text(size: 9pt); set page(width: 12cm, height: 9cm); doc }\n"
    assert read(tmp_path, f"{function}#show: look\n{words}").theme.aspect == "4:3"


def test_what_is_in_named_markup_and_between_comments_is_read_as_words(tmp_path: Path) -> None:
    assert read(tmp_path, '#slide(title: "One", body: [Bread. /* a /* b */ c */ Ash.])').slides[0].body == "Bread. Ash."


def test_names_are_unlike_each_other_and_made_where_a_heading_has_no_latin_letter(tmp_path: Path) -> None:
    assert names(read(tmp_path, "= Öfen & Größe\n= Same\n= Same\n= パン屋")) == [
        "ofen_grosse", "same", "same_2", "slide_4",
    ]  # fmt: skip


def test_numbers_and_words_on_the_page_itself_stay_out_of_prompts(tmp_path: Path) -> None:
    deck = read(tmp_path, "= 3. The oven\nSee below. A column of smoke. More on the next page. Ash.")
    assert deck.slides[0].prompt == "The oven. A column of smoke. Ash."


def test_long_text_fits_into_the_deck(tmp_path: Path) -> None:
    deck = read(tmp_path, f"= {'Long ' * 60}\n{'words and ' * 900}")
    assert len(str(deck.slides[0].heading)) <= 120
    assert len(str(deck.slides[0].body)) == 1200
    assert len(str(deck.slides[0].prompt)) <= 400


def test_files_that_the_deck_includes_are_read_where_they_lie_below_it(tmp_path: Path) -> None:
    (tmp_path / "deck" / "acts").mkdir(parents=True)
    (tmp_path / "outside.typ").write_text("= Outside")
    (tmp_path / "deck" / "acts" / "one.typ").write_text('= One\n#include "two.typ"\n#include "../mine.typ"')
    (tmp_path / "deck" / "acts" / "two.typ").write_text("= Two\r\nWords")
    deck = read(tmp_path / "deck", '= Zero\n#include "acts/one.typ"\n#include "../outside.typ"\n#include "\0"\n= Three')
    assert names(deck)[:3] == ["zero", "one", "two"]
    assert "outside" not in names(deck)


def test_the_answer_is_a_deck_to_better_and_the_call_that_brings_it_into_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.typ"
    path.write_text(THE_BAKER)
    answer = proposed(path)
    assert answer.proposal is not None
    assert DeckSpec.model_validate(answer.proposal) == read_typst(path)
    assert "mine.typ has 4 slides" in answer.summary
    assert f'into={{"file": "{path}", "how": "images"}}' in answer.next_step


def test_what_a_file_would_do_is_not_done(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the secret")
    started = time.monotonic()
    deck = read(tmp_path, '#while true { }\n= One\n#read("secret.txt")\n#for x in range(1000000000) { x }')
    assert time.monotonic() - started < 1
    assert "secret" not in deck.model_dump_json()


def test_source_nested_to_the_limit_is_read_at_once_and_beyond_it_refused(tmp_path: Path) -> None:
    started = time.monotonic()
    assert names(read(tmp_path, "= One\n" + "#f([" * 12 + "])" * 12)) == ["one"]
    with pytest.raises(BadArgument, match="nested too deeply"):
        read(tmp_path, "= One\n" + "#f([" * 5000)
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    "source",
    [
        '/* "' * 40_000,
        "#show: a.with(title: [])\n" * 2_000,
        "$" * 99_999,
        "#show: a" + ".with(1)" * 50_000,
        "$ #f[" * 50,
        "/*" * 99_999,
    ],
)
def test_source_that_leads_nowhere_is_read_at_once(tmp_path: Path, source: str) -> None:
    started = time.monotonic()
    assert names(read(tmp_path, f"= One\n{source}"))[0] == "one"
    assert time.monotonic() - started < 3


BITS = [*'=$"[](){}`\\#;,:*', "= ", "\n", "\r\n", "//", "/*", "*/", "```", "<a>", "x", "\\u{d800}", "#set page("]
BITS += ["width: ..cm", "#let t(a) =", "#slide(title: ", "body: ", "#pagebreak()", "#heading", "level: "]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(BITS), max_size=60).map("".join)))
def test_any_text_is_a_deck_or_is_refused_in_a_sentence(tmp_path: Path, source: str) -> None:
    started = time.monotonic()
    with contextlib.suppress(BadArgument):
        assert read(tmp_path, source).slides
    assert time.monotonic() - started < 1


@pytest.mark.parametrize(
    ("source", "says"),
    [
        (b"= caf\xe9", "is not UTF-8 text"),
        (b"#let x = 1\n// nothing", "No slide was found"),
        (b"", "No slide was found"),
        (b"= A slide\n" * 61, "has 61 slides and a deck at most 60"),
        (b"a" * 1_000_001, "larger than a deck can be"),
    ],
)
def test_a_file_that_is_no_deck_is_told_in_one_sentence(tmp_path: Path, source: bytes, says: str) -> None:
    with pytest.raises(BadArgument, match=says):
        read(tmp_path, source)


def test_a_file_that_is_not_there_or_no_typst_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no Typst file 'none\.typ'"):
        read_typst(tmp_path / "none.typ")
    (tmp_path / "deck.md").write_text("= One")
    with pytest.raises(BadArgument, match="no Typst file"):
        read_typst(tmp_path / "deck.md")
