"""Labelled pictures of people: the renders of one head at a known yaw, and framings whose truth is known by geometry.

A framing is true by how high the head (crown to chin) stands in the picture, which is known from where it was put, not
from what a detector says. A standing adult is 7.5 heads high.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from loradeck.tools.contracts import Angle, Framing

DATA = Path(__file__).resolve().parents[1] / "data"
ICONS = Path(__file__).resolve().parents[2] / "server" / "demo_data" / "icons"
RENDERS = DATA / "head_yaw"
PHOTOS = DATA / "photos"
WITHOUT_PEOPLE = ("coffee.png", "rocket.png", "page.png", "cat.png")
"""Photographs with no face. `camera.png` has a man in profile."""
FRONT_TO = 20
THREE_QUARTER_TO = 67
PROFILE_TO = 112
"""Degrees of yaw up to which a view has its name."""
SIZE = 1024


@dataclass(frozen=True)
class Render:
    """A render of the head: negative yaw turns the nose to the picture's left, so that the left cheek is seen."""

    path: Path
    yaw: int

    @property
    def view(self) -> str:
        """Front, three_quarter_left, three_quarter_right, profile or back, by the yaw."""
        turned = abs(self.yaw)
        if turned <= FRONT_TO:
            return Angle.FRONT.value
        if turned <= THREE_QUARTER_TO:
            return (Angle.THREE_QUARTER_LEFT if self.yaw < 0 else Angle.THREE_QUARTER_RIGHT).value
        return "profile" if turned <= PROFILE_TO else "back"

    def picture(self) -> Image.Image:
        """The render, RGB."""
        return opened(self.path)


@dataclass(frozen=True)
class Head:
    """A picture with a head whose crown, chin (y) and middle (x) were read off it, in shares of its side."""

    path: Path
    crown: float
    chin: float
    middle: float


RENDER = Head(RENDERS / "white_y+000.jpg", 0.100, 0.817, 0.500)
TURNED = Head(RENDERS / "white_y+030.jpg", 0.095, 0.800, 0.500)
ASTRONAUT = Head(PHOTOS / "astronaut.png", 0.030, 0.355, 0.440)
HEADS = {"tuned": (RENDER, TURNED), "held out": (ASTRONAUT,)}
"""The thresholds of framing were set on the renders; the astronaut was held out."""
TALL = {
    Framing.CLOSE_UP: (0.65, 0.75, 0.85, 0.95),
    Framing.MEDIUM: (0.26, 0.32, 0.38, 0.44),
    Framing.FULL_BODY: (0.08, 0.095, 0.11, 0.125),
}
"""How high the head stands in the picture, in shares of its height: all of the head and little else; hips or chest up;
a person from head to toe."""


def opened(path: Path) -> Image.Image:
    """A picture, RGB."""
    with Image.open(path) as picture:
        return picture.convert("RGB")


def renders() -> list[Render]:
    """All 37, in the order of their list."""
    rows = map(json.loads, (RENDERS / "metadata.jsonl").read_text(encoding="utf-8").splitlines())
    return [Render(RENDERS / row["file_name"], row["yaw"]) for row in rows]


def faceless() -> list[Path]:
    """Pictures without a face: photographs, icons, a tabby cat, and the head from behind."""
    backs = [render.path for render in renders() if render.view == "back"]
    cats = sorted((DATA / "tabby_cat_tags").glob("*.jpg"))
    return [*(PHOTOS / name for name in WITHOUT_PEOPLE), *sorted(ICONS.glob("*.png")), *cats, *backs]


def framed(part: str) -> Iterator[tuple[Framing, Image.Image]]:
    """Squares of SIZE pixels with a known framing: every head of the part, in every size, before every photograph."""
    for head in HEADS[part]:
        for framing, shares in TALL.items():
            for place, name in enumerate(WITHOUT_PEOPLE):
                for share in shares:
                    yield framing, pasted(head, opened(PHOTOS / name), share, place)


def pasted(head: Head, behind: Image.Image, share: float, place: int) -> Image.Image:
    """The head's picture put before another so that crown to chin is `share` of the height, the crown near the top."""
    scene = behind.resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    scale = share * SIZE / (head.chin - head.crown)
    person = opened(head.path).resize((round(scale), round(scale)), Image.Resampling.LANCZOS)
    top = (1 - share) * (0.02 if share < 0.2 else 0.15 + 0.1 * place) * SIZE
    across = (0.35 + 0.1 * place) if share < 0.5 else 0.5
    scene.paste(person, (round(across * SIZE - head.middle * scale), round(top - head.crown * scale)))
    return scene
