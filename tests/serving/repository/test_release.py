"""Several versions in one repository: what a release writes, and what is read from it."""

from pathlib import Path

import pytest

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import read_model_card
from plumbline.dlrm.score.quantized_model import write_quantized_model
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.serving.contract.interface import MODELS
from plumbline.serving.contract.versions import parameters_of, verified_manifest
from plumbline.serving.errors import RepositoryError
from plumbline.serving.publish.live_repository import LiveRepository
from plumbline.serving.repository.configs import model_configs, write_config
from plumbline.serving.repository.release import Release, write_version
from plumbline.settings import Serving
from tests.plans import categorify, plan_of
from tests.serving.releases import ROWS, SETTINGS, export_repository, model_of, write_small_plan


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """A repository with version 1."""
    plan = write_small_plan(tmp_path / "plan", ["Oslo", "Rome"])
    model = model_of(plan, tmp_path / "model", seed=1)
    return export_repository(plan, model, tmp_path / "out", SETTINGS, ROWS)


@pytest.fixture
def release(tmp_path: Path) -> Release:
    plan = write_small_plan(tmp_path / "next_plan", ["Oslo", "Rome", "Lima"])
    model = model_of(plan, tmp_path / "next_model", seed=2)
    return Release.of(plan, model, ROWS, SETTINGS)


def test_a_version_is_written_beside_the_one_that_is_served(first: Path, release: Release) -> None:
    before = {file: file.read_bytes() for file in first.rglob("*") if file.is_file()}
    live = LiveRepository.read(first)
    assert live.current == "1"
    live.check_interface(release.plan)

    written = write_version(release, first, "2")
    assert {file: file.read_bytes() for file in before} == before
    for model in MODELS:
        assert sorted(entry.name for entry in (first / model).iterdir()) == sorted(
            ["1", "2", "config.pbtxt"]
        )

    versions = {m: {**live.versions[m], "2": written[m]} for m in MODELS}
    configs = model_configs(
        release.plan, SETTINGS, versions, current="2", precision=release.precision
    )
    for model, text in configs.items():
        write_config(first, model, text)
    found = LiveRepository.read(first)
    assert found.current == "2"
    assert found.versions == versions
    for model, number in ((m, n) for m in MODELS for n in ("1", "2")):
        parameters, version = parameters_of(model, found.parameters[model], number)
        assert parameters["plan_hash"] == versions[model][number].plan_hash
        if model != "ctr":
            verified_manifest(first / model / number, version)


def test_a_version_is_complete_or_has_no_number(
    first: Path, release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr("plumbline.serving.repository.release.write_manifest", fails)
        with pytest.raises(OSError, match="disk full"):
            write_version(release, first, "2")
    assert not [folder for folder in first.rglob("2") if folder.is_dir()]
    write_version(release, first, "2")
    assert not list(first.rglob(".*")), "what was left over is gone"


def test_a_plan_with_other_tensors_is_no_new_version(first: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    plan = plan_of(
        folder,
        {"cost": "continuous", "city": "string"},
        cost=("cost", FillMissing(0.0)),
        city=("city", categorify(folder, "city", ["Oslo"])),
    )
    with pytest.raises(RepositoryError, match=r'continuous_columns: was "\[\\"price\\"\]", is'):
        LiveRepository.read(first).check_interface(plan)


def test_a_plan_that_only_has_fewer_tensors_is_no_new_version(first: Path, tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "other", {"price": "continuous"}, price=("price", FillMissing(0.0)))
    with pytest.raises(RepositoryError, match="categorical_bytes_columns: was"):
        LiveRepository.read(first).check_interface(plan)


def test_a_release_needs_a_row(tmp_path: Path) -> None:
    plan = write_small_plan(tmp_path / "plan", ["Oslo"])
    model = model_of(plan, tmp_path / "model", seed=1)
    with pytest.raises(RepositoryError, match="at least one raw row"):
        Release.of(plan, model, ROWS.slice(0, 0), Serving())


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "missing"), ("name: {", "a model config"), ('name: "ctr"', "'versions'")],
)
def test_a_config_of_another_origin_is_refused(first: Path, text: str | None, message: str) -> None:
    config = first / "ctr" / "config.pbtxt"
    config.unlink() if text is None else config.write_text(text)
    with pytest.raises(RepositoryError, match=f"ctr.*{message}"):
        LiveRepository.read(first)


def test_int8_wants_a_quantized_model_and_the_other_way_round(tmp_path: Path) -> None:
    plan = write_small_plan(tmp_path / "plan", ["Oslo", "Rome"])
    model = model_of(plan, tmp_path / "model", seed=1)
    int8 = Serving(max_batch_size=64, precision="int8")
    with pytest.raises(ModelError, match=r"wanted a model in int8, as serving\.precision says"):
        Release.of(plan, model, ROWS, int8)
    write_quantized_model(model, tmp_path / "int8_model")
    release = Release.of(plan, tmp_path / "int8_model", ROWS, int8)
    assert release.card.quantized_from == read_model_card(model).model_hash
    with pytest.raises(ModelError, match="to score in fp32, found one in int8"):
        Release.of(plan, tmp_path / "int8_model", ROWS, Serving(precision="fp32"))
