"""Probabilities are written block by block, in order and in few row groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.columns.parquet import read_columns
from plumbline.stages import evaluate


@pytest.mark.parametrize("rows", [0, 99, 100, 1234])
def test_probabilities_are_written_block_by_block(tmp_path: Path, monkeypatch, rows) -> None:
    monkeypatch.setattr(evaluate, "ROWS_PER_GROUP", 100)
    probability_B = np.arange(rows, dtype=np.float32) / 4096
    with evaluate._ProbabilityFile(tmp_path / "x.parquet") as file:
        for start in range(0, rows, 30):
            file.write(probability_B[start : start + 30])
    with pq.ParquetFile(tmp_path / "x.parquet") as written:
        assert written.schema_arrow == pa.schema([("probability", pa.float32())])
        assert np.array_equal(read_columns(written)["probability"], probability_B)
        assert written.num_row_groups == -(-rows // 120)
