"""A package that is missing is told with a command that brings it; none asks a package index for our own name."""

from __future__ import annotations

import json
import re
import shlex
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from loradeck import packages
from loradeck.engines.local.engine import PACKAGES
from loradeck.server import doctor

ROOT = Path(__file__).parents[1]


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, direct: dict[str, object] | None) -> None:
    """loradeck as pip left it: from a folder, a wheel, or (`None`) from an index."""
    info = folder / "loradeck-0.1.0.dist-info"
    info.mkdir(parents=True)
    text = metadata.distribution("loradeck").read_text("METADATA")
    (info / "METADATA").write_text(text or "", encoding="utf-8")
    if direct is not None:
        (info / "direct_url.json").write_text(json.dumps(direct), encoding="utf-8")
    monkeypatch.setattr(packages.metadata, "distribution", lambda name: metadata.PathDistribution(info))


def command(names: list[str]) -> list[str]:
    """The words of the command that is told, as a shell takes them."""
    return shlex.split(packages.how_to_install(names).split("`")[1])


def test_every_package_of_the_engine_is_one_that_the_extra_names() -> None:
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    told = {wanted.name: wanted.text for wanted in packages.requirements() if wanted.extra == "local"}
    assert list(told.values()) == extra["local"]
    assert set(PACKAGES) == set(told)


def test_in_a_checkout_the_command_is_that_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, {"url": ROOT.as_uri(), "dir_info": {}})
    pip = ["-m", "pip", "install", "-c", "constraints.txt"]
    assert command(["torch", "peft"]) == [sys.executable, *pip, ".[local]"]
    assert command(["typst"]) == [sys.executable, *pip, "."]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert packages.how_to_install(["torch"]).split("`")[1].split(" -m ")[1] in readme


def test_a_checkout_that_runs_in_place_goes_on_doing_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, {"url": ROOT.as_uri(), "dir_info": {"editable": True}})
    assert command(["torch"])[-2:] == ["-e", ".[local]"]


@pytest.mark.parametrize("where", ["index", "wheel", "a checkout that is gone"])
def test_elsewhere_the_missing_packages_themselves_are_named(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = (tmp_path / "gone").as_uri()
    direct = {"index": None, "wheel": {"url": f"{gone}.whl", "archive_info": {}}}
    installed(tmp_path, monkeypatch, direct.get(where, {"url": gone, "dir_info": {}}))
    words = command(["torch", "peft"])
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    assert [re.split(r"\W", word)[0] for word in words[4:]] == ["torch", "peft"]
    assert ">=" in words[4]


def test_an_interpreter_with_a_space_in_its_path_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, None)
    monkeypatch.setattr(sys, "executable", "/home/a person/bin/python")
    assert command(["torch"])[0] == "/home/a person/bin/python"


def test_doctor_tells_the_command_for_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    told = {check.what: check.said for check in doctor.examine(tmp_path).checks if check.area.startswith("packages")}
    assert packages.how_to_install(["torch"]) in told["torch"]
    assert packages.how_to_install(["typst"]) in told["typst"]


def test_no_command_asks_an_index_for_our_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, direct in enumerate((None, {"url": ROOT.as_uri(), "dir_info": {}})):
        installed(tmp_path / str(number), monkeypatch, direct)
        for wanted in packages.requirements():
            assert not [word for word in command([wanted.name])[4:] if word.startswith("loradeck")]
