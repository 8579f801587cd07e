"""Text laid over pictures, drawn from a seed: caption bars, subtitles, dates, credits, watermarks.

Every kind varies its words, font, size, colour, place and opacity, so that no single look is tuned on. Latin, Greek
and Cyrillic come from the fonts of `tools/pictures/fonts`; other scripts need fonts that are not part of loradeck.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageStat

FONTS = Path(__file__).resolve().parents[2] / "tools" / "pictures" / "fonts"
OWN_FONTS = (FONTS / "Inter-Regular.otf", FONTS / "Inter-SemiBold.otf")
CAPTIONS = (
    "Visitors queue at the main entrance on Saturday",
    "When the coffee finally starts working",
    "LIVE from the harbour: storm expected tonight",
    "Before and after, see the difference",
    "Der neue Laden am Markt öffnet im Mai",
    "Ne manquez pas notre offre de printemps",
    "Новая выставка открыта до конца марта",
    "Η έκθεση είναι ανοιχτή κάθε μέρα",
)
CREDITS = (
    "© Anna Weber 2019",
    "Photo: J. Lindqvist",
    "www.fotohaus-nord.example",
    "@marta.paints",
    "Copyright 2021 Hill Studio",
    "Foto: Иван Петров",
    "© Ελένη Παππά",
    "NORDLICHT MEDIA",
)
DATES = ("12.03.2019", "'98 7 14", "2021-05-06 14:33", "05/17/2004", "2012/10/28", "31 DEC 2007", "08-11-2016 9:05 PM")
MARKS = (
    "SAMPLE",
    "shotstock",
    "PREVIEW ONLY",
    "Hill Studio",
    "© nordlicht",
    "ОБРАЗЕЦ",
    "NOT FOR SALE",
    "picshare.example",
)
CHINESE = ("版权所有 北方影像", "样片 请勿转载", "春季新品发布会", "图片来自网络")
ARABIC = ("صورة للعرض فقط", "جميع الحقوق محفوظة")
DEVANAGARI = ("केवल नमूना चित्र", "सर्वाधिकार सुरक्षित")
INKS = ((255, 255, 255), (255, 255, 255), (20, 20, 20), (255, 210, 60), (230, 40, 40))
STAMPS = ((255, 150, 30), (255, 220, 60), (255, 255, 255), (255, 80, 40))
BARS = ((0, 0, 0), (255, 255, 255), (30, 60, 140), (200, 30, 40), (240, 235, 220))
OPACITIES = (0.15, 0.25, 0.4, 0.6)


@dataclass(frozen=True)
class Overlaid:
    """A picture with text over it: the words, and where they stand as (x, y, width, height)."""

    picture: Image.Image
    words: str
    box: tuple[int, int, int, int]


def caption_bar(picture: Image.Image, seed: int) -> Overlaid:
    """A line of text on a bar of one colour along the bottom or the top."""
    pick = random.Random(seed)
    words, paper = pick.choice(CAPTIONS), pick.choice(BARS)
    height = round(picture.height * pick.uniform(0.06, 0.12))
    top = pick.random() < 0.3
    drawn = picture.copy()
    y = 0 if top else picture.height - height
    draw = ImageDraw.Draw(drawn)
    draw.rectangle((0, y, picture.width, y + height), fill=paper)
    ink = (255, 255, 255) if sum(paper) < 400 else (20, 20, 20)
    font = _fitting(words, height * 0.55, picture.width * 0.92, pick)
    centre = (picture.width / 2, y + height / 2)
    draw.text(centre, words, font=font, fill=ink, anchor="mm")
    return Overlaid(drawn, words, _whole(draw.textbbox(centre, words, font=font, anchor="mm")))


def subtitle(picture: Image.Image, seed: int) -> Overlaid:
    """An outlined line without a bar, near the bottom."""
    pick = random.Random(seed)
    words = pick.choice(CAPTIONS)
    font = _fitting(words, picture.height * pick.uniform(0.035, 0.06), picture.width * 0.9, pick)
    drawn = picture.copy()
    draw = ImageDraw.Draw(drawn)
    place = (picture.width / 2, picture.height * pick.uniform(0.93, 0.97))
    ink = pick.choice(((255, 255, 255), (255, 230, 80)))
    draw.text(place, words, font=font, fill=ink, anchor="ms", stroke_width=max(1, round(font.size / 14)), stroke_fill=0)
    return Overlaid(drawn, words, _whole(draw.textbbox(place, words, font=font, anchor="ms")))


def date(picture: Image.Image, seed: int) -> Overlaid:
    """A camera's date in a lower corner."""
    pick = random.Random(seed)
    words = pick.choice(DATES)
    font = _fitting(words, max(14, min(picture.size) * pick.uniform(0.03, 0.05)), picture.width * 0.5, pick)
    return _cornered(picture, words, font, pick.choice(STAMPS), 1.0, pick, lower=True)


def credit(picture: Image.Image, seed: int, words: str = "") -> Overlaid:
    """A small name or address in a corner, sometimes half transparent."""
    pick = random.Random(seed)
    chosen = pick.choice(CREDITS)
    words = words or chosen
    font = _fitting(words, max(13, min(picture.size) * pick.uniform(0.025, 0.045)), picture.width * 0.6, pick)
    return _cornered(picture, words, font, pick.choice(INKS), pick.choice((0.5, 0.7, 1.0)), pick, lower=False)


