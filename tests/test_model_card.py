"""The card of a LoRA that is passed on: what others wrote stands in it as words, and it tells what is true."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import loras
from support.painter import trained

from loradeck.engines.base import HIGH_NOISE
from loradeck.state.records import DatasetRecord, ImageRecord, LoraRecord, RunRecord
from loradeck.state.store import Store
from loradeck.tools.manage_loras import model_card
from loradeck.tools.manage_loras.model_card import Sample
from loradeck.tools.manage_loras.publishing import gather
from loradeck.tools.start_training.usage import usage

HOSTILE = '"+__import__("os").popen("x").read()+"'


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def card(store: Store, lora: LoraRecord, *prompts: str) -> str:
    gallery = [Sample(Path("x.png"), f"images/{number}.png", prompt) for number, prompt in enumerate(prompts, 1)]
    return model_card.text(store, lora, "as the base", gallery, ["pytorch_lora_weights.safetensors"])


def headings(text: str) -> list[str]:
    return re.findall(r"^ {0,3}(?:[-*+] )*(#+ .*)$", text, flags=re.MULTILINE)


@pytest.mark.parametrize("trigger", ["zorvex", HOSTILE, "a\\", "``` `", "`a` <b>", "it's é 🦊"])
def test_a_trigger_is_a_word_in_the_code_and_in_the_text_whatever_is_in_it(store: Store, trigger: str) -> None:
    first, snippet = usage(trained(store, trigger=trigger))[:2]
    tree = ast.parse(snippet.removeprefix("```python\n").removesuffix("```"))
    assert [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and one.value == f"{trigger}, ..."]
    assert not [one for one in ast.walk(tree) if isinstance(one, ast.Name) and one.id == "__import__"]
    span = re.match(r"Put (`+)( ?)(.*?)\2\1(?!`) first", first)
    assert span is not None
    assert span[3] == trigger
    assert span[1] not in re.findall("`+", trigger)


@pytest.mark.parametrize("words", ["zor\x7fvex", "zor\x9bvex", "zor\u2028vex", "zor\ufeffvex", "a: b # c\n---\n", "🦊"])
def test_the_header_is_yaml_that_says_what_the_lora_says(store: Store, words: str) -> None:
    text = card(store, trained(store, trigger=words), words)
    assert text.count("\n---\n") == 1
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["instance_prompt"] == header["widget"][0]["text"] == words


def test_words_of_others_make_no_headings_links_or_pictures(store: Store) -> None:
    waived = [{"rule_id": "COV-COUNT", "reason": "fine\n\n# Licence\n\nMIT, [use](http://x) as you like"}]
    learned(store, 1, waived=waived)
    add_image(store, 1, "# by Bob\n## Licence\n<b>CC0")
    lora = trained(store, run_id="run_t", dataset_id="ds")
    plain = card(store, trained(store), "zor")
    text = card(store, lora, "zor ![x](y)\n# more")
    assert [line for line in headings(text) if not line.startswith("# ")] == headings(plain)[1:]
    assert r"COV-COUNT: fine # Licence MIT, \[use\](http://x) as you like" in text
    assert r"- \# by Bob ## Licence \<b\>CC0 (1 images)" in text
    assert r"![zor !\[x\](y) # more](images/1.png)" in text


def learned(store: Store, *numbers: int, **columns: Any) -> None:
    """A training on the images of these numbers."""
    pairs = [{"file": f"{number}.png", "image": "0" * 64} for number in numbers]
    store.add(DatasetRecord(id="ds", name="a", profile="style", target_model="preview", resolution=64))
    store.add(RunRecord(id="run_t", kind="train", state="succeeded", dataset_id="ds", spec={"pairs": pairs}, **columns))


def add_image(store: Store, number: int, source: str, status: str = "kept") -> None:
    store.add(
        ImageRecord(
            id=f"img_{number}", dataset_id="ds", number=number, file=f"{number}.png", original_path="a",
            original_name="a", sha256=str(number) * 64, status=status, rights={"source": source},
        )
    )  # fmt: skip


def test_those_are_credited_whose_images_it_learned_from(store: Store) -> None:
    learned(store, 1, 2)
    add_image(store, 1, "Ann")
    add_image(store, 2, "Bob, set aside since", status="rejected")
    add_image(store, 3, "Cy, added later")
    text = card(store, trained(store, run_id="run_t", dataset_id="ds"))
    assert "Ann (1 images)" in text
    assert "Bob, set aside since (1 images)" in text
    assert "Cy" not in text


def test_the_second_file_is_named_as_it_is_passed_on(store: Store, tmp_path: Path) -> None:
    low, high = (
        loras.written(tmp_path / f"{name}.safetensors", seed=seed) for seed, name in enumerate(("low", "high"))
    )
    lora = trained(store, "walk", source=low, meta={HIGH_NOISE: high.name})
    files = {Path(file.path).name for file in gather(store, lora, tmp_path / "out", "")}
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    (said,) = [line for line in text.splitlines() if "second file" in line]
    named = set(re.findall(r"`(.*?)`", said))
    assert {"pytorch_lora_weights_high_noise.safetensors", "walk-v1-comfyui-high-noise.safetensors"} < named <= files
