"""What is measured on a picture, as facts: on the whole of it, and on the square that trains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL import Image

from loradeck.tools.contracts import Face as FaceFact
from loradeck.tools.contracts import ImageFacts
from loradeck.tools.contracts import Lettering as LetteringFact
from loradeck.tools.curate_dataset.colour import dominant_colours
from loradeck.tools.curate_dataset.faces import Face
from loradeck.tools.curate_dataset.grounds import ground_of
from loradeck.tools.curate_dataset.lettering import find_text
from loradeck.tools.curate_dataset.picture import Upright
from loradeck.tools.curate_dataset.quality import measure_quality
