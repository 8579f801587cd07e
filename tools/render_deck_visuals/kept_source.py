"""deck.typ as a person left it goes on: what loradeck would write anew is merged into it, line by line."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from loradeck.tools.render_deck_visuals.deck_words import Unreadable, in_typst, same
from loradeck.tools.render_deck_visuals.kept_words import BASE, edited, read_source
from loradeck.tools.render_deck_visuals.merge import merged
from loradeck.tools.render_deck_visuals.typst_try import NotSet, queried
from loradeck.tools.render_deck_visuals.written import Written

NAME = "deck.typ"
OURS = "deck-new.typ"


def save_source(written: Written, ours: str, copies: Path | None = None) -> list[str]:
    """Write deck.typ: what loradeck makes of it now, in what a person made of it. Its module must be there already.

    A person's lines win where both changed the same ones, and loradeck's stand in deck-new.typ. What no longer compiles
    is kept beside (`Written`) and written fresh. Returns sentences; raises DiskFull, WorkspaceReadOnly or StateError.
    """
    path = written.folder / NAME
    theirs = next(edited(written, copies, [NAME]), path)
    base = written.folder / BASE / NAME
    text, told = ours, list[str]()
    if theirs.is_file() and written.knows(theirs) and base.is_file():
        text, told = _blended(written, base, theirs, ours)
    written.save(path, text.encode())
    written.save(base, ours.encode())
    return told


def _blended(written: Written, base: Path, theirs: Path, ours: str) -> tuple[str, list[str]]:
    """What stands in deck.typ from now on."""
    try:
        was, now = read_source(base), read_source(theirs)
        result = merged(reworded(was, ours, _settled(now, ours)), reworded(now, ours, in_typst(now)[1]), ours)
    except Unreadable as error:
        return ours, [f"{NAME} could not be read ({error}), so it was written anew."]
    trouble = _trouble(result.text, written.folder) if result.text != ours else None
    if trouble is not None:
        return ours, [f"{NAME} as you changed it cannot be set any more ({trouble}), so it was written anew."]
    written.taken_in(theirs, theirs.read_bytes())
    if not result.conflicts:
        return result.text, []
    written.save(written.folder / OURS, ours.encode())
    places = f"{result.conflicts} place{'s' * (result.conflicts != 1)}"
    return result.text, [f"In {places} of {NAME} your lines stand where this render has others; {OURS} has those."]


def reworded(source: str, ours: str, settled: Collection[str]) -> str:
    """A source with the words of another at places that are settled: what is left to merge there is how it is set."""
    words, places = in_typst(source)
    new_words, new_places = in_typst(ours)
    for place, (start, end) in sorted(places.items(), key=lambda one: -one[1][0]):
        if place in new_places and place in settled and not same(words[place], new_words[place]):
            value = ours[slice(*new_places[place])]
            source = source[:start] + value + source[end:]
    return source


def _settled(now: str, ours: str) -> set[str]:
    """Places at which a person's source takes our words: plain ones do, and markup that shows them already."""
    words, places = in_typst(now)
    new_words = in_typst(ours)[0]
    return {place for place in words if place in places or same(words[place], new_words.get(place, ""))}


def _trouble(text: str, folder: Path) -> str | None:
    """What Typst says of a source in the deck's folder, or None."""
    try:
        queried({NAME: text}, "<loradeck>", folder)
    except NotSet as error:
        return str(error)
    return None
