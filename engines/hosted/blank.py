"""Whether a picture that came back shows anything: hosts blacken what their safety checkers withhold, and say nothing.

A withheld picture has one colour throughout. A photograph never has, however dark it is: its darkest corner differs
from its lightest by more than compression does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

MOST_SPREAD = 8
"""How far the darkest and the lightest of a channel lie apart, at most, in a picture of one colour (of 255).

JPEG keeps one colour, and lossy WebP of quality 75 decodes it to within 8; photographs span 17 and more at a twelfth of
their light (measured on those of the tests).
"""
MOST_BLACK = 16
"""The lightest that counts as black (of 255), which is black in video levels too."""


def judge(path: Path) -> str | None:
    """What is wrong with a picture, to go on with "the picture that came back ..."; None where it shows something."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            picture.load()
            return _wrong(picture)
    except Image.DecompressionBombError:
        return "is larger than any picture that is drawn here"
    except (OSError, SyntaxError, ValueError):
        return "is not a whole picture"


def _wrong(picture: Image.Image) -> str | None:
    """What is wrong with a picture that was decoded."""
    deep = picture.mode[0] in "IF"  # more than 8 bits a channel, and one channel
    spans: Any = [picture.getextrema()] if deep else picture.convert("RGBA").getextrema()
    if not deep and spans[3][1] == 0:
        return "is wholly transparent"
    if any(most - least > (0 if deep else MOST_SPREAD) for least, most in spans):
        return None
    if all(most <= (0 if deep else MOST_BLACK) for _, most in spans[:3]):
        return "is black, as hosts leave a picture that their safety checker withheld"
    return "has one colour throughout, as hosts leave a picture that their safety checker withheld"
