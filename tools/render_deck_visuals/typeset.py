"""The deck as a Typst document that stands on its own, and that document as a PDF.

deck.typ holds words and order and is a person's to edit; loradeck.typ beside it holds theme, pictures and layouts and
is written anew at each render, so that new pictures leave deck.typ as it is. They name no font but the theme's, the
shipped one and a fallback. Compiling here ignores the machine's fonts, so that the PDF is the same everywhere, unless
the theme names a font or the words need a script that the shipped font lacks.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import typst

from loradeck.tools.contracts import DeckSpec, Theme
from loradeck.tools.errors import Refused
from loradeck.tools.pictures.canvas import FONTS
from loradeck.tools.render_deck_visuals import measure
from loradeck.tools.render_deck_visuals.frames import RATIOS, slide_of
from loradeck.tools.render_deck_visuals.kept_source import save_source
from loradeck.tools.render_deck_visuals.pages import PAGE_HEIGHT, Compiled, Page, Paragraph, Placed
from loradeck.tools.render_deck_visuals.written import Written

LAYOUTS = Path(__file__).with_name("layouts.typ")
SHIPPED = "Inter"
FALLBACK = "Libertinus Serif"
WIDEST_RATIO_ERROR = 0.12
LONG_BODY = 240
"""Letters of a body from which a full-bleed picture is veiled more, since shapes behind many words disturb."""
VEILED = frozenset({"full_bleed", "background", "spread"})
"""Layouts on which words stand over a picture."""
AS_TEXTURE = 0.92
"""How opaque the ground lies on another picture where a page of one's own takes it as its texture."""
SEEN = 1.5
"""Contrast at which a bar or a line can be seen at all; an accent below it gives way to the colour of the words."""
FAINT = 0.3
"""How much of the ground is mixed into the colour of captions, where that still stands out."""
CARD = 0.06
"""How much of the text's colour is mixed into the ground of a card."""

BEYOND_SHIPPED = re.compile(r"[^\u0000-\u052f\u1e00-\u1fff\u2000-\u22ff\u2500-\u25ff\ufeff]")


def compile_deck(deck: DeckSpec, pages: Sequence[Page], written: Written, copies: Path | None = None) -> Compiled:
    """Write deck.typ, loradeck.typ and deck.pdf into the deck's folder. Raises Refused where a page cannot be set.

    What a person changed in deck.typ, there or in the folder of `copies`, goes on (`kept_source`).
    """
    folder = written.folder
    written.save(folder / "loradeck.typ", module_of(deck, pages).encode())
    kept = save_source(written, source_of(deck, pages), copies)
    foreign = BEYOND_SHIPPED.search(_words(deck)) is not None
    own_fonts = bool(deck.theme.font or deck.theme.heading_font or foreign)
    try:
        compiler = typst.Compiler(
            str(folder / "deck.typ"), root=str(folder), font_paths=[str(FONTS)], ignore_system_fonts=not own_fonts
        )
        pdf = compiler.compile(format="pdf")
        told = json.loads(compiler.query("<placed>", field="value"))
    except (typst.TypstError, RuntimeError) as error:  # a query that fails raises the latter
        why = getattr(error, "message", str(error))
        raise Refused(f"The deck's pages could not be set ({why}); change the slide it names.") from None
    written.save(folder / "deck.pdf", cast(bytes, pdf))
    placed = tuple(_placed(told))
    return Compiled(placed, (*kept, *_told_fonts(deck.theme, foreign), *_cramped(placed)))


def source_of(deck: DeckSpec, pages: Sequence[Page]) -> str:
    """deck.typ: words and order, an argument a line."""
    lines = [
        "// Made by loradeck. Words, order and pages of your own are yours: the next render keeps what you change.",
        "// Pictures and layouts come from loradeck.typ, which it writes anew. Compile with: typst compile deck.typ",
        '#import "loradeck.typ": *',
        "#show: deck.with(",
        f"  title: {quoted(deck.title)},",
        f"  subtitle: {quoted(deck.subtitle or '')},",
        ")",
        "",
        "#opening()",
    ]
    for page in pages:
        slide = page.slide
        body = [f"    {quoted(line.strip())}," for line in (slide.body or "").splitlines() if line.strip()]
        lines += ["", "#slide(", f"  {quoted(slide.name)},", f"  heading: {quoted(slide.heading or '')},"]
        lines += ["  body: (", *body, "  ),", ")"] if body else ["  body: (),", ")"]
    return "\n".join([*lines, ""])


def module_of(deck: DeckSpec, pages: Sequence[Page]) -> str:
    """loradeck.typ: the theme, the pictures by slide, and the layouts."""
    head = [
        "// Written by loradeck at each render: change deck.typ, not this file.",
        f"#let theme = {_literal(_theme(deck.theme))}",
        f"#let visuals = {_literal({page.slide.name: _visual(page, deck.theme) for page in pages})}",
    ]
    return "\n".join([*head, "", LAYOUTS.read_text(encoding="utf-8")])


