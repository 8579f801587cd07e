"""The eye of a vision model that lies on this machine: one vector a picture, compared by its angle. Nothing is fetched.

DINOv2 (Oquab and others, 2023) sees things and how they are drawn, CLIP (Radford and others, 2021) what pictures are
about. Loading this module loads no torch; `load` does, so only a worker calls it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from loradeck.tools.appearance import eye
from loradeck.tools.appearance.eye import Floats, Seen
from loradeck.tools.appearance.statistics import opened

VARIABLE = "LORADECK_EYE"
HUB = (
    "facebook/dinov2-base",
    "facebook/dinov2-small",
    "facebook/dinov2-with-registers-base",
    "openai/clip-vit-large-patch14",
    "openai/clip-vit-base-patch32",
)
"""Looked for in the hub's cache, the first that is there is taken."""
KINDS = ("dinov2", "dinov2_with_registers", "clip", "clip_vision_model")


class NoModel(Exception):
    """A folder holds no vision model that is known here; the message says why, to go on with "it"."""


class ModelEye:
    """Vectors of a vision model, of length 1."""

    def __init__(self, name: str, model: Any, processor: Any) -> None:
        self.name = name
        self._model, self._processor = model, processor

    def see(self, path: Path) -> Seen:
        """Look at a picture file; the model sees its middle square."""
        import torch

        pixels = self._processor(images=opened(path), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            answer = self._model(pixel_values=pixels)
        vector = getattr(answer, "image_embeds", None)  # CLIP's; DINOv2 answers in its first token
        vector = answer.last_hidden_state[:, 0] if vector is None else vector
        numbers = vector[0].float().numpy()
        return Seen(np.asarray(numbers / max(float(np.linalg.norm(numbers)), 1e-6)), np.zeros(0, dtype=np.float32))

    def alike(self, one: Seen, other: Seen) -> float:
        """The cosine of the angle between the vectors; what is opposite is no less alike than what is square."""
        return float(np.clip(one.look @ other.look, 0, 1))

    def distances(self, seen: Seen, others: Sequence[Seen]) -> Floats:
        """One less the cosine, 0 to 2."""
        return np.asarray(np.maximum(1 - np.stack([one.look for one in others]) @ seen.look, 0), dtype=np.float32)

    def closeness(self, seen: Seen, look: Sequence[Seen]) -> float:
        """See `eye.closeness`."""
        return eye.closeness(self, seen, look)


def load(folder: Path, name: str) -> ModelEye:
    """The eye of the model in a folder as transformers saves one. Raises NoModel where there is none to be had."""
    if find_spec("torch") is None or find_spec("transformers") is None:
        raise NoModel("needs torch and transformers (the extra [local])")
    if not (folder / "config.json").is_file():
        raise NoModel("holds no config.json")
    if not any(folder.glob("*.safetensors")):
        raise NoModel("holds no weights as safetensors")
    from safetensors import SafetensorError
    from transformers import AutoConfig, AutoImageProcessor, AutoModel, CLIPVisionModelWithProjection

    try:
        kind = AutoConfig.from_pretrained(folder, local_files_only=True).model_type
        if kind not in KINDS:
            raise NoModel(f"holds a model of the kind {kind}, known are {', '.join(KINDS)}")
        loader: Any = CLIPVisionModelWithProjection if kind.startswith("clip") else AutoModel
        model, found = loader.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        processor = AutoImageProcessor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise NoModel(f"cannot be read ({type(error).__name__})") from error
    if found["missing_keys"]:
        raise NoModel(f"lacks {len(found['missing_keys'])} of its tensors")
    return ModelEye(f"embeddings of {name}", model.eval(), processor)


def places(home: Path | None, environ: Mapping[str, str] = os.environ) -> Iterator[tuple[Path, str]]:
    """Where a model may lie, and what it is called: the environment's folder, the workspace's, the hub's cache."""
    if named := environ.get(VARIABLE):
        yield Path(named).expanduser(), f"{VARIABLE} ({Path(named).name})"
    if home is not None and (home / "eye").is_dir():
        yield home / "eye", "the workspace's eye"
    if find_spec("huggingface_hub") is None:
        return
    from huggingface_hub import try_to_load_from_cache

    for repository in HUB:
        weights = try_to_load_from_cache(repository, "model.safetensors")
        if isinstance(weights, str):
            yield Path(weights).parent, repository
