"""The lines that bring visuals into a person's Typst deck: which stand there already, where the others go.

Every line that loradeck puts in is a whole one and ends in a comment, so that it is known again: a second time nothing
changes, and a line that a person edited or moved stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from loradeck.tools.render_deck_visuals.pages import Page
from loradeck.tools.render_deck_visuals.typeset import quoted
from loradeck.tools.render_deck_visuals.typst_parts import Call, arguments_at, literal, parts_of
from loradeck.tools.render_deck_visuals.typst_titles import Title, name_of

How = Literal["images", "cards", "backgrounds"]
MARK = " // loradeck"
FUNCTIONS: dict[How, str] = {"images": "visual", "cards": r"visual_cards?", "backgrounds": "background"}
OF_ONE_PICTURE = ("visual_card", "background")
"""Functions whose first argument alone is a picture's key."""
BACKGROUNDS = "#set page(background: loradeck.backgrounds)"
IMPORT = re.compile(r'#import "([^"\n]*)" as loradeck\b')
CALL = re.compile(r"#loradeck\.(\w+)\(")
NOT_SET = re.compile(r"\s*(?:<[\w:.-]+>)?\s*(?://[^\n\r]*)?\r?")
"""What may stand behind a title on its line and is not set: a label, a comment."""
LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
LABEL = re.compile(r"[ \t]*<[\w:.-]+>")
ALIKE = 0.8
"""How much of two titles must agree (difflib's ratio) for one to be taken for the other."""
SHOWN = 40
"""Letters of a line by which a person finds a place within it."""
HEAD = re.compile(r"(?:[ \t]*(?://[^\n]*)?\n)*")


@dataclass(frozen=True)
class Addition:
    """A line to put in, at a place in the text; `title` is the slide's it belongs to, None for the whole deck."""

    at: int
    line: str
    title: str | None
    opens: bool = False  # right behind an opening bracket

    def place(self, text: str) -> str:
        """Where it goes, as a person finds it; lines count from 1."""
        if self.title is None:
            above = text.count("\n", 0, self.at)
            return f"after line {above}" if above else "at the top"
        number = text.count("\n", 0, self.at) + 1
        line, rest = text[: self.at].rpartition("\n")[2], text[self.at :].partition("\n")[0]
        if NOT_SET.fullmatch(rest):
            return f"after line {number} ({self.title})"
        return f"in line {number} ({self.title}), on a line of its own right behind {line.strip()[-SHOWN:]!r}"


def partners(pages: Sequence[Page], found: Sequence[Title]) -> dict[int, Title]:
    """Pages by number and the title that each belongs to: the same words or name first, then a title much alike."""
    free = list(found)
    matched: dict[int, Title] = {}
    for number, page in enumerate(pages):
        wanted = {page.slide.name, name_of(page.slide.heading or "")} - {""}
        same = next((one for one in free if one.words == page.slide.heading or one.name in wanted), None)
        if same is not None:
            matched[number] = same
            free.remove(same)
    for number, page in enumerate(pages):
        if number in matched:
            continue
        heading = (page.slide.heading or page.slide.name.replace("_", " ")).casefold()
        alike = [SequenceMatcher(None, heading, one.words.casefold()).ratio() for one in free]
        near = [(ratio, -place) for place, ratio in enumerate(alike)]
        if near and max(near)[0] >= ALIKE:
            matched[number] = free.pop(-max(near)[1])
    return matched


@dataclass(frozen=True)
class Old:
    """Our lines whose time is over, numbers from 1: those that go, and those that stay since a person wrote in them."""

    gone: frozenset[int]
    stays: frozenset[int]


def old_lines(text: str, how: How, keys: Sequence[str], module: str) -> Old:
    """Our lines for another way in, for another module, and for pictures that the deck no longer has."""
    gone, stays = set[int](), set[int]()
    for number, line in enumerate(LINE.findall(text), 1):
        ours = line.rstrip().endswith(MARK) and not line.lstrip().startswith("//")
        if ours and _is_old(line, how, keys, module):
            (gone if _is_as_written(line) else stays).add(number)
    return Old(frozenset(gone), frozenset(stays))


def without(text: str, numbers: Collection[int]) -> str:
    """The text less some lines; they count from 1."""
    return "".join(line for number, line in enumerate(LINE.findall(text), 1) if number not in numbers)


