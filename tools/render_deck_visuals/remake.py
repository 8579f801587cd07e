"""A picture that loradeck drew, read back into the deck of one slide that draws it again, pixel for pixel.

Every PNG carries how it was drawn: the prompt as it was drawn, the seed, LoRAs by the hash of their bytes with their
strengths, steps, guidance, base and engine (`engines.story`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, FiniteFloat, Json, ValidationError

from loradeck.state.records import LoraRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import LONGEST_DRAWN, DeckSpec, Seed
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.render_deck_visuals.deck_file import checked

NEEDED = ("prompt", "seed", "engine", "base_model", "loras")
LONGEST_NAME = 60


class ToldFile(BaseModel):
    """A LoRA or a reference by its name then; the name is no path here, whatever it looks like."""

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @property
    def name(self) -> str:
        """The name as a sentence holds it."""
        return re.split(r"[/\\]", self.file)[-1][:LONGEST_NAME]


class ToldLora(ToldFile):
    """A LoRA and how strongly it acted."""

    strength: FiniteFloat


class Story(BaseModel):
    """What a PNG says of how it was drawn: all of it text, which anybody may have changed since."""

    prompt: str = Field(min_length=1, max_length=LONGEST_DRAWN)
    seed: Seed
    engine: str = Field(max_length=LONGEST_NAME)
    base_model: str = Field(max_length=LONGEST_NAME)
    loras: Json[list[ToldLora]]
    references: Json[list[ToldFile]] = Field(default_factory=list)
    steps: int | None = None
    guidance: FiniteFloat | None = None


def deck_of_picture(store: Store, path: Path) -> DeckSpec:
    """The deck that draws a PNG of loradeck's again. Raises NotFound and BadArgument, with what is missing."""
    size, story = _story(path)
    if story.references:
        files = ", ".join(one.name for one in story.references)
        raise BadArgument(
            f"{path.name} leant on reference pictures ({files}), which it does not hold: render its deck with deck_id, "
            "or give a deck of your own with the prompt, and references=[...]."
        )
    loras = [_use(store, one, path.name) for one in story.loras]
    slide = {
        "name": _slide_name(path),
        "as_drawn": story.prompt,
        "seed": story.seed,
        "width": size[0],
        "height": size[1],
    }
    defaults = {"loras": loras, **story.model_dump(include={"engine", "base_model", "steps", "guidance"})}
    return checked({"title": path.stem[:120], "defaults": defaults, "slides": [slide]}, path.name)


def _story(path: Path) -> tuple[tuple[int, int], Story]:
    """Width, height and what the picture says of itself."""
    from PIL import Image  # late: a server's start does without

    if not path.is_file():
        raise NotFound(f"There is no picture {path.name!r} at that path; give its full path.")
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            size, info = picture.size, dict(picture.info)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise BadArgument(f"{path.name!r} cannot be read as a PNG; give one that loradeck drew.") from None
    missing = [name for name in NEEDED if name not in info]
    if missing:
        raise BadArgument(
            f"{path.name!r} does not say how it was drawn (no {', '.join(missing)}), so it cannot be drawn again; "
            "programs that save a picture anew often drop that. Give a PNG as loradeck left it."
        )
    try:
        return size, Story.model_validate({str(name): str(value) for name, value in info.items()})
    except ValidationError as error:
        wrong = ", ".join(dict.fromkeys(str(one["loc"][0]) for one in error.errors()))
        raise BadArgument(
            f"What {path.name!r} says of how it was drawn was changed since ({wrong}), so it cannot be drawn again; "
            "give a PNG as loradeck left it."
        ) from None


def _use(store: Store, told: ToldLora, name: str) -> dict[str, Any]:
    """The LoRA of those very bytes in the library, whatever it is called now."""
    found = store.where(
        LoraRecord, "sha256 = ? and deleted_at is null", [told.sha256], order="created_at desc", limit=1
    )
    if not found:
        raise NotFound(
            f"{name} was drawn with the LoRA {told.name} (SHA-256 {told.sha256[:12]}...), which is not in the library; "
            'manage_loras(action="import", path=...) takes it in.'
        )
    return {"lora_id": found[0].id, "strength": told.strength}


def _slide_name(path: Path) -> str:
    """The name of a slide from a file's: 01_cover.png is cover, 04_icons-star.png icons_star."""
    stem = re.sub(r"^\d+_", "", path.stem.casefold())
    return re.sub(r"[^a-z0-9]+", "_", stem).strip("_")[:41] or "picture"
