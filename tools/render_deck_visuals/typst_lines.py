"""The lines that bring visuals into a person's Typst deck: which stand there already, where the others go.

Every line that loradeck puts in is a whole one and ends in a comment, so that it is known again: a second time nothing
changes, and a line that a person edited or moved stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from loradeck.tools.render_deck_visuals.pages import Page
from loradeck.tools.render_deck_visuals.typeset import quoted
from loradeck.tools.render_deck_visuals.typst_titles import Title, name_of

How = Literal["images", "cards", "backgrounds"]
MARK = " // loradeck"
FUNCTIONS: dict[How, str] = {"images": "visual", "cards": r"visual_cards?", "backgrounds": "background"}
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
        if _blank(rest):
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
        heading = (page.slide.heading or page.slide.name.replace("_", " ")).casefold()
        alike = [SequenceMatcher(None, heading, one.words.casefold()).ratio() for one in free]
        near = [(ratio, -place) for place, ratio in enumerate(alike)]
        if number not in matched and near and max(near)[0] >= ALIKE:
            matched[number] = free.pop(-max(near)[1])
    return matched


def without_others(text: str, how: How, keys: Sequence[str]) -> str:
    """The text less our lines for another way in, and for pictures that the deck no longer has."""

    def stays(line: str) -> bool:
        if not line.rstrip().endswith(MARK.strip()) or "#import" in line:
            return True
        if "#set page(" in line:
            return how == "backgrounds"
        named = re.findall(r'"((?:[^"\\]|\\.)*)"', line)
        ours = re.search(rf"#loradeck\.(?:{FUNCTIONS[how]})\(", line) is not None
        return "#loradeck." not in line or (ours and bool(named) and named[0] in keys)

    return "".join(line for line in text.splitlines(keepends=True) if stays(line))


def additions(text: str, how: How, module: str, pages: Sequence[Page], matched: dict[int, Title]) -> list[Addition]:
    """What is to be put into the text, in its order."""
    found: list[Addition] = []
    top = HEAD.match(text)
    at = top.end() if top else 0
    there = re.search(rf'#import "{re.escape(module)}" as loradeck[^\n]*\n', text)
    at = there.end() if there else at
    if there is None:
        found.append(Addition(at, f"#import {quoted(module)} as loradeck{MARK}", None))
    if how == "backgrounds" and "loradeck.backgrounds" not in text:
        found.append(Addition(at, f"#set page(background: loradeck.backgrounds){MARK}", None))
    for number, title in sorted(matched.items(), key=lambda one: one[1].after):
        page = pages[number]
        call = rf"#loradeck\.(?:{FUNCTIONS[how]})\(\s*{re.escape(quoted(page.pictures[0].key))}"
        if not re.search(call, text):
            found.append(Addition(title.after, _call(text, how, page, title) + MARK, title.words, title.in_block))
    return found


def applied(text: str, added: Sequence[Addition]) -> str:
    """The text with the lines put in."""
    for one in reversed(added):
        before, rest = text[: one.at], text[one.at :]
        line_rest, _, after = rest.partition("\n")
        if one.title is None:
            text = f"{before}{one.line}\n{rest}"
        elif _blank(line_rest):
            text = f"{before}{line_rest}\n{_indent(before, one)}{one.line}\n{after}"
        else:
            text = f"{before}\n{_indent(before, one)}{one.line}\n{rest.lstrip(' ')}"
    return text


def _blank(rest: str) -> bool:
    """True where nothing that is set stands in the rest of a line: a label at most, or a comment."""
    return not rest.strip() or rest.strip().startswith(("//", "<"))


def _indent(before: str, one: Addition) -> str:
    line = before.rpartition("\n")[2]
    lead = line[: len(line) - len(line.lstrip())]
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
