"""What a machine sees at once in a picture that came out of a pass: nothing there, nothing in it, or all dark."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from loradeck.tools.render_deck_visuals import looks, measure

UNREADABLE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises on a file that is no picture."""


def spoilt(path: Path) -> str | None:
    """Why a picture can be of no use, in words behind "it"; None where it may be looked at by a person."""
    if not path.is_file():
        return "did not come"
    try:
        with Image.open(path) as opened:
            size = opened.size
        facts = measure.facts(path.stem, path, size)
    except UNREADABLE:
        return "is no picture that opens"
    blank = [finding for finding in looks.judge([facts])[path.stem] if finding.rule_id == "RND-BLANK"]
    return "is blank or black, as a host's filter leaves it" if blank else None
