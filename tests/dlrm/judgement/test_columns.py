"""The survey of a split counts its files' values, for any block size."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.columns.values import Lists
from plumbline.dlrm.judgement import columns
from plumbline.dlrm.judgement.columns import LARGEST_NUMBER, survey_split
from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.plan.plan import OutputColumn
from plumbline.features.steps.chains import Chain


def ids_of(name: str, is_list: bool = False, num_buckets: int = 1) -> OutputColumn:
    step = Categorify(0, None, num_buckets, 50, f"vocabulary/{name}.parquet", "", "")
    return OutputColumn(name, Chain((name,), (step,)), "list<int64>" if is_list else "int64")


def number(name: str) -> OutputColumn:
    return OutputColumn(name, Chain((name,), (FillMissing(0.0),)), "float32")


def write(folder: Path, **columns_: pa.Array) -> list[Path]:
    """The rows in two files, the first with two row groups."""
    table = pa.table(columns_)
    cut = 2 * len(table) // 3
    pq.write_table(table.slice(0, cut), folder / "part-0.parquet", row_group_size=max(cut // 2, 1))
    pq.write_table(table.slice(cut), folder / "part-1.parquet")
    return [folder / "part-0.parquet", folder / "part-1.parquet"]


@given(
    rows=st.lists(
        st.tuples(
            st.integers(0, 9),
            st.lists(st.integers(0, 9), max_size=3),
            st.floats(-1e6, 1e6, width=32, allow_subnormal=False).map(float),
            st.booleans(),
        ),
        min_size=1,
        max_size=30,
    ),
    block=st.integers(1, 7),
    sample=st.integers(0, 12),
    buckets=st.integers(1, 3),
)
def test_counts_ranges_and_the_sample(tmp_path_factory, rows, block, sample, buckets) -> None:
    folder = tmp_path_factory.mktemp("survey")
    ids, lists, numbers, clicks = (list(of) for of in zip(*rows, strict=True))
    files = write(
        folder,
        c=pa.array(ids, pa.int32()),
        tags=pa.array(lists, pa.large_list(pa.int32())),
        x=pa.array(numbers, pa.float32()),
        click=pa.array(np.array(clicks, np.int8)),
    )
    outputs = [ids_of("c", num_buckets=buckets), ids_of("tags", True, buckets), number("x")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "BLOCK_ROWS", block)
        patch.setattr(columns, "SAMPLE_ROWS", sample)
        survey = survey_split("train", files, outputs, sampled=True)
    assert survey.rows == len(rows)
    if sample:
        assert survey.sample["click"].tolist() == clicks[:sample]
    for name, values in (("c", ids), ("tags", [one for row in lists for one in row])):
        of = survey.ids[name]
        assert of.count == len(values)
        assert of.missing == values.count(1)
        assert of.unseen == sum(2 <= one < 2 + buckets for one in values)
        if values:
            assert (of.low, of.high) == (min(values), max(values))
    exact = np.array(numbers, np.float32)
    assert (survey.numbers["x"].low, survey.numbers["x"].high) == (exact.min(), exact.max())
    if sample:
        kept = survey.sample["tags"]
        assert isinstance(kept, Lists)
        ends = kept.offsets.tolist()
        got = [kept.values[a:b].tolist() for a, b in pairwise(ends)]
        assert got == lists[:sample]
        assert survey.sample["c"].tolist() == ids[:sample]
        assert survey.sample["x"].tolist() == exact[:sample].tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e20, -1e20, 3e38])
@pytest.mark.parametrize("row", [0, 5, 8])
def test_numbers_that_no_model_can_handle_are_refused(tmp_path: Path, bad: float, row: int) -> None:
    numbers = np.zeros(9, np.float32)
    numbers[row] = bad
    files = write(tmp_path, x=pa.array(numbers), click=pa.array(np.zeros(9, np.int8)))
    with pytest.raises(
        DataError, match=rf"Column 'x', row {row + 1} of the encoded split test"
    ) as e:
        survey_split("test", files, [number("x")], sampled=False)
    message = str(e.value)
    assert ("is missing after the graph" in message) == bool(np.isnan(bad))
    assert ("fill" if np.isnan(bad) else "clip_max") in message and "\n" not in message


def test_the_largest_number_and_the_smallest_split_are_accepted(tmp_path: Path) -> None:
    numbers = np.array([LARGEST_NUMBER, -LARGEST_NUMBER], np.float32)
    numbers = np.nextafter(numbers, np.float32(0))
    files = write(tmp_path, x=pa.array(numbers), click=pa.array(np.zeros(2, np.int8)))
    assert survey_split("train", files, [number("x")], sampled=True).numbers["x"].largest <= 1e12
    empty = write(tmp_path, x=pa.array([], pa.float32()), click=pa.array([], pa.int8()))
    survey = survey_split("probe", empty, [number("x")], sampled=True)
    assert survey.rows == 0 and survey.sample == {}


def test_ids_without_a_vocabulary_are_neither_missing_nor_unseen(tmp_path: Path) -> None:
    files = write(tmp_path, b=pa.array([1, 2, 2], pa.int32()), click=pa.array([0, 1, 0], pa.int8()))
    column = OutputColumn("b", Chain(("b",), (Bucketize((0.0, 1.0)),)), "int64")
    ids = survey_split("test", files, [column], sampled=False).ids["b"]
    assert (ids.missing, ids.unseen, ids.count) == (0, 0, 3)


@pytest.mark.parametrize(("most", "step"), [(1000, 1), (30, 1), (10, 3), (7, 4), (1, 30)])
def test_rows_evenly_spread_are_kept_for_a_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, step: int
) -> None:
    monkeypatch.setattr(columns, "SPREAD_ROWS", most)
    monkeypatch.setattr(columns, "BLOCK_ROWS", 7)
    lists = [[row] * (row % 3) for row in range(30)]
    files = write(
        tmp_path,
        c=pa.array(range(30), pa.int32()),
        tags=pa.array(lists, pa.large_list(pa.int32())),
        x=pa.array(np.arange(30, dtype=np.float32)),
        click=pa.array(np.zeros(30, np.int8)),
    )
    survey = survey_split(
        "test", files, [ids_of("c"), ids_of("tags", True), number("x")], sampled=False
    )
    assert survey.spread["c"].tolist() == list(range(0, 30, step))
    assert survey.spread["x"].tolist() == list(range(0, 30, step))
    assert survey.spread["tags"].tolist() == [one for row in lists[::step] for one in row]
