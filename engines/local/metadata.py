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

from loradeck.engines.base import DatasetFolder, TrainSpec
from loradeck.engines.local.bases import Base
from loradeck.engines.local.lora_header import BASE_SHA256
from loradeck.engines.local.options import Options

PACKAGES = ("loradeck", "torch", "diffusers", "peft", "transformers")


def describe(
    base: Base, base_digest: str, spec: TrainSpec, dataset: DatasetFolder, step: int, started: str
) -> dict[str, str]:
    """Metadata of the LoRA after `step` steps. `started` is the run's first start (ISO 8601), the same on a resume."""
    usage = f"Put {spec.trigger!r} first in the prompt." if spec.trigger else "No trigger word."
    side = f"{spec.resolution}x{spec.resolution}"
    images = len(dataset.items)
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": base.architecture,
        "modelspec.implementation": "diffusers",
        "modelspec.title": spec.name,
        "modelspec.trigger_phrase": spec.trigger,
        "modelspec.usage_hint": usage,
        "modelspec.resolution": side,
        "modelspec.date": started,
        "ss_base_model_version": base.name,
        "ss_output_name": spec.name,
        "ss_network_module": "peft",
        "ss_network_dim": str(spec.rank),
        "ss_network_alpha": str(spec.rank),  # alpha is folded in, so that the scale is 1
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
    return {
        **metadata,
        "modelspec.hash_sha256": f"0x{whole}",
        "sshs_model_hash": whole,
        "sshs_legacy_hash": legacy,
    }
