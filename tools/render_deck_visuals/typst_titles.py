"""The slides of a person's Typst deck: each one's title, where pictures go in below it, its text as plain words.

Decks are written in many ways: headings, `#slide(title: [..])[..]`, `#slide[= Title]`, own functions, pages between
`#pagebreak()`. What a file does is read from its source alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from loradeck.tools.render_deck_visuals.typst_parts import (
    STATEMENTS,
    Block,
    Call,
    Heading,
    Part,
    Words,
    calls,
    literal,
    parts_of,
)

SLIDE_LEVELS = 2
LONGEST_TITLE = 120
INLINE = frozenset(("emph", "strong", "text", "underline", "highlight", "smallcaps", "super", "sub", "link", "box"))
PAGE_NAMES = re.compile(r"(^|[-_.])(slide|frame)s?($|[-_.])", re.IGNORECASE)
PAGE_MAKER = re.compile(r"pagebreak\(|heading\(|\bpage[(\[]|^\s*=+ #|\bslide[(\[]", re.MULTILINE)
TITLE_ARGUMENTS = ("title", "heading", "name")
LABEL = re.compile(r"<[A-Za-z][\w:.-]*>")
EMPHASIS = re.compile(r"(?<![\w\\])[*_]+(?=\S)|(?<=[^\s\\])[*_]+(?!\w)")
WHOLE_NUMBER = re.compile(r"[0-9]{1,3}")
BULLET = re.compile(r"^(?:[-+]|\d+\.)\s+")


@dataclass(frozen=True)
class Title:
    """A slide: its title, where it begins, where its content goes on below the title, its text, one line a bullet."""

    words: str
    start: int
    after: int
    body: str
    in_block: bool  # `after` is right behind an opening bracket

    @property
    def name(self) -> str:
        """The title as a frame's name; empty where it holds no Latin letter or digit."""
        return name_of(self.words)


@dataclass(frozen=True)
class _Event:
    kind: Literal["title", "text", "page", "break"]
    at: int
    words: str = ""
    level: int = 1
    after: int = 0
    in_block: bool = False


def name_of(words: str) -> str:
    """Words as a frame's name (contracts.FrameName), or nothing where they hold no Latin letter or digit."""
    latin = unicodedata.normalize("NFKD", words.replace("ß", "ss").replace("’", "")).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", latin.lower().replace("'", "")).strip("_")[:40].strip("_")


def titles(text: str) -> list[Title]:
    """Every slide in order. Raises `typst_parts.Untidy`."""
    parts = parts_of(text)
    makers = {
        found.group(1)
        for call in calls(parts)
        if call.name == "let" and (found := re.match(r"#let\s+([\w-]+)\s*\(", text[call.start : call.end]))
        if PAGE_MAKER.search(text[call.start : call.end])
    }
    events = list(_events(text, parts, makers))
    return [title for group in _slides(events) if (title := _title(group)) is not None]


def plain(text: str, parts: Sequence[Part]) -> str:
    """Markup as words on one line: emphasis, labels, comments and calls that show nothing left out."""
    return " ".join("".join(event.words for event in _events(text, parts, set())).split())


def _slides(events: Sequence[_Event]) -> list[list[_Event]]:
    """The events of each slide: pages where the file parts them itself, else what stands under each title."""
    broken = any(event.kind == "break" for event in events)
    levels = [event.level for event in events if event.kind == "title"]
    deepest = max(SLIDE_LEVELS, min(levels, default=SLIDE_LEVELS))
    groups: list[list[_Event]] = [[]]
    in_call = False
    for event in events:
        if event.kind in {"page", "break"}:
            in_call = event.kind == "page" and event.level == 1
            groups.append([event])
            continue
        titled = any(one.kind == "title" for one in groups[-1])
        if event.kind == "title" and not in_call and titled and not broken and event.level <= deepest:
            groups.append([])
        groups[-1].append(event)
    paged = len(events) > 0 and any(event.kind in {"page", "break"} for event in events)
    return [group for group in groups if paged or any(one.kind == "title" for one in group)] or groups


def _title(group: Sequence[_Event]) -> Title | None:
    """The slide that a group of events is; None for a page with nothing on it."""
    first = next((event for event in group if event.kind == "title"), None)
    body = _tidy(
        "".join(
            f"\n\n{event.words}\n\n" if event.kind == "title" else event.words for event in group if event is not first
        )
    )
    if first is not None:
        return Title(first.words[:LONGEST_TITLE], first.at, first.after, body, first.in_block)
    page = next((event for event in group if event.kind in {"page", "break"}), None)
    line, _, rest = body.partition("\n")
    if not line:
        return None
    words = BULLET.sub("", line)[:LONGEST_TITLE]
    return Title(words, page.at, page.after, rest, page.in_block) if page else Title(words, 0, 0, rest, False)


