"""Copies of a picture as people make them, by name: what near-duplicates are measured on."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

from PIL import Image, ImageChops, ImageEnhance, ImageOps

Change = Callable[[Image.Image, random.Random], Image.Image]


def recompressed(picture: Image.Image, quality: int = 30) -> Image.Image:
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def resized(picture: Image.Image, longer: int) -> Image.Image:
    shrink = longer / max(picture.size)
    size = max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink))
    return picture.resize(size, Image.Resampling.BICUBIC)


def cropped(picture: Image.Image, share: float, across: float, down: float) -> Image.Image:
    """Cut `share` off both sides; `across` and `down`, 0 to 1, place what is kept."""
    width, height = round(picture.width * (1 - share)), round(picture.height * (1 - share))
    left, top = round(across * (picture.width - width)), round(down * (picture.height - height))
    return picture.crop((left, top, left + width, top + height))


def anywhere(share: float) -> Change:
    return lambda picture, chance: cropped(picture, share, chance.random(), chance.random())


def at_a_corner(share: float) -> Change:
    return lambda picture, chance: cropped(picture, share, chance.randint(0, 1), chance.randint(0, 1))


def bordered(picture: Image.Image, chance: random.Random) -> Image.Image:
    return ImageOps.expand(picture, round(max(picture.size) * 0.08), chance.choice(["white", "black", "#7f7f7f"]))


def letterboxed(picture: Image.Image, chance: random.Random) -> Image.Image:
    """Bars of a fifth above and below, or left and right."""
    width, height = picture.size
    wide = chance.random() < 0.5
    ground = Image.new("RGB", (width + 2 * (width // 5), height) if wide else (width, height + 2 * (height // 5)))
    ground.paste(picture, (width // 5, 0) if wide else (0, height // 5))
    return ground


def warmer(picture: Image.Image, much: float = 0.15) -> Image.Image:
    red, green, blue = picture.split()
    red, blue = (
        band.point([min(255, round(value * by)) for value in range(256)])
        for band, by in ((red, 1 + much), (blue, 1 - much))
    )
    return Image.merge("RGB", (red, green, blue))


def hue_turned(picture: Image.Image, degrees: float) -> Image.Image:
    hue, saturation, value = picture.convert("HSV").split()
    turned = ImageChops.add_modulo(hue, Image.new("L", hue.size, round(degrees / 360 * 256) % 256))
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def grey(picture: Image.Image) -> Image.Image:
    return picture.convert("L").convert("RGB")


def either(low: float, high: float, chance: random.Random) -> float:
    return low if chance.random() < 0.5 else high


SINGLE: dict[str, Change] = {
    "half the size": lambda picture, _: resized(picture, max(picture.size) // 2),
    "256 px": lambda picture, _: resized(picture, 256),
    "1.5 times the size": lambda picture, _: resized(picture, max(picture.size) * 3 // 2),
    "JPEG quality 30": lambda picture, _: recompressed(picture),
    "mirrored": lambda picture, _: ImageOps.mirror(picture),
    "cropped by 10%": anywhere(0.1),
    "cropped by 10%, corner": at_a_corner(0.1),
    "cropped by 25%": anywhere(0.25),
    "cropped by 25%, corner": at_a_corner(0.25),
    "border of 8%": bordered,
    "letterboxed": letterboxed,
    "brightness 0.7 or 1.3": lambda picture, chance: ImageEnhance.Brightness(picture).enhance(either(0.7, 1.3, chance)),
    "contrast 0.7 or 1.3": lambda picture, chance: ImageEnhance.Contrast(picture).enhance(either(0.7, 1.3, chance)),
    "saturation 0.5 or 1.5": lambda picture, chance: ImageEnhance.Color(picture).enhance(either(0.5, 1.5, chance)),
    "hue by 20 degrees": lambda picture, chance: hue_turned(picture, either(-20, 20, chance)),
    "temperature by 15%": lambda picture, chance: warmer(picture, either(-0.15, 0.15, chance)),
    "grey": lambda picture, _: grey(picture),
}
PAIRS = [
    ("cropped by 25%", "JPEG quality 30"),
    ("cropped by 25%", "256 px"),
    ("cropped by 25%", "mirrored"),
    ("cropped by 25%, corner", "brightness 0.7 or 1.3"),
    ("cropped by 25%", "grey"),
    ("cropped by 10%", "mirrored"),
    ("cropped by 10%", "border of 8%"),
    ("cropped by 25%", "letterboxed"),
    ("mirrored", "JPEG quality 30"),
    ("mirrored", "256 px"),
    ("letterboxed", "JPEG quality 30"),
    ("contrast 0.7 or 1.3", "JPEG quality 30"),
    ("grey", "mirrored"),
    ("256 px", "JPEG quality 30"),
]


def copies(picture: Image.Image, seed: int) -> dict[str, Image.Image]:
    """Every copy of one picture, single changes and two combined, by the name of the change."""
    chance = random.Random(seed)
    made = {name: change(picture, chance) for name, change in SINGLE.items()}
    for first, second in PAIRS:
        made[f"{first} + {second}"] = SINGLE[second](SINGLE[first](picture, chance), chance)
    return made
