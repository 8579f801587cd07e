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
EYE_LEVEL_ZOOM = 5.0
WIDE_ZOOM = 2.0


def moves(turn: CameraTurn) -> dict[str, Any]:
    """The inputs for a turn. Raises BadSpec for a view that the model does not reach (behind the subject)."""
    degrees = (turn.horizontal + 180.0) % 360.0 - 180.0
    if abs(degrees) > FARTHEST_DEGREES:
        raise BadSpec(
            f"The camera can be moved by {FARTHEST_DEGREES:.0f} degrees to each side at Replicate, not to "
            f"{turn.horizontal:g}; use engine=fal for a view from behind, or start from a picture of its side."
        )
    return {
        # Positive turns the camera to the left of the picture, from where the right side of a subject is seen.
        "rotate_degrees": round(degrees),
        "vertical_tilt": -1 if turn.vertical >= FROM_ABOVE else 1 if turn.vertical <= FROM_BELOW else 0,
        "move_forward": round(max(0.0, turn.zoom - EYE_LEVEL_ZOOM) * 2.0),
        "use_wide_angle": turn.zoom <= WIDE_ZOOM,
    }
