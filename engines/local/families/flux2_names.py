"""FLUX.2's matrices under the names that LoRA files give them, read without torch.

As in FLUX.1 (see `flux1_names`), the original model holds q, k and v of a stream as one matrix where diffusers holds
three. A single block's projections are one matrix in both. What the names stand for is read from
``_convert_non_diffusers_flux2_lora_to_diffusers`` in diffusers.
"""

from __future__ import annotations

from loradeck.engines.lora_naming import Modules, Naming, Stack

DOUBLE: dict[str, Modules] = {
    "img_attn.proj": ("attn.to_out.0",),
    "txt_attn.proj": ("attn.to_add_out",),
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
SINGLE: dict[str, Modules] = {"linear1": ("attn.to_qkv_mlp_proj",), "linear2": ("attn.to_out",)}
"""The matrices that are trained, by the original names. Their order decides how each starts."""

DOUBLE_TOO: dict[str, Modules] = {
    "img_mlp.0": ("ff.linear_in",),
    "img_mlp.2": ("ff.linear_out",),
    "txt_mlp.0": ("ff_context.linear_in",),
    "txt_mlp.2": ("ff_context.linear_out",),
}
OUTSIDE: dict[str, Modules] = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.in_layer": ("time_guidance_embed.timestep_embedder.linear_1",),
    "time_in.out_layer": ("time_guidance_embed.timestep_embedder.linear_2",),
    "guidance_in.in_layer": ("time_guidance_embed.guidance_embedder.linear_1",),
    "guidance_in.out_layer": ("time_guidance_embed.guidance_embedder.linear_2",),
    "single_stream_modulation.lin": ("single_stream_modulation.linear",),
    "double_stream_modulation_img.lin": ("double_stream_modulation_img.linear",),
    "double_stream_modulation_txt.lin": ("double_stream_modulation_txt.linear",),
    "final_layer.linear": ("proj_out",),
    "final_layer.adaLN_modulation.1": ("norm_out.linear",),
}
"""What others adapt besides."""

NAMING = Naming(
    (
        Stack("double_blocks", "transformer_blocks", DOUBLE, DOUBLE_TOO),
        Stack("single_blocks", "single_transformer_blocks", SINGLE),
    ),
    OUTSIDE,
)
