"""FLUX.2 dev in the local engine: the official maths, Mistral's text, references, key names, the whole path."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline, Flux2Pipeline
from diffusers.loaders.single_file_utils import convert_flux2_transformer_checkpoint_to_diffusers
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE
from support import parity, tiny, tiny_flux2

from loradeck.engines.errors import BadSpec
from loradeck.engines.local import families
from loradeck.engines.local.bases import Base
from loradeck.engines.local.export import write
from loradeck.engines.local.families import flux2_common
from loradeck.engines.local.families.flux2 import FAMILY
from loradeck.engines.local.learner import Learner, Noisy

PROMPTS = ["zorvex, a red disc", "a blue square", ""]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_flux2.base(tmp_path_factory.mktemp("flux2") / "weights")


@pytest.fixture(scope="module")
def pipeline(base: Base) -> Flux2Pipeline:
    return FAMILY.load(base.weights)


@pytest.fixture
def learner(base: Base, tmp_path: Path) -> Learner:
    return parity.learner(base, tmp_path)


def official_loss(transformer: torch.nn.Module, given: Noisy) -> torch.Tensor:
    """The loss of train_dreambooth_lora_flux2.py at --guidance_scale 1, its lines restated, for given noise."""
    model_input, noise, prompt_embeds = given.image, given.noise, given.text["states"]
    model_input_ids = Flux2Pipeline._prepare_latent_ids(model_input)
    timesteps, sigmas = given.sigma * 1000, given.sigma[:, None, None, None]
    packed = Flux2Pipeline._pack_latents((1.0 - sigmas) * model_input + sigmas * noise)
    guidance = torch.full([1], 1.0).expand(model_input.shape[0])
    model_pred = transformer(
        hidden_states=packed,
        timestep=timesteps / 1000,
        guidance=guidance,
        encoder_hidden_states=prompt_embeds,
        txt_ids=Flux2Pipeline._prepare_text_ids(prompt_embeds),
        img_ids=model_input_ids,
        return_dict=False,
    )[0]
    model_pred = Flux2Pipeline._unpack_latents_with_ids(model_pred[:, : packed.size(1)], model_input_ids)
    target = noise - model_input
    return torch.mean(((model_pred.float() - target.float()) ** 2).reshape(target.shape[0], -1), 1).mean()


def test_the_loss_of_every_step_is_the_official_one(learner: Learner) -> None:
    for step in range(20):
        with torch.no_grad():
            wanted = official_loss(learner.flow._transformer, learner.learning_rows(step))
        assert float(learner.step(step).loss) == pytest.approx(float(wanted), abs=1e-5)


def test_text_states_are_what_the_pipeline_draws_with(pipeline: Flux2Pipeline) -> None:
    ours = FAMILY.encode_prompts(pipeline, PROMPTS, tiny_flux2.MAX_TOKENS)["states"]
    theirs, _ = pipeline.encode_prompt(prompt=PROMPTS, max_sequence_length=tiny_flux2.MAX_TOKENS)
    assert torch.equal(ours, theirs)


def test_text_states_are_layers_10_20_and_30_side_by_side_after_the_system_message(pipeline: Flux2Pipeline) -> None:
    left: dict[int, torch.Tensor] = {}
    layers = pipeline.text_encoder.model.language_model.layers
    hooks = [
        layers[number - 1].register_forward_hook(lambda _, __, out, number=number: left.update({number: out}))
        for number in (10, 20, 30)
    ]
    said = f"<s><s>{SYSTEM_MESSAGE}<u>{PROMPTS[0]}"
    inputs = pipeline.tokenizer(
        said, return_tensors="pt", padding="max_length", max_length=tiny_flux2.MAX_TOKENS, add_special_tokens=False
    )
    with torch.no_grad():
        pipeline.text_encoder(**inputs)
    for hook in hooks:
        hook.remove()
    wanted = torch.cat([left[number] for number in (10, 20, 30)], dim=-1)
    ours = FAMILY.encode_prompts(pipeline, PROMPTS[:1], tiny_flux2.MAX_TOKENS)["states"]
    assert torch.allclose(ours, wanted, atol=1e-6)


def test_a_processor_of_text_and_pictures_is_opened_as_its_tokenizer(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)  # which the processor's own module imports
    assert '"PixtralProcessor"' in (base.weights / "model_index.json").read_text("utf-8")
    words = FAMILY.load(base.weights).tokenizer
    assert words("a", add_special_tokens=False).input_ids == tiny_flux2.tokenizer()("a").input_ids
    assert FAMILY.load(base.weights, without=("text_encoder", "tokenizer")).tokenizer is None


def test_latents_are_those_the_pipeline_makes_of_a_reference(pipeline: Flux2Pipeline) -> None:
    pixels = torch.rand(2, 3, tiny.SIDE, tiny.SIDE, generator=torch.Generator().manual_seed(3)) * 2 - 1
    theirs = pipeline._encode_vae_image(pixels, generator=torch.Generator().manual_seed(0))
    assert torch.equal(FAMILY.encode_images(pipeline, pixels), theirs)


def test_ids_are_the_pipelines_and_are_made_once() -> None:
    for kind in (Flux2Pipeline, Flux2KleinPipeline):
        texts = flux2_common.text_ids(7, CPU).expand(3, -1, -1)
        assert torch.equal(texts, kind._prepare_text_ids(torch.empty(3, 7, 5)))
        places = flux2_common.latent_ids(4, 6, CPU).expand(2, -1, -1)
        assert torch.equal(places, kind._prepare_latent_ids(torch.empty(2, 8, 4, 6)))
    assert flux2_common.text_ids(7, CPU) is flux2_common.text_ids(7, CPU)
    assert flux2_common.latent_ids(4, 6, CPU) is flux2_common.latent_ids(4, 6, CPU)
    assert flux2_common.latent_ids(6, 4, CPU) is not flux2_common.latent_ids(4, 6, CPU)


def test_targets_are_layers_of_the_full_size_model_to_the_last_of_48() -> None:
    model = tiny_flux2.full_size()
    modules, targets = dict(model.named_modules()), FAMILY.targets(model)
    assert all(isinstance(modules[name], torch.nn.Linear) for name in targets)
    assert len([name for name in targets if name.endswith("to_qkv_mlp_proj")]) == 48
    assert "single_transformer_blocks.47.attn.to_out" in targets
    assert not [name for name in targets if "modulation" in name or "time_guidance" in name]


def test_the_file_names_the_matrices_of_the_original_model(pipeline: Flux2Pipeline) -> None:
    """The original names to diffusers', by diffusers' own reading of whole checkpoints."""
    adapter = parity.marked(FAMILY, tiny_flux2.transformer())
    original = parity.changes(adapter.portable(), "diffusion_model.")
    assert all(key.startswith(("double_blocks.", "single_blocks.")) for key in original)
    assert parity.agree(convert_flux2_transformer_checkpoint_to_diffusers(original), parity.changes(adapter.weights()))


def test_what_was_trained_is_what_plain_diffusers_loads(base: Base, tmp_path: Path) -> None:
    ours, theirs = FAMILY.load(base.weights), FAMILY.load(base.weights)
    adapter = parity.marked(FAMILY, ours.transformer)
    write(adapter, tmp_path / "look.safetensors", {})
    theirs.load_lora_weights(tmp_path / "look.safetensors")
    generator = torch.Generator().manual_seed(0)
    given = (torch.randn(2, 16, 4, 4, generator=generator), torch.tensor([0.2, 0.8]))
    text = FAMILY.encode_prompts(ours, PROMPTS[:2], tiny_flux2.MAX_TOKENS)
    with torch.no_grad():
        taught = FAMILY.flow(ours.transformer, *given, text)
        assert float((taught - FAMILY.flow(theirs.transformer, *given, text)).abs().max()) <= 1e-6
        with adapter.off():
            assert float((taught - FAMILY.flow(ours.transformer, *given, text)).abs().max()) > 1e-2


def foreign(portable: dict[str, torch.Tensor], form: str) -> dict[str, torch.Tensor]:
    """A file of ours as other trainers write it, with an alpha of half the rank and a B twice as large."""
    modules = {key.rsplit(".lora_", 1)[0] for key in portable}
    found: dict[str, torch.Tensor] = {}
    for module in modules:
        down, up = portable[f"{module}.lora_A.weight"], portable[f"{module}.lora_B.weight"] * 2
        name = module
        if form == "kohya":
            name = "lora_unet_" + module.removeprefix("diffusion_model.").replace(".", "_")
        a, b = ("lora_A", "lora_B") if form == "ai-toolkit" else ("lora_down", "lora_up")
        found |= {f"{name}.{a}.weight": down, f"{name}.{b}.weight": up, f"{name}.alpha": torch.tensor(2.0)}
    return found


@pytest.mark.parametrize("form", ["ai-toolkit", "bfl", "kohya"])
def test_files_of_other_trainers_are_read_with_their_alpha(form: str) -> None:
    adapter = parity.marked(FAMILY, tiny_flux2.transformer())
    read = FAMILY.from_portable(foreign(adapter.portable(), form))
    assert parity.agree(parity.changes(read), parity.changes(adapter.weights()))


@pytest.mark.parametrize("name", ["flux2", "klein"])
def test_up_to_ten_references_change_the_picture(name: str, base: Base, tmp_path: Path) -> None:
    family = families.get(name)
    drawn_on = family.load((base if name == "flux2" else tiny.base(tmp_path / "weights")).weights)
    text, empty = (family.encode_prompts(drawn_on, [prompt], tiny_flux2.MAX_TOKENS) for prompt in ("a disc", ""))

    def drawn(count: int) -> np.ndarray:
        pictures = [tiny.picture(number, side=64).convert("RGBA") for number in range(count)]
        size, told = (tiny.SIDE, tiny.SIDE), []
        made = family.draw(drawn_on, text, empty, [1], size, 2, 2.0, lambda: told.append(1), references=pictures)
        assert len(told) == 2
        return np.asarray(made[0], dtype=np.int16)

    assert family.most_references == 10
    plain, one, ten = drawn(0), drawn(1), drawn(10)
    assert np.abs(one - plain).max() > 0
    assert np.abs(ten - one).max() > 0


@pytest.mark.parametrize("size", [(64, 40), (800, 64)])
def test_a_reference_that_the_pipeline_cannot_take_is_told_with_its_size(
    size: tuple[int, int], pipeline: Flux2Pipeline
) -> None:
    text = FAMILY.encode_prompts(pipeline, PROMPTS[:1], tiny_flux2.MAX_TOKENS)
    references = [tiny.picture(1, side=64), tiny.picture(1, side=64).resize(size)]
    with pytest.raises(BadSpec, match=f"Reference 2 is {size[0]} x {size[1]} pixels"):
        FAMILY.draw(pipeline, text, text, [1], (32, 32), 1, 2.0, lambda: None, references)
