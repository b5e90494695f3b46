"""Vocabularies and medians that are learned in pieces, and so without a column in one place."""

from __future__ import annotations

import math
import tempfile
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.features.operators.fill_median import DistinctNumbers
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.library import Workflow, ops
from plumbline.nvtabular.patching import vocabularies
from plumbline.nvtabular.patching.medians import median_of, sorted_numbers
from plumbline.nvtabular.patching.spilled import Spilled
from plumbline.nvtabular.patching.vocabularies import (
    COUNT,
    Kept,
    merged_piece,
    spilled_counts,
    vocabulary,
)

NUMBERS = st.floats() | st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf, math.nan])


def counted(folder: Path, pieces: int, *parts: dict[Any, int]) -> list[Spilled]:
    """Partitions, each with the number of times that it has a value."""
    spilled = []
    for part in parts:
        frame = pd.DataFrame({"v": pd.Series(list(part)), "v_size": list(part.values())})
        spilled.append(spilled_counts({"v": frame}, pieces, folder))
    return spilled


def merged(folder: Path, parts: Sequence[Spilled], pieces: int, kept: Kept) -> dict[Any, int]:
    """The vocabulary, in the order of its ids."""
    found = [merged_piece(parts, piece, {"v": kept}, folder) for piece in range(pieces)]
    table = vocabulary(found, "v", kept)
    return dict(zip(table["0"].to_pylist(), table[COUNT].to_pylist(), strict=True))


@pytest.mark.parametrize("pieces", [1, 3, 64])
@pytest.mark.parametrize("values", [[5, 2**62, -3, 0, 7], ["b", "é", "漢", "a", "zz"]])
def test_pieces_give_the_vocabulary_of_all_partitions(
    values: list[Any], pieces: int, tmp_path: Path
) -> None:
    one, two, three, four, five = values
    parts = counted(
        tmp_path, pieces, {one: 2, two: 1}, {}, {two: 3, three: 2, four: 1}, {five: 4, four: 1}
    )
    counts = {one: 2, two: 4, three: 2, four: 2, five: 4}
    in_order = sorted(counts.items(), key=lambda item: (-item[1], _bytes_or_number(item[0])))
    for limit in (None, 1, 3):
        found = merged(tmp_path, parts, pieces, Kept(2, limit))
        assert list(found.items()) == in_order[:limit]
    assert list(merged(tmp_path, parts, pieces, Kept(3, None)).items()) == in_order[:2]
    assert merged(tmp_path, parts, pieces, Kept(5, None)) == {}


def _bytes_or_number(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value


def test_a_value_is_in_the_same_piece_of_every_partition(tmp_path: Path) -> None:
    parts = counted(tmp_path, 8, {v: 1 for v in range(300)}, {v: 1 for v in range(299, 99, -1)})
    pieces = [
        {v: piece for piece in range(8) for v in part.piece("v", piece)["0"].to_pylist()}
        for part in parts
    ]
    assert len(pieces[0]) == 300 and len(set(pieces[0].values())) == 8
    assert pieces[1] == {v: pieces[0][v] for v in range(100, 300)}


def test_no_task_holds_more_than_a_partition_or_a_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16 partitions with 2,000 values each, none of which another has, and few that are kept."""
    taken: list[int] = []
    sums = vocabularies._sums

    def recorded(tables: Sequence[pa.Table]) -> pa.Table:
        taken.append(sum(map(len, tables)))
        return sums(tables)

    monkeypatch.setattr(vocabularies, "_sums", recorded)
    folder = tmp_path / "train"
    folder.mkdir()
    for part in range(16):
        values = np.arange(part * 2000, (part + 1) * 2000)
        values = np.append(values, 7)  # in all of them
        table = pa.table({"i": values, "click": pa.array(values % 2, pa.int8())})
        pq.write_table(table, folder / f"part-{part:05d}.parquet")
    workflow = Workflow((["i"] >> ops.Categorify(freq_threshold=2)) + "click")
    result = NVTabularEngine("cpu", None).fit_transform(
        workflow, {"i": "integer"}, {"train": folder}, tmp_path / "out", lambda rows: None
    )
    assert len(taken) == 16
    assert sum(taken) == 16 * 2000 + 16 - 1
    assert max(taken) < 2300
    assert result.plan.outputs[0].cardinality == 4


def test_counts_are_added_while_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 partitions with the same 1,000 values: what is held is not the sum of all partitions."""
    monkeypatch.setattr(vocabularies, "MERGED_ROWS", 100)
    taken: list[int] = []
    sums = vocabularies._sums

    def recorded(tables: Sequence[pa.Table]) -> pa.Table:
        taken.append(sum(map(len, tables)))
        return sums(tables)

    monkeypatch.setattr(vocabularies, "_sums", recorded)
    parts = counted(tmp_path, 1, *[{v: 1 for v in range(1000)}] * 100)
    assert merged(tmp_path, parts, 1, Kept(0, None)) == {v: 100 for v in range(1000)}
    assert max(taken) <= 3000


@given(st.lists(st.lists(NUMBERS, min_size=1, max_size=6), min_size=1, max_size=5))
def test_the_median_is_that_of_all_numbers(parts: list[list[float]]) -> None:
    wanted = DistinctNumbers()
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, part in enumerate(parts):
            column = np.array(part)
            wanted.add(number, [column])
            files.append(sorted_numbers(["x"], Path(folder), pd.DataFrame({"x": column})))
        found, expected = median_of(files, "x"), wanted.median()
        assert found == expected or str(found) == str(expected)  # NaN of two infinities


def test_a_median_needs_no_column_in_memory(tmp_path: Path) -> None:
    """Of 1.6 million numbers in 8 files, 13 MB."""
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(8, 200_000))
    files = [sorted_numbers(["x"], tmp_path, pd.DataFrame({"x": column})) for column in columns]
    tracemalloc.start()
    pa_before = pa.total_allocated_bytes()
    median = median_of(files, "x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert median == np.median(columns)
    assert peak < 1_000_000
    assert pa.total_allocated_bytes() - pa_before < 1_000_000
