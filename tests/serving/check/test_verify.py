"""Both repositories are verified whole, and a changed file is named, before a server is started."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline.base.errors import PlumblineError
from plumbline.base.manifest import Manifest, hash_files
from plumbline.dlrm.errors import ModelError
from plumbline.serving.errors import RepositoryError
from plumbline.serving.repository.integrity import verify_configs, verify_repository
from plumbline.serving.repository.version_files import verify_versions
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
    for large_files in (False, True):
        assert verify_versions(out / "model_repository", large_files=large_files) == 4
        assert verify_versions(out / "gpu_model_repository", large_files=large_files) == 3


@pytest.mark.parametrize(("repository", "name"), FILES)
def test_a_changed_and_a_missing_file_are_named(out: Path, repository: str, name: str) -> None:
    file = out / repository / name
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        with pytest.raises(PlumblineError, match=file.name):
            verify_versions(out / repository, large_files=True)
        file.rename(file.with_name("away"))
        with pytest.raises(PlumblineError, match=rf"{file.name}: missing"):
            verify_versions(out / repository, large_files=True)
    finally:
        file.with_name("away").rename(file)
        file.write_bytes(content)


def test_a_model_that_no_export_wrote_is_refused(out: Path) -> None:
    stranger = out / "model_repository" / "stranger"
    stranger.mkdir()
    try:
        with pytest.raises(RepositoryError, match=r"stranger/config\.pbtxt: missing"):
            verify_versions(out / "model_repository", large_files=False)
        (stranger / "config.pbtxt").write_text('name: "stranger"\nbackend: "python"\n')
        with pytest.raises(RepositoryError, match=r"'stranger': wanted the config parameter 'ver"):
            verify_versions(out / "model_repository", large_files=False)
    finally:
        (stranger / "config.pbtxt").unlink(missing_ok=True)
        stranger.rmdir()


def test_weights_that_no_step_checks_are_always_checked(out: Path) -> None:
    """The weights are one file in both repositories."""
    weights = out / "gpu_model_repository" / "ctr_dlrm" / "1" / "model" / "model.safetensors"
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        verify_versions(out / "model_repository", large_files=False)
        with pytest.raises(ModelError, match=r"model\.safetensors: wanted"):
            verify_versions(out / "gpu_model_repository", large_files=False)
    finally:
        weights.write_bytes(content)


def test_a_config_that_the_exports_manifest_does_not_vouch_for_is_refused(
    out: Path, tmp_path: Path
) -> None:
    shutil.copytree(out / "gpu_model_repository", tmp_path / "gpu_model_repository")
    config = tmp_path / "gpu_model_repository" / "ctr_dlrm" / "config.pbtxt"
    files = hash_files(tmp_path, (tmp_path / "gpu_model_repository").rglob("config.pbtxt"))
    Manifest("export", {}, {}, [], {}, files, {}, 0.0).write(tmp_path)
    assert verify_configs(tmp_path / "gpu_model_repository")
    verify_repository(tmp_path / "gpu_model_repository")
    config.write_text(config.read_text() + "\n")
    with pytest.raises(RepositoryError, match=r"ctr_dlrm/config\.pbtxt: wanted SHA-256"):
        verify_repository(tmp_path / "gpu_model_repository")


def test_the_command_tells_the_reason_and_fails(out: Path, tmp_path: Path) -> None:
    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serving.verify", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    good = run(out / "gpu_model_repository")
    assert good.returncode == 0
    assert good.stdout == "3 versions verified, nothing vouches for the configs.\n"
    bad = run(tmp_path)
    assert bad.returncode == 2
    assert bad.stderr == f"error: {tmp_path}: wanted a model repository, found no model in it.\n"
