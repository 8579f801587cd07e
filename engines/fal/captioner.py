"""The captioner that fal has itself."""

from __future__ import annotations

from loradeck.engines.base import Captioner
from loradeck.engines.fal.host import FalHost
from loradeck.engines.fal.table import CAPTIONER
from loradeck.engines.hosted.captioner import HostedCaptioner


def create() -> Captioner:
    """The captioner, with the key that is found when it is needed."""
    return HostedCaptioner(FalHost(), CAPTIONER)
