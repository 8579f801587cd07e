"""The two jobs as MCP prompts, for the person who would rather pick from a menu."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server import MCPServer
from pydantic import Field

from loradeck import prompts


def train_lora(
    folder: Annotated[str, Field(description="Full path of the folder with the images, on this machine.")],
    trigger: Annotated[str, Field(description="A made-up word that will call the look.")] = "choose a made-up word",
    profile: Annotated[
        str, Field(description="What is taught: style, character, icons, product, logo or premium.")
    ] = "choose what fits the images",
) -> str:
    """Train a look on a folder of images, step by step."""
    return prompts.text("train_lora").format(folder=folder, trigger=trigger, profile=profile)


def render_deck(
    deck_or_topic: Annotated[str, Field(description="A deck's id, the path of a deck file, or what it is about.")],
    lora: Annotated[str, Field(description="Id or name of the LoRA.")] = "the newest",
) -> str:
    """Render a deck's visuals in a trained look, and the deck itself."""
    return prompts.text("render_deck").format(deck_or_topic=deck_or_topic, lora=lora)


def add(server: MCPServer[Any]) -> None:
    """Register both prompts."""
    server.prompt(title="Train a LoRA on my images")(train_lora)
    server.prompt(title="Render my deck")(render_deck)
