"""What a LoRA file says of itself: the keys that ComfyUI, A1111 and the model hubs read.

Captions stay with the dataset: only the trigger is named in `ss_tag_frequency`, since LoRA files get passed on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version

import torch
from safetensors.torch import save

from loradeck.engines import lora_metadata
from loradeck.engines.base import DatasetFolder, TrainSpec
from loradeck.engines.local.bases import Base
from loradeck.engines.local.lora_header import BASE_SHA256
from loradeck.engines.local.options import Options

PACKAGES = ("loradeck", "torch", "diffusers", "peft", "transformers")


def describe(
    base: Base, base_digest: str, spec: TrainSpec, dataset: DatasetFolder, step: int, started: str
) -> dict[str, str]:
    """Metadata of the LoRA after `step` steps. `started` is the run's first start (ISO 8601), the same on a resume."""
    side = f"{spec.resolution}x{spec.resolution}"
    images = len(dataset.items)
    return {
        **lora_metadata.common(spec.name, base.name, base.architecture, spec.trigger, spec.rank),
        "modelspec.resolution": side,
        "modelspec.date": started,
        "ss_num_train_images": str(images),
        "ss_learning_rate": repr(spec.learning_rate),
        "ss_steps": str(step),
        "ss_epoch": str(step * spec.batch_size // max(1, images)),
        "ss_resolution": side,
        "ss_seed": str(spec.seed),
        "ss_tag_frequency": json.dumps({"loradeck": {spec.trigger: images}} if spec.trigger else {}),
        BASE_SHA256: base_digest,
        "loradeck.dataset_fingerprint": dataset.fingerprint,
        "loradeck.alpha_trained": repr(spec.alpha),
    }


def how_trained(options: Options) -> dict[str, str]:
    """The finer options that were in force, and the versions of what trained: with the rest, what the bytes hang on."""
    return {
        "loradeck.options": json.dumps(asdict(options)),
        "loradeck.versions": json.dumps({name: version(name) for name in PACKAGES}),
    }


def with_hashes(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> dict[str, str]:
    """The metadata with the hashes that other tools look a model up by, taken over the weights without metadata."""
    content = save(tensors)
    body = content[8 + int.from_bytes(content[:8], "little") :]
    whole = hashlib.sha256(body).hexdigest()
    legacy = hashlib.sha256(content[0x100000:0x110000]).hexdigest()[:8]
    return {**metadata, **lora_metadata.hashes(whole), "sshs_legacy_hash": legacy}
