"""FLUX.2 klein (any size): FLUX.2 with Qwen3 for its text, no guidance input, and an empty prompt to draw against.

The script (``train_dreambooth_lora_flux2_klein.py``) reads text layers 10/20/30; the pipeline, which draws,
reads 9/18/27. Text is encoded by the pipeline itself here, so that training and drawing cannot differ.
"""

from __future__ import annotations

from diffusers import Flux2KleinPipeline

from loradeck.engines.local.families.flux2_common import Flux2Family


class Klein(Flux2Family):
    """FLUX.2 klein."""

    pipeline_class = Flux2KleinPipeline
    draws_against_empty = True


FAMILY = Klein()
