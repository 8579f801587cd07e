"""The documents tell the truth: links resolve, tools and commands that they name exist, examples parse."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import endpoints

from loradeck.tools import catalogue
from loradeck.tools.render_deck_visuals.deck_file import read_deck

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_resolves(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_readme_lists_exactly_the_tools_that_there_are_in_their_order() -> None:
    named = re.findall(r"^\| `([a-z_]+)` \|", README, flags=re.MULTILINE)
    assert tuple(named) == catalogue.TOOLS


def test_the_calls_in_the_readme_fit_their_tools() -> None:
    calls = re.findall(r"^loradeck call (\w+) '(.+)'$", README, flags=re.MULTILINE)
    assert len(calls) >= 2
    for tool, arguments in calls:
        catalogue.load(tool).args.model_validate(json.loads(arguments))


def test_the_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"^make (\w+)", README, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_the_commands_in_the_readme_exist() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "loradeck", "--help"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    for command in set(re.findall(r"`?(?:bin/)?loradeck (serve|call|worker|demo|doctor|install)\b", README)):
        assert command in told


def test_the_readme_installs_this_checkout_in_words_that_pip_understands() -> None:
    asked = re.findall(r'pip install -c (\S+) "([^"]+)"', README)
    assert asked == [("constraints.txt", ".[local]")]


def test_the_files_that_the_makefile_names_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?<![\w/])[\w-]+(?:/[\w-]+)*\.(?:py|json|toml|txt)\b", makefile))
    assert {"bench/startup.py", "tests/node/package.json", "constraints.txt", "pyproject.toml"} <= named
    assert [file for file in sorted(named) if not (ROOT / file).exists()] == []


def test_the_json_in_the_readme_is_json() -> None:
    blocks = re.findall(r"```json\n(.+?)```", README, flags=re.DOTALL)
    assert blocks
    for block in blocks:
        json.loads(block)


def test_the_deck_in_the_readme_and_the_one_that_it_links_are_accepted(tmp_path: Path) -> None:
    blocks = re.findall(r"```json\n(.+?)```", README, flags=re.DOTALL)
    (short,) = [block for block in blocks if '"slides"' in block]
    shown = tmp_path / "pitch.json"
    shown.write_text(short, encoding="utf-8")
    assert [slide.name for slide in read_deck(shown).slides] == ["cover", "the_plan", "closing"]
    (linked,) = set(re.findall(r"\]\((examples/decks/[^)]+)\)", README))
    assert len(read_deck(ROOT / linked).slides) == 13


def test_the_readme_tells_what_the_set_up_downloads_and_how_to_get_the_cpu_build() -> None:
    assert re.search(r"downloads about \d+ MB and takes [\d.]+ GB of disk", README)
    assert "=https://download.pytorch.org/whl/cpu make demo" in README


def test_nothing_speaks_of_the_machine_that_it_was_written_on() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    private = re.compile(r"/work/(main|shared)|/root/|\.pyenv")
    texts = [
        ROOT / name for name in listed.stdout.splitlines() if name.endswith((".md", ".py", ".toml", ".json", ".txt"))
    ]
    here = Path(__file__).resolve()
    found = [path.name for path in texts if path.resolve() != here and private.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_the_tables_of_endpoints_and_prices_are_those_that_the_engines_use() -> None:
    page = (ROOT / "docs" / "hosted.md").read_text(encoding="utf-8")
    assert page == endpoints.renewed(page)
