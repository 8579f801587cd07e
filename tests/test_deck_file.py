"""A deck file that is wrong is answered with the line and the field, and one that is right is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.decks import render
from support.engine import registry
from support.painter import Painter, bench

from loradeck import LoradeckError
from loradeck.state.records import DeckRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec, RenderArgs
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.render_deck_visuals.deck_file import deck_in, read_deck
from loradeck.tools.render_deck_visuals.frames import frames
from loradeck.tools.render_deck_visuals.resolve import deck_of, source_of
from loradeck.tools.workbench import Workbench

ROOT = Path(__file__).parent.parent
GOOD: dict[str, Any] = {
    "title": "T",
    "slides": [{"name": "cover", "prompt": "a boat"}, {"name": "end", "prompt": "a key"}],
}
HEAD = "title: T\nslides:\n"


def refused(path: Path, text: str | bytes) -> str:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(BadArgument) as caught:
        read_deck(path)
    sentence = str(caught.value)
    assert str(path.parent) not in sentence
    assert "pydantic" not in sentence
    assert "\n" not in sentence
    return sentence


def yaml_says(tmp_path: Path, text: str) -> str:
    return refused(tmp_path / "deck.yaml", text)


def test_the_deck_of_the_demo_is_read() -> None:
    assert len(read_deck(ROOT / "server" / "demo_data" / "deck.json").slides) == 8


def test_json_and_yaml_of_the_same_deck_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(GOOD))
    (tmp_path / "a.yml").write_text(
        "title: T\nslides:\n- {name: cover, prompt: a boat}\n- {name: end, prompt: a key}\n"
    )
    assert read_deck(tmp_path / "a.json") == read_deck(tmp_path / "a.yml")


# --------------------------------------------------------------------------- places


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            HEAD + "  - name: magda\n    prompt: x\n    promt: y\n",
            "'deck.yaml', line 5, column 5: slides[1] (magda).promt is not known (did you mean 'prompt'?). Mend",
        ),
        ("titel: x\nslides:\n  - {name: a, prompt: x}\n", "line 1, column 1: titel is not known (did you mean"),
        (HEAD + "  - name: a\n    prompt: x\n  - heading: B\n", "line 5, column 5: slides[2].name is missing"),
        (HEAD + "  - name: cover\n", "line 3, column 5: slides[1] (cover): a prompt is missing"),
        (HEAD + "  - {name: The Cover, prompt: x}\n", "slides[1] (The Cover).name is 'The Cover'; a name is small"),
        (HEAD + "  - {name: ../up, prompt: x}\n", "column 12: slides[1] (../up).name is '../up'; a name is"),
        (HEAD + "  - {name: a, prompt: x, layout: full bleed}\n", "(did you mean 'full_bleed'?)"),
        (HEAD + "  - {name: a, prompt: x, guidance: 3}\n", "guidance is not known here (it stands under defaults)"),
        (HEAD + "  - {name: a, prompt: x, aspect: a4}\n", "aspect is not known here (it stands under theme)"),
        (HEAD + "  - {name: a, prompt: x, title: A}\n", "slides[1] (a).title is not known (did you mean 'heading'?)"),
        (HEAD + '  - {name: a, prompt: x, "p\\n\\e[2J": 1}\n', "slides[1] (a).p [2J is not known"),
        (HEAD + "  - {name: a, prompt: x, zzz: 1}\n", "zzz is not known (known: name, prompt, panels, heading"),
        (HEAD + "  - {name: a, prompt: x, layout: grid}\n", "(a): the layout grid needs panels"),
        ("title: T\nslides: []\n", "line 2, column 9: slides has 0 entries; at least 1 can be there"),
        ("title: T\ndefaults:\n  lora: x\nslides: [{name: a, prompt: x}]\n", "line 3, column 3: defaults.lora is not"),
        ("title: T\nseed: -1\nslides: [{name: a, prompt: x}]\n", "line 2, column 7: seed: "),
        ("title: T\r\nslides:\r\n  - name: a\r\n    promt: x\r\n", "line 4, column 5: slides[1] (a).promt"),
        ("\ufefftitle: T\nslidse: 1\n", "line 2, column 1: slidse is not known (did you mean 'slides'?)"),
        ("just words", "line 1, column 1: the deck: input should be an object (got 'just words')"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_a_yaml_file_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    assert says in yaml_says(tmp_path, text)


def test_a_wrong_field_of_a_json_file_is_named_with_its_line_whatever_signs_stand_before_it(tmp_path: Path) -> None:
    text = (
        '{\n\t"title": "\u2028 \x7f \U0001f600 \\u00e9\\/ '
        + "x" * 60
        + '",\r\n\t"slides": [\n\t\t{"name": "a", "promt": 1}]}'
    )
    says = refused(tmp_path / "deck.json", text)
    assert "line 4, column 17: slides[1] (a).promt is not known (did you mean 'prompt'?)" in says


def test_a_panel_that_is_wrong_is_named_with_its_slide_and_its_line(tmp_path: Path) -> None:
    text = (
        HEAD + "  - name: icons\n    layout: grid\n    panels:\n      - {prompt: x}\n      - {name: star, prompt: 7}\n"
    )
    says = yaml_says(tmp_path, text)
    assert (
        'line 7, column 30: slides[1] (icons).panels[2] (star).prompt is 7, which is no text; put it in quotes: "7"'
        in says
    )


def test_many_mistakes_are_told_in_the_order_of_the_file_the_first_five_and_a_number(tmp_path: Path) -> None:
    says = yaml_says(tmp_path, HEAD + "".join(f"  - {{name: s{n}, promt: x}}\n" for n in range(8)))
    lines = [int(part.split(",")[0]) for part in says.split("line ")[1:]]
    assert lines == sorted(lines) == [3, 4, 5, 6, 7]
    assert says.endswith("; and 3 more. Mend this and call again.")


def test_broken_syntax_names_line_and_column(tmp_path: Path) -> None:
    assert "'a.json', line 2, column" in refused(tmp_path / "a.json", '{"title": "T",\n"slides": [}')
    assert "line 4, column 18: a colon within a line of words" in yaml_says(
        tmp_path, HEAD + "  - name: a\n    prompt: night: a boat\n"
    )
    assert "line 3, column 1: a tab; YAML is indented with spaces" in yaml_says(tmp_path, HEAD + "\t- name: a\n")
    assert "line 2, column 1: a second document" in yaml_says(tmp_path, "title: T\n---\ntitle: U\n")
    assert "line 2: a sign that text cannot hold" in yaml_says(tmp_path, "title: T\nsubtitle: \x00\n")


# --------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "  - {name: a, prompt: x}\n  - {name: b, prompt: x}\n  - {name: a, prompt: x}\n",
         "line 5: more than one slide is called a"),
        (HEAD + "  - name: s\n    layout: grid\n    panels:\n" + "      - {name: p, prompt: x}\n" * 2,
         "line 7: more than one panel is called s-p"),
        (HEAD + "  - name: s\n    layout: grid\n    panels:\n      - {prompt: x}\n      - {name: '1', prompt: x}\n",
         "line 7: more than one panel is called s-1"),
    ],
)  # fmt: skip
def test_two_that_share_a_name_are_told_with_the_line_of_the_second(tmp_path: Path, text: str, says: str) -> None:
    assert says in yaml_says(tmp_path, text)


def test_the_key_of_a_panel_is_never_the_name_of_a_slide(tmp_path: Path) -> None:
    path = tmp_path / "deck.yaml"
    path.write_text(HEAD + "  - {name: a, layout: grid, panels: [{name: b, prompt: x}]}\n  - {name: a_b, prompt: x}\n")
    assert [frame.stem for frame in frames(read_deck(path))] == ["01_a-b", "02_a_b"]
    assert "a name is small letters" in yaml_says(tmp_path, HEAD + "  - {name: a-b, prompt: x}\n")


# --------------------------------------------------------------------------- the traps of YAML


def test_plain_words_are_text_as_editors_read_them(tmp_path: Path) -> None:
    path = tmp_path / "deck.yaml"
    path.write_text(
        "title: no\nsubtitle: 1:30\nslides:\n  - {name: on, prompt: 2026-05-13, heading: off, body: 1_000}\n"
    )
    deck = read_deck(path)
    assert (deck.title, deck.subtitle) == ("no", "1:30")
    slide = deck.slides[0]
    assert (slide.name, slide.prompt, slide.heading, slide.body) == ("on", "2026-05-13", "off", "1_000")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + "  - name: 01\n    prompt: x\n", 'slides[1].name is 01, which is no text; put it in quotes: "01"'),
        (HEAD + "  - {name: a, prompt: true}\n", 'prompt is true, which is no text; put it in quotes: "true"'),
        (HEAD + "  - {name: a, prompt: x, heading: 1e3}\n", 'heading is 1e3, which is no text; put it in quotes'),
        (HEAD + "  - {name: a, prompt: x, heading: [b]}\n", "heading should be words, and is a list"),
        (HEAD + "  - {name: a, prompt: x, seed: on}\n", "seed: input should be a valid integer (got 'on')"),
        (HEAD + "  - {name: a, prompt: x, seed: true}\n", "seed: input should be a valid integer (got True)"),
        ("title: T\ntheme:\n  background: #121212\n" + HEAD[9:] + "  - {name: a, prompt: x}\n",
         'line 3, column 14: theme.background is empty; a colour is written as "#121212", in quotes, since # begins'),
        ("title: T\ntheme: {accent: gold}\n" + HEAD[9:] + "  - {name: a, prompt: x}\n",
         "theme.accent is 'gold'; a colour is written as"),
        ("title: T\ndefaults: {guidance: .nan}\n" + HEAD[9:] + "  - {name: a, prompt: x}\n", "defaults.guidance: "),
        ("title: A\ntitle: B\n", "line 2, column 1: 'title' was given before, on line 1"),
        (HEAD + "  - &a {name: a, prompt: x}\n  - <<: *a\n", "line 4, column 5: fields cannot be merged with <<"),
        ("title: !!python/object/apply:os.getcwd []\n", "the tag !!python/object/apply:os.getcwd is not taken"),
        ("title: !a%0Ab c\n", "the tag !a\\nb is not taken"),
        ("title: !!binary aGk=\n", "the tag !!binary is not taken"),
        ("? [a, b]\n: c\n", "line 1, column 3: the name of a field must be a word"),
        ("title: &t [*t]\n", "line 1, column 8: an alias refers to what it stands in"),
        ("title: *nobody\n", "line 1, column 8: found undefined alias"),
        ("title: 0x\nslides: " + "9" * 5000, "is no number that can be read"),
        ("# nothing yet\n", "'deck.yaml' is empty; a deck has a title and slides"),
        ("title: " + "[" * 20_000, "is nested deeper than a deck can be"),
    ],
)  # fmt: skip
def test_what_yaml_turns_into_something_else_is_told_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    assert says in yaml_says(tmp_path, text)


def test_aliases_are_taken_until_they_blow_up(tmp_path: Path) -> None:
    path = tmp_path / "deck.yaml"
    path.write_text(HEAD + "  - {name: a, prompt: &p a red boat}\n  - {name: b, prompt: *p}\n")
    assert [slide.prompt for slide in read_deck(path).slides] == ["a red boat"] * 2
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n"
    for name, before in zip("bcdefgh", "abcdefg", strict=True):
        bomb += f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n"
    assert "larger, with its aliases written out" in yaml_says(tmp_path, bomb)
    long = f"a: &a {'x' * 900_000}\nb: [{', '.join(['*a'] * 100)}]\n"
    assert "larger, with its aliases written out" in yaml_says(tmp_path, long)


# --------------------------------------------------------------------------- sizes and encodings


def test_too_much_is_told_with_the_number_and_the_limit(tmp_path: Path) -> None:
    says = yaml_says(tmp_path, HEAD + f"  - name: a\n    prompt: {'x' * 10_000}\n")
    assert "line 4, column 13: slides[1] (a).prompt is 10,000 characters long; at most 2,000 are taken" in says
    slides = [{"name": f"s{number}", "prompt": "x"} for number in range(61)]
    says = refused(tmp_path / "deck.json", json.dumps({"title": "T", "slides": slides}))
    assert "slides has 61 entries; at most 60 can be there" in says


def test_a_file_that_is_no_deck_is_refused(tmp_path: Path) -> None:
    assert "no deck file" in refused(tmp_path / "deck.pptx", "x")
    assert "line 3: this is not UTF-8 text" in refused(tmp_path / "deck.json", b'{\n"title":\n"\xff"}')
    assert "is UTF-16 text; save it as UTF-8" in refused(tmp_path / "deck.yaml", "title: T".encode("utf-16"))
    assert "larger than a deck" in refused(tmp_path / "deck.json", "[" + " " * 1_000_001)
    assert "is empty" in refused(tmp_path / "deck.yaml", "")
    with pytest.raises(NotFound, match=r"deck2\.yaml"):
        read_deck(tmp_path / "deck2.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(NotFound, match=r"folder\.yaml"):
        read_deck(tmp_path / "folder.yaml")
    with pytest.raises(BadArgument, match="cannot be read"):
        read_deck(tmp_path / f"{'x' * 5000}.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"title": "A",\n "title": "B"}', "line 2, column 2: 'title' was given before, on line 1"),
        ('{"title": "T", "defaults": {"guidance": NaN}, "slides": []}', "defaults.guidance: "),
        ('{"title": "T", "seed": ' + "9" * 5000 + "}", "holds a number that is too long"),
        ('{"title": "\\ud800", "slides": []}', "holds half of a sign"),
        ('{"title": ' + "[" * 100_000, "is nested deeper than a deck can be"),
        ("[]", "the deck: input should be an object"),
        ("", "line 1, column 1: Expecting value"),
        ('{"title": "T",}', "line 1, column 15"),
    ],
)  # fmt: skip
def test_the_traps_of_json_are_told_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path / "deck.json", text)


# --------------------------------------------------------------------------- decks in a call


def test_a_deck_may_come_as_the_text_of_its_file_and_is_told_its_lines(tmp_path: Path) -> None:
    store = Store(tmp_path)
    text = "title: T\nslides:\n  - {name: a, prompt: x}\n"
    assert deck_of(text, store) == deck_of('{"title": "T",\n"slides": [{"name": "a", "prompt": "x"}]}', store)
    assert source_of(text) is None
    with pytest.raises(BadArgument, match=r"^The deck, line 3, column 15: slides\[1\] \(a\)\.promt is not known"):
        deck_of("title: T\nslides:\n  - {name: a, promt: x}\n", store)
    with pytest.raises(BadArgument, match="nested deeper"):
        deck_of('{"title": ' + "[" * 100_000, store)
    with pytest.raises(BadArgument, match="no usable path on this machine"):
        deck_of("~nobody_at_all/deck.yaml", store)


def test_a_deck_in_a_call_may_carry_the_schema_that_an_editor_wrote_into_it(tmp_path: Path) -> None:
    carried = {"$schema": "deck.schema.json", **GOOD}
    assert RenderArgs.model_validate({"deck": carried}).deck == DeckSpec.model_validate(GOOD)
    (tmp_path / "a.json").write_text(json.dumps(carried))
    assert read_deck(tmp_path / "a.json") == DeckSpec.model_validate(GOOD)


# --------------------------------------------------------------------------- text stays what it is

MARKUP = [
    '#set page(fill: red) #panic("run") *bold* _it_ $x$ `raw` @label <label> // no comment',
    "<w:p><a:t>&amp;</a:t></w:p> {{field}} =1+1 \\n %s",
    "C:\\fonts\\..\\..\\etc ~/.ssh ../../x",
    "'\"`: - ? | > & * ! % @ #",
]


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_words_is_text(tmp_path: Path, text: str) -> None:
    deck = {"title": text, "slides": [{"name": "a", "prompt": text, "heading": text, "body": text, "notes": text}]}
    (tmp_path / "a.json").write_text(json.dumps(deck))
    (tmp_path / "a.yaml").write_text(json.dumps(deck))  # JSON is YAML too
    for name in ("a.json", "a.yaml"):
        slide = read_deck(tmp_path / name).slides[0]
        assert {slide.prompt, slide.heading, slide.body, slide.notes} == {text}


words = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=120)
printable = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), min_size=1, max_size=120)


def spec_of(title: str, heading: str, body: str) -> DeckSpec:
    panels = [{"prompt": heading, "caption": body}]
    slides = [{"name": "a", "heading": heading, "body": body, "notes": title, "panels": panels, "layout": "lookbook"}]
    return DeckSpec.model_validate({"title": title, "slides": slides})


@settings(max_examples=150, deadline=None)
@given(words, words, words)
def test_any_words_survive_json(title: str, heading: str, body: str) -> None:
    deck = spec_of(title, heading, body)
    for ascii_only in (True, False):
        text = json.dumps(deck.model_dump(mode="json"), ensure_ascii=ascii_only)
        assert deck_in(text, "deck.json", is_json=True) == deck


@settings(max_examples=150, deadline=None)
@given(printable, printable, printable)
def test_any_words_survive_yaml(title: str, heading: str, body: str) -> None:
    deck = spec_of(title, heading, body)
    text = json.dumps(deck.model_dump(mode="json"), ensure_ascii=False)
    assert deck_in(text, "deck.yaml", is_json=False) == deck


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200), st.booleans())
def test_any_text_is_a_deck_or_one_sentence(text: str, is_json: bool) -> None:
    try:
        deck_in(text, "'deck'", is_json=is_json)
        told = "'deck'"
    except BadArgument as error:
        told = str(error)
    assert told.startswith("'deck'")
    assert len(told.splitlines()) == 1


# --------------------------------------------------------------------------- ways out


@pytest.mark.parametrize(
    ("defaults", "says"),
    [
        ({"loras": [{"lora_id": "../../secret.safetensors"}]}, r"no LoRA '\.\./\.\./secret\.safetensors'"),
        ({"loras": [], "engine": "../../secret"}, "secret"),
    ],
)
def test_what_looks_like_a_path_in_a_deck_is_a_name_that_is_not_there(
    tmp_path: Path, defaults: dict[str, Any], says: str
) -> None:
    (tmp_path / "secret.safetensors").write_bytes(b"x")
    file = tmp_path / "deck.json"
    file.write_text(json.dumps(GOOD | {"defaults": defaults}))
    work = Workbench(Store(tmp_path / "a" / "home"), registry(), launch=lambda run_id: None)
    with pytest.raises(LoradeckError, match=says):
        render(work, deck=str(file))
    assert work.store.where(DeckRecord) == []


def test_a_font_is_a_family_and_never_a_file(tmp_path: Path) -> None:
    file = tmp_path / "deck.json"
    file.write_text(json.dumps(GOOD | {"theme": {"font": "../../deck.json"}, "defaults": {"width": 64, "loras": []}}))
    work = bench(Store(tmp_path / "home"), Painter())
    result = render(work, deck=str(file))
    assert any("'../../deck.json' is not on this machine" in sentence for sentence in result.told)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deck.json", "home"]
