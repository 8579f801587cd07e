"""A deck's folder: the shown pictures under their slides' names, a contact sheet, the document, copies elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from loradeck.state.errors import FileInUse, StateError
from loradeck.state.store import Store
from loradeck.tools.contracts import Artefact, DeckSpec, VisualRow
from loradeck.tools.pictures.canvas import png
from loradeck.tools.pictures.sheet import Shape, Tile, contact_sheet
from loradeck.tools.render_deck_visuals import gallery
from loradeck.tools.render_deck_visuals.embedded import embedded
from loradeck.tools.render_deck_visuals.frames import frames_of
from loradeck.tools.render_deck_visuals.pages import Page, PagePicture
from loradeck.tools.render_deck_visuals.reference_sheet import sheets
from loradeck.tools.render_deck_visuals.report import flags, foot
from loradeck.tools.render_deck_visuals.written import Written

SHEET = Shape(columns=3, cell=(480, 270), gap=20, text=18)


@dataclass(frozen=True)
class Published:
    """A deck's files and pages, and sentences on what is not right."""

    files: list[Artefact]
    pages: list[Page]
    told: list[str]


def publish(
    store: Store,
    deck: DeckSpec,
    deck_id: str,
    formats: Sequence[str],
    written: Written,
    rows: Sequence[VisualRow],
    copies: Path | None = None,
) -> Published:
    """Write what the deck's folder holds, in the slides' order. A file that would stay the same is not touched.

    What the `rows` say of pictures stands on the contact sheet. `copies` is the folder that the files are copied to,
    where a person may have changed deck.typ.
    """
    pages = _pages(store, deck, deck_id, written)
    if not pages:
        return Published([], [], [])
    pictures = [picture for page in pages for picture in page.pictures]
    files = [_artefact("visual", picture.path) for picture in pictures]
    files.append(_sheet(deck, deck_id, pictures, rows, written))
    sheets, told = _reference_sheets(deck, pages, written)
    files += sheets
    if {"typst", "pdf", "pptx"} & set(formats):
        documents, words = _documents(deck, pages, written, copies, with_pptx="pptx" in formats)
        files += documents
        told += words
    written.clear(written.folder, {Path(file.path).name for file in files})
    return Published(files, pages, told)


def _sheet(
    deck: DeckSpec, deck_id: str, pictures: Sequence[PagePicture], rows: Sequence[VisualRow], written: Written
) -> Artefact:
    """The contact sheet, with what a machine found wrong and the next call."""
    flagged = flags(rows)
    tiles = [Tile(one.path, None, one.path.stem, flag=flagged.get(one.key, "")) for one in pictures]
    path = written.folder / "contact_sheet.png"
    written.save(path, png(contact_sheet(tiles, title=deck.title, foot=foot(deck_id, rows), shape=SHEET)))
    return _artefact("contact_sheet", path)


def _reference_sheets(deck: DeckSpec, pages: Sequence[Page], written: Written) -> tuple[list[Artefact], list[str]]:
    """The views of each reference sheet as one picture, on white and with nothing behind them."""
    files: list[Artefact] = []
    told: list[str] = []
    names = [slide.name for slide in deck.slides]
    for page in pages:
        if page.slide.layout != "reference_sheet":
            continue
        made = sheets([picture.path for picture in page.pictures])
        told += made.told
        stem = f"{1 + names.index(page.slide.name):02}_{page.slide.name}_sheet"
        for name, content in ((f"{stem}.png", made.white), (f"{stem}_clear.png", made.clear)):
            if content is not None:
                written.save(written.folder / name, content)
                files.append(_artefact("reference_sheet", written.folder / name))
    return files, told


def _documents(
    deck: DeckSpec, pages: Sequence[Page], written: Written, copies: Path | None, *, with_pptx: bool
) -> tuple[list[Artefact], list[str]]:
    """The Typst source, its PDF, and from the same layout the PowerPoint file with the report on how they agree."""
    from loradeck.tools.render_deck_visuals.typeset import compile_deck

    folder = written.folder
    pages = [embedded(page, written) for page in pages]
    made = compile_deck(deck, pages, written, copies)
    named = [("typst", "deck.typ"), ("typst_module", "loradeck.typ"), ("pdf", "deck.pdf")]
    told = list(made.told)
    if with_pptx:
        from loradeck.tools.render_deck_visuals.parity import write_parity
        from loradeck.tools.render_deck_visuals.powerpoint import write_pptx

        write_pptx(deck, pages, made.placed, written)
        told.append(write_parity(made.placed, written))
        named += [("pptx", "deck.pptx"), ("parity", "parity.json")]
    shown = [one.shown_as for page in pages for one in page.pictures if one.shown_as is not None]
    return [
        *(_artefact(kind, folder / name) for kind, name in named),
        *(_artefact("jpeg", path) for path in shown),
    ], told


def _pages(store: Store, deck: DeckSpec, deck_id: str, written: Written) -> list[Page]:
    """The slides that have a picture, each shown take under its own name in the deck's folder."""
    shown = gallery.shown(store, deck_id)
    pages: list[Page] = []
    for slide in deck.slides:
        pictures: list[PagePicture] = []
        for frame in frames_of(deck, slide):
            row = shown.get(frame.key)
            if row is None:
                continue
            path = gallery.public(store, deck_id, frame)
            written.save(path, Path(row.path).read_bytes())
            size = (row.width, row.height)
            pictures.append(PagePicture(frame.key, path, size, row.prompt, row.seed, frame.caption))
        if pictures:
            pages.append(Page(slide, tuple(pictures)))
    return pages


def copied(files: Sequence[Artefact], target: Path, written: Written, *, remembered: bool) -> str:
    """Copy a deck's files into a person's folder and say so, or why not: the deck itself is whole either way.

    A `remembered` folder that held copies and is gone was moved or taken away, and is not made again unasked.
    """
    if remembered and not target.exists() and written.holds_in(target):
        return (
            f"The copies in {target} were not renewed, since that folder is gone; the deck's own folder has the files. "
            "Give output_dir again to have copies."
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file in files:
            written.leave(target / Path(file.path).name, Path(file.path).read_bytes())
        written.clear(target, {Path(file.path).name for file in files})
    except FileInUse as error:
        return f"Not every file could be copied to output_dir; the deck's own folder has them all. {error}"
    except (OSError, ValueError, StateError) as error:
        why = getattr(error, "strerror", None) or "it cannot be written"
        return f"The files could not be copied to output_dir ({why}); they are in the deck's own folder."
    return f"The copies in {target} were renewed too." if remembered else f"Copies are in {target}."


def _artefact(kind: str, path: Path) -> Artefact:
    return Artefact(kind=kind, path=str(path), bytes=path.stat().st_size)
