"""Why an image was set aside, in words short enough for a tile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from loradeck.state.records import ImageRecord
from loradeck.tools.contracts import ImageStatus

IMAGE_RULES = {
    "READABLE": "unreadable",
    "SIZE": "too small",
    "SHARP": "blurred",
    "JPEG": "blocky",
    "EXPOSURE": "badly exposed",
    "TEXT": "text at the margin",
    "DUPLICATE": "duplicate",
    "OCCLUDED": "face covered",
    "OUTLIER": "unlike the rest",
    "ORIGIN": "made with a LoRA",
    "RIGHTS": "may not be used",
}
"""By what stands behind IMG- in a rule's id."""
ASKED = "on request"
TWIN = "DUPLICATE"
MOST_LINKS = 1000
"""Better copies that were beaten in turn; more than these are a circle."""


def short_reason(rule_id: str, many: bool = False) -> str:
    """Two or three words for a rule that sets images aside; the id itself where it has none."""
    if rule_id == "ASKED":
        return ASKED
    words = IMAGE_RULES.get(rule_id.removeprefix("IMG-"), rule_id)
    return f"{words}s" if many and words == IMAGE_RULES[TWIN] else words


def why_aside(image: ImageRecord, images: Mapping[str, ImageRecord]) -> str:
    """Why an image of a set (by id) was set aside: "too small 400px", "duplicate of 12"; empty for one that was not."""
    if image.status != ImageStatus.REJECTED:
        return ""
    reason = _deciding(image.reasons)
    rule_id = str(reason.get("rule_id", ""))
    words = short_reason(rule_id) if rule_id else "set aside"
    if rule_id.endswith("-SIZE"):
        side = min(int(image.facts.get("width", 0)), int(image.facts.get("height", 0)))
        return f"{words} {side}px" if side else words
    if rule_id.endswith(f"-{TWIN}"):
        keeper = _keeper(image, images)
        return f"{words} of {keeper.number}" if keeper is not None else words
    return words


def deciding_rule(image: ImageRecord) -> str:
    """The id of the rule that set an image aside; empty for one that was not and where none is known."""
    return str(_deciding(image.reasons).get("rule_id", "")) if image.status == ImageStatus.REJECTED else ""


def _deciding(reasons: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The last reason that nobody waived."""
    return next((reason for reason in reversed(reasons) if not reason.get("waived")), {})


def _keeper(image: ImageRecord, images: Mapping[str, ImageRecord]) -> ImageRecord | None:
    """The copy that stays: a better one that was beaten in turn leads on to the one that beat it."""
    keeper = images.get(str(_twin(image)))
    for _ in range(MOST_LINKS):
        following = images.get(str(_twin(keeper))) if keeper is not None else None
        if following is None:
            break
        keeper = following
    return keeper


def _twin(image: ImageRecord) -> object:
    reason = _deciding(image.reasons)
    return reason.get("of") if image.status == ImageStatus.REJECTED else None
