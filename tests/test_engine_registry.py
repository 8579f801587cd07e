"""Which engines there are, and which one "auto" means."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import pytest

from loradeck.engines import registry
from loradeck.engines.base import Ability, Availability, BaseModelInfo, Capabilities
from loradeck.engines.errors import NotInstalled
from loradeck.engines.registry import Registry
from loradeck.tools.contracts import TargetModel


@dataclass
class Fake:
    """As much of an engine as choosing needs."""

    name: str
    bases: dict[str, set[Ability]]
    ready: Availability = field(default_factory=lambda: Availability(True))
    costs: bool = False

    @property
    def capabilities(self) -> Capabilities:
        infos = tuple(BaseModelInfo(name, frozenset(abilities)) for name, abilities in self.bases.items())
        return Capabilities(frozenset().union(*self.bases.values()), infos, costs_money=self.costs)

    def available(self) -> Availability:
        return self.ready


def registry_of(*engines: Any) -> Registry:
    return Registry({engine.name: (lambda engine=engine: engine) for engine in engines})


def test_the_registry_and_the_local_engine_load_nothing_heavy() -> None:
    program = (
        "import sys; from loradeck.engines.registry import Registry; r = Registry(); e = r.open('local');"
        "e.capabilities, e.available(), e.defaults('preview', 30, 'style');"
        "heavy = ('torch', 'diffusers', 'transformers', 'peft', 'PIL', 'numpy', 'safetensors');"
        "print([m for m in heavy if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.strip() == "[]"


def test_the_embedded_default_comes_first() -> None:
    assert Registry().names()[0] == "local"
    assert Registry().open("local").name == "local"


def test_packages_add_engines_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    class Entry:
        def __init__(self, name: str) -> None:
            self.name = name

        def load(self) -> Any:
            return lambda: Fake(self.name, {"flux1-dev": {"train"}})

    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry("zeta"), Entry("local"), Entry("alpha")])
    found = Registry()
    assert found.names() == ["local", "fal", "replicate", "alpha", "zeta"]
    assert found.open("zeta").name == "zeta"
    assert type(found.open("local")).__name__ == "LocalEngine"


def test_every_base_that_an_engine_trains_can_be_asked_for() -> None:
    found = Registry()
    bases = {
        base.name
        for name in found.names()
        for base in found.open(name).capabilities.base_models
        if "train" in base.abilities
    }
    assert bases <= set(TargetModel)


def test_an_engine_is_opened_once() -> None:
    made: list[Fake] = []

    def make() -> Any:
        made.append(Fake("a", {"x": {"train"}}))
        return made[-1]

    opened = Registry({"a": make})
    assert opened.open("a") is opened.open("a")
    assert len(made) == 1


def test_an_unknown_engine_is_told_with_the_nearest_name() -> None:
    with pytest.raises(NotInstalled, match="Did you mean local"):
        Registry().open("locl")


def test_an_engine_that_does_not_load_is_told_and_passed_over() -> None:
    def broken() -> Any:
        raise ImportError("No module named 'acme'")

    good = Fake("good", {"x": {"draw"}})
    mixed = Registry({"bad": broken, "good": lambda: good})
    with pytest.raises(NotInstalled, match="acme"):
        mixed.open("bad")
    assert mixed.choose("x", "draw") is good


def test_auto_takes_the_first_ready_engine_that_can() -> None:
    sleepy = Fake("sleepy", {"x": {"train", "draw"}}, Availability(False, "its key is not set.", "Set SLEEPY_KEY."))
    drawer = Fake("drawer", {"x": {"draw"}})
    trainer = Fake("trainer", {"x": {"train"}})
    found = registry_of(sleepy, drawer, trainer)
    assert found.choose("x", "train").name == "trainer"
    assert found.choose("x", "draw").name == "drawer"


def test_auto_takes_what_costs_nothing_before_what_costs_and_what_costs_before_nothing() -> None:
    dear = Fake("dear", {"x": {"draw", "train"}}, costs=True)
    free = Fake("free", {"x": {"draw"}})
    found = registry_of(dear, free)
    assert found.choose("x", "draw").name == "free"
    assert found.choose("x", "train").name == "dear"


def test_an_engine_that_could_but_is_not_ready_is_named_with_its_remedy() -> None:
    sleepy = Fake("sleepy", {"x": {"train"}}, Availability(False, "its key is not set.", "Set SLEEPY_KEY."))
    with pytest.raises(NotInstalled, match=r"sleepy could, but its key is not set\. Set SLEEPY_KEY\."):
        registry_of(sleepy).choose("x", "train")


def test_a_base_that_nobody_knows_is_told_with_the_known_ones() -> None:
    known = "flux1-dev, flux2-dev, flux2-klein-4b, flux2-klein-9b, .*preview, wan-2.2, z-image, z-image-base"
    with pytest.raises(NotInstalled, match=rf"sdxl; what is installed can train on {known}: choose that"):
        Registry().choose("sdxl", "train")


def test_a_host_without_a_key_is_told_with_the_variable_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FAL_KEY", raising=False)
    with pytest.raises(NotInstalled, match=r"fal could, but there is no key for fal\. To set one, set FAL_KEY"):
        Registry().choose("wan-2.2", "train")