def edge(picture: Image.Image, seed: int) -> Overlaid:
    """A credit that runs up the right or the left edge."""
    pick = random.Random(seed)
    words = pick.choice(CREDITS)
    size = max(13, min(picture.size) * pick.uniform(0.025, 0.04))
    font = _fitting(words, size, picture.height * 0.7, pick)
    stencil = _stencil(words, font).rotate(90, expand=True)
    gap = round(min(picture.size) * 0.012)
    x = gap if pick.random() < 0.4 else picture.width - stencil.width - gap
    y = round(pick.uniform(0.1, 0.9) * (picture.height - stencil.height))
    return _inked(picture, words, stencil, (x, y), pick.choice(INKS[:3]), pick.choice((0.7, 1.0)))


def centre_mark(picture: Image.Image, seed: int, opacity: float, words: str = "") -> Overlaid:
    """A large half-transparent mark in the middle, level or slanted."""
    pick = random.Random(seed)
    chosen = pick.choice(MARKS)
    words = words or chosen
    font = _fitting(words, picture.height * pick.uniform(0.08, 0.16), picture.width * 0.7, pick)
    stencil = _stencil(words, font).rotate(pick.choice((0, 0, 20, 30)), Image.Resampling.BICUBIC, expand=True)
    x, y = (picture.width - stencil.width) // 2, (picture.height - stencil.height) // 2
    return _inked(picture, words, stencil, (x, y), _mark_ink(picture), opacity)


def tiled_mark(picture: Image.Image, seed: int, opacity: float, words: str = "") -> Overlaid:
    """A small mark all over the picture, level or slanted; the box is the whole picture."""
    pick = random.Random(seed)
    chosen = pick.choice(MARKS)
    words = words or chosen
    font = _fitting(words, max(14, picture.height * pick.uniform(0.035, 0.06)), picture.width * 0.4, pick)
    stencil = _stencil(words, font).rotate(pick.choice((0, 25, 35)), Image.Resampling.BICUBIC, expand=True)
    sheet = Image.new("L", picture.size)
    for row, y in enumerate(range(-stencil.height // 2, picture.height, round(stencil.height * 1.9))):
        for x in range(-(row % 2) * stencil.width // 2, picture.width, round(stencil.width * 1.4)):
            sheet.paste(stencil, (x, y), stencil)
    return _inked(picture, words, sheet, (0, 0), _mark_ink(picture), opacity)


def other_script(picture: Image.Image, seed: int, words: str, font: Path) -> Overlaid:
    """A credit in a corner in the script of the font given."""
    pick = random.Random(seed)
    size = max(14, min(picture.size) * pick.uniform(0.035, 0.06))
    return _cornered(picture, words, ImageFont.truetype(font, round(size)), pick.choice(INKS), 1.0, pick, lower=False)


KINDS: dict[str, Callable[[Image.Image, int], Overlaid]] = {
    "caption bar": caption_bar,
    "subtitle": subtitle,
    "date": date,
    "corner credit": credit,
    "edge credit": edge,
}
MARK_KINDS: dict[str, Callable[[Image.Image, int, float], Overlaid]] = {
    "centre mark": centre_mark,
    "tiled mark": tiled_mark,
}


def half(name: str) -> int:
    """0 (tuned on) or 1 (reported on), by the hash of a picture's name."""
    return hashlib.sha256(name.encode()).digest()[0] % 2


def _fitting(words: str, size: float, most_width: float, pick: random.Random) -> ImageFont.FreeTypeFont:
    """One of the own fonts at `size` pixels, or smaller where the words would be wider than `most_width`."""
    path = pick.choice(OWN_FONTS)
    font = ImageFont.truetype(path, max(8, round(size)))
    width = font.getlength(words)
    return font if width <= most_width else ImageFont.truetype(path, max(8, int(font.size * most_width / width)))


def _cornered(
    picture: Image.Image,
    words: str,
    font: ImageFont.FreeTypeFont,
    ink: tuple[int, int, int],
    opacity: float,
    pick: random.Random,
    *,
    lower: bool,
) -> Overlaid:
    """Words a little way in from a corner; with `lower` mostly at the bottom right."""
    stencil = _stencil(words, font)
    gap = round(min(picture.size) * pick.uniform(0.015, 0.04))
    x = gap if pick.random() < 0.3 else picture.width - stencil.width - gap
    y = gap if pick.random() < (0 if lower else 0.2) else picture.height - stencil.height - gap
    return _inked(picture, words, stencil, (x, y), ink, opacity)


def _mark_ink(picture: Image.Image) -> tuple[int, int, int]:
    """White, or black on a bright picture, as those who sell marked pictures do."""
    return (0, 0, 0) if ImageStat.Stat(picture.convert("L")).mean[0] > 170 else (255, 255, 255)


def _stencil(words: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """The words, white on black, cut close."""
    left, top, right, bottom = font.getbbox(words)
    stencil = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(stencil).text((-left, -top), words, font=font, fill=255)
    return stencil


def _inked(
    picture: Image.Image,
    words: str,
    stencil: Image.Image,
    place: tuple[int, int],
    ink: tuple[int, int, int],
    opacity: float,
) -> Overlaid:
    """The picture with the stencil inked at `place`."""
    drawn = picture.copy()
    drawn.paste(
        ink, (*place, place[0] + stencil.width, place[1] + stencil.height), stencil.point(lambda v: v * opacity)
    )
    return Overlaid(drawn, words, (*place, *stencil.size))


def _whole(corners: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
    """(x, y, width, height) of corners."""
    left, top, right, bottom = corners
    return round(left), round(top), round(right - left), round(bottom - top)
