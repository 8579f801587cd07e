"""Z-Image in the local engine: the official script's maths, text of its own length, key names, the whole path."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import ZImagePipeline
from diffusers.loaders.single_file_utils import convert_z_image_transformer_checkpoint_to_diffusers
from support import parity, tiny, tiny_zimage

from loradeck.engines.local.bases import Base
from loradeck.engines.local.export import write
from loradeck.engines.local.families.zimage import FAMILY, words
from loradeck.engines.local.learner import Learner, Noisy
from loradeck.engines.local.texts import join

PROMPTS = ["zorvex, a red disc", "a blue square on the left", ""]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_zimage.base(tmp_path_factory.mktemp("zimage") / "weights")


@pytest.fixture(scope="module")
def pipeline(base: Base) -> ZImagePipeline:
    return FAMILY.load(base.weights)


@pytest.fixture
def learner(base: Base, tmp_path: Path) -> Learner:
    return parity.learner(base, tmp_path)


def official_loss(transformer: torch.nn.Module, given: Noisy, prompt_embeds: list[torch.Tensor]) -> torch.Tensor:
    """The loss of train_dreambooth_lora_z_image.py, its lines restated, for given noise."""
    model_input, noise = given.image, given.noise
    timesteps, sigmas = given.sigma * 1000, given.sigma[:, None, None, None]
    noisy_model_input = (1.0 - sigmas) * model_input + sigmas * noise
    timestep_normalized = (1000 - timesteps) / 1000
    noisy_model_input_list = list(noisy_model_input.unsqueeze(2).unbind(dim=0))
    model_pred_list = transformer(noisy_model_input_list, timestep_normalized, prompt_embeds, return_dict=False)[0]
    model_pred = -torch.stack(model_pred_list, dim=0).squeeze(2)
    target = noise - model_input
    return torch.mean(((model_pred.float() - target.float()) ** 2).reshape(target.shape[0], -1), 1).mean()


def test_the_loss_of_every_step_is_the_official_one(learner: Learner) -> None:
    lengths: set[int] = set()
    for step in range(20):
        given = learner.learning_rows(step)
        embeds = [row[: int(length)] for row, length in zip(given.text["states"], given.text["lengths"], strict=True)]
        lengths |= {len(row) for row in embeds}
        with torch.no_grad():
            wanted = official_loss(learner.flow._transformer, given, embeds)
        assert float(learner.step(step).loss) == pytest.approx(float(wanted), abs=1e-5)
    assert max(lengths) < tiny_zimage.MAX_TOKENS


def test_text_is_what_the_pipeline_draws_with_filled_up_with_zeros(pipeline: ZImagePipeline) -> None:
    ours = FAMILY.encode_prompts(pipeline, PROMPTS, tiny_zimage.MAX_TOKENS)
    theirs, _ = pipeline.encode_prompt(list(PROMPTS), max_sequence_length=tiny_zimage.MAX_TOKENS)
    assert ours["states"].shape == (3, tiny_zimage.MAX_TOKENS, tiny.TEXT_WIDTH)
    assert len(set(ours["lengths"].tolist())) == 3
    for mine, wanted in zip(words(ours), theirs, strict=True):
        assert torch.equal(mine, wanted)
    for states, length in zip(ours["states"], ours["lengths"].tolist(), strict=True):
        assert not states[length:].any()


def test_text_is_what_enters_the_last_layer_of_the_text_encoder(pipeline: ZImagePipeline) -> None:
    entered: list[torch.Tensor] = []
    last = pipeline.text_encoder.layers[-1]
    hook = last.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    inputs = pipeline.tokenizer(f"<user>{PROMPTS[0]}</user>", return_tensors="pt")
    with torch.no_grad():
        pipeline.text_encoder(**inputs)
    hook.remove()
    ours = words(FAMILY.encode_prompts(pipeline, PROMPTS[:1], tiny_zimage.MAX_TOKENS))[0]
    assert torch.allclose(ours, entered[0][0], atol=1e-6)


def test_prompts_encoded_alone_and_joined_say_what_they_say_together(pipeline: ZImagePipeline) -> None:
    alone = join([FAMILY.encode_prompts(pipeline, [prompt], tiny_zimage.MAX_TOKENS) for prompt in PROMPTS])
    together = FAMILY.encode_prompts(pipeline, PROMPTS, tiny_zimage.MAX_TOKENS)
    assert torch.equal(alone["lengths"], together["lengths"])
    assert torch.allclose(alone["states"], together["states"], atol=1e-6)


def test_latents_are_shifted_and_scaled_so_that_the_pipelines_decoding_undoes_it(pipeline: ZImagePipeline) -> None:
    pixels = torch.rand(2, 3, tiny.SIDE, tiny.SIDE, generator=torch.Generator().manual_seed(3)) * 2 - 1
    config = pipeline.vae.config
    undone = FAMILY.encode_images(pipeline, pixels) / config.scaling_factor + config.shift_factor
    with torch.no_grad():
        wanted = pipeline.vae.encode(pixels).latent_dist.mode()
    assert torch.allclose(undone, wanted, atol=1e-6)
    assert not torch.allclose(undone, FAMILY.encode_images(pipeline, pixels), atol=1e-2)


def test_targets_are_the_attention_of_all_30_layers_and_both_refiners_as_the_script_has_them() -> None:
    model = tiny_zimage.full_size()
    ends = ("to_k", "to_q", "to_v", "to_out.0")  # the script's default target_modules, which peft matches by their end
    wanted = [name for name, _ in model.named_modules() if name.endswith(tuple(f".{end}" for end in ends))]
    assert sorted(FAMILY.targets(model)) == sorted(wanted)
    assert len(wanted) == 4 * (30 + 2 + 2)


COMFY = {  # ComfyUI's comfy/utils.py, z_image_to_diffusers: name in a file, name in its model, which third of the rows
    "attention.to_q": ("attention.qkv", 0),
    "attention.to_k": ("attention.qkv", 1),
    "attention.to_v": ("attention.qkv", 2),
    "attention.to_out.0": ("attention.out", None),
}
COMFY_BLOCK = re.compile(r"diffusion_model\.((?:layers|noise_refiner|context_refiner)\.\d+)\.(.+)\.weight")


def test_comfyui_puts_every_key_where_the_original_model_has_that_matrix() -> None:
    adapter = parity.marked(FAMILY, tiny_zimage.transformer())
    original: dict[str, torch.Tensor] = {}
    for key, change in parity.changes(adapter.portable()).items():
        block, name = COMFY_BLOCK.fullmatch(key).groups()  # type: ignore[union-attr]
        theirs, third = COMFY[name]
        if third is None:
            original[f"{block}.{theirs}.weight"] = change
        else:
            rows = slice(third * len(change), (third + 1) * len(change))
            original.setdefault(f"{block}.{theirs}.weight", torch.zeros(3 * len(change), len(change)))[rows] = change
    read = convert_z_image_transformer_checkpoint_to_diffusers(original)
    assert parity.agree(read, parity.changes(adapter.weights()))


def test_what_was_trained_is_what_plain_diffusers_loads(base: Base, tmp_path: Path) -> None:
    ours, theirs = FAMILY.load(base.weights), FAMILY.load(base.weights)
    adapter = parity.marked(FAMILY, ours.transformer)
    write(adapter, tmp_path / "look.safetensors", {})
    theirs.load_lora_weights(tmp_path / "look.safetensors")
    generator = torch.Generator().manual_seed(0)
    given = (torch.randn(2, 4, 8, 8, generator=generator), torch.tensor([0.2, 0.8]))
    text = FAMILY.encode_prompts(ours, PROMPTS[:2], tiny_zimage.MAX_TOKENS)
    with torch.no_grad():
        taught = FAMILY.flow(ours.transformer, *given, text)
        assert float((taught - FAMILY.flow(theirs.transformer, *given, text)).abs().max()) <= 1e-6
        with adapter.off():
            assert float((taught - FAMILY.flow(ours.transformer, *given, text)).abs().max()) > 1e-2


def fused(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A LoRA as trainers of the original model write it: qkv as one matrix with its rank, `out`, and an alpha."""
    found: dict[str, torch.Tensor] = {}
    for block in {key.split(".attention.")[0] for key in weights}:
        inside = f"{block}.attention"
        down = weights[f"{inside}.to_q.lora_A.weight"]
        up = torch.cat([weights[f"{inside}.{name}.lora_B.weight"] for name in ("to_q", "to_k", "to_v")])
        found |= {f"{inside}.qkv.lora_down.weight": down, f"{inside}.qkv.lora_up.weight": up * 2}
        found[f"{inside}.out.lora_down.weight"] = weights[f"{inside}.to_out.0.lora_A.weight"]
        found[f"{inside}.out.lora_up.weight"] = weights[f"{inside}.to_out.0.lora_B.weight"] * 2
        found |= {f"{inside}.{name}.alpha": torch.tensor(2.0) for name in ("qkv", "out")}
    return found


