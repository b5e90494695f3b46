"""A training loss with an offset: trained on a share of the negatives, right for all rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from dlrm.feeds.parquet_feed import ParquetFeed
from dlrm.fused import FusedForm
from dlrm.merlin_form import MerlinForm
from dlrm.training import TrainResult, train
from features.columns import CLICK
from features.errors import StageError
from features.settings import Training
from workflows.merlin_data import merlin_schema

SETTINGS = Training(
    epochs=8, batch_size=32, learning_rate=5e-3, embedding_learning_rate=5e-2, precision="fp32"
)
KEPT = 0.25


def thinned(files: list[Path], folder: Path) -> list[Path]:
    """The rows with a click, and a quarter of the others."""
    table = pa.concat_tables([pq.read_table(file) for file in files])
    kept = np.random.default_rng(5).random(len(table)) < KEPT
    folder.mkdir(exist_ok=True)
    pq.write_table(
        table.filter(pc.or_(pc.equal(table[CLICK], 1), pa.array(kept))), folder / "part-0.parquet"
    )
    return [folder / "part-0.parquet"]


def trained(world, form: str, files: list[Path], out: Path, offset: float) -> TrainResult:
    made = (
        FusedForm(world.architecture, SETTINGS, 1, "cpu")
        if form == "fused"
        else MerlinForm(world.architecture, SETTINGS, 1, "cpu", merlin_schema(world.plan))
    )
    return train(
        made,
        ParquetFeed(files, world.architecture, SETTINGS.batch_size),
        SETTINGS,
        seed=1,
        valid_files=world.valid_files,
        out=out,
        plan_hash=world.plan.content_hash,
        logit_offset=offset,
    )


@pytest.mark.parametrize("form", ["fused", "merlin"])
def test_the_offset_makes_scores_right_for_all_rows(world, tmp_path, form):
    files = thinned(world.train_files, tmp_path / "rows")
    whole = trained(world, form, world.train_files, tmp_path / "whole", 0.0).valid[-1]
    right = trained(world, form, files, tmp_path / "right", -math.log(KEPT)).valid[-1]
    wrong = trained(world, form, files, tmp_path / "wrong", 0.0).valid[-1]
    assert right.calibration == pytest.approx(whole.calibration, abs=0.15)
    assert right.calibration < wrong.calibration - 0.2
    assert right.auc == pytest.approx(whole.auc, abs=0.04)


def test_a_checkpoint_of_another_offset_is_refused(world, tmp_path):
    trained(world, "fused", world.train_files, tmp_path, 0.0)
    with pytest.raises(StageError, match=r"logit_offset: was 0\.0, is 0\.5"):
        trained(world, "fused", world.train_files, tmp_path, 0.5)
