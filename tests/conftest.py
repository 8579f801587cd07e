"""Fixtures that several areas share."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.package import build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist, built once."""
    return build(tmp_path_factory.mktemp("dist"))
