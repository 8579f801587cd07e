"""What every LoRA file of loradeck says of itself, wherever it was trained: modelspec 1.0.1 and the `ss_` keys.

ComfyUI, A1111 and the model hubs read these.
"""

from __future__ import annotations


def common(name: str, base_model: str, architecture: str, trigger: str, rank: int) -> dict[str, str]:
    """The base (by our name and by modelspec's), the trigger, and the rank, at scale 1."""
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": architecture,
        "modelspec.implementation": "diffusers",
        "modelspec.title": name,
        "modelspec.trigger_phrase": trigger,
        "modelspec.usage_hint": f"Put {trigger!r} first in the prompt." if trigger else "No trigger word.",
        "ss_base_model_version": base_model,
        "ss_output_name": name,
        "ss_network_module": "peft",
        "ss_network_dim": str(rank),
        "ss_network_alpha": str(rank),  # alpha is folded in, so that the scale is 1
    }


def hashes(body: str) -> dict[str, str]:
    """The SHA-256 (hex) of the file's bytes behind the header, which other tools look a model up by."""
    return {"modelspec.hash_sha256": f"0x{body}", "sshs_model_hash": body}
