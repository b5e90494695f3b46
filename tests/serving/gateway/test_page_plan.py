"""What the page tells of a plan: ids, unseen values, and offered values that read as themselves."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from plumbline.base.errors import PlanError
from plumbline.features.drift.reference import REFERENCE_FILE
from plumbline.features.drift.training_rows import reference_of
from plumbline.features.operators.categorify import Categorify
from plumbline.features.plan.plan import InputColumn, output_column, write_plan
from plumbline.features.steps.chains import Chain
from plumbline.serving.client.core import ServedModel
from plumbline.serving.client.transport import ModelConfig
from plumbline.serving.contract.interface import (
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FUSED_MODEL,
    LOG,
    raw_parameters,
)
from plumbline.serving.errors import RepositoryError
from plumbline.serving.gateway.page import offered as offered_module
from plumbline.serving.gateway.page.explained import explained, unseen_values
from plumbline.serving.gateway.page.offered import MOST_OFFERED, Found, Offered
from plumbline.serving.gateway.page.read_back import read_back
from plumbline.serving.gateway.page.served_plan import ServedPlan
from plumbline.serving.repository.export import write_repository
from tests.page_model import (
    HOSTILE,
    KINDS,
    KNOWN,
    ROW,
    ROWS,
    SETTINGS,
    page_release,
    served_model,
)
from tests.row_sources import rows_of


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    write_repository(page_release(folder), folder / "repository", SETTINGS)
    return folder / "repository"


@pytest.fixture(scope="module")
def opened(repository: Path) -> ServedPlan:
    return ServedPlan.open(repository, served_model(repository))


def test_ids_and_flags_are_those_of_the_plan(opened: ServedPlan) -> None:
    nowhere = {**ROW, "city": "Atlantis", "user": None, "tags": [], "price": None}
    told = {output["name"]: output for output in explained(opened, [ROW, nowhere])}
    assert list(told) == list(KINDS)
    city = told["city"]
    assert (city["ids"], city["unseen"], city["missing"]) == ([3, 2], [False, True], [False, False])
    assert (city["sources"], city["known"]) == (["city"], 5)
    assert told["user"]["missing"] == [False, True]
    assert (told["tags"]["ids"], told["tags"]["unseen"]) == ([[3, 2], []], [[False, True], []])
    assert told["price"]["numbers"] == [np.float32((2.5 - 3) / 2), -1.0]
    assert (told["seen"]["ids"], told["seen"]["known"]) == ([25, 25], 0)
    assert told["seen"]["unseen"] == [False, False]


@pytest.mark.parametrize(("name", "value"), [("price", "dear"), ("price", 1e300), ("user", 1.5)])
def test_rows_that_do_not_fit_are_refused_as_for_a_score(
    opened: ServedPlan, name: str, value: Any
) -> None:
    with pytest.raises(PlanError, match=f"Column '{name}'"):
        explained(opened, [{**ROW, name: value}])


def test_offered_values_are_the_most_frequent_in_a_form_that_reads_back(opened: ServedPlan) -> None:
    values = opened.offered.most_frequent()
    assert values.keys() == KNOWN.keys()
    assert values["city"] == KNOWN["city"]
    assert values["user"] == [7, 8, str(2**62)], "a browser has no integer of 2**62"
    assert values["device"] == ["1a", "f" * 16]
    assert values["visited"] == [7, str(2**62)]
    for name, forms in values.items():
        is_list = KINDS[name].endswith("_list")
        rows = [{**ROW, name: [form] if is_list else form} for form in forms]
        for number, row in enumerate(rows):
            told = {output["name"]: output for output in explained(opened, [row])}
            wanted = number + 3
            assert told[name]["ids"] == [[wanted] if is_list else wanted]


def test_a_prefix_is_searched_in_any_case(opened: ServedPlan) -> None:
    assert opened.offered.starting_with("city", "OS") == Found(["Oslo", "oslo-two"], False)
    assert opened.offered.starting_with("city", "zÜ") == Found(["Zürich"], False)
    assert opened.offered.starting_with("device", "ff") == Found(["f" * 16], False)
    assert opened.offered.starting_with("price", "1") == Found([], False)
    assert opened.offered.size("city") == 5 and opened.offered.size("price") is None


def test_without_a_reference_points_are_of_the_check_rows(opened: ServedPlan) -> None:
    assert opened.reference is None
    assert opened.points() == {
        "price": [0.1, 30.0],
        "seen": ["2023-11-14 22:13:20", "2023-11-14 23:13:20"],
    }


TRAINED = pa.concat_tables([ROWS.append_column("click", pa.array([0, 1, 0]))] * 7)
"""Training rows, whose prices follow."""


def test_numbers_have_points_of_the_training_rows(tmp_path: Path) -> None:
    """The deciles, and the largest price of the check rows, which is beyond them."""
    release = page_release(tmp_path)
    prices = pa.array(np.arange(21), pa.float32())
    rows = TRAINED.set_column(TRAINED.column_names.index("price"), "price", prices)
    reference_of(release.plan, rows_of(rows, KINDS)).write(tmp_path / REFERENCE_FILE)
    write_repository(
        replace(release, drift=tmp_path / REFERENCE_FILE), tmp_path / "repository", SETTINGS
    )
    for model in (FUSED_MODEL, ENSEMBLE_MODEL):
        opened = ServedPlan.open(
            tmp_path / "repository", served_model(tmp_path / "repository", model)
        )
        points = opened.points()
        assert points["price"] == [0.1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 30]
        assert points["seen"] == ["2023-11-14 22:13:20", "2023-11-14 23:13:20"]
    file = tmp_path / "repository" / FUSED_MODEL / "1" / REFERENCE_FILE
    file.unlink()
    file.write_text("{}")
    with pytest.raises(RepositoryError, match=REFERENCE_FILE):
        ServedPlan.open(tmp_path / "repository", served_model(tmp_path / "repository"))


def test_unseen_values_are_unseen(opened: ServedPlan) -> None:
    found = unseen_values(opened)
    assert found.keys() == KNOWN.keys()
    lists = {name for name, kind in KINDS.items() if kind.endswith("_list")}
    row = ROW | {name: [value] if name in lists else value for name, value in found.items()}
    told = {output["name"]: output for output in explained(opened, [row])}
    assert all(np.all(told[name]["unseen"]) for name in found)


def test_a_form_that_reads_otherwise_is_not_offered(opened: ServedPlan) -> None:
    """The log may trim a text, read it as missing, and have its own format of times."""
    log = {"missing": ["Rome", "7"], "trim": True, "time_formats": {"seen": "%d.%m.%Y"}}
    parameters = {**raw_parameters(opened.plan), LOG: json.dumps(log)}
    served = ServedModel(ModelConfig("ctr_fused", 64, parameters))
    wanted = {"city": ["Oslo", " Bonn", "Rome"], "user": [7, 8], "new": [1, 0], "seen": [0]}
    pairs = read_back(served, wanted)
    forms = {name: [form for _, form in found] for name, found in pairs.items()}
    assert forms == {"city": ["Oslo"], "user": [8], "new": [True, False], "seen": []}
    assert read_back(opened.served, {"seen": [2**62 - 1, 0]})["seen"] == [
        (0, "1970-01-01 00:00:00")
    ]


def test_a_large_vocabulary_is_read_at_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offered_module, "SEARCHED", 40)
    known = {**KNOWN, "city": [f"city {number}" for number in range(500)]}
    write_repository(page_release(tmp_path, known=known), tmp_path / "repository", SETTINGS)
    served = served_model(tmp_path / "repository")
    offered = ServedPlan.open(tmp_path / "repository", served).offered
    found = offered.starting_with("city", "")
    assert found == Found(known["city"][:MOST_OFFERED], True)
    assert offered.starting_with("city", "city 39").values == ["city 39"]
    assert offered.starting_with("city", "city 499").values == []
    assert offered.size("city") == 500


def test_a_vocabulary_of_pairs_offers_the_values_of_each_column(tmp_path: Path) -> None:
    inputs = (InputColumn("city", "string"), InputColumn("user", "integer"))
    parts = [pa.array(["Oslo", "Rome", "Oslo"]), pa.array([7, None, 8])]
    step = Categorify.written(
        tmp_path, "pair", parts, np.array([3, 2, 1]),
        frequency_threshold=0, limit=None, num_buckets=1, sources=["city", "user"],
    )  # fmt: skip
    pair = output_column("pair", Chain(("city", "user"), (step,)), inputs)
    plan = write_plan(tmp_path, inputs, (pair,))
    offered = Offered(plan, ServedModel(ModelConfig("ctr_fused", 64, raw_parameters(plan))))
    assert offered.most_frequent() == {"city": ["Oslo", "Rome"], "user": [7, 8]}


def test_a_changed_plan_is_a_fault_of_the_server(repository: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(repository, tmp_path / "copied")
    served = served_model(copied)
    index = next((copied / "ctr_fused" / "1" / "plan" / "vocabulary").glob("city*.index"))
    index.write_bytes(index.read_bytes()[:-1] + b"?")
    with pytest.raises(RepositoryError, match="city"):
        ServedPlan.open(copied, served)
    other = page_release(tmp_path, known={**KNOWN, "city": ["Bonn"]})
    write_repository(other, tmp_path / "other", SETTINGS)
    with pytest.raises(RepositoryError, match=r"was changed|wanted"):
        ServedPlan.open(tmp_path / "other", served)


def test_an_ensembles_plan_is_that_of_its_feature_model(repository: Path) -> None:
    """So it is with a repository for GPUs without a fused model."""
    ensemble = ServedPlan.open(repository, served_model(repository, ENSEMBLE_MODEL))
    assert ensemble.plan.folder == repository / FEATURES_MODEL / "1" / "plan"
    assert [output["name"] for output in explained(ensemble, [ROW])] == list(KINDS)


def test_the_hostile_column_is_one_like_all(opened: ServedPlan) -> None:
    assert opened.offered.starting_with(HOSTILE, "<img").values == [HOSTILE]
