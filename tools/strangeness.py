"""How unlike the rest of its set each image looks, from the vectors that curation kept (IMG-OUTLIER)."""

from __future__ import annotations

from collections.abc import Sequence

from loradeck.state.records import ImageRecord
from loradeck.state.store import Store

FEWEST = 10
"""Of fewer images none is called a stranger."""


def strangeness(store: Store, images: Sequence[ImageRecord]) -> dict[str, float]:
    """Image id -> robust deviations from the rest; empty for small sets and for images of which no vector was kept."""
    if len(images) < FEWEST:
        return {}
    import numpy as np

    from loradeck.tools.curate_dataset.outliers import outliers

    rows = store.read("select image_id, vector from looks where dataset_id = ?", [images[0].dataset_id])
    kept = {image.id for image in images}
    vectors = {
        row["image_id"]: np.frombuffer(row["vector"], dtype=np.float32)
        for row in rows
        if row["image_id"] in kept and row["vector"]
    }
    return outliers(vectors, least=0.0) if len(vectors) >= FEWEST else {}
