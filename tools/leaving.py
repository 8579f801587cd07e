"""Images that may not leave this machine stay here (IMG-RIGHTS)."""

from __future__ import annotations

from collections.abc import Sequence

from loradeck.engines.base import Engine
from loradeck.state.records import ImageRecord
from loradeck.tools.errors import Refused

MOST_NUMBERS = 12


def must_not_leave(engine: Engine, images: Sequence[ImageRecord]) -> None:
    """Raises Refused (IMG-RIGHTS) where an engine elsewhere would get an image that is marked as not to leave."""
    staying = [str(image.number) for image in images if image.rights.get("may_leave") is False]
    if staying and engine.capabilities.leaves_machine:
        raise Refused(
            f"IMG-RIGHTS: {len(staying)} images are marked as not to leave this machine (numbers "
            f"{', '.join(staying[:MOST_NUMBERS])}), and {engine.name} is elsewhere; nothing was sent. Use "
            "engine=local, reject these images, or record other rights with curate_dataset."
        )
