"""The captioner that Replicate has itself."""

from __future__ import annotations

from loradeck.engines.base import Captioner
from loradeck.engines.hosted.captioner import HostedCaptioner
from loradeck.engines.replicate.host import ReplicateHost
from loradeck.engines.replicate.table import CAPTIONER


def create() -> Captioner:
    """The captioner, with the key that is found when it is needed."""
    return HostedCaptioner(ReplicateHost(), CAPTIONER)
