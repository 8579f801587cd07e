"""Words that a person changed in a made deck's files are taken over into the deck, so that the next render has them.

What counts: words that the call itself changes, then those in deck.typ, then those in deck.pptx; among copies of one
file the newest. What loses is told and written into words-kept.txt beside the deck.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loradeck.state.files import write_json, write_text
from loradeck.tools.contracts import DeckSpec
from loradeck.tools.render_deck_visuals.deck_words import (
    Unreadable,
    Words,
    in_pptx,
    in_typst,
    same,
    tidy,
    with_words,
    words_of,
)
from loradeck.tools.render_deck_visuals.written import Written

BASE = ".base"
"""In the deck's folder: what loradeck wrote last."""
RECORD = "words.json"
SIDE_FILE = "words-kept.txt"
FILES = ("deck.typ", "deck.pptx")


def adopted(
    deck: DeckSpec, written: Written, copies: Path | None = None, asked: Collection[str] = ()
) -> tuple[DeckSpec, list[str]]:
    """The deck with what a person wrote into its files since they were made, and a sentence on each change.

    `copies` is the folder that the files were copied to; `asked` are the places (`deck_words`) whose words this call
    gives, even where they are those of before. Raises DiskFull, WorkspaceReadOnly or StateError.
    """
    desk = _Desk(deck, written, copies)
    if desk.last is None:
        return deck, []
    desk.again(asked)
    for place, edits in desk.edits().items():
        desk.settle(place, edits, place in asked)
    desk.store()
    return desk.deck, desk.told


def remember(deck: DeckSpec, written: Written) -> None:
    """Note which words the deck's files hold, once all are written: the next call of `adopted` compares with that."""
    record = _record(written)
    record["deck"] = words_of(deck)
    path = written.folder / "deck.pptx"
    if path.is_file() and written.is_ours(path):
        record["deck.pptx"] = in_pptx(path)
    _store(written, record)


@dataclass(frozen=True)
class _Edit:
    """Words that a person wrote, and the file they wrote them in."""

    text: str
    file: str


