"""References cut out of what is behind them and laid on plain white: by rembg where it is ready, else by curation.

rembg fetches its model from the web when it is first used. Here it is used only where that file lies already, so that
nothing is ever fetched behind a person's back.
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from loradeck.tools.curate_dataset.grounds import ground_of
from loradeck.tools.curate_dataset.picture import Upright
from loradeck.tools.curate_dataset.replacing import on_ground, subject_mask

MODEL = "u2net"
WHITE = (255, 255, 255)
INSTALL = f"`pip install 'rembg[cpu]'` with its model in ~/.u2net/{MODEL}.onnx cuts more"


def on_white(upright: Upright) -> Image.Image | None:
    """A copy of a picture on plain white (RGB, its size), or None where the subject cannot be told from the rest."""
    mask = mask_of(upright.picture, upright.alpha)
    return None if mask is None else on_ground(upright.picture, mask, WHITE)


def mask_of(picture: Image.Image, alpha: Image.Image | None = None) -> Image.Image | None:
    """The subject of an RGB picture ("L", 255 where it is opaque), or None where no mask can be trusted.

    A plain ground is exact by itself; rembg is asked for what curation would have to guess.
    """
    if alpha is None and rembg_is_ready() and not ground_of(picture).plain:
        return _by_rembg(picture)
    return subject_mask(picture, None, alpha)


def rembg_is_ready() -> bool:
    """Whether rembg is installed and its model is on this machine, where rembg itself looks for it."""
    home = os.environ.get("U2NET_HOME") or Path(os.environ.get("XDG_DATA_HOME") or "~") / ".u2net"
    return find_spec("rembg") is not None and (Path(home).expanduser() / f"{MODEL}.onnx").is_file()


def _by_rembg(picture: Image.Image) -> Image.Image | None:
    """The mask that rembg finds; None where it finds nothing, or nothing but subject."""
    os.environ.setdefault("MODEL_CHECKSUM_DISABLED", "1")  # a file of another build would be fetched anew otherwise
    rembg = import_module("rembg")
    mask: Image.Image = rembg.remove(picture, session=rembg.new_session(MODEL), only_mask=True).convert("L")
    return mask if len(mask.getcolors() or ()) > 1 else None
