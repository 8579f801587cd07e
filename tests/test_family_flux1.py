"""The maths of FLUX.1 in the local engine, against the pipeline and the official script's own lines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import FluxPipeline, FluxTransformer2DModel
from safetensors.torch import save_file
from support import tiny, tiny_flux1

from loradeck.engines.local.families.flux1 import FAMILY, GUIDANCE, ids
from loradeck.engines.local.learner import Learner, Noisy
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.options import Options

PROMPTS = ["zorvex, a red disc", "a blue square on the left", ""]
WIDTH = 3072
"""FLUX.1's own; diffusers reads the original names of no other."""

COMFY_BLOCKS = {
    "double_blocks": "img_attn.qkv txt_attn.qkv img_attn.proj txt_attn.proj img_mlp.0 img_mlp.2 txt_mlp.0 txt_mlp.2",
    "single_blocks": "linear1 linear2",
}
"""The matrices of ComfyUI's Flux that `model_lora_keys_unet` (comfy/lora.py) names `diffusion_model.<...>`."""

COMFY_FLUX = {
    "transformer_blocks": "attn.to_q attn.to_k attn.to_v attn.add_q_proj attn.add_k_proj attn.add_v_proj attn.to_out.0 "
    "attn.to_add_out ff.net.0.proj ff.net.2 ff_context.net.0.proj ff_context.net.2",
    "single_transformer_blocks": "attn.to_q attn.to_k attn.to_v proj_mlp proj_out",
}
"""The names of `flux_to_diffusers` (comfy/utils.py), which `model_lora_keys_unet` reads after `transformer.`."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return tiny_flux1.base(tmp_path_factory.mktemp("flux1") / "weights").weights


@pytest.fixture
def pipeline(folder: Path) -> FluxPipeline:
    return FAMILY.load(folder)


@pytest.fixture
def learner(folder: Path, pipeline: FluxPipeline, tmp_path: Path) -> Learner:
    base = tiny_flux1.base(folder)
    spec, dataset = tiny.spec(tmp_path), tiny.dataset(tmp_path / "images")
    options = Options(preservation=1.0)
    prepared = tiny.encoded(base, FAMILY, pipeline, spec, dataset, options)
    adapter = Adapter(pipeline.transformer, FAMILY, spec.rank, spec.alpha, spec.seed)
    return Learner(FAMILY, pipeline.transformer, adapter, prepared, spec, options)


def official_loss(transformer: FluxTransformer2DModel, given: Noisy, guidance_scale: float) -> torch.Tensor:
    """The loss of train_dreambooth_lora_flux.py, its lines restated, for rows whose noise is given."""
    model_input, noise = given.image, given.noise
    vae_scale_factor = 8
    text_ids = torch.zeros(given.text["states"].shape[1], 3)
    latent_image_ids = FluxPipeline._prepare_latent_image_ids(
        model_input.shape[0], model_input.shape[2] // 2, model_input.shape[3] // 2, "cpu", torch.float32
    )
    timesteps = given.sigma * 1000
    sigmas = given.sigma[:, None, None, None]
    noisy_model_input = (1.0 - sigmas) * model_input + sigmas * noise
    packed_noisy_model_input = FluxPipeline._pack_latents(noisy_model_input, *model_input.shape)
    guidance = torch.tensor([guidance_scale]).expand(model_input.shape[0])
    model_pred = transformer(
        hidden_states=packed_noisy_model_input,
        timestep=timesteps / 1000,
        guidance=guidance if transformer.config.guidance_embeds else None,
        pooled_projections=given.text["pooled"],
        encoder_hidden_states=given.text["states"],
        txt_ids=text_ids,
        img_ids=latent_image_ids,
        return_dict=False,
    )[0]
    model_pred = FluxPipeline._unpack_latents(
        model_pred,
        height=model_input.shape[2] * vae_scale_factor,
        width=model_input.shape[3] * vae_scale_factor,
        vae_scale_factor=vae_scale_factor,
    )
    target = noise - model_input
    return torch.mean(((model_pred.float() - target.float()) ** 2).reshape(target.shape[0], -1), 1).mean()


def test_the_loss_of_every_step_is_the_official_one(learner: Learner) -> None:
    for step in range(20):
        with torch.no_grad():
            wanted = official_loss(learner.flow._transformer, learner.learning_rows(step), GUIDANCE)
        assert float(learner.step(step).loss) == pytest.approx(float(wanted), abs=1e-5)


def test_guidance_is_told_only_to_a_model_that_takes_it(learner: Learner) -> None:
    given = learner.learning_rows(0)
    with torch.no_grad():
        told = official_loss(learner.flow._transformer, given, GUIDANCE)
        assert float(told) != pytest.approx(float(official_loss(learner.flow._transformer, given, 3.5)), abs=1e-6)
        plain = tiny_flux1.transformer(guidance=False).eval()
        flow = FAMILY.flow(plain, given.mixed, given.sigma, given.text)
        loss = (flow - given.target).square().mean()
        assert float(loss) == pytest.approx(float(official_loss(plain, given, GUIDANCE)), abs=1e-5)


def test_pictures_that_are_not_square_are_packed_as_the_pipeline_packs_them() -> None:
    plain = tiny_flux1.transformer().eval()
    generator = torch.Generator().manual_seed(4)
    given = Noisy(
        torch.randn(2, 4, 4, 8, generator=generator),
        torch.randn(2, 4, 4, 8, generator=generator),
        torch.tensor([0.2, 0.7]),
        {
            "states": torch.randn(2, 9, tiny_flux1.T5_WIDTH, generator=generator),
            "pooled": torch.randn(2, tiny_flux1.CLIP_WIDTH, generator=generator),
        },
    )
    with torch.no_grad():
        flow = FAMILY.flow(plain, given.mixed, given.sigma, given.text)
        wanted = official_loss(plain, given, GUIDANCE)
    assert float((flow - given.target).square().mean()) == pytest.approx(float(wanted), abs=1e-6)


def test_ids_of_one_shape_are_made_once() -> None:
    first, again = (ids(24, 4, 8, torch.device("cpu")) for _ in range(2))
    assert all(one is other for one, other in zip(first, again, strict=True))
    assert ids(24, 8, 4, torch.device("cpu"))[1].tolist() != first[1].tolist()


def test_text_is_what_the_pipeline_draws_with(pipeline: FluxPipeline) -> None:
    ours = FAMILY.encode_prompts(pipeline, PROMPTS, 24)
    states, pooled, _ = pipeline.encode_prompt(prompt=PROMPTS, max_sequence_length=24)
    assert torch.equal(ours["states"], states)
    assert torch.equal(ours["pooled"], pooled)


def test_text_is_t5s_last_states_and_clips_pooled_end_token(pipeline: FluxPipeline) -> None:
    ours = FAMILY.encode_prompts(pipeline, PROMPTS, 24)
    for row, prompt in enumerate(PROMPTS):
        words = pipeline.tokenizer_2(prompt, padding="max_length", max_length=24, truncation=True, return_tensors="pt")
        said = pipeline.tokenizer(prompt, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        end = said.input_ids[0].tolist().index(pipeline.tokenizer.eos_token_id)
        with torch.no_grad():
            states = pipeline.text_encoder_2(words.input_ids).last_hidden_state
            pooled = pipeline.text_encoder(said.input_ids).last_hidden_state[:, end]
        assert torch.allclose(ours["states"][row], states[0], atol=1e-5)
        assert torch.allclose(ours["pooled"][row], pooled[0], atol=1e-5)


def test_text_encoders_drop_nothing_out(pipeline: FluxPipeline) -> None:
    assert pipeline.text_encoder_2.config.dropout_rate > 0
    first, again = (FAMILY.encode_prompts(pipeline, PROMPTS, 24) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in ("states", "pooled"))


def test_latents_are_the_middle_of_what_the_script_samples_and_decode_to_the_picture(pipeline: FluxPipeline) -> None:
    pixels = torch.rand(2, 3, tiny.SIDE, tiny.SIDE, generator=torch.Generator().manual_seed(3)) * 2 - 1
    vae = pipeline.vae
    ours = FAMILY.encode_images(pipeline, pixels)
    with torch.no_grad():
        posterior = vae.encode(pixels).latent_dist
    samples = torch.stack([posterior.sample(torch.Generator().manual_seed(seed)) for seed in range(400)])
    script = (samples - vae.config.shift_factor) * vae.config.scaling_factor
    spread = script.std(0)
    assert ((script.mean(0) - ours).abs() < 0.3 * spread).all()
    # the pipeline undoes just this before it decodes
    undone = ours / vae.config.scaling_factor + vae.config.shift_factor
    assert torch.allclose(undone, posterior.mode(), atol=1e-6)


@pytest.mark.parametrize("single", [1, 4])
def test_targets_follow_the_depth_of_the_model(single: int) -> None:
    model = tiny_flux1.transformer(num_single_layers=single)
    targets = FAMILY.targets(model)
    modules = dict(model.named_modules())
    assert all(isinstance(modules[name], torch.nn.Linear) for name in targets)
    assert len([name for name in targets if name.endswith("proj_mlp")]) == single
    assert f"single_transformer_blocks.{single - 1}.proj_out" in targets
    linear = {name for name, module in modules.items() if isinstance(module, torch.nn.Linear) and "_blocks." in name}
    assert {name for name in linear if "norm" not in name} == set(targets)


def test_a_fresh_adapter_changes_nothing(learner: Learner) -> None:
    _, preservation = learner.losses(*learner.passes(0)[0])
    assert preservation.item() == pytest.approx(0, abs=1e-12)  # rows of another batch differ in the last bit


def trained(transformer: FluxTransformer2DModel, rank: int = 4) -> Adapter:
    """An adapter whose every matrix is far from where it started."""
    adapter = Adapter(transformer, FAMILY, rank=rank, alpha=10.0, seed=5)
    with torch.no_grad():
        for index, weight in enumerate(adapter.parameters().values()):
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(index)) * 0.3)
    return adapter


def full_width(rank: int = 2) -> dict[str, torch.Tensor]:
    """Matrices for a double and a single block as wide as FLUX.1's, by module; no model is built for it."""
    with torch.device("meta"):
        model = FluxTransformer2DModel(num_layers=1, num_single_layers=1)
    modules = dict(model.named_modules())
    groups = [*FAMILY.shared_inputs(model)]
    alone = [[name] for name in FAMILY.targets(model) if not any(name in group for group in groups)]
    weights = {}
    for seed, group in enumerate(groups + alone):
        generator = torch.Generator().manual_seed(seed)
        down = torch.randn(rank, modules[group[0]].in_features, generator=generator)
        for name in group:
            weights[f"{name}.lora_A.weight"] = down
            weights[f"{name}.lora_B.weight"] = torch.randn(modules[name].out_features, rank, generator=generator)
    return weights


