"""Slices have the values of the log as names, and the rows of the test split that have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plumbline.stages import etl, evaluate, ingest, train
from tests.stages.test_judgement import ROWS, columns_of, facts_of, is_test, run_of


@pytest.mark.timeout(500)
def test_slices_and_importance_of_a_run(tmp_path: Path) -> None:
    columns = columns_of()
    columns["c"] = np.array([f"{value + 10:x}f" for value in columns["c"]])
    kinds = {"x": "continuous", "c": "hex", "s": "string"}
    run = run_of(tmp_path, columns, kinds=kinds, training={"batch_size": 256, "epochs": 2})
    *_, facts = facts_of(run, tmp_path, ingest, etl, train, evaluate)
    tested = {name: values[is_test()] for name, values in columns.items()}
    slices = {one["column"]: one["slices"] for one in facts["slices"]["columns"]}
    for name in ("c", "s"):
        (column,) = [found for column, found in slices.items() if column.startswith(name)]
        rows = {one["value"]: one["rows"] for one in column}
        values, counts = np.unique(tested[name], return_counts=True)
        assert rows == dict(zip(values.tolist(), counts.tolist(), strict=True))
        rates = {one["value"]: one["click_rate"] for one in column}
        for value in values:
            mask = tested[name] == value
            assert rates[value] == pytest.approx(tested["click"][mask].mean())
    importance = facts["importance"]
    assert importance["rows"] == facts["slices"]["rows"] == ROWS // 5
    assert {one["column"] for one in importance["columns"]} >= slices.keys()
