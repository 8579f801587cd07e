"""References cut out of what is behind them and laid on plain white: by rembg where it is ready, else by curation.

rembg fetches its model from the web when it is first used. Here it is used only where that file lies already, so that
nothing is ever fetched behind a person's back.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from loradeck.tools.curate_dataset.grounds import ground_of
from loradeck.tools.curate_dataset.replacing import on_ground, subject_mask

log = logging.getLogger(__name__)
MODEL = "u2net"
WHITE = (255, 255, 255)
INSTALL = f"`pip install 'rembg[cpu]'` with its model in ~/.u2net/{MODEL}.onnx cuts more"


@dataclass(frozen=True)
class Cut:
    """A cut: the picture, or None where the subject cannot be told from the rest; and what kept rembg from it."""

    picture: Image.Image | None
    trouble: str | None = None


class _NoUse(Exception):
    """rembg is installed and does not work; the message is a sentence. Never leaves this module."""


def on_white(picture: Image.Image, alpha: Image.Image | None = None) -> Cut:
    """A copy of an RGB picture on plain white, of its size; `alpha` is the opacity that its file had."""
    mask, trouble = mask_of(picture, alpha)
    return Cut(None if mask is None else on_ground(picture, mask, WHITE), trouble)


def mask_of(picture: Image.Image, alpha: Image.Image | None = None) -> tuple[Image.Image | None, str | None]:
    """The subject of an RGB picture ("L", 255 where it is opaque), or None where no mask can be trusted.

    A plain ground is exact by itself; rembg is asked for what curation would have to guess. Where rembg is there and
    does not work, curation guesses all the same, and a sentence says so.
    """
    trouble = None
    if alpha is None and rembg_is_ready() and not ground_of(picture).plain:
        try:
            return _by_rembg(picture), None
        except _NoUse as why:
            trouble = str(why)
    return subject_mask(picture, None, alpha), trouble


def rembg_is_ready() -> bool:
    """Whether rembg is installed and its model is on this machine, where rembg itself looks for it."""
    home = os.environ.get("U2NET_HOME") or Path(os.environ.get("XDG_DATA_HOME") or "~") / ".u2net"
    return find_spec("rembg") is not None and (Path(home).expanduser() / f"{MODEL}.onnx").is_file()


def _by_rembg(picture: Image.Image) -> Image.Image | None:
    """The mask that rembg finds; None where it finds nothing, or nothing but subject. Raises _NoUse.

    rembg prints, and where a part of it is missing ends the process; what is printed must not get into the protocol.
    """
    os.environ.setdefault("MODEL_CHECKSUM_DISABLED", "1")  # a file of another build would be fetched anew otherwise
    try:
        with redirect_stdout(sys.stderr):
            rembg = import_module("rembg")
            mask: Image.Image = rembg.remove(picture, session=rembg.new_session(MODEL), only_mask=True).convert("L")
    except SystemExit:
        raise _no_use("it ends without its backend, onnxruntime") from None
    except ImportError as error:
        raise _no_use(f"it lacks {error.name or 'a package'}") from None
    except Exception as error:  # onnxruntime's errors have no base of their own
        log.exception("rembg failed")
        raise _no_use(f"{type(error).__name__}; is {MODEL}.onnx whole?") from error
    return mask if len(mask.getcolors() or ()) > 1 else None


def _no_use(why: str) -> _NoUse:
    return _NoUse(
        f"rembg is installed and does not work here ({why}), so that curation's own guess was asked; "
        "`pip install 'rembg[cpu]'` mends what is missing."
    )
