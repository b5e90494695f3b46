"""`plumbline.Model` scores as the server's code does, from a repository or a run's folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import plumbline
from plumbline.base.errors import PlanError
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import WEIGHTS_FILE
from plumbline.dlrm.score.scorer import Scorer
from plumbline.serving.errors import RepositoryError
from tests.serving.releases import ROWS, SETTINGS, export_repository, model_of, write_small_plan


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder that has an export."""
    plan = write_small_plan(tmp_path / "plan", ["Oslo", "Rome"])
    trained = model_of(plan, tmp_path / "model", seed=1)
    export_repository(plan, trained, tmp_path / "run" / "export", SETTINGS, ROWS)
    return tmp_path / "run"


def test_scores_are_those_of_the_weights(run: Path, tmp_path: Path) -> None:
    model = plumbline.Model(run)
    scorer = Scorer.load(tmp_path / "model", model.plan.content_hash)
    encoded = model.plan.encode(ROWS)
    ids_BF = encoded["city"].to_numpy()[:, np.newaxis]
    dense_BC = encoded["price"].to_numpy()[:, np.newaxis]
    wanted = scorer.score(ids_BF, dense_BC)
    for frame in (ROWS, ROWS.to_pandas(), pl.from_arrow(ROWS), ROWS.to_pylist(), ROWS.to_pydict()):
        got = model.score(frame)
        assert got.dtype == np.float32
        assert np.array_equal(got, wanted)


def test_more_rows_than_a_request_takes(run: Path) -> None:
    model = plumbline.Model(run)
    many = pa.concat_tables([ROWS] * 50)
    assert len(many) > SETTINGS.max_batch_size
    assert np.array_equal(model.score(many), np.tile(model.score(ROWS), 50))
    assert model.score(ROWS.slice(0, 0)).shape == (0,)


def test_what_is_loaded(run: Path) -> None:
    model = plumbline.Model(run / "export" / "model_repository")
    assert model.version == "1"
    assert dict(model.inputs) == {"price": "continuous", "city": "string"}
    assert model.plan.inputs == dict(model.inputs)
    assert len(model.model_hash) == 64


def test_what_is_not_there_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="wanted version 2"):
        plumbline.Model(run, "2")
    with pytest.raises(RepositoryError, match="nowhere"):
        plumbline.Model(tmp_path / "nowhere")
    with pytest.raises(PlanError, match="city"):
        plumbline.Model(run).score(ROWS.drop_columns(["city"]))
    with pytest.raises(PlanError, match="price"):
        plumbline.Model(run).score({"price": [np.inf], "city": ["Oslo"]})


def test_a_changed_file_is_refused(run: Path) -> None:
    version = run / "export" / "model_repository" / "ctr_fused" / "1"
    weights = version / "model" / WEIGHTS_FILE
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.unlink()  # it may be a hard link
    weights.write_bytes(content)
    with pytest.raises(ModelError, match=WEIGHTS_FILE):
        plumbline.Model(run)
