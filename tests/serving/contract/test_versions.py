"""All files of both repositories are verified before a server starts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline.base.errors import PlumblineError
from plumbline.dlrm.errors import ModelError
from plumbline.serving.contract.versions import INTEGRITY_FILE, verify_repository
from plumbline.serving.errors import RepositoryError
from tests.serving.repository.test_gpu_repository import KINDS, exported

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
    ("gpu_model_repository", "ctr_dlrm/config.pbtxt"),
    ("model_repository", "ctr/config.pbtxt"),
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported(tmp_path_factory.mktemp("export"), KINDS).parent


def test_an_unchanged_export_is_verified(out: Path) -> None:
    for large_files in (False, True):
        assert verify_repository(out / "model_repository", large_files=large_files) == 4
        assert verify_repository(out / "gpu_model_repository", large_files=large_files) == 3


@pytest.mark.parametrize(("repository", "name"), FILES)
def test_a_changed_and_a_missing_file_are_named(out: Path, repository: str, name: str) -> None:
    file = out / repository / name
    content = file.read_bytes()
    try:
        file.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
        with pytest.raises(PlumblineError, match=file.name):
            verify_repository(out / repository, large_files=True)
        file.rename(file.with_name("away"))
        with pytest.raises(PlumblineError, match=rf"{file.name}: missing"):
            verify_repository(out / repository, large_files=True)
    finally:
        file.with_name("away").rename(file)
        file.write_bytes(content)


def test_a_model_that_no_export_wrote_is_refused(out: Path) -> None:
    stranger = out / "model_repository" / "stranger"
    stranger.mkdir()
    try:
        with pytest.raises(RepositoryError, match=r"stranger: wanted ctr, ctr_dlrm, .*Remove it"):
            verify_repository(out / "model_repository", large_files=False)
    finally:
        stranger.rmdir()


def test_weights_that_the_backend_does_not_check_are_always_checked(out: Path) -> None:
    """The weights are one file in both repositories."""
    weights = out / "gpu_model_repository" / "ctr_dlrm" / "1" / "model" / "model.safetensors"
    content = weights.read_bytes()
    try:
        weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        verify_repository(out / "model_repository", large_files=False)
        with pytest.raises(ModelError, match=r"model\.safetensors: wanted"):
            verify_repository(out / "gpu_model_repository", large_files=False)
    finally:
        weights.write_bytes(content)


@pytest.mark.parametrize("content", [None, "", "[]", '{"format_version": 9}'])
def test_a_repository_without_readable_hashes_is_refused(
    out: Path, tmp_path: Path, content: str | None
) -> None:
    shutil.copytree(out / "gpu_model_repository", tmp_path / "repository")
    integrity = tmp_path / "repository" / INTEGRITY_FILE
    integrity.unlink() if content is None else integrity.write_text(content)
    message = "missing" if content is None else "wanted the hashes of a repository"
    with pytest.raises(RepositoryError, match=rf"integrity\.json: {message}"):
        verify_repository(tmp_path / "repository", large_files=False)


def test_a_folder_around_a_repository_is_told_where_it_is(out: Path, tmp_path: Path) -> None:
    (tmp_path / "export").symlink_to(out)
    for folder in (tmp_path, tmp_path / "export"):
        with pytest.raises(RepositoryError, match=r"export/model_repository\. Name"):
            verify_repository(folder, large_files=False)


def test_the_command_reports_the_reason_and_fails(out: Path, tmp_path: Path) -> None:
    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "serving.verify", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    good = run(out / "gpu_model_repository")
    assert good.returncode == 0
    assert good.stdout == "3 models verified.\n"
    bad = run(tmp_path)
    assert bad.returncode == 2
    assert bad.stderr == (
        f"error: {tmp_path}/integrity.json: missing from the model repository. "
        "Export the model repository again.\n"
    )
