"""Both repositories are verified whole, and a changed file is named, before a server is started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import PlumblineError, RepositoryError
from serving.verify import verify_repository
from tests.serving.test_gpu_repository import KINDS, exported

FILES = [
    ("model_repository", "ctr_fused/1/model.py"),
    ("model_repository", "ctr_features/1/plan/plan.json"),
    ("model_repository", "ctr_features/1/plan/vocabulary/tags.parquet"),
    ("model_repository", "ctr_dlrm/1/manifest.json"),
    ("model_repository", "ctr_dlrm/1/model/model.safetensors"),
    ("gpu_model_repository", "ctr_dlrm/1/model.onnx"),
    ("gpu_model_repository", "ctr_dlrm/1/model/model.safetensors"),
    ("gpu_model_repository", "ctr_dlrm/1/model/model.json"),
    ("gpu_model_repository", "ctr_features/1/check.arrow"),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("export"), KINDS).parent


def test_what_was_exported_is_verified(out: Path) -> None:
    assert verify_repository(out / "model_repository") == 4
    assert verify_repository(out / "gpu_model_repository") == 3


@pytest.mark.parametrize(("repository", "name"), FILES)
def test_a_changed_and_a_missing_file_are_named(out: Path, repository: str, name: str) -> None:
    file = out / repository / name
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        with pytest.raises(PlumblineError, match=file.name):
            verify_repository(out / repository)
        file.rename(file.with_name("away"))
        with pytest.raises(PlumblineError, match=rf"{file.name}: missing"):
            verify_repository(out / repository)
    finally:
        file.with_name("away").rename(file)
        file.write_bytes(content)


def test_a_model_that_no_export_wrote_is_refused(out: Path) -> None:
    stranger = out / "model_repository" / "stranger"
    stranger.mkdir()
    try:
        with pytest.raises(RepositoryError, match=r"stranger/config\.pbtxt: missing"):
            verify_repository(out / "model_repository")
        (stranger / "config.pbtxt").write_text('name: "stranger"\nbackend: "python"\n')
        with pytest.raises(RepositoryError, match=r"'stranger': wanted the config parameter 'ver"):
            verify_repository(out / "model_repository")
    finally:
        (stranger / "config.pbtxt").unlink(missing_ok=True)
        stranger.rmdir()


def test_the_command_tells_the_reason_and_fails(out: Path, tmp_path: Path) -> None:
    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serving.verify", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    good = run(out / "gpu_model_repository")
    assert (good.returncode, good.stdout) == (0, "3 versions verified.\n")
    bad = run(tmp_path)
    assert bad.returncode == 2
    assert bad.stderr == f"error: {tmp_path}: wanted a model repository, found no model in it.\n"