def test_a_full_size_file_has_the_original_names_that_comfyui_maps() -> None:
    portable = FAMILY.to_portable(full_width())
    named = {key.rpartition(".lora_")[0] for key in portable}
    wanted = {f"diffusion_model.{stack}.0.{name}" for stack, listed in COMFY_BLOCKS.items() for name in listed.split()}
    assert named == wanted
    assert {key.rpartition(".lora_")[2] for key in portable} == {"down.weight", "up.weight"}
    assert not [key for key in portable if "alpha" in key]
    assert {value.shape[0] for key, value in portable.items() if "down" in key} == {2}  # fused ones keep the rank


def test_plain_diffusers_reads_a_full_size_file_as_what_was_trained(tmp_path: Path) -> None:
    weights = full_width()
    save_file(FAMILY.to_portable(weights), tmp_path / "look.safetensors")
    theirs = FluxPipeline.lora_state_dict(tmp_path / "look.safetensors")
    assert theirs.keys() == {f"transformer.{key}" for key in weights}
    assert all(torch.equal(theirs[f"transformer.{key}"], weights[key]) for key in weights)


@pytest.mark.parametrize("weights", [full_width(), {}], ids=["full width", "tiny"])
def test_what_was_written_is_what_is_read_back(weights: dict[str, torch.Tensor]) -> None:
    weights = weights or trained(tiny_flux1.transformer()).weights()
    again = FAMILY.from_portable(FAMILY.to_portable(weights))
    assert again.keys() == weights.keys()
    assert all(torch.equal(again[key], weights[key]) for key in weights)


