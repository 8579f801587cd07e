"""A deck's folder: the shown pictures under their slides' names, a contact sheet, the document, copies elsewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from loradeck.state.errors import FileInUse, StateError
from loradeck.state.store import Store
from loradeck.tools.contracts import Artefact, DeckSpec
from loradeck.tools.pictures.canvas import png
from loradeck.tools.pictures.sheet import Shape, Tile, contact_sheet
from loradeck.tools.render_deck_visuals import gallery, output_folder
from loradeck.tools.render_deck_visuals.frames import frames_of
from loradeck.tools.render_deck_visuals.pages import Page, PagePicture
from loradeck.tools.render_deck_visuals.written import Written

SHEET = Shape(columns=3, cell=(480, 270), gap=20, text=18)


def publish(
    store: Store, deck: DeckSpec, deck_id: str, formats: Sequence[str], written: Written
) -> tuple[list[Artefact], list[str]]:
    """Write what the deck's folder holds, in the slides' order; returns the files and sentences on what is not right.

    A file that would stay the same is not touched.
    """
    from loradeck.tools.render_deck_visuals.typeset import compile_deck

    folder = written.folder
    pages = _pages(store, deck, deck_id, written)
    if not pages:
        return [], []
    pictures = [picture for page in pages for picture in page.pictures]
    files = [_artefact("visual", picture.path) for picture in pictures]
    tiles = [Tile(picture.path, None, picture.path.stem) for picture in pictures]
    written.save(folder / "contact_sheet.png", png(contact_sheet(tiles, title=deck.title, shape=SHEET)))
    files.append(_artefact("contact_sheet", folder / "contact_sheet.png"))
    told: list[str] = []
    if {"typst", "pdf"} & set(formats):
        told = list(compile_deck(deck, pages, written).told)
        files += [_artefact("typst", folder / "deck.typ"), _artefact("typst_module", folder / "loradeck.typ")]
        files.append(_artefact("pdf", folder / "deck.pdf"))
    return files, told


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
            _copy(Path(file.path), target, written)
    except FileInUse as error:
        return f"Not every file could be copied to output_dir; the deck's own folder has them all. {error}"
    except (OSError, StateError) as error:
        why = getattr(error, "strerror", None) or "it cannot be written"
        return f"The files could not be copied to output_dir ({why}); they are in the deck's own folder."
    return f"The copies in {target} were renewed too." if remembered else f"Copies are in {target}."


def _copy(file: Path, target: Path, written: Written) -> None:
    """One copy, which takes the place of an earlier one of this deck or of another, and is remembered there."""
    if output_folder.still_ours(target, file.name):
        written.take_over(target / file.name)
    data = file.read_bytes()
    written.save(target / file.name, data)
    output_folder.remember(target, {file.name: hashlib.sha256(data).hexdigest()})


def _artefact(kind: str, path: Path) -> Artefact:
    return Artefact(kind=kind, path=str(path), bytes=path.stat().st_size)
