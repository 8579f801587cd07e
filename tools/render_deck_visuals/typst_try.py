"""A Typst source set in memory, in the place where it would lie, to see whether it can be and what it says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typst

from loradeck.tools.pictures.canvas import FONTS

SAID_FIRST = "failed to compile document: "
LONGEST = 200


class NotSet(ValueError):
    """Typst refused a source; the message is Typst's own first line."""


def queried(sources: Mapping[str, str], selector: str, root: Path) -> list[Any]:
    """The values of what a selector finds in the first of the sources, which stand in `root` by name. Raises NotSet."""
    data: Any = {name: text.encode() for name, text in sources.items()}
    try:  # the binding takes sources by name, which its stubs leave out
        found = typst.query(data, selector, field="value", root=str(root), font_paths=[str(FONTS)])
    except RuntimeError as error:  # a query's own kind; TypstError, which compiling raises, is one too
        lines = str(error).removeprefix(SAID_FIRST).splitlines() or ["unknown reason"]
        raise NotSet(lines[0][:LONGEST]) from None
    values: list[Any] = json.loads(found)
    return values
