"""The maths of FLUX.2 klein in the local engine, against the pipeline and the official script's own lines."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from diffusers import Flux2KleinPipeline
from support import parity, tiny

from loradeck.engines.local import material
from loradeck.engines.local.families.klein import FAMILY
from loradeck.engines.local.learner import Learner, Noisy
from loradeck.engines.local.lora import Adapter
from loradeck.engines.local.options import Options
from loradeck.engines.local.seeds import noise_levels, rows, stream

PROMPTS = ["zorvex, a red disc", "a blue square on the left", ""]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Flux2KleinPipeline:
    folder = tmp_path_factory.mktemp("klein") / "weights"
    tiny.pipeline().save_pretrained(folder)
    return FAMILY.load(folder)


@pytest.fixture
def learner(tmp_path: Path) -> Learner:
    return parity.learner(tiny.base(tmp_path / "weights"), tmp_path)


def official_loss(transformer: torch.nn.Module, given: Noisy) -> torch.Tensor:
    """The loss of train_dreambooth_lora_flux2_klein.py, its lines restated, for rows whose noise is given."""
    model_input, noise, prompt_embeds = given.image, given.noise, given.text["states"]
    model_input_ids = Flux2KleinPipeline._prepare_latent_ids(model_input)
    text_ids = Flux2KleinPipeline._prepare_text_ids(prompt_embeds)
    timesteps = given.sigma * 1000
    sigmas = given.sigma[:, None, None, None]
    noisy_model_input = (1.0 - sigmas) * model_input + sigmas * noise
    packed = Flux2KleinPipeline._pack_latents(noisy_model_input)
    model_pred = transformer(
        hidden_states=packed,
        timestep=timesteps / 1000,
        guidance=None,
        encoder_hidden_states=prompt_embeds,
        txt_ids=text_ids,
        img_ids=model_input_ids,
        return_dict=False,
    )[0]
    model_pred = Flux2KleinPipeline._unpack_latents_with_ids(model_pred[:, : packed.size(1)], model_input_ids)
    target = noise - model_input
    return torch.mean(((model_pred.float() - target.float()) ** 2).reshape(target.shape[0], -1), 1).mean()


def test_the_loss_of_every_step_is_the_official_one(learner: Learner) -> None:
    for step in range(20):
        with torch.no_grad():
            wanted = official_loss(learner.flow._transformer, learner.learning_rows(step))
        assert float(learner.step(step).loss) == pytest.approx(float(wanted), abs=1e-5)


def test_text_states_are_what_the_pipeline_draws_with(pipeline: Flux2KleinPipeline) -> None:
    ours = FAMILY.encode_prompts(pipeline, PROMPTS, 24)["states"]
    theirs, _ = pipeline.encode_prompt(prompt=PROMPTS, max_sequence_length=24)
    assert torch.equal(ours, theirs)


def test_text_states_are_layers_9_18_and_27_side_by_side(pipeline: Flux2KleinPipeline) -> None:
    words = pipeline.tokenizer
    text = words.apply_chat_template(
        [{"role": "user", "content": PROMPTS[0]}], tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    inputs = words(text, return_tensors="pt", padding="max_length", truncation=True, max_length=24)
    with torch.no_grad():
        states = pipeline.text_encoder(**inputs, output_hidden_states=True).hidden_states
    wanted = torch.cat([states[layer] for layer in (9, 18, 27)], dim=-1)
    assert torch.allclose(FAMILY.encode_prompts(pipeline, PROMPTS[:1], 24)["states"], wanted, atol=1e-6)


def test_latents_are_those_the_pipeline_makes_of_a_reference(pipeline: Flux2KleinPipeline) -> None:
    pixels = torch.rand(2, 3, tiny.SIDE, tiny.SIDE, generator=torch.Generator().manual_seed(3)) * 2 - 1
    ours = FAMILY.encode_images(pipeline, pixels)
    theirs = pipeline._encode_vae_image(pixels, generator=torch.Generator().manual_seed(0))
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("single", [2, 5])
def test_targets_follow_the_depth_of_the_model(single: int) -> None:
    model = tiny.transformer(num_single_layers=single)
    targets = FAMILY.targets(model)
    modules = dict(model.named_modules())
    assert all(isinstance(modules[name], torch.nn.Linear) for name in targets)
    assert f"single_transformer_blocks.{single - 1}.attn.to_out" in targets
    assert len([name for name in targets if name.endswith("to_qkv_mlp_proj")]) == single
    assert not [name for name in targets if "modulation" in name or "time_guidance" in name]
    assert {name.rsplit(".", 1)[-1] for name in targets} >= {"to_q", "to_k", "to_v", "0", "add_q_proj", "to_add_out"}


def test_a_fresh_adapter_changes_nothing(learner: Learner) -> None:
    _, preservation = learner.losses(*learner.passes(0)[0])
    assert preservation.item() == pytest.approx(0, abs=1e-12)  # rows of another batch differ in the last bit


def test_preservation_holds_prompts_without_the_trigger(tmp_path: Path) -> None:
    def drift(weight: float, folder: Path) -> tuple[float, float]:
        """How far plain and trigger rows moved from the base after 60 steps (mean squared flow)."""
        torch.set_num_threads(1)
        base = tiny.base(tmp_path / "weights")
        loaded = FAMILY.load(base.weights)
        spec, dataset = tiny.spec(folder, steps=60), tiny.dataset(tmp_path / "images")
        prepared = tiny.encoded(base, FAMILY, loaded, spec, dataset, Options(preservation=1.0))
        adapter = Adapter(loaded.transformer, FAMILY, spec.rank, spec.alpha, spec.seed)
        learner = Learner(FAMILY, loaded.transformer, adapter, prepared, spec, Options(preservation=weight))
        for step in range(spec.steps):
            learner.step(step)
        moved = []
        with torch.no_grad():
            for given in (learner.preserving_rows(1000), learner.learning_rows(1000)):
                now = FAMILY.flow(loaded.transformer, given.mixed, given.sigma, given.text)
                with adapter.off():
                    before = FAMILY.flow(loaded.transformer, given.mixed, given.sigma, given.text)
                moved.append(float((now - before).square().mean()))
        return moved[0], moved[1]

    free, _ = drift(0.0, tmp_path / "free")
    held, taught = drift(5.0, tmp_path / "held")
    assert held < 0.5 * free
    assert taught > held


@pytest.mark.parametrize(
    ("caption", "plain"),
    [
        ("zorvex, a red disc", "a red disc"),
        ("Zorvex a red disc", "a red disc"),
        ("a red disc, zorvex", "a red disc"),
        ("a zorvexian disc", "a zorvexian disc"),
        ("zorvex", ""),
    ],
)
def test_the_trigger_is_taken_out_of_a_caption(caption: str, plain: str) -> None:
    assert material.without_trigger(caption, "zorvex") == plain


def test_every_image_comes_up_once_before_any_comes_up_again() -> None:
    taken = torch.cat([rows(7, "learn", step, 10, 4) for step in range(5)]).tolist()
    assert sorted(taken[:10]) == sorted(taken[10:]) == list(range(10))
    assert taken[:10] != taken[10:]


@pytest.mark.parametrize("timesteps", ["uniform", "logit_normal", "shifted"])
def test_noise_levels_are_spread_over_their_whole_range(timesteps: str) -> None:
    options = Options(timesteps=timesteps)
    levels = torch.cat([noise_levels(options, 4, stream(0, "test", i)) for i in range(200)])
    assert 0 < float(levels.min()) < 0.15
    assert 0.85 < float(levels.max()) < 1
    quantiles = torch.cat([noise_levels(Options(), 4, stream(0, "test", i)).sort().values for i in range(50)])
    assert torch.equal((quantiles.view(-1, 4) * 4).long(), torch.arange(4).expand(50, 4))


def test_chance_depends_on_seed_name_and_step_alone() -> None:
    torch.manual_seed(1)
    first = torch.randn(4, generator=stream(7, "learn", 3))
    torch.manual_seed(2)
    assert torch.equal(first, torch.randn(4, generator=stream(7, "learn", 3)))
    assert not torch.equal(first, torch.randn(4, generator=stream(7, "learn", 4)))
    assert not torch.equal(first, torch.randn(4, generator=stream(8, "learn", 3)))
    assert not torch.equal(first, torch.randn(4, generator=stream(7, "preserve", 3)))