def _events(text: str, parts: Sequence[Part], makers: set[str]) -> Iterator[_Event]:
    for part in parts:
        if isinstance(part, Words):
            yield _Event("text", part.start, _words(text[part.start : part.end]))
        elif isinstance(part, Heading):
            words = plain(text, part.words.parts)
            yield _Event("title", part.start, words, part.level, part.end)
        else:
            yield from _events_of_call(text, part, makers)


def _events_of_call(text: str, call: Call, makers: set[str]) -> Iterator[_Event]:
    if call.name == "pagebreak":
        yield _Event("break", call.end, after=call.end)
    elif call.name == "heading":
        level = _named(text, call, ("level", "depth"))
        words = " ".join(plain(text, block.parts) for block in call.blocks) or _first_string(text, call)
        yield _Event("title", call.start, words, int(level) if WHOLE_NUMBER.fullmatch(level) else 1, call.end)
    elif call.name in STATEMENTS:
        return
    elif call.blocks and (PAGE_NAMES.search(call.name) or call.name in makers):
        yield from _page(text, call, makers)
    elif call.name in makers and (words := _named_title(text, call) or _first_string(text, call)):
        yield _Event("page", call.start, after=call.end)
        yield _Event("title", call.start, words, 1, call.end)
        yield _Event("page", call.end, level=0, after=call.end)
    else:
        apart = "" if call.name in INLINE or not call.name else "\n\n"
        for block in call.blocks:
            yield _Event("text", block.start, apart)
            yield from _events(text, block.parts, makers)
            yield _Event("text", block.end, apart)


def _page(text: str, call: Call, makers: set[str]) -> Iterator[_Event]:
    """A call that makes a page of its own: title among the arguments, or in its first line."""
    words = _named_title(text, call) or _first_string(text, call)
    blocks: Sequence[Block] = call.blocks
    if not words and len(blocks) > 1:  # #slide[Title][Body]
        words, blocks = plain(text, blocks[0].parts), blocks[1:]
    yield _Event("page", call.start, after=blocks[0].start, in_block=True)
    if words:
        yield _Event("title", call.start, words, 1, blocks[0].start, in_block=True)
    for block in blocks:
        yield from _events(text, block.parts, makers)
        yield _Event("text", block.end, "\n\n")
    yield _Event("page", call.end, level=0, after=call.end)


def _named_title(text: str, call: Call) -> str:
    return next((found for name in TITLE_ARGUMENTS if (found := _named(text, call, (name,)))), "")


def _named(text: str, call: Call, names: Sequence[str]) -> str:
    """The value of a named argument as words: of a string, of markup, or its source for a number."""
    for one in call.arguments:
        if one.name in names:
            value = text[one.start : one.end]
            return value if WHOLE_NUMBER.fullmatch(value) else shown(value)
    return ""


def shown(value: str) -> str:
    """What the source of a string or of markup in brackets shows, as words; nothing for any other value."""
    if value.startswith("["):
        return plain(value[1:-1], parts_of(value[1:-1]))
    found = literal(value)
    return found if isinstance(found, str) else ""


def _first_string(text: str, call: Call) -> str:
    values = [literal(text[one.start : one.end]) for one in call.arguments[:1] if one.name is None]
    return values[0].strip() if values and isinstance(values[0], str) else ""


def _words(markup: str) -> str:
    text = LABEL.sub("", markup)
    text = re.sub(r"\\[ \t]*(?=\n|$)", "\n\n", text)
    text = EMPHASIS.sub("", text).replace("`", "").replace("~", " ").replace("$", "")
    return re.sub(r"\\(.)", r"\1", text)


def _tidy(text: str) -> str:
    """Paragraphs of one line each, as a body is written; source wraps its lines, which means nothing."""
    lines: list[str] = []
    new = True
    for line in text.splitlines():
        words = " ".join(line.split())
        if not words:
            new = True
        elif BULLET.match(words):
            lines.append(f"- {BULLET.sub('', words)}")
            new = False
        elif new or not lines:
            lines.append(words)
            new = False
        else:
            lines[-1] += f" {words}"
    return "\n".join(lines)
