"""The deck as a Typst document that stands on its own, and that document as a PDF.

The source names the pictures beside it and no font but the shipped one and a fallback, so that a person can edit and
compile it (`typst compile deck.typ`). Compiling here ignores the machine's fonts, so that the PDF is the same
everywhere, unless the theme names a font or the words need a script that the shipped font lacks.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import typst

from loradeck.tools.contracts import DeckSpec, Theme
from loradeck.tools.errors import Refused
from loradeck.tools.pictures.canvas import FONTS
from loradeck.tools.render_deck_visuals import measure
from loradeck.tools.render_deck_visuals.pages import Page
from loradeck.tools.render_deck_visuals.written import Written

TEMPLATE = Path(__file__).with_name("template.typ")
SHIPPED = "Inter"
FALLBACK = "Libertinus Serif"
WIDEST_RATIO_ERROR = 0.12
MOSAIC = 8
LONG_BODY = 240
"""Letters of a body from which a full-bleed picture is veiled more, since shapes behind many words disturb."""

LONG_WORD = re.compile(r"\S{25,}")
BEYOND_SHIPPED = re.compile(r"[^\u0000-\u052f\u1e00-\u1fff\u2000-\u22ff\u2500-\u25ff\ufeff]")


def layout_of(page: Page) -> str:
    """The slide's layout; full bleed is for pictures near 16:9, others keep their edges beside the words."""
    width, height = page.pictures[0].size
    ratio = width / height / (16 / 9)
    off = max(ratio, 1 / ratio) - 1 > WIDEST_RATIO_ERROR
    return "image_right" if page.slide.layout == "full_bleed" and off else page.slide.layout


def source(deck: DeckSpec, pages: Sequence[Page]) -> str:
    """The Typst source: the theme, the layouts, a title page, a page a slide."""
    theme = deck.theme
    ink = measure.readable(theme.text, theme.background)
    fonts = [theme.font, SHIPPED, FALLBACK] if theme.font else [SHIPPED, FALLBACK]
    head = [
        "// Made by loradeck. Edit freely; compile with: typst compile deck.typ",
        "// The next render writes this file anew and keeps an edited one beside it, as deck-kept-1.typ.",
        f"#set document(title: {quoted(deck.title)}, date: none)",
        f"#let ground = rgb({quoted(theme.background)})",
        f"#let ink = rgb({quoted(ink)})",
        f"#let accent = rgb({quoted(theme.accent)})",
        f"#let fonts = {_array(fonts)}",
    ]
    mosaic = _array([page.pictures[0].file for page in pages[:MOSAIC]])
    calls = [f"#opening({quoted(_breakable(deck.title))}, {quoted(_breakable(deck.subtitle or ''))}, {mosaic})"]
    calls += [_call(page, theme, ink) for page in pages]
    return "\n".join([*head, "", TEMPLATE.read_text(encoding="utf-8"), *calls, ""])


def compile_deck(deck: DeckSpec, pages: Sequence[Page], written: Written) -> list[str]:
    """Write deck.typ and deck.pdf into the deck's folder; returns sentences on what could not be done as asked."""
    folder = written.folder
    written.save(folder / "deck.typ", source(deck, pages).encode())
    foreign = BEYOND_SHIPPED.search(_words(deck)) is not None
    own_fonts = deck.theme.font is not None or foreign
    try:
        compiler = typst.Compiler(
            str(folder / "deck.typ"), root=str(folder), font_paths=[str(FONTS)], ignore_system_fonts=not own_fonts
        )
        pdf = compiler.compile(format="pdf")
        cramped = _cramped(str(folder / "deck.typ"), folder, own_fonts)
    except typst.TypstError as error:
        raise Refused(f"The deck's pages could not be set ({error.message}); change the slide it names.") from None
    written.save(folder / "deck.pdf", cast(bytes, pdf))
    return [*_told_fonts(deck.theme, foreign), *cramped]


def quoted(text: str) -> str:
    """A Typst string literal."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "", "\t": " "}
    return '"' + "".join(escapes.get(char, " " if unicodedata.category(char) == "Cc" else char) for char in text) + '"'


def _array(texts: Sequence[str]) -> str:
    return "(" + "".join(f"{quoted(text)}, " for text in texts) + ")"


def _call(page: Page, theme: Theme, ink: str) -> str:
    slide = page.slide
    lines = [_breakable(line.strip()) for line in (slide.body or "").splitlines() if line.strip()]
    picture, layout = page.pictures[0], layout_of(page)
    common = f"{quoted(slide.name)}, {quoted(picture.file)}, {quoted(picture.prompt)}, "
    common += f"{quoted(_breakable(slide.heading or ''))}, {_array(lines)}"
    if layout == "full_bleed":
        veil = measure.veil(picture.path, ink, theme.background)
        if len(slide.body or "") > LONG_BODY:
            veil = max(veil, 0.9)
        return f"#full-bleed({common}, {veil:.0%})"
    if layout == "card":
        return f"#card({common})"
    return f"#beside({common}, {'true' if layout == 'image_left' else 'false'})"


def _breakable(text: str) -> str:
    """Words that no line can hold (addresses, say) get invisible places to break at."""
    return LONG_WORD.sub(lambda word: "\u200b".join(re.findall(r".{1,8}", word.group())), text)


def _cramped(path: str, folder: Path, own_fonts: bool) -> list[str]:
    """Slides whose words do not fit even at the smallest size, as the document itself says."""
    found = typst.query(
        path, "<fit>", field="value", root=str(folder), font_paths=[str(FONTS)], ignore_system_fonts=not own_fonts
    )
    return [
        f"The words of {fit['slide']} are too many for their page, even small; shorten its body."
        for fit in json.loads(found)
        if not fit["fits"]
    ]


def _told_fonts(theme: Theme, foreign: bool) -> list[str]:
    told = []
    known = typst.Fonts(include_system_fonts=True, font_paths=[str(FONTS)]).families() if theme.font else []
    if theme.font and theme.font.casefold() not in {family.casefold() for family in known}:
        told.append(f"The font {theme.font!r} is not on this machine; {SHIPPED} was used.")
    if foreign:
        told.append(f"Some words use a script that {SHIPPED} lacks; the machine's own fonts were used for them.")
    return told


def _words(deck: DeckSpec) -> str:
    texts = [deck.title, deck.subtitle, *(text for slide in deck.slides for text in (slide.heading, slide.body))]
    return " ".join(text for text in texts if text)
