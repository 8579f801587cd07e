"""What `make` says on a machine that lacks something."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make")


@pytest.mark.skipif(MAKE is None, reason="there is no make here")
@pytest.mark.parametrize("target", ["test", "node"])
def test_without_npm_one_sentence_says_what_needs_it_and_where_to_get_it(target: str, tmp_path: Path) -> None:
    bare = tmp_path / "bin"
    bare.mkdir()
    done = subprocess.run(
        [str(MAKE), target, f"NODE={tmp_path / 'node'}", f"VENV={tmp_path / 'venv'}"],
        cwd=ROOT,
        env={"PATH": str(bare)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stderr.splitlines()
    assert done.returncode != 0
    assert said[0].startswith(
        "The protocol's own tests need npm, which comes with Node.js: get it from https://nodejs.org"
    )
    assert "then call make again" in said[0]
    assert len(said) == 2  # ours, and make's own last line
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]
