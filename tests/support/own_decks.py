"""Decks that a person wrote in Typst, and pages with pictures for them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from loradeck.tools.contracts import DeckSpec
from loradeck.tools.render_deck_visuals.pages import Page, PagePicture

THE_BAKER = """\
// THE BAKER, Cannes
#set document(title: "THE BAKER")
#let c_bg = rgb("#121212")
#let c_gold = rgb("#c9a227")
#let c_line = rgb("#3a3325")
#let c_ink = rgb("#f2efe6")
#set page(width: 640pt, height: 360pt, margin: 32pt, fill: c_bg)
#set text(fill: c_ink, size: 14pt)
#let note(body) = text(size: 9pt, fill: c_gold, body)
#let card(title, body) = block(width: 100%, inset: 8pt, stroke: 1pt + c_line, radius: 9pt)[
  *#title* \\
  #body
]

= THE BAKER
#note[A feature film. #sym.dot Cannes 2026]

#pagebreak()
= The bargain
Fredric sells the *estate* to keep the bread alive. Magda knows; she
says nothing. It snows.
- Grandeur with decay
- Blood and bread // as in the script
#grid(columns: 2, gutter: 20pt, card("Church", [Cold stone.]), card("Club", [Opulence, empty.]))

#pagebreak()
== Fault line <fault>
Two brothers, one oven.

#pagebreak()
#align(center + horizon)[
  #text(size: 40pt)[Thank you]
]
"""
"""Plain headings, cards of its own, pages parted by hand: after `shared` plans of a film's deck."""

OWN_SLIDES = """\
#let slide(title: none, body) = { pagebreak(weak: true); heading(title); body }
#let scene(name, body) = [
  #pagebreak(weak: true)
  = #name
  #body
]
#set page(paper: "presentation-4-3", fill: white)
#slide(title: [The *bargain*])[Fredric sells.]
#slide(title: "Fault line")[
  Two brothers.
  == Not a slide
  Inside.
]
#scene("Billy's oven", [Bread, and a child.])
"""
"""Functions that make slides, as Touying's and Polylux's do."""

HEADINGS = """\
#show heading.where(level: 1): it => { pagebreak(weak: true); it }
#set page(width: 16cm, height: 9cm, margin: 1cm)
= One
Words of one.
= Two
Words of two.
=== A detail
More words.
"""


def pages_of(deck: DeckSpec, folder: Path) -> list[Page]:
    """A page for each slide, with a small picture that is brighter from slide to slide."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    for number, slide in enumerate(deck.slides, 1):
        path = folder / f"{number:02}_{slide.name}.png"
        Image.linear_gradient("L").resize((160, 90)).point(
            [min(255, 20 * number + value) for value in range(256)]
        ).save(path)
        pages.append(Page(slide, (PagePicture(slide.name, path, (160, 90), str(slide.prompt), number),)))
    return pages
