"""The colours and the shape of a person's Typst deck, so that pictures proposed for it fit."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterator

from loradeck.tools.contracts import Aspect, Theme
from loradeck.tools.render_deck_visuals.frames import RATIOS
from loradeck.tools.render_deck_visuals.typst_parts import STATEMENTS, arguments_at, calls, parts_of

LET = re.compile(r"#let\s+([\w-]+)\s*=\s*([^\n]+)")
RGB = re.compile(r"""\s*rgb\(\s*["']#?([0-9a-fA-F]{3,8})["']""")
LUMA = re.compile(r"\s*luma\((\d{1,3})(%?)\)")
NAMED_COLOURS = {"black": "#000000", "white": "#ffffff", "gray": "#aaaaaa", "navy": "#001f3f", "yellow": "#ffdc00"}
"""Of those that Typst knows by name, the ones decks stand on: https://typst.app/docs/reference/visualize/color/."""
ACCENT = re.compile(r"accent|gold|primary|brand|highlight", re.IGNORECASE)
PAPER = re.compile(r'paper:\s*"presentation-(16-9|4-3)"')
PAGE_RULE = re.compile(r"\bset\s+page\(")
SIDE = r"\b{}:\s*(\d{{1,6}}(?:\.\d*)?|\.\d+)(pt|mm|cm|in)\b"
POINTS = {"pt": 1.0, "mm": 72 / 25.4, "cm": 72 / 2.54, "in": 72.0}
HUES = (
    (0.04, "red"),
    (0.1, "orange"),
    (0.17, "gold"),
    (0.42, "green"),
    (0.53, "teal"),
    (0.7, "blue"),
    (0.83, "violet"),
)
"""Where on the circle of hues (0 to 1) each name ends."""


def theme_of(source: str) -> Theme:
    """Background and text as the file sets them, else Typst's own; the accent by its name or as the liveliest colour.

    Raises `typst_parts.Untidy`.
    """
    known = {name: colour for name, value in LET.findall(source) if (colour := _colour(value, {}))}
    background = _set(source, "page", known) or "#ffffff"
    text = _set(source, "text", known) or ("#000000" if _lightness(background) > 0.5 else "#ffffff")
    called = [colour for name, colour in known.items() if ACCENT.search(name)]
    others = sorted(set(known.values()) - {background, text}, key=lambda one: (-_liveliness(one), one))
    accent = (called or [one for one in others if _liveliness(one) > 0.2] or [Theme().accent])[0]
    return Theme(background=background, text=text, accent=accent, aspect=_aspect(source))


def in_words(theme: Theme) -> str:
    """What a prompt says of the colours: "deep black background #121212, gold accents"."""
    light = _lightness(theme.background)
    ground = "deep black" if light < 0.15 else "dark" if light < 0.4 else "white" if light > 0.95 else "light"
    hue, _, strength = colorsys.rgb_to_hsv(*_shares(theme.accent))
    accent = next((name for end, name in HUES if hue < end), "red") if strength > 0.15 else "grey"
    return f"{ground} background {theme.background}, {accent} accents"


def _set(source: str, what: str, known: dict[str, str]) -> str | None:
    """The first fill that a set rule gives to pages or text."""
    rules = [source[call.start : call.end] for call in calls(parts_of(source)) if call.name == "set"]
    for rule in rules:
        fill = re.search(r"\bfill:\s*([^\n]+)", rule) if rule.startswith(f"#set {what}(") else None
        if fill and (colour := _colour(fill.group(1), known)):
            return colour
    return None


def _colour(value: str, known: dict[str, str]) -> str | None:
    if found := RGB.match(value):
        digits = found.group(1)
        digits = "".join(sign * 2 for sign in digits[:3]) if len(digits) < 6 else digits[:6]
        return f"#{digits.lower()}"
    if found := LUMA.match(value):
        grey = min(255, round(int(found.group(1)) * (2.55 if found.group(2) else 1)))
        return f"#{grey:02x}{grey:02x}{grey:02x}"
    name = re.match(r"\s*([\w-]+)", value)
    return {**NAMED_COLOURS, **known}.get(name.group(1)) if name else None


def _aspect(source: str) -> Aspect:
    paper = PAPER.search(source)
    if paper:
        return "16:9" if paper.group(1) == "16-9" else "4:3"
    rules = "\n".join(_page_rules(source))
    width, height = (re.search(SIDE.format(side), rules, re.ASCII) for side in ("width", "height"))
    if width is None or height is None:
        return "16:9"
    ratio = float(width[1]) * POINTS[width[2]] / max(1.0, float(height[1]) * POINTS[height[2]])
    return min(RATIOS, key=lambda aspect: abs(RATIOS[aspect] - ratio))


def _page_rules(source: str) -> Iterator[str]:
    """What each statement says of pages, in its first rule for them: those of a theme function count too."""
    for call in calls(parts_of(source)):
        rule = source[call.start : call.end]
        if call.name in STATEMENTS and (found := PAGE_RULE.search(rule)):
            yield rule[found.end() : arguments_at(rule, found.end() - 1)[1]]


def _shares(colour: str) -> tuple[float, float, float]:
    return (int(colour[1:3], 16) / 255, int(colour[3:5], 16) / 255, int(colour[5:7], 16) / 255)


def _lightness(colour: str) -> float:
    return sum(_shares(colour)) / 3


def _liveliness(colour: str) -> float:
    """Chroma: the spread between the strongest and the weakest of red, green and blue."""
    return max(_shares(colour)) - min(_shares(colour))