def test_files_that_name_the_original_models_fused_matrices_are_read_with_their_alpha() -> None:
    adapter = parity.marked(FAMILY, tiny_zimage.transformer())
    weights = adapter.weights()
    for key in [key for key in weights if key.endswith(("to_k.lora_A.weight", "to_v.lora_A.weight"))]:
        weights[key] = weights[re.sub("to_[kv]", "to_q", key)]
    theirs = fused(weights)
    comfy = {f"diffusion_model.{key}": value for key, value in theirs.items()}
    kohya = {"lora_unet_" + re.sub(r"\.(?!lora_|alpha|weight)", "_", key): value for key, value in theirs.items()}
    for tensors in (comfy, kohya):
        assert parity.agree(parity.changes(FAMILY.from_portable(tensors)), parity.changes(weights))


def test_several_seeds_drawn_together_are_what_each_is_alone(pipeline: ZImagePipeline) -> None:
    text = FAMILY.encode_prompts(pipeline, PROMPTS[:2], tiny_zimage.MAX_TOKENS)
    empty = FAMILY.encode_prompts(pipeline, [""], tiny_zimage.MAX_TOKENS)

    def drawn(rows: slice, guidance: float) -> list[np.ndarray]:
        chosen, told = {name: value[rows] for name, value in text.items()}, []
        made = FAMILY.draw(pipeline, chosen, empty, [4, 5][rows], (32, 64), 2, guidance, lambda: told.append(1))
        assert len(told) == 2
        return [np.asarray(picture, dtype=np.int16) for picture in made]

    together = drawn(slice(0, 2), 4.0)
    for number, picture in enumerate(together):
        assert picture.shape == (64, 32, 3)
        assert np.abs(picture - drawn(slice(number, number + 1), 4.0)[0]).max() <= 1
    assert np.abs(together[0] - drawn(slice(0, 2), 0.0)[0]).max() > 1


def test_the_pipelines_own_words_draw_the_same_picture(pipeline: ZImagePipeline) -> None:
    text, empty = (FAMILY.encode_prompts(pipeline, [prompt], tiny_zimage.MAX_TOKENS) for prompt in (PROMPTS[0], ""))
    ours = FAMILY.draw(pipeline, text, empty, [4], (32, 32), 2, 4.0, lambda: None)[0]
    theirs = pipeline(
        PROMPTS[0],
        width=32,
        height=32,
        num_inference_steps=2,
        guidance_scale=4.0,
        generator=[torch.Generator().manual_seed(4)],
        max_sequence_length=tiny_zimage.MAX_TOKENS,
    ).images[0]
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))
