"""A camera turn in degrees, as the steps that Replicate's multi-angle model takes.

`qwen/qwen-edit-multiangle` knows no angles around a subject but moves: to a side by up to 90 degrees, up or down or
not, forward by up to 10, and a wide lens.
"""

from __future__ import annotations

from typing import Any

from loradeck.engines.base import CameraTurn
from loradeck.engines.errors import BadSpec

FARTHEST_DEGREES = 90.0
FROM_BELOW, FROM_ABOVE = -15.0, 45.0
"""From which height on (degrees) the view counts as a low angle, or as one from above: half of our range each way."""
FORWARD = 2.0
"""Moves forward for each step of zoom: from the middle to the closest is all that there is."""
WIDER = 3.0
"""From how many steps of zoom back a wide lens is used."""


def moves(turn: CameraTurn) -> dict[str, Any]:
    """The inputs for a turn. Raises BadSpec for a view that the model does not reach (behind the subject)."""
    degrees = (turn.horizontal - turn.start + 180.0) % 360.0 - 180.0
    closer = turn.zoom - turn.start_zoom
    if abs(degrees) > FARTHEST_DEGREES:
        raise BadSpec(
            f"The camera can be moved by {FARTHEST_DEGREES:.0f} degrees to each side at Replicate, not from "
            f"{turn.start:g} to {turn.horizontal:g}; use engine=fal for a view from behind, or start from a picture of "
            "its side."
        )
    return {
        # Positive turns the camera to the left of the picture, from where the right side of a subject is seen.
        "rotate_degrees": round(degrees),
        "vertical_tilt": -1 if turn.vertical >= FROM_ABOVE else 1 if turn.vertical <= FROM_BELOW else 0,
        "move_forward": round(min(10.0, max(0.0, closer) * FORWARD)),
        "use_wide_angle": closer <= -WIDER,
    }
