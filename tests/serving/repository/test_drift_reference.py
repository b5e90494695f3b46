"""A version has the reference of drift of its release, in the models that take raw columns."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plumbline.base.files import file_sha256
from plumbline.features.drift.reference import (
    REFERENCE_FILE,
    DriftReferenceError,
    read_reference,
)
from plumbline.features.drift.training_rows import reference_of
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.serving.contract.versions import verify_repository
from plumbline.serving.errors import RepositoryError
from plumbline.serving.repository.export import write_repository
from plumbline.serving.repository.gpu_repository import export_gpu_repository
from plumbline.serving.repository.release import Release
from tests.row_sources import rows_of, table_of
from tests.serving.releases import ROWS, SETTINGS, model_of, write_small_plan

GPU_SETTINGS = SETTINGS.model_copy(update={"gpu_fused": "fp32"})
WITH_RAW_COLUMNS = ("ctr_features", "ctr_fused")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return write_small_plan(tmp_path / "plan", ["Oslo", "Rome"])


@pytest.fixture
def reference(plan: Plan, tmp_path: Path) -> Path:
    rows = rows_of(table_of(plan.kinds, [0, 0, 1], **ROWS.to_pydict()), plan.kinds)
    reference_of(plan, rows).write(tmp_path / REFERENCE_FILE)
    return tmp_path / REFERENCE_FILE


@pytest.fixture
def repository(plan: Plan, reference: Path, tmp_path: Path) -> Path:
    model = model_of(plan, tmp_path / "model", seed=1)
    release = Release.of(plan, model, ROWS, GPU_SETTINGS, drift=reference)
    write_repository(release, tmp_path / "model_repository", GPU_SETTINGS)
    return tmp_path / "model_repository"


@pytest.mark.parametrize("is_on_gpu", [False, True])
def test_a_version_has_the_reference_and_its_hash(
    repository: Path, reference: Path, is_on_gpu: bool
) -> None:
    if is_on_gpu:
        repository = export_gpu_repository(repository, GPU_SETTINGS)
    for model in WITH_RAW_COLUMNS:
        folder = repository / model / "1"
        manifest = json.loads((folder / "manifest.json").read_bytes())
        assert manifest["files"][REFERENCE_FILE] == file_sha256(reference)
        assert read_reference(folder / REFERENCE_FILE, read_plan(folder / "plan")).rows == 3
    assert not (repository / "ctr_dlrm" / "1" / REFERENCE_FILE).exists()
    verify_repository(repository, large_files=False)
    changed = repository / "ctr_fused" / "1" / REFERENCE_FILE
    content = changed.read_text()
    changed.unlink()
    changed.write_text(content.replace('"rows": 3', '"rows": 4'))
    with pytest.raises(RepositoryError, match=r"drift.json: wanted SHA-256"):
        verify_repository(repository, large_files=False)


def test_the_reference_of_another_plan_is_refused(reference: Path, tmp_path: Path) -> None:
    other = write_small_plan(tmp_path / "other", ["Oslo", "Lima"])
    model = model_of(other, tmp_path / "other_model", seed=1)
    with pytest.raises(DriftReferenceError, match="wanted one of plan"):
        Release.of(other, model, ROWS, SETTINGS, drift=reference)