def _is_old(line: str, how: How, keys: Sequence[str], module: str) -> bool:
    if imported := IMPORT.search(line):
        return imported.group(1) != module
    if BACKGROUNDS in line:
        return how != "backgrounds"
    called = CALL.search(line)
    if called is None or re.fullmatch(FUNCTIONS[how], called.group(1)) is None:
        return called is not None
    given = [one for one in arguments_at(line, called.end() - 1)[0] if one.name is None]
    named = given[:1] if called.group(1) in OF_ONE_PICTURE else given
    pictures = [literal(line[one.start : one.end]) for one in named]
    return any(isinstance(one, str) and one not in keys for one in pictures)


def _is_as_written(line: str) -> bool:
    """True for a line that holds what we put in and nothing else: a person's words must not go with it."""
    ours = line.rstrip().removesuffix(MARK).strip()
    if called := CALL.match(ours):
        return ours.endswith(")") and arguments_at(ours, called.end() - 1)[1] == len(ours)
    return ours == BACKGROUNDS or IMPORT.fullmatch(ours) is not None


def additions(text: str, how: How, module: str, pages: Sequence[Page], matched: dict[int, Title]) -> list[Addition]:
    """What is to be put into the text, in its order; the text has plain line ends (`typst_deck.plain_ends`)."""
    found: list[Addition] = []
    keys = [picture.key for page in pages for picture in page.pictures]
    stays = without(text, old_lines(text, how, keys, module).gone)
    top = HEAD.match(text)
    at = max([top.end() if top else 0, *(end for _, end in imports(text))])
    if [name for name, _ in imports(stays)][-1:] != [module]:
        found.append(Addition(at, f"#import {quoted(module)} as loradeck{MARK}", None))
    if how == "backgrounds" and "loradeck.backgrounds" not in stays:
        found.append(Addition(at, f"{BACKGROUNDS}{MARK}", None))
    for number, title in matched.items():
        page = pages[number]
        call = rf"#loradeck\.(?:{FUNCTIONS[how]})\(\s*{re.escape(quoted(page.pictures[0].key))}"
        if not re.search(call, stays):
            label = None if title.in_block else LABEL.match(text, title.after)
            place = label.end() if label else title.after or at
            found.append(Addition(place, _call(text, how, page, title) + MARK, title.words, title.in_block))
    return sorted(found, key=lambda one: one.at)


def imports(text: str) -> list[tuple[str, int]]:
    """The modules that the text knows as loradeck, the one that counts last; each with the place behind its line."""
    rules = [part for part in parts_of(text) if isinstance(part, Call) and part.name == "import"]
    named = [(found.group(1), rule.end) for rule in rules if (found := IMPORT.match(text, rule.start))]
    return [(name, text.find("\n", end) + 1 or len(text)) for name, end in named]


def applied(text: str, added: Sequence[Addition]) -> str:
    """The text with the lines put in, each ending as the line beside it does."""
    for one in reversed(added):
        at = one.at - (text[max(0, one.at - 1) : one.at + 1] == "\r\n")
        before, rest = text[:at], text[at:]
        end = _line_end(text, at)
        line_rest, _, after = rest.partition("\n")
        line = f"{_indent(before, one)}{one.line}{end}"
        if before == "" or before.endswith(("\n", "\r")):
            text = before + line + rest
        elif NOT_SET.fullmatch(line_rest):
            text = before + line_rest.removesuffix("\r") + end + line + after
        else:
            text = before + end + line + rest.lstrip(" ")
    return text


def _line_end(text: str, at: int) -> str:
    """How the line at a place ends, or where it is the last one, the line above."""
    found = text.find("\n", at)
    found = found if found >= 0 else text.rfind("\n", 0, at)
    return "\r\n" if found > 0 and text[found - 1] == "\r" else "\n"


def _indent(before: str, one: Addition) -> str:
    line = before.rpartition("\n")[2]
    lead = line[: len(line) - len(line.lstrip(" \t"))]
    return lead + "  " if one.opens else lead


def _call(text: str, how: How, page: Page, title: Title) -> str:
    keys = ", ".join(quoted(picture.key) for picture in page.pictures)
    if how == "images":
        return f"#loradeck.visual({keys})"
    if how == "backgrounds":
        return f"#loradeck.background({quoted(page.pictures[0].key)})"
    style = "".join(
        f", {argument}"
        for pattern, argument in ((r"^#let c_line\s*=", "line: 1pt + c_line"), (r"^#let note\(", "note: note"))
        if (known := re.search(pattern, text, re.MULTILINE)) and known.start() < title.start
    )
    if len(page.pictures) > 1:
        return f"#loradeck.visual_cards({keys}{style})"
    caption = page.pictures[0].caption or page.slide.heading or ""
    return f"#loradeck.visual_card({keys}, {quoted('' if caption == title.words else caption)}{style})"
