"""The schema and data set for the Merlin data loader and Merlin Models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.plan.plan import Plan
from plumbline.nvtabular.library import Tags
from plumbline.nvtabular.merlin_data import merlin_dataset, merlin_schema
from tests.plans import categorify, plan_of


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    folder = tmp_path / "plan"
    return plan_of(
        folder,
        {"c": "integer", "x": "continuous", "tags": "string_list"},
        c=("c", categorify(folder, "c", [5, 6])),
        x=("x", FillMissing(0.0)),
        tags=("tags", categorify(folder, "tags", ["a", "b", "c"])),
    )


LISTS = pa.list_(pa.int32())


def write(folder: Path, number: int, rows: int) -> Path:
    file = folder / f"part-{number:05d}.parquet"
    columns = {
        "c": pa.array([number] * rows, pa.int32()),
        "x": pa.array(np.arange(rows), pa.float32()),
        "tags": pa.array([[row, number] if row else [] for row in range(rows)], LISTS),
        "click": pa.array([1] * rows, pa.int8()),
    }
    pq.write_table(pa.table(columns), file)
    return file


def test_the_schema_has_tags_and_cardinalities(plan: Plan) -> None:
    schema = merlin_schema(plan)
    assert schema.column_names == ["c", "x", "tags", "click"]
    assert schema.select_by_tag(Tags.CATEGORICAL).column_names == ["c", "tags"]
    assert schema.select_by_tag(Tags.CONTINUOUS).column_names == ["x"]
    assert schema.select_by_tag(Tags.BINARY_CLASSIFICATION).column_names == ["click"]
    assert schema.select_by_tag(Tags.TARGET).column_names == ["click"]
    assert schema["c"].int_domain.max == 4
    assert schema["tags"].int_domain.max == 5
    assert (schema["tags"].is_list, schema["tags"].is_ragged, schema["c"].is_list) == (
        True,
        True,
        False,
    )
    assert schema["c"].int_domain.min == 0


def test_a_file_is_a_partition_in_the_given_order(plan: Plan, tmp_path: Path) -> None:
    files = {number: write(tmp_path, number, number + 1) for number in (0, 1, 2, 10)}
    dataset = merlin_dataset([files[n] for n in (10, 0, 2, 1)], plan, "cpu")
    frame = dataset.to_ddf()
    assert [int(frame.get_partition(n).compute()["c"].iloc[0]) for n in range(4)] == [10, 0, 2, 1]
    assert dataset.num_rows == 17
    assert dataset.partition_lens == [11, 1, 3, 2]
    assert dataset.schema == merlin_schema(plan)


def test_the_loader_reads_it_in_order(plan: Plan, tmp_path: Path) -> None:
    loader: Any = pytest.importorskip("merlin.dataloader.torch")
    files = [write(tmp_path, number, 3) for number in (2, 0, 1)]
    batches = loader.Loader(merlin_dataset(files, plan, "cpu"), batch_size=3, shuffle=False)
    assert len(batches) == 3
    read = [(inputs["c"].flatten().tolist(), click.tolist()) for inputs, click in batches]
    assert [ids for ids, _ in read] == [[2] * 3, [0] * 3, [1] * 3]
    assert np.ravel(read[0][1]).tolist() == [1, 1, 1]
