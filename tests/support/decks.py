"""Decks for tests."""

from __future__ import annotations

from typing import Any

from loradeck.tools.contracts import DeckSpec, RenderArgs, RenderResult
from loradeck.tools.render_deck_visuals.tool import handle
from loradeck.tools.workbench import Workbench

NAMES = ("cover", "story", "closing")


def deck(names: tuple[str, ...] = NAMES, **changes: Any) -> DeckSpec:
    """Three slides of 16:9, small so that tests are quick."""
    slides = [{"name": name, "prompt": f"a red house, {name}", "heading": name, "body": "Words."} for name in names]
    return DeckSpec.model_validate({"title": "The Bakery", "width": 320, "height": 180, "slides": slides, **changes})


def render(workbench: Workbench, **arguments: Any) -> RenderResult:
    """One call of the tool."""
    return handle(RenderArgs.model_validate(arguments), workbench)