@dataclass
class _Desk:
    """A deck's words while they are compared."""

    deck: DeckSpec
    written: Written
    copies: Path | None
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.record = _record(self.written)
        self.last: Words | None = self.record.get("deck")
        self.kept: dict[str, list[str]] = dict(self.record.get("kept", {}))  # place: what the deck, what a person said

    def again(self, asked: Collection[str]) -> None:
        """Words taken over before stay, though the deck may be given once more as its file still has it."""
        for place, (said, wrote) in list(self.kept.items()):
            now = words_of(self.deck).get(place)
            if now is None:
                self._lose(place, _Edit(wrote, "the deck's files"), "the deck has no such place any more")
                del self.kept[place]
            elif place in asked or not (same(now, said) or same(now, wrote)):
                del self.kept[place]
            elif not same(now, wrote):
                self.deck = with_words(self.deck, place, wrote)

    def edits(self) -> dict[str, list[_Edit]]:
        """What a person changed, by place; what counts most comes first."""
        found: dict[str, list[_Edit]] = {}
        for path in edited(self.written, self.copies):
            try:
                now, before = self._read(path)
            except Unreadable as error:
                self.told.append(f"{path.name} in {path.parent.name} could not be read: {error}.")
                continue
            for place, text in now.items():
                if place in before and not same(text, before[place]):
                    found.setdefault(place, []).append(_Edit(text, path.name))
        return found

    def _read(self, path: Path) -> tuple[Words, Words]:
        """The words of a file now, and as loradeck left them. Raises Unreadable."""
        if path.with_name(f"~${path.name}").exists():
            self.told.append(f"{path.name} is open in another program: what was saved of it counts.")
        if path.suffix == ".pptx":
            before: Words = self.record.get("deck.pptx", {})
            return self._own_notes(in_pptx(path), before)
        base = self.written.folder / BASE / path.name
        if not base.is_file():
            return {}, {}
        return in_typst(read_source(path))[0], in_typst(read_source(base))[0]

    def _own_notes(self, now: Words, before: Words) -> tuple[Words, Words]:
        """Notes less what loradeck puts below them; notes in which that was changed too are left out and told."""
        now, before = dict(now), dict(before)
        for place in [one for one in before if one.endswith("/notes") and one in now]:
            own = tidy((self.last or {}).get(place, ""))
            drawn = tidy(before[place]).removeprefix(own).strip()
            if same(now[place], before[place]) or not tidy(now[place]).endswith(drawn):
                if not same(now[place], before[place]):
                    self._lose(place, _Edit(now[place], "deck.pptx"), "its lines on prompt and seed were changed too")
                del now[place]
            else:
                before[place], now[place] = own, tidy(now[place]).removesuffix(drawn).strip()
        return now, before

    def settle(self, place: str, edits: list[_Edit], asked: bool) -> None:
        """Take the first over unless the call itself says otherwise; the others lose."""
        now, last = words_of(self.deck).get(place), (self.last or {}).get(place, "")
        if now is None:
            for edit in edits:
                self._lose(place, edit, "the deck has no such place any more")
            return
        if asked or not same(now, last):
            wins, rest, why = now, edits, "this call gives other words"
        else:
            wins, rest, why = self._take(place, edits[0], now), edits[1:], f"{edits[0].file} has others"
        for edit in rest:
            if not same(edit.text, wins):
                self._lose(place, edit, why)

    def _take(self, place: str, edit: _Edit, now: str) -> str:
        text = tidy(edit.text) if place.endswith(("/body", "/notes")) else " ".join(tidy(edit.text).split())
        try:
            self.deck = with_words(self.deck, place, text)
        except ValidationError as error:
            why = str(error.errors()[0]["msg"]).lower()
            self._lose(place, edit, why)
            return now
        said = self.kept.get(place, [now])[0]
        self.kept[place] = [said, text]
        self.told.append(f"{spoken(place)} was changed in {edit.file}: it is kept.")
        return text

    def _lose(self, place: str, edit: _Edit, why: str) -> None:
        """Nothing that a person wrote is lost: it goes into a file of its own."""
        path = self.written.folder / SIDE_FILE
        there = path.read_text(encoding="utf-8") if path.is_file() else ""
        entry = f"{place}, from {edit.file}:\n{edit.text}\n\n"
        if entry not in there:
            write_text(path, there + entry)
        self.told.append(f"{spoken(place)} in {edit.file} was not taken over ({why}); it stands in {SIDE_FILE}.")

    def store(self) -> None:
        """Keep what was taken over; what the files held stays noted until they are written again."""
        if self.kept != self.record.get("kept", {}):
            _store(self.written, {**self.record, "kept": self.kept})


def edited(written: Written, copies: Path | None, names: Collection[str] = FILES) -> Iterator[Path]:
    """The files that loradeck wrote and a person changed: by kind, the newest of each first."""
    for name in names:
        paths = [folder / name for folder in (written.folder, copies) if folder is not None]
        there = [path for path in paths if path.is_file() and written.knows(path) and not written.is_ours(path)]
        there = [path for path in there if path.parent == written.folder or written.left_last(path)]
        yield from sorted(there, key=lambda path: -path.stat().st_mtime)


def read_source(path: Path) -> str:
    """A Typst source with plain line ends. Raises Unreadable."""
    try:
        return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8 text") from None
    except OSError as error:
        raise Unreadable(f"{error.strerror}") from error


def spoken(place: str) -> str:
    """A place in words: "The heading of cover"."""
    owner, _, box = place.partition("/")
    return f"The {box} of {owner}" if box else f"The {place}"


def _record(written: Written) -> dict[str, Any]:
    path = written.folder / BASE / RECORD
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.is_file() else {}
    return found


def _store(written: Written, record: dict[str, Any]) -> None:
    write_json(written.folder / BASE / RECORD, record)
