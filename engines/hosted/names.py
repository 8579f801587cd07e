"""How LoRA files name the matrices of the bases that hosts train (see `lora_naming`).

FLUX.1's and FLUX.2's names are those that the local engine reads. The others are taken from diffusers'
``lora_conversion_utils.py``, and ComfyUI's models have the originals.
"""

from __future__ import annotations

from loradeck.engines.local.families.flux1_names import NAMING as FLUX1
from loradeck.engines.local.families.flux2_names import NAMING as FLUX2
from loradeck.engines.lora_naming import Modules, Naming, Stack

__all__ = ["FLUX1", "FLUX2", "FLUX3", "WAN", "Z_IMAGE"]

_Z_TRAINED: dict[str, Modules] = {
    "attention.qkv": ("attention.to_q", "attention.to_k", "attention.to_v"),
    "attention.out": ("attention.to_out.0",),
}
_Z_BESIDES: dict[str, Modules] = {
    name: (name,) for name in ("feed_forward.w1", "feed_forward.w2", "feed_forward.w3", "adaLN_modulation.0")
}
Z_IMAGE = Naming(
    [Stack(name, name, _Z_TRAINED, _Z_BESIDES) for name in ("layers", "noise_refiner", "context_refiner")],
    {
        "x_embedder": ("all_x_embedder.2-1",),
        "final_layer.linear": ("all_final_layer.2-1.linear",),
        "final_layer.adaLN_modulation.1": ("all_final_layer.2-1.adaLN_modulation.1",),
        "cap_embedder.1": ("cap_embedder.1",),
        "t_embedder.mlp.0": ("t_embedder.mlp.0",),
        "t_embedder.mlp.2": ("t_embedder.mlp.2",),
    },
)

_WAN_PARTS = {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0"}
_WAN_TRAINED: dict[str, Modules] = {
    **{f"self_attn.{part}": (f"attn1.{module}",) for part, module in _WAN_PARTS.items()},
    **{f"cross_attn.{part}": (f"attn2.{module}",) for part, module in _WAN_PARTS.items()},
    "ffn.0": ("ffn.net.0.proj",),
    "ffn.2": ("ffn.net.2",),
}
WAN = Naming(
    [Stack("blocks", "blocks", _WAN_TRAINED)],
    {
        "text_embedding.0": ("condition_embedder.text_embedder.linear_1",),
        "text_embedding.2": ("condition_embedder.text_embedder.linear_2",),
        "time_embedding.0": ("condition_embedder.time_embedder.linear_1",),
        "time_embedding.2": ("condition_embedder.time_embedder.linear_2",),
        "time_projection.1": ("condition_embedder.time_proj",),
        "head.head": ("proj_out",),
    },
)

_FLUX3_TRAINED: dict[str, Modules] = {
    "q_proj": ("attn.to_q",),
    "k_proj": ("attn.to_k",),
    "v_proj": ("attn.to_v",),
    "attn_out": ("attn.to_out.0",),
}
_FLUX3_BESIDES: dict[str, Modules] = {"mlp_in": ("ff.linear_in",), "mlp_out": ("ff.linear_out",)}
_FLUX3_STACKS = {
    "content_mode_blocks.image": "mode_blocks.image",
    "content_mode_blocks.image_cond": "mode_blocks.image_cond",
    "txt_mode_blocks": "txt_mode_blocks",
    "single_blocks": "single_transformer_blocks",
}
FLUX3 = Naming(
    [Stack(original, diffusers, _FLUX3_TRAINED, _FLUX3_BESIDES) for original, diffusers in _FLUX3_STACKS.items()], {}
)
