"""The package as people get it: built, installed elsewhere, run from `/`."""

from __future__ import annotations

import json
import os
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from support.package import ROOT, run

LIMIT_MB = 30


@pytest.mark.slow
def test_the_wheel_holds_everything_under_one_package_and_stays_small(built: tuple[Path, Path]) -> None:
    wheel, _ = built
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"loradeck"}
    for needed in (
        "loradeck/py.typed",
        "loradeck/server/demo_data/deck.json",
        "loradeck/server/demo_data/icons/LICENSE",
        "loradeck/engines/local/preview/weights/model_index.json",
    ):
        assert needed in names
    assert wheel.stat().st_size < LIMIT_MB * 2**20


@pytest.mark.slow
def test_the_sdist_holds_no_links_and_the_same_modules(built: tuple[Path, Path]) -> None:
    wheel, sdist = built
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert not [member.name for member in members if member.issym() or member.islnk()]
    modules = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".py")}
    unpacked = {member.name.split(".dev/")[-1] for member in members}
    assert modules <= unpacked


@pytest.mark.slow
def test_the_installed_wheel_runs_doctor_from_the_root_folder_without_torch(
    built: tuple[Path, Path], tmp_path: Path
) -> None:
    wheel, _ = built
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", wheel, cwd=tmp_path)
    home = tmp_path / "home"
    told = json.loads(run(python, "-m", "loradeck", "doctor", "--json", cwd=Path("/"), LORADECK_HOME=str(home)).stdout)
    checks = {(check["area"], check["what"]): check for check in told["checks"]}
    torch, local = checks["packages of [local]", "torch"], checks["engines", "local"]
    assert told["usable"]
    assert (torch["good"], local["good"]) == (False, False)
    assert "torch" in local["said"]
    assert all(f"{python} -m pip install " in check["said"] for check in (torch, local))
    assert all(check["good"] for check in told["checks"] if check["area"] == "packages")
    where = run(python, "-c", "import loradeck; print(loradeck.__file__)", cwd=Path("/")).stdout
    assert str(tmp_path) in where
