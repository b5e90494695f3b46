"""Fresh copies of the artifacts for every test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.hostile.artifacts import write_artifacts


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_artifacts(tmp_path_factory.mktemp("hostile") / "original")


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    """The plan and its models."""
    return Path(
        shutil.copytree(original, tmp_path / "copy", ignore=shutil.ignore_patterns("repository"))
    )


@pytest.fixture
def repository(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original / "repository", tmp_path / "repository"))
