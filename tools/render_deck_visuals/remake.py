"""A picture that loradeck drew, read back into the deck of one slide that draws it again, pixel for pixel.

Every PNG carries how it was drawn: the prompt as it was drawn, the seed, LoRAs by the hash of their bytes with their
strengths, steps, guidance, base and engine (`engines.story`).
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from loradeck.state.records import LoraRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import DeckSpec
from loradeck.tools.errors import BadArgument, NotFound
from loradeck.tools.render_deck_visuals.deck_file import checked

NEEDED = ("prompt", "seed", "engine", "base_model", "loras")


def deck_of_picture(store: Store, path: Path) -> DeckSpec:
    """The deck that draws a PNG of loradeck's again. Raises NotFound and BadArgument, with what is missing."""
    size, story = _story(path)
    if story.get("references"):
        files = ", ".join(str(one["file"]) for one in json.loads(story["references"]))
        raise BadArgument(
            f"{path.name} leant on reference pictures ({files}), which it does not hold: render its deck with deck_id, "
            "or give a deck of your own with the prompt, and references=[...]."
        )
    loras = [_use(store, one, path.name) for one in json.loads(story["loras"])]
    slide = {
        "name": _slide_name(path),
        "prompt": story["prompt"],
        "seed": int(story["seed"]),
        "width": size[0],
        "height": size[1],
    }
    defaults = {
        "loras": loras,
        "engine": story["engine"],
        "base_model": story["base_model"],
        "steps": int(story["steps"]) if "steps" in story else None,
        "guidance": float(story["guidance"]) if "guidance" in story else None,
    }
    return checked({"title": path.stem[:120], "defaults": defaults, "slides": [slide]}, path.name)


def _story(path: Path) -> tuple[tuple[int, int], dict[str, str]]:
    """Width, height and what the picture says of itself."""
    from PIL import Image, UnidentifiedImageError  # late: a server's start does without

    if not path.is_file():
        raise NotFound(f"There is no picture {path.name!r} at that path; give its full path.")
    try:
        with Image.open(path) as picture:
            size, story = picture.size, {str(key): str(value) for key, value in picture.info.items()}
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise BadArgument(f"{path.name!r} cannot be read as a PNG; give one that loradeck drew.") from None
    missing = [name for name in NEEDED if name not in story]
    if missing:
        raise BadArgument(
            f"{path.name!r} does not say how it was drawn (no {', '.join(missing)}), so it cannot be drawn again; "
            "programs that save a picture anew often drop that. Give a PNG as loradeck left it."
        )
    return size, story


def _use(store: Store, told: dict[str, Any], name: str) -> dict[str, Any]:
    """The LoRA of those very bytes in the library, whatever it is called now."""
    digest = str(told["sha256"])
    found = store.where(LoraRecord, "sha256 = ? and deleted_at is null", [digest], order="created_at desc", limit=1)
    if not found:
        raise NotFound(
            f"{name} was drawn with the LoRA {told['file']} (SHA-256 {digest[:12]}...), which is not in the library; "
            'manage_loras(action="import", path=...) takes it in.'
        )
    return {"lora_id": found[0].id, "strength": float(told["strength"])}


def _slide_name(path: Path) -> str:
    """The name of a slide from a file's: 01_cover.png is cover, 04_icons-star.png icons_star."""
    stem = re.sub(r"^\d+_", "", path.stem.casefold())
    return re.sub(r"[^a-z0-9]+", "_", stem).strip("_")[:41] or "picture"
