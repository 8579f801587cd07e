"""Masks: which part of a picture the loss looks at.

A mask is a grey picture beside the training image, as kohya's sd-scripts and ai-toolkit take them: white counts, black
counts as much as the background is given. It is scaled and cut as its image is, then averaged over the pixels of each
latent (kohya's "area"). The weights of a picture are brought to a mean of 1 (ai-toolkit: those of a batch), so that a
small face teaches as fast as a large one; kohya leaves them as they are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from loradeck.engines.base import DatasetFolder
from loradeck.engines.errors import BadSpec
from loradeck.engines.files import sha256_file

WHITE = 255.0


def weights(mask: Path, size: tuple[int, int], latent: tuple[int, int], background: float) -> torch.Tensor:
    """How much each latent counts, ``(1, h, w)`` with a mean of 1.

    Args:
        mask: the mask's file.
        size: (width, height) in pixels that its image is learned at.
        latent: (h, w) of the image's latents.
        background: what black counts, 0 to 1.

    Raises:
        BadSpec: the mask cannot be read, or nothing in it counts.
    """
    try:
        with Image.open(mask) as picture:
            grey = ImageOps.fit(picture.convert("L"), size, Image.Resampling.LANCZOS)
    except (OSError, SyntaxError) as error:
        raise BadSpec(f"The mask {mask.name} cannot be read; save it as a PNG again, or remove it.") from error
    white = torch.from_numpy(np.asarray(grey, dtype=np.float32) / WHITE)[None]
    counts = background + (1 - background) * torch.nn.functional.adaptive_avg_pool2d(white, latent)
    if float(counts.sum()) == 0:
        raise BadSpec(f"The mask {mask.name} is black all over; paint what counts white, or remove it.")
    weighed: torch.Tensor = counts / counts.mean()
    return weighed


def digest(dataset: DatasetFolder) -> str:
    """SHA-256 over the masks of a set, in its order."""
    whole = hashlib.sha256()
    for item in dataset.items:
        whole.update(b"none" if item.mask is None else sha256_file(item.mask).encode())
    return whole.hexdigest()


def told(dataset: DatasetFolder) -> str:
    """A sentence on how many images have one. Raises BadSpec where none has."""
    count = sum(item.mask is not None for item in dataset.items)
    if not count:
        first = dataset.items[0].image
        raise BadSpec(
            f"masked_loss is on and there is no mask: put one for each image into the folder masks/ of the dataset's "
            f"folder, named as the image is (masks/{first.stem}.png for {first.name}), or leave masked_loss out."
        )
    return f"The loss is masked on {count} of {len(dataset.items)} images; the others count whole."
