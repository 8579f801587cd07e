"""A person's Typst deck read into a `DeckSpec`, with a visual proposed for each slide. Nothing of the file is run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

from loradeck.tools.contracts import DeckDefaults, DeckSpec, RenderResult, Slide
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.render_deck_visuals.typst_colours import in_words, theme_of
from loradeck.tools.render_deck_visuals.typst_parts import Call, Untidy, arguments_at, calls, literal, parts_of
from loradeck.tools.render_deck_visuals.typst_titles import Title, plain, shown, titles

MOST_BYTES = 1_000_000
DEEPEST_INCLUDE = 4
MOST_SLIDES = 60
MOST_BODY = 1200
MOST_PROMPT = 400
SENTENCE = re.compile(r"(?<=[.!?])\s+")
NUMBERED = re.compile(r"^(?:slide|page|chapter|part)?\s*\d+\s*[.:)–—-]\s*", re.IGNORECASE)
OF_LAYOUT = re.compile(
    r"\b(?:slides?|(?:this|next|last) page|see (?:above|below)|(?:figure|table) \d)\b", re.IGNORECASE
)
"""Sentences on the deck itself, of which no picture can be made."""
TITLED = re.compile(r"(?:\bset\s+document|\bconfig-info|\.with)\(")
LET_TITLE = re.compile(r"#let\s+(?:deck[-_])?title\s*=")
MOST_TITLED = 50
"""How many calls that may name the document's title are read: each of them is walked through to its end."""


def source_text(path: Path) -> str:
    """The source in a .typ file with plain line ends, a byte-order mark left out. Raises NotFound or BadArgument."""
    return plain_ends(decoded(source_bytes(path), path.name))


def source_bytes(path: Path) -> bytes:
    """What stands in a .typ file. Raises NotFound or BadArgument."""
    try:
        if not path.is_file():
            raise NotFound(f"There is no Typst file {path.name!r} at that path; give its full path.")
        if path.suffix.lower() != ".typ":
            raise BadArgument(f"{path.name!r} is no Typst file; give one that ends in .typ.")
        if path.stat().st_size > MOST_BYTES:
            raise BadArgument(f"{path.name!r} is larger than a deck can be; check that it is the right file.")
        return path.read_bytes()
    except OSError as error:
        raise BadArgument(f"{path.name!r} cannot be read ({error.strerror}); check who may read it.") from None


