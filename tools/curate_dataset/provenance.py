"""What a picture's own metadata says drew it: the LoRAs that generators write into their files (IMG-ORIGIN).

Read are AUTOMATIC1111 and its kin ("<lora:name:0.8>", "Lora hashes"), ComfyUI (the graph's loader nodes), InvokeAI
and Fooocus (a list of LoRAs), from PNG texts and from EXIF, and loradeck's own pictures. A file that lost its metadata
says nothing.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from typing import Any

from PIL import ExifTags, Image

from loradeck.tools.curate_dataset.names import shown

MOST_CHARACTERS = 4_000_000
MOST_NAMES = 8
LONGEST_NAME = 80
TAG = re.compile(r"<(?:lora|lyco|locon):([^:<>\n]{1,200})[:>]", re.IGNORECASE)
HASHES = re.compile(r'Lora hashes:\s*"([^"\n]{1,2000})"', re.IGNORECASE)
TEXT_TAGS = (ExifTags.Base.UserComment, ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model)
UNICODE_COMMENT = b"UNICODE\0"
DAMAGED = (OSError, SyntaxError, ValueError, LookupError, TypeError, EOFError, OverflowError, struct.error)
"""What Pillow raises on damaged EXIF."""
KNOWN_LISTS = ("loras", "Loras", "lora")
"""Keys under which InvokeAI, Fooocus and loradeck list LoRAs."""
NAME_KEYS = ("name", "model_name", "lora_id", "path", "file")


def loras_of(raw: Image.Image) -> list[str]:
    """Names of the LoRAs that a file says it was drawn with, each once; empty where it says nothing."""
    names: dict[str, None] = {}
    for text in _texts(raw):
        for name in _named(text[:MOST_CHARACTERS]):
            tidy = " ".join(shown(" ".join(str(name).split())).split())[:LONGEST_NAME]
            if tidy and tidy.lower() != "none":
                names[tidy] = None
    return list(names)[:MOST_NAMES]


def _texts(raw: Image.Image) -> Iterator[str]:
    """Every text that generators write into: PNG chunks, then EXIF."""
    for key, value in raw.info.items():
        if isinstance(value, str):
            yield f'{{"loras": {value}}}' if key in KNOWN_LISTS else value
    try:
        exif = raw.getexif()
        tags = [exif.get_ifd(ExifTags.IFD.Exif), exif]
    except DAMAGED:  # counts as none
        return
    for values in tags:
        for tag in TEXT_TAGS:
            text = _decoded(values.get(tag))
            if text:
                yield text


def _decoded(value: Any) -> str:
    """An EXIF text; a UserComment names its encoding in its first eight bytes."""
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes):
        return ""
    if value.startswith(UNICODE_COMMENT):
        body = value[len(UNICODE_COMMENT) :]
        big = body[:1] == b"\0"
        return body.decode("utf-16-be" if big else "utf-16-le", errors="replace")
    return value.decode("utf-8", errors="replace").replace("\0", " ")


def _named(text: str) -> Iterator[str]:
    yield from TAG.findall(text)
    for listed in HASHES.findall(text):
        yield from (part.split(":", 1)[0] for part in listed.split(",") if ":" in part)
    start = text.find("{")
    if start >= 0 and "lora" in text.lower():
        try:
            tree, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            return
        yield from _in_tree(tree)


def _in_tree(node: Any, depth: int = 0) -> Iterator[str]:
    """LoRA names in a graph or a list of settings."""
    if depth > 12:
        return
    if isinstance(node, dict):
        yield from _of_loader(node)
        for key in KNOWN_LISTS:
            yield from _of_list(node.get(key))
        for value in node.values():
            if isinstance(value, dict | list):
                yield from _in_tree(value, depth + 1)
    elif isinstance(node, list):
        for value in node:
            if isinstance(value, dict | list):
                yield from _in_tree(value, depth + 1)


def _of_loader(node: dict[str, Any]) -> Iterator[str]:
    """The LoRAs of a ComfyUI loader node that are switched on."""
    inputs = node.get("inputs")
    if "lora" not in str(node.get("class_type", "")).lower() or not isinstance(inputs, dict):
        return
    for key, value in inputs.items():
        if key.startswith("lora_name") and isinstance(value, str):
            yield value
        elif isinstance(value, dict) and isinstance(value.get("lora"), str) and value.get("on", True):
            yield value["lora"]


def _of_list(listed: Any) -> Iterator[str]:
    """Names in a list of LoRAs: texts, pairs that begin with one, or objects that hold one."""
    for one in listed if isinstance(listed, list) else []:
        if isinstance(one, list) and one:
            one = one[0]
        if isinstance(one, dict):
            nested = next((one[key] for key in ("model", "lora") if isinstance(one.get(key), dict)), one)
            one = next((nested[key] for key in NAME_KEYS if nested.get(key)), None)
        if isinstance(one, str):
            yield one