def test_a_file_of_another_width_has_the_names_that_comfyui_and_diffusers_both_map(
    pipeline: FluxPipeline, folder: Path, tmp_path: Path
) -> None:
    adapter = trained(pipeline.transformer)
    portable = adapter.portable()
    depths = {"transformer_blocks": 1, "single_transformer_blocks": 2}
    assert {key.rpartition(".lora_")[0] for key in portable} == {
        f"transformer.{stack}.{block}.{name}"
        for stack, listed in COMFY_FLUX.items()
        for block in range(depths[stack])
        for name in listed.split()
    }
    save_file(portable, tmp_path / "look.safetensors")
    plain = FluxPipeline.from_pretrained(folder)
    plain.load_lora_weights(tmp_path / "look.safetensors")
    generator = torch.Generator().manual_seed(0)
    noisy, sigma = torch.randn(2, 4, 4, 4, generator=generator), torch.tensor([0.2, 0.8])
    text = FAMILY.encode_prompts(plain, PROMPTS[:2], 24)
    with torch.no_grad():
        ours = FAMILY.flow(pipeline.transformer, noisy, sigma, text)
        theirs = FAMILY.flow(plain.transformer, noisy, sigma, text)
        with adapter.off():
            before = FAMILY.flow(pipeline.transformer, noisy, sigma, text)
    assert float((ours - theirs).abs().max()) <= 1e-6
    assert float((ours - before).abs().max()) > 1e-2


