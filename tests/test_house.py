"""The house stands as its plan says: imports go one way, and nothing heavy is loaded by looking at it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"server", "tools", "engines", "prompts", "state", "tests", "docs", "bench", "examples"}


def test_imports_go_one_way() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-logo"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout


def test_no_other_tracked_folder_joins_the_house() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    folders = {name.split("/")[0] for name in listed.stdout.splitlines() if "/" in name}
    assert {folder for folder in folders if not folder.startswith(".")} <= FOLDERS


@pytest.mark.parametrize("module", ["loradeck.server.app", "loradeck.engines.registry", "loradeck.server.cli"])
def test_importing_it_loads_nothing_heavy(module: str) -> None:
    heavy = ("torch", "diffusers", "transformers", "peft", "PIL", "cv2", "typst", "pptx")
    code = (
        f"import sys, {module}\n"
        "from loradeck.tools import catalogue\n"
        "catalogue.load_all()\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