def layout_of(page: Page, theme: Theme) -> str:
    """The slide's layout; full bleed is for pictures of about the page's shape, others stand whole beside the words."""
    width, height = page.pictures[0].size
    ratio = width / height / RATIOS[theme.aspect]
    off = max(ratio, 1 / ratio) - 1 > WIDEST_RATIO_ERROR
    return "image_right" if page.slide.layout == "full_bleed" and off else page.slide.layout


def _theme(theme: Theme) -> dict[str, Any]:
    """Colours that stand out from their ground, fonts in the order they are tried, the page in points."""
    fonts = [theme.font, SHIPPED, FALLBACK] if theme.font else [SHIPPED, FALLBACK]
    ink = measure.readable(theme.text, theme.background)
    faint = measure.mixed(ink, theme.background, FAINT)
    card = measure.mixed(theme.background, ink, CARD)
    return {
        "ground": theme.background,
        "ink": ink,
        "accent": theme.accent if measure.contrast(theme.accent, theme.background) >= SEEN else ink,
        "faint": faint if measure.contrast(faint, card) >= measure.READABLE else ink,
        "card": card,
        "fonts": fonts,
        "heading-fonts": [theme.heading_font, *fonts] if theme.heading_font else fonts,
        "width": PAGE_HEIGHT * RATIOS[theme.aspect],
        "height": PAGE_HEIGHT,
    }


def _visual(page: Page, theme: Theme) -> dict[str, Any]:
    """A slide's pictures, and how opaque the ground must lie on the first one for words to stand out from it."""
    ink = measure.readable(theme.text, theme.background)
    layout = layout_of(page, theme)
    veil = measure.veil(page.pictures[0].path, ink, theme.background) if layout in VEILED else AS_TEXTURE
    if layout == "full_bleed" and len(page.slide.body or "") > LONG_BODY:
        veil = max(veil, 0.9)
    pictures = [
        {
            "key": one.key,
            "file": one.file,
            "alt": one.prompt,
            "caption": " ".join(one.caption.split()),
            "width": one.size[0],
            "height": one.size[1],
            "veil": veil,
        }
        for one in page.pictures
    ]
    return {"layout": layout, "veil": veil, "pictures": pictures}


def _literal(value: Any) -> str:
    """Plain data as Typst writes it; names of keys are letters, digits, hyphens and underscores. Lengths are points."""
    if isinstance(value, dict):
        entries = [f"{quoted(key)}: {_literal(one)}" for key, one in value.items()]
        return f"({', '.join(entries)})" if entries else "(:)"
    if isinstance(value, list):
        return "(" + "".join(f"{_literal(one)}, " for one in value) + ")"
    return quoted(value) if isinstance(value, str) else repr(value)


def _placed(told: Sequence[dict[str, Any]]) -> list[Placed]:
    """What the document told, with the page that each stands on."""
    page, found = 0, []
    for one in told:
        if one["kind"] == "page":
            page = one["page"]
            continue
        paragraphs = tuple(Paragraph(**line) for line in one.pop("paragraphs", ()))
        found.append(Placed(page=page, paragraphs=paragraphs, **one))
    return found


def _cramped(placed: Sequence[Placed]) -> list[str]:
    """Slides whose words do not fit even at the smallest size."""
    names = dict.fromkeys(slide_of(one.name.partition("/")[0]) for one in placed if not one.fits)
    return [f"The words of {name} are too many for their page, even small; shorten them." for name in names]


def quoted(text: str) -> str:
    """A Typst string literal."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "", "\t": " "}
    return '"' + "".join(escapes.get(char, " " if unicodedata.category(char) == "Cc" else char) for char in text) + '"'


def _told_fonts(theme: Theme, foreign: bool) -> list[str]:
    asked = dict.fromkeys(font for font in (theme.font, theme.heading_font) if font)
    known = typst.Fonts(include_system_fonts=True, font_paths=[str(FONTS)]).families() if asked else []
    there = {family.casefold() for family in known}
    told = [
        f"The font {font!r} is not on this machine; {theme.font if font != theme.font and theme.font else SHIPPED} "
        "was used."
        for font in asked
        if font.casefold() not in there
    ]
    if foreign:
        told.append(f"Some words use a script that {SHIPPED} lacks; the machine's own fonts were used for them.")
    return told


def _words(deck: DeckSpec) -> str:
    texts = [deck.title, deck.subtitle, *(text for slide in deck.slides for text in (slide.heading, slide.body))]
    texts += [panel.caption for slide in deck.slides for panel in slide.panels]
    return " ".join(text for text in texts if text)
