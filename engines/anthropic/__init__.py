"""Claude looks at pictures: vision captions through Anthropic's API."""

from __future__ import annotations

from loradeck.engines.base import Captioner


def create() -> Captioner:
    """The captioner, with the key and the address that the environment gives when they are needed."""
    from loradeck.engines.anthropic.captioner import AnthropicCaptioner

    return AnthropicCaptioner()
