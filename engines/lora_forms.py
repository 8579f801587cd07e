"""A LoRA file written anew for another program: by the names that diffusers gives its modules, or by ComfyUI's."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from loradeck.engines import files
from loradeck.engines.errors import CannotWrite
from loradeck.engines.hosted.bases import DIFFUSERS
from loradeck.engines.hosted.returned import Accepted, accept
from loradeck.engines.lora_origin import ARCHITECTURES

Program = Literal["diffusers", "comfyui"]


def write(path: Path, base_model: str, out: Path, program: Program, trigger: str, meta: Mapping[str, str]) -> Accepted:
    """Write the LoRA `path` to `out` as a program reads it, and read it back; `path` stays as it is.

    ComfyUI's names are the original model's, which diffusers converts when it loads them (`hosted.bases.Form`);
    diffusers' own need no conversion. A file that has the right names already is copied byte by byte, metadata and all.

    Raises:
        BadWeights: it is no whole LoRA of that base.
        NoRoom, CannotWrite: `out` cannot be written, or the disk gave back other bytes.
    """
    base = ARCHITECTURES[base_model]
    if program == "diffusers":
        base = replace(base, form=DIFFUSERS, apart=None)
    done = accept(path, base_model, out, trigger, meta, {base_model: base})
    if not done.renamed and not done.left_out:
        with files.atomic(out) as temporary:
            shutil.copyfile(path, temporary)
        done = replace(done, sha256=files.sha256_file(path))
    if files.sha256_file(out) != done.sha256:
        raise CannotWrite(
            f"{out.name} was written, and the disk gave back other bytes; check the drive, then call again."
        )
    return done
