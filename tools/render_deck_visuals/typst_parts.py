"""Typst source taken apart without running it: headings, calls with their arguments, words.

No binding of Typst's own parser exists for Python, so this follows the parts of its syntax that decks are written in
(https://typst.app/docs/reference/syntax/): markup, `#name(arguments)[content]`, `#let` and its kind, strings, comments,
raw text, equations. What it does not know it takes for words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

DEEPEST = 60
STATEMENTS = frozenset(("let", "set", "show", "import", "include", "if", "for", "while", "context", "return", "else"))

HASH = re.compile(r"#([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)")
HEADING = re.compile(r"[ \t]*(=+)[ \t]+")
NAMED = re.compile(r"\s*([A-Za-z_][\w-]*)\s*:")
DULL = re.compile(r"[^\\\[\]`#/$\n]+")
"""Signs that mean nothing within a line of markup."""
RAW = re.compile(r"(`{3,}|`).*?(?:\1|\Z)", re.DOTALL)
COMMENT_EDGE = re.compile(r"/\*|\*/")
CONTENT_ARGUMENTS = ("body", "content")
"""Named arguments whose markup is what a call shows, as that of an argument without a name is."""


class Untidy(ValueError):
    """Source that is nested too deeply to be a deck."""


@dataclass(frozen=True)
class Argument:
    """One argument of a call: its name, where it has one, and where its value stands."""

    name: str | None
    start: int
    end: int


@dataclass(frozen=True)
class Block:
    """Markup between square brackets: from behind the opening one to the closing one."""

    start: int
    end: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Call:
    """`#name(arguments)[block]`, `#[block]`, or a statement such as `#let`, which has neither."""

    name: str
    start: int
    end: int
    arguments: tuple[Argument, ...] = ()
    blocks: tuple[Block, ...] = ()  # those among the arguments too, in their order; `end` is behind a closing `;`


@dataclass(frozen=True)
class Heading:
    """`== Words` on a line of its own."""

    level: int
    start: int
    end: int
    words: Block


@dataclass(frozen=True)
class Words:
    """Plain markup, comments left out."""

    start: int
    end: int


Part = Call | Heading | Words


def parts_of(text: str) -> tuple[Part, ...]:
    """The whole source. Raises Untidy."""
    return _Reader(text).markup(0, "")[0]


def calls(parts: tuple[Part, ...]) -> Iterator[Call]:
    """Every call, outer ones first."""
    for part in parts:
        if isinstance(part, Call):
            yield part
            for block in part.blocks:
                yield from calls(block.parts)


def arguments_at(text: str, opening: int) -> tuple[list[Argument], int]:
    """The arguments from an opening bracket on, and the place behind the closing one. Raises Untidy."""
    return _Reader(text).arguments(opening)


def literal(text: str) -> str | list[str] | None:
    """The string, or the array of strings, that source stands for; None where it is anything else."""
    text = text.strip()
    reader = _Reader(text)
    if text.startswith('"') and reader.string(0) == len(text):
        return unquoted(text)
    if not text.startswith("("):
        return None
    found, end = reader.arguments(0)
    values = [literal(text[one.start : one.end]) for one in found if one.name is None]
    if end != len(text) or len(values) < len(found) or not all(isinstance(value, str) for value in values):
        return None
    return [str(value) for value in values]


def unquoted(source: str) -> str:
    """The text of a string literal."""
    known = {"n": "\n", "r": "\r", "t": "\t"}

    def meant(sign: re.Match[str]) -> str:
        if sign.group(1) is None:
            return known.get(sign.group(2), sign.group(2))
        code = int(sign.group(1), 16)
        return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else ""

    return re.sub(r"\\(?:u\{([0-9a-fA-F]{1,6})\}|(.))", meant, source[1:-1], flags=re.DOTALL)


class _Reader:
    """Walks through a source; markup that was read once is not read again, so that time grows with the text alone."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._deep = 0
        self._known: dict[tuple[int, str], tuple[tuple[Part, ...], int]] = {}
        self._equations_end = False  # a dollar sign was found that nothing closes, so the ones behind it are signs too

    @contextmanager
    def _inside(self) -> Iterator[None]:
        self._deep += 1
        if self._deep > DEEPEST:
            raise Untidy
        yield
        self._deep -= 1

    def markup(self, at: int, closing: str) -> tuple[tuple[Part, ...], int]:
        """Markup up to its closing sign, and where that stands."""
        if (at, closing) not in self._known:
            with self._inside():
                self._known[at, closing] = self._markup(at, closing)
        return self._known[at, closing]

    def _markup(self, at: int, closing: str) -> tuple[tuple[Part, ...], int]:
        text = self.text
        parts: list[Part] = []
        since = at
        fresh = "\n" not in closing  # at the start of a line, where headings stand
        nesting = 0  # brackets that are words: those need not pair, but a closing one that does ends no block
        while at < len(text) and (text[at] not in closing or (nesting > 0 and text[at] == "]")):
            if not fresh and (run := DULL.match(text, at)):
                at = run.end()
                continue
            found: Part | None = self._heading(at, closing) if fresh else None
            found = found or (self._call(at) if text[at] == "#" else None)
            comment = found is None and self._is_comment(at) and not text.startswith(":", max(0, at - 1))
            if found is None and not comment:
                fresh = text[at] == "\n" or (fresh and text[at] in " \t")
                nesting = max(0, nesting + (text[at] == "[") - (text[at] == "]"))
                at = self._markup_step(at)
                continue
            if since < at:
                parts.append(Words(since, at))
            if found is not None:
                parts.append(found)
                fresh = False
            at = since = found.end if found is not None else self._comment(at)
        if since < at:
            parts.append(Words(since, at))
        return tuple(parts), at

    def arguments(self, opening: int) -> tuple[list[Argument], int]:
        """See `arguments_at`."""
        text = self.text
        found: list[Argument] = []
        at = opening + 1
        while at < len(text) and text[at] != ")":
            named = NAMED.match(text, at)
            start = at = named.end() if named else at
            while at < len(text) and text[at] not in ",)":
                at = self._code_step(at)
            lead = len(text[start:at]) - len(text[start:at].lstrip())
            value = text[start:at].strip()
            if value:
                found.append(Argument(named.group(1) if named else None, start + lead, start + lead + len(value)))
            at += at < len(text) and text[at] == ","
        return found, min(at + 1, len(text))

    def string(self, at: int) -> int:
        """Behind a string literal."""
        at += 1
        while at < len(self.text) and self.text[at] != '"':
            at += 2 if self.text[at] == "\\" else 1
        return min(at + 1, len(self.text))

    def _heading(self, at: int, closing: str) -> Heading | None:
        found = HEADING.match(self.text, at)
        if found is None:
            return None
        parts, end = self.markup(found.end(), closing + "\n")
        return Heading(len(found.group(1)), at, end, Block(found.end(), end, parts))

    def _markup_step(self, at: int) -> int:
        """Behind one thing of plain markup: an escaped sign, an equation, raw text, a sign."""
        text, sign = self.text, self.text[at]
        if sign == "\\":
            return at + 1 if text[at + 1 : at + 2].isspace() else min(at + 2, len(text))
        if sign == "`":
            return self._end_of_raw(at)
        return self._equation(at) if sign == "$" else at + 1

    def _code_step(self, at: int) -> int:
        """Behind one thing of code: a string, a bracket with all that is in it, an equation, a comment, a sign."""
        text, sign = self.text, self.text[at]
        if sign == '"':
            return self.string(at)
        if sign == "[":
            return min(self.markup(at + 1, "]")[1] + 1, len(text))
        if sign in "({":
            end = {"(": ")", "{": "}"}[sign]
            at += 1
            with self._inside():
                while at < len(text) and text[at] != end:
                    at = self._code_step(at)
            return min(at + 1, len(text))
        if sign == "`":
            return self._end_of_raw(at)
        if sign == "$":
            return self._equation(at)
        return self._comment(at) if self._is_comment(at) else at + 1

    def _equation(self, at: int) -> int:
        """Behind an equation, whose brackets need not pair; behind the dollar sign where nothing closes it."""
        text, start = self.text, at
        at += 1
        while at < len(text) and not self._equations_end:
            if text[at] == "$":
                return at + 1
            if text[at] == "#":
                at = self._code_in_equation(at)
            elif text[at] == '"':
                at = self.string(at)
            else:
                at = self._comment(at) if self._is_comment(at) else at + 1 + (text[at] == "\\")
        self._equations_end = True
        return start + 1

    def _code_in_equation(self, at: int) -> int:
        name = HASH.match(self.text, at)
        end = name.end() if name else at + 1
        if name is None:
            return self._code_step(end) if self.text.startswith(("(", "{", "[", '"'), end) else end
        while self.text.startswith(("(", "["), end):
            end = self._code_step(end)
        return end

    def _call(self, at: int) -> Call | None:
        """What a hash opens; None where it is only a sign."""
        text = self.text
        name = HASH.match(text, at)
        if name is None and text.startswith("[", at + 1):
            block, end = self._block(at + 1)
            return Call("", at, self._behind_semicolon(end), (), (block,))
        if name is None:
            return Call("", at, self._code_step(at + 1)) if text[at + 1 : at + 2] in {"{", "(", '"'} else None
        end = name.end()
        if name.group(1) in STATEMENTS:
            while end < len(text) and text[end] not in "\n;]":
                end = self._code_step(end)
            return Call(name.group(1), at, self._behind_semicolon(end))
        arguments: list[Argument] = []
        if text.startswith("(", end):
            arguments, end = self.arguments(end)
        shown = [one for one in arguments if one.name is None or one.name in CONTENT_ARGUMENTS]
        blocks = [self._block(one.start)[0] for one in shown if text[one.start] == "["]
        while text.startswith("[", end):
            block, end = self._block(end)
            blocks.append(block)
        return Call(name.group(1), at, self._behind_semicolon(end), tuple(arguments), tuple(blocks))

    def _behind_semicolon(self, at: int) -> int:
        return at + self.text.startswith(";", at)

    def _block(self, at: int) -> tuple[Block, int]:
        parts, end = self.markup(at + 1, "]")
        return Block(at + 1, end, parts), min(end + 1, len(self.text))

    def _end_of_raw(self, at: int) -> int:
        found = RAW.match(self.text, at)
        return found.end() if found else at + 1

    def _is_comment(self, at: int) -> bool:
        return self.text.startswith(("//", "/*"), at)

    def _comment(self, at: int) -> int:
        """Behind a comment; `/* */` may hold others of its kind."""
        if self.text.startswith("//", at):
            end = self.text.find("\n", at)
            return end if end >= 0 else len(self.text)
        deep = 0
        for edge in COMMENT_EDGE.finditer(self.text, at):
            deep += 1 if edge.group() == "/*" else -1
            if deep == 0:
                return edge.end()
        return len(self.text)
