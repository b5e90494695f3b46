"""The exported repository: its files, what it refuses, and that it is complete or absent."""

import shutil
from pathlib import Path

import pytest

import plumbline.serving.repository.release
from plumbline.base.errors import PlanError
from plumbline.dlrm.errors import ModelError
from plumbline.features.lookup.tables import index_of
from plumbline.features.plan.plan import Plan, read_plan
from plumbline.settings import Serving
from tests.serving.releases import ROWS, SETTINGS, export_repository, model_of, write_small_plan


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return write_small_plan(tmp_path / "plan", ["Oslo", "Rome"])


@pytest.fixture
def model_folder(plan: Plan, tmp_path: Path) -> Path:
    return model_of(plan, tmp_path / "model", seed=1)


def test_the_repository_has_four_models(plan: Plan, model_folder: Path, tmp_path: Path) -> None:
    repository = export_repository(plan, model_folder, tmp_path / "out", SETTINGS, ROWS)
    assert repository == tmp_path / "out" / "model_repository"
    files = [file for file in repository.rglob("*") if file.is_file()]
    names = [file.relative_to(repository).as_posix() for file in files]
    vocabulary = "plan/vocabulary/city.parquet"
    plan_files = ["plan/plan.json", vocabulary, index_of(vocabulary)]
    model_files = ["model/model.json", "model/model.safetensors"]
    own_files = ["model.py", "check.arrow", "manifest.json", "__pycache__"]
    assert sorted(names) == sorted(
        ["integrity.json"]
        + [f"{model}/config.pbtxt" for model in ("ctr", "ctr_dlrm", "ctr_features", "ctr_fused")]
        + [f"ctr_dlrm/1/{file}" for file in [*own_files, *model_files]]
        + [f"ctr_features/1/{file}" for file in [*own_files, *plan_files]]
        + [f"ctr_fused/1/{file}" for file in [*own_files, *plan_files, *model_files]]
    )
    assert (repository / "ctr" / "1").is_dir(), "Triton wants a version of an ensemble, too"
    exported = read_plan(repository / "ctr_fused" / "1" / "plan")
    assert exported.content_hash == plan.content_hash


def test_a_file_needed_twice_is_stored_once_and_apart_from_its_source(
    plan: Plan, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weights(out: str) -> list[Path]:
        repository = export_repository(plan, model_folder, tmp_path / out, SETTINGS, ROWS)
        return sorted(repository.rglob("*.safetensors"))

    one, two = weights("linked")
    assert one.samefile(two)
    assert not one.samefile(model_folder / one.name)

    def no_links(source: Path, target: Path) -> None:
        raise OSError(f"no hard links here: {source} {target}")

    monkeypatch.setattr(plumbline.serving.repository.release.os, "link", no_links)
    one, two = weights("copied")
    assert not one.samefile(two)
    assert one.read_bytes() == two.read_bytes()


def test_a_model_of_another_plan_is_refused(model_folder: Path, tmp_path: Path) -> None:
    other = write_small_plan(tmp_path / "other", ["Oslo", "Rome", "Lima"])
    with pytest.raises(ModelError, match=r"model\.json: wanted.*\(city: was 5, is 6\).*Train"):
        export_repository(other, model_folder, tmp_path / "out", SETTINGS, ROWS)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "error"),
    [
        ("plan/vocabulary/city.parquet", PlanError),
        (index_of("plan/vocabulary/city.parquet"), PlanError),
        ("plan/plan.json", PlanError),
        ("model/model.safetensors", ModelError),
        ("model/model.json", ModelError),
    ],
)
@pytest.mark.parametrize("change", ["damaged", "missing"])
def test_damaged_and_missing_files_are_refused(
    plan: Plan,
    model_folder: Path,
    tmp_path: Path,
    file: str,
    error: type[Exception],
    change: str,
) -> None:
    target = tmp_path / file
    if change == "missing":
        target.unlink()
    else:
        content = bytearray(target.read_bytes())
        content[len(content) // 2] ^= 1
        target.write_bytes(content)
    with pytest.raises(error, match=target.name):
        export_repository(plan, model_folder, tmp_path / "out", SETTINGS, ROWS)
    assert not (tmp_path / "out").exists()


def test_a_repository_is_replaced_completely_or_not_at_all(
    plan: Plan, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    folder = export_repository(plan, model_folder, out, SETTINGS, ROWS)
    before = (folder / "ctr" / "config.pbtxt").read_text()

    copy = shutil.copyfile

    def fails_at_the_weights(source: Path, target: Path) -> Path:
        if Path(source).suffix == ".safetensors":
            raise OSError("disk full")
        return Path(copy(source, target))

    with monkeypatch.context() as patch:
        patch.setattr(plumbline.serving.repository.release.shutil, "copyfile", fails_at_the_weights)
        with pytest.raises(OSError, match="disk full"):
            export_repository(plan, model_folder, out, Serving(max_batch_size=7), ROWS)
    assert (folder / "ctr" / "config.pbtxt").read_text() == before
    assert [entry.name for entry in out.iterdir()] == ["model_repository"]

    export_repository(plan, model_folder, out, Serving(max_batch_size=7), ROWS)
    assert "max_batch_size: 7" in (folder / "ctr" / "config.pbtxt").read_text()
    assert [entry.name for entry in out.iterdir()] == ["model_repository"]