@pytest.mark.slow
def test_a_full_width_model_draws_with_the_original_names_as_it_was_trained(tmp_path: Path) -> None:
    """One single block at FLUX.1's width, 142 million weights, loaded and run by plain diffusers."""
    torch.manual_seed(0)
    with torch.device("meta"):
        model = FluxTransformer2DModel(
            num_layers=0, num_single_layers=1, joint_attention_dim=8, pooled_projection_dim=8
        )
    model = model.to_empty(device="cpu").requires_grad_(False).eval()
    for weight in model.parameters():
        weight.uniform_(-0.02, 0.02)
    for _, module in model.named_modules():
        if isinstance(module, torch.nn.RMSNorm):
            module.weight.fill_(1.0)
    generator = torch.Generator().manual_seed(1)
    noisy = torch.randn(1, 16, 2, 2, generator=generator)
    text = {"states": torch.randn(1, 3, 8, generator=generator), "pooled": torch.randn(1, 8, generator=generator)}
    sigma = torch.tensor([0.4])
    before = FAMILY.flow(model, noisy, sigma, text)
    adapter = trained(model, rank=2)
    with torch.no_grad():
        ours = FAMILY.flow(model, noisy, sigma, text)
    save_file(adapter.portable(), tmp_path / "look.safetensors")
    model.delete_adapters("look")
    plain = FluxPipeline(None, None, None, None, None, None, model)
    plain.load_lora_weights(tmp_path / "look.safetensors")
    with torch.no_grad():
        theirs = FAMILY.flow(plain.transformer, noisy, sigma, text)
    assert float((ours - theirs).abs().max()) <= 1e-6 * float(ours.abs().max().clamp(min=1))
    assert float((ours - before).abs().max()) > 1e-2
