"""FLUX.3 klein in the local engine, against diffusers' modular pipeline: no official training script exists for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers.loaders.single_file_utils import convert_flux3_transformer_checkpoint_to_diffusers
from diffusers.modular_pipelines.flux3 import Flux3AutoBlocks
from diffusers.modular_pipelines.flux3.before_denoise import Flux3PrepareLatentsStep
from diffusers.modular_pipelines.flux3.encoders import Flux3TextEncoderStep, Flux3VaeEncoderStep
from PIL import Image
from safetensors.torch import load_file
from support import parity, tiny, tiny_flux3
from support.reporter import Crash, MemoryReporter

from loradeck.engines.base import DrawRequest, LoraRef
from loradeck.engines.local.abreast import abreast
from loradeck.engines.local.bases import Base
from loradeck.engines.local.export import write
from loradeck.engines.local.families.flux3 import FAMILY, ROPE_SCALE, latent_ids, text_ids
from loradeck.engines.local.texts import part

PROMPTS = ["zorvex, a red disc", "a blue square on the left " * 4, ""]  # the second takes two windows
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return tiny_flux3.base(tmp_path_factory.mktemp("flux3") / "weights")


@pytest.fixture(scope="module")
def pipeline(base: Base) -> Any:
    return FAMILY.load(base.weights)


def test_the_flow_is_what_the_pipeline_gets_from_the_transformer_when_it_draws(pipeline: Any) -> None:
    seen: list[tuple[dict[str, Any], torch.Tensor]] = []
    hook = pipeline.transformer.register_forward_hook(
        lambda _, __, given, out: seen.append((given, out[0])), with_kwargs=True
    )
    text = FAMILY.encode_prompts(pipeline, PROMPTS[:1], tiny_flux3.MAX_TOKENS)
    FAMILY.draw(pipeline, text, text, [1], (32, 48), 3, 1.0, lambda: None)
    hook.remove()
    assert len(seen) == 3
    for given, out in seen:
        noisy = given["hidden_states"].transpose(1, 2).reshape(1, 16, 6, 4)
        with torch.no_grad():
            ours = FAMILY.flow(pipeline.transformer, noisy, given["timestep"], text)
        assert torch.allclose(ours, out.view(1, 6, 4, 16).permute(0, 3, 1, 2), atol=1e-6)
        assert torch.equal(given["img_ids"], latent_ids(6, 4, CPU))
        assert torch.equal(given["txt_ids"], text_ids(80, CPU))


def test_places_are_made_once_and_scaled_as_the_model_was_trained() -> None:
    assert Flux3PrepareLatentsStep().image_rope_scale == ROPE_SCALE
    assert latent_ids(4, 6, CPU) is latent_ids(4, 6, CPU)
    assert text_ids(80, CPU) is text_ids(80, CPU)


def test_rows_of_different_windows_flow_together_as_each_alone(pipeline: Any) -> None:
    text = FAMILY.encode_prompts(pipeline, PROMPTS, tiny_flux3.MAX_TOKENS)
    assert text["lengths"].tolist() == [80, 160, 80]
    noisy, sigma = torch.randn(3, 16, 4, 4, generator=torch.Generator().manual_seed(1)), torch.tensor([0.2, 0.5, 0.9])
    with torch.no_grad():
        together = FAMILY.flow(pipeline.transformer, noisy, sigma, text)
        for row in range(3):
            one = slice(row, row + 1)
            alone = FAMILY.flow(pipeline.transformer, noisy[one], sigma[one], part(text, row, row + 1))
            assert torch.allclose(together[one], alone, atol=1e-5)


def test_text_is_what_the_pipelines_own_step_makes_of_each_prompt(pipeline: Any) -> None:
    step = Flux3TextEncoderStep().init_pipeline()
    step.update_components(text_encoder=pipeline.text_encoder, tokenizer=pipeline.tokenizer)
    ours = FAMILY.encode_prompts(pipeline, PROMPTS, tiny_flux3.MAX_TOKENS)
    for row, prompt in enumerate(PROMPTS):
        theirs = step(prompt=prompt, max_sequence_length=tiny_flux3.MAX_TOKENS, output="prompt_embeds")[0]
        assert torch.equal(ours["states"][row, : len(theirs)], theirs)
        assert int(ours["lengths"][row]) == len(theirs)
        assert not ours["states"][row, len(theirs) :].any()


def test_text_is_eight_layers_of_the_encoder_side_by_side(pipeline: Any) -> None:
    left: dict[int, torch.Tensor] = {}
    layers, numbers = pipeline.text_encoder.model.language_model.layers, range(4, 33, 4)
    hooks = [
        layers[number - 1].register_forward_hook(lambda _, __, out, number=number: left.update({number: out}))
        for number in numbers
    ]
    inputs = pipeline.tokenizer.tokenizer(f"<user>{PROMPTS[0]}</user>", return_tensors="pt")
    with torch.no_grad():
        pipeline.text_encoder(**inputs)
    for hook in hooks:
        hook.remove()
    wanted = torch.cat([left[number] for number in numbers], dim=-1)[0]
    ours = FAMILY.encode_prompts(pipeline, PROMPTS[:1], tiny_flux3.MAX_TOKENS)["states"][0, : len(wanted)]
    assert float((ours - wanted).abs().max()) < 1e-4  # rounding of 32 layers, once with what fills the window up


def test_latents_are_those_the_pipeline_makes_of_a_reference(pipeline: Any) -> None:
    step = Flux3VaeEncoderStep().init_pipeline()
    step.update_components(vae=pipeline.vae)
    pixels = torch.rand(1, 3, tiny.SIDE, tiny.SIDE, generator=torch.Generator().manual_seed(3)) * 2 - 1
    theirs = step(condition_images=[pixels], output="image_cond_latents")[0]
    assert torch.equal(FAMILY.encode_images(pipeline, pixels), theirs)


def test_targets_are_attention_of_the_full_size_model_but_not_of_the_references() -> None:
    model = tiny_flux3.full_size()
    modules, targets = dict(model.named_modules()), FAMILY.targets(model)
    assert all(isinstance(modules[name], torch.nn.Linear) for name in targets)
    assert len(targets) == 4 * (5 + 5 + 28)
    assert not [name for name in targets if "image_cond" in name]


def test_the_file_names_the_matrices_of_the_original_model() -> None:
    """The original names to diffusers', by diffusers' own reading of whole checkpoints."""
    adapter = parity.marked(FAMILY, tiny_flux3.transformer())
    original = parity.changes(adapter.portable(), "diffusion_model.")
    assert all(key.startswith(("content_mode_blocks.", "txt_mode_blocks.", "single_blocks.")) for key in original)
    read = convert_flux3_transformer_checkpoint_to_diffusers(original)
    assert parity.agree(read, parity.changes(adapter.weights()))


def test_what_was_trained_is_what_plain_diffusers_loads(base: Base, tmp_path: Path) -> None:
    ours = FAMILY.load(base.weights)
    theirs = Flux3AutoBlocks().init_pipeline()
    theirs.update_components(transformer=FAMILY.load(base.weights, without=("text_encoder", "tokenizer")).transformer)
    adapter = parity.marked(FAMILY, ours.transformer)
    write(adapter, tmp_path / "look.safetensors", {})
    theirs.load_lora_weights(tmp_path / "look.safetensors")
    given = (torch.randn(2, 16, 4, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0.2, 0.8]))
    text = FAMILY.encode_prompts(ours, PROMPTS[:2], tiny_flux3.MAX_TOKENS)
    with torch.no_grad():
        taught = FAMILY.flow(ours.transformer, *given, text)
        assert float((taught - FAMILY.flow(theirs.transformer, *given, text)).abs().max()) <= 1e-6
        with adapter.off():
            assert float((taught - FAMILY.flow(ours.transformer, *given, text)).abs().max()) > 1e-2


def test_prompts_seeds_guidance_and_up_to_ten_references_all_matter(pipeline: Any) -> None:
    text, other, empty = (FAMILY.encode_prompts(pipeline, [said], tiny_flux3.MAX_TOKENS) for said in PROMPTS)
    told: list[int] = []

    def drawn(chosen: Any = text, seed: int = 1, guidance: float = 3.5, count: int = 0) -> np.ndarray:
        references = [tiny.picture(number, side=64).convert("RGBA") for number in range(count)]
        made = FAMILY.draw(pipeline, chosen, empty, [seed], (32, 32), 2, guidance, lambda: told.append(1), references)
        return np.asarray(made[0], dtype=np.int16)

    plain = drawn()
    assert len(told) == 2
    assert np.array_equal(plain, drawn())
    changed = [drawn(other), drawn(seed=2), drawn(guidance=1.0), drawn(count=1), drawn(count=10)]
    assert all(np.abs(picture - plain).max() > 0 for picture in changed)
    assert np.abs(changed[3] - changed[4]).max() > 0
    assert FAMILY.most_references == 10


def test_pipelines_beside_one_another_draw_at_the_same_time_what_each_draws_alone(pipeline: Any) -> None:
    text, empty = (FAMILY.encode_prompts(pipeline, [prompt], tiny_flux3.MAX_TOKENS) for prompt in (PROMPTS[0], ""))
    lanes = [pipeline, FAMILY.beside(pipeline), FAMILY.beside(pipeline)]

    def draw(lane: Any, seed: int, on_step: Callable[[], None]) -> bytes:
        return FAMILY.draw(lane, text, empty, [seed], (32, 32), 3, 3.5 + seed, on_step)[0].tobytes()

    alone = dict(abreast(range(9), lanes[:1], draw, lambda: None))
    assert len(set(alone.values())) == 9
    assert dict(abreast(range(9), lanes, draw, lambda: None)) == alone


def test_a_training_is_killed_goes_on_to_the_same_weights_and_its_look_shows(base: Base, tmp_path: Path) -> None:
    engine = tiny.engine(base)
    changes = {"base_model": base.name, "steps": 4, "checkpoint_every": 2, "learning_rate": 5e-2}
    changes["advanced"] = {"preservation": 0, "threads": 1}
    spec, dataset = tiny.spec(tmp_path / "run", **changes), tiny.dataset(tmp_path / "images")
    whole = engine.train(spec, dataset, MemoryReporter())
    first = MemoryReporter(crash_at=3)
    with pytest.raises(Crash):
        engine.train(replace(spec, run_dir=tmp_path / "again"), dataset, first)
    resumed = engine.train(replace(spec, run_dir=tmp_path / "again"), dataset, MemoryReporter(first.journal))
    ours, theirs = load_file(whole.lora_path), load_file(resumed.lora_path)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    lora = LoraRef(whole.lora_path, 1.0, whole.sha256, base.name)
    plain, looked = tiny.job(tmp_path / "plain.png"), tiny.job(tmp_path / "looked.png")
    engine.draw(DrawRequest(base.name, (plain,)), MemoryReporter())
    engine.draw(DrawRequest(base.name, (looked,), (lora,)), MemoryReporter())
    assert pixels(plain.out) != pixels(looked.out)


def pixels(path: Path) -> bytes:
    """A picture's colours alone, without what the file tells of itself."""
    with Image.open(path) as picture:
        return picture.convert("RGB").tobytes()
