"""What the detector proposes of a figure's images: angle and framing, wherever no better source has spoken.

Read from the faces that were found when the picture came in and from the square that trains now, so that a set that
becomes a figure's gets proposals too, and another crop another framing.
"""

from __future__ import annotations

from loradeck.state.records import DatasetRecord, ImageRecord
from loradeck.state.store import Store
from loradeck.tools.contracts import AttributeSource, Crop, Face, as_box
from loradeck.tools.curate_dataset import faces as found
from loradeck.tools.curate_dataset.framing import proposals
from loradeck.tools.curate_dataset.measure import in_square
from loradeck.tools.datasets import all_images
from loradeck.tools.rulebook.tables import FIGURES

NAMES = ("framing", "angle")
SIDE = 1024


def propose(store: Store, dataset: DatasetRecord) -> int:
    """Bring the detector's proposals up to date; returns how many images changed. A look's set has none."""
    if dataset.profile not in FIGURES:
        return 0
    changed = [after for image in all_images(store, dataset.id) if (after := _proposed(image)) is not None]
    with store.transaction():
        for image_id, attributes, sources in changed:
            store.change(ImageRecord, image_id, attributes=attributes, sources=sources)
    return len(changed)


def _proposed(image: ImageRecord) -> tuple[str, dict[str, object], dict[str, str]] | None:
    """(id, attributes, sources) with the proposals of now; None where they stand so already."""
    if image.facts.get("faces") is None or image.crop is None:
        return None
    told = proposals(_faces(image), (SIDE, SIDE))
    attributes, sources = dict(image.attributes), dict(image.sources)
    for name in NAMES:
        if sources.get(name, AttributeSource.DETECTOR) != AttributeSource.DETECTOR:
            continue
        attributes.pop(name, None)
        sources.pop(name, None)
        if name in told:
            attributes[name], sources[name] = told[name], str(AttributeSource.DETECTOR)
    return None if (attributes, sources) == (image.attributes, image.sources) else (image.id, attributes, sources)


def _faces(image: ImageRecord) -> list[found.Face]:
    """The faces of an image in pixels of a square of `SIDE`."""
    crop = Crop.model_validate(image.crop)
    read = [Face.model_validate(face) for face in image.facts["faces"]]
    return [found.Face(as_box(in_square(face.box, crop, SIDE)), face.confidence, face.angle) for face in read]