def decoded(data: bytes, name: str) -> str:
    """Source from a file's bytes, its line ends as they are, a byte-order mark left out. Raises BadArgument."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadArgument(f"{name!r} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None


def plain_ends(text: str) -> str:
    """The text with a line feed at the end of each line; every sign stays at its place."""
    return text.replace("\r\n", " \n").replace("\r", "\n")


def read_typst(path: Path) -> DeckSpec:
    """The deck in a Typst file: its titles with a proposed visual each, in its colours.

    Raises NotFound, or BadArgument for a file that is no Typst source or has no slide.
    """
    with refusing_untidy(path.name):
        return _read(path)


@contextmanager
def refusing_untidy(name: str) -> Iterator[None]:
    """Turn Untidy into a BadArgument that names the file."""
    try:
        yield
    except Untidy:
        raise BadArgument(
            f"{name!r} is nested too deeply to be read as a deck; give its slides as a deck: {{title, slides}}."
        ) from None


def _read(path: Path) -> DeckSpec:
    text = _with_included(source_text(path), path, path.parent.resolve())
    found = titles(text)
    if not found:
        raise BadArgument(f"No slide was found in {path.name!r}: it has no heading and no page with words.")
    if len(found) > MOST_SLIDES:
        raise BadArgument(
            f"{path.name!r} has {len(found)} slides and a deck at most {MOST_SLIDES}; give those that want a picture "
            "as a deck: {title, slides: [{name, heading, prompt}]}."
        )
    theme = theme_of(text)
    names = _names(found)
    slides = [_slide(title, name) for title, name in zip(found, names, strict=True)]
    title = _document_title(text) or found[0].words or path.stem
    return DeckSpec(title=title[:120], theme=theme, defaults=DeckDefaults(after=in_words(theme)), slides=slides)


def proposed(path: Path) -> RenderResult:
    """The answer to a Typst file given as the deck: a proposal, nothing drawn. Raises as `read_typst` does."""
    deck = read_typst(path)
    count = f"{len(deck.slides)} slide{'s' * (len(deck.slides) != 1)}"
    return RenderResult(
        summary=f"{path.name} has {count}; a visual is proposed for each, and nothing was drawn or changed. "
        f"The prompts come from headings and first sentences and want your eye: say what is to be seen. Colours: "
        f"{in_words(deck.theme)}.",
        next_step="Better the prompts in proposal, then render_deck_visuals(deck=<proposal>, "
        f'into={{"file": {json.dumps(str(path), ensure_ascii=False)}, "how": "images"}}).',
        proposal=deck.model_dump(mode="json", exclude_none=True, exclude_defaults=True),
    )


def proposed_prompt(heading: str, body: str) -> str:
    """What a picture for these words may show: the heading and the first two sentences below it."""
    heading = NUMBERED.sub("", heading).strip() or heading
    sentences = SENTENCE.split(" ".join(line.removeprefix("- ") for line in body.splitlines()))
    shown = [one for one in sentences if one and not OF_LAYOUT.search(one)][:2]
    words = " ".join([f"{heading.rstrip('.:')}.", *shown])
    return words if len(words) <= MOST_PROMPT else words[:MOST_PROMPT].rsplit(" ", 1)[0]


def _with_included(text: str, path: Path, root: Path, deep: int = 0) -> str:
    """The source with the files it includes in their places, as far as they lie under `root`. Raises Untidy."""
    for call in reversed([one for one in calls(parts_of(text)) if one.name == "include"]):
        name = literal(text[call.start + len("#include") : call.end].rstrip("; \t"))
        file = (path.parent / name).resolve() if isinstance(name, str) and "\0" not in name else path
        if deep < DEEPEST_INCLUDE and file != path.resolve() and file.is_relative_to(root) and file.suffix == ".typ":
            inside = _with_included(source_text(file), file, root, deep + 1)
            text = text[: call.start] + inside + text[call.end :]
    if len(text) > MOST_BYTES:
        raise BadArgument(f"{path.name!r} is larger than a deck can be with what it includes; give one part of it.")
    return text


def _slide(title: Title, name: str) -> Slide:
    body = title.body if len(title.body) <= MOST_BODY else title.body[: MOST_BODY - 1] + "…"
    return Slide(name=name, heading=title.words, body=body or None, prompt=proposed_prompt(title.words, title.body))


def _names(found: Sequence[Title]) -> list[str]:
    """A name for each title, unlike all others."""
    names: list[str] = []
    for number, title in enumerate(found, 1):
        name = title.name or f"slide_{number}"
        again = 2
        while name in names:
            name = f"{(title.name or 'slide')[:36]}_{again}"
            again += 1
        names.append(name)
    return names


def _document_title(text: str) -> str:
    """What `#set document(title:)`, a theme's `title:` or `#let title` says."""
    found = list(calls(parts_of(text)))
    for value in chain(_titles_given(text, found), _titles_let(text, found)):
        if words := shown(value):
            return words
    title = next((call for call in found if call.name == "title" and call.blocks), None)
    return plain(text, title.blocks[0].parts) if title else ""


def _titles_given(text: str, found: Sequence[Call]) -> Iterator[str]:
    """The sources of `title:` in set and show rules."""
    rules = (text[call.start : call.end] for call in found if call.name in {"set", "show"})
    openings = ((rule, opening.end() - 1) for rule in rules for opening in TITLED.finditer(rule))
    for rule, opening in islice(openings, MOST_TITLED):
        for one in arguments_at(rule, opening)[0]:
            if one.name == "title":
                yield rule[one.start : one.end]


def _titles_let(text: str, found: Sequence[Call]) -> Iterator[str]:
    for call in found:
        rule = text[call.start : call.end]
        if call.name == "let" and (title := LET_TITLE.match(rule)):
            yield rule[title.end() :].strip(" \t\n;")
