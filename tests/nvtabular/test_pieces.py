"""Vocabularies, statistics by key and medians: no task holds all values, keys or numbers."""

from __future__ import annotations

import math
import tempfile
import tracemalloc
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.columns.values import NULL_INT64
from plumbline.features.engine.encoded import EtlResult
from plumbline.features.operators import join_groupby, target_encoding
from plumbline.features.operators.fill_median import DistinctNumbers
from plumbline.features.statistics.keys import distinct_of_parts
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.library import Workflow, clean_worker_cache, ops
from plumbline.nvtabular.patching import vocabularies
from plumbline.nvtabular.patching.by_key import Keys
from plumbline.nvtabular.patching.look_ups import rows_of
from plumbline.nvtabular.patching.medians import median_of, sorted_numbers
from plumbline.nvtabular.patching.pieces import Merge, keyed, merged_piece, spilled_partition
from plumbline.nvtabular.patching.spilled import Spilled, spill
from plumbline.nvtabular.patching.vocabularies import COUNT, Kept, counted_values, vocabulary

NUMBERS = st.floats() | st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf, math.nan])


def counted(folder: Path, pieces: int, *parts: dict[Any, int]) -> list[Spilled]:
    """Partitions, each with the number of times that it has a value."""

    def learn(number: int, part: dict[Any, int]) -> list[tuple[str, pa.Table]]:
        frame = pd.DataFrame({"v": pd.Series(list(part)), "v_size": list(part.values())})
        return [("v", counted_values(frame))]

    return [spilled_partition(learn, pieces, folder, *part) for part in enumerate(parts)]


def merged(folder: Path, parts: Sequence[Spilled], pieces: int, kept: Kept) -> dict[Any, int]:
    """The vocabulary, in the order of its ids."""
    merges: dict[Any, Merge] = {"v": kept.merged}
    found = [merged_piece(merges, folder, parts, piece) for piece in range(pieces)]
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


def test_keys_whose_parts_are_equal_are_in_all_pieces(tmp_path: Path) -> None:
    """The hashes of their parts cancel each other."""
    part = np.arange(300)
    table = keyed([part, part], {})
    spilled = spilled_partition(lambda number, frame: [("v", table)], 8, tmp_path, 0, None)
    assert min(len(spilled.piece("v", piece)) for piece in range(8)) > 10


def encode_partitions(graph: Any, folder: Path) -> EtlResult:
    """16 partitions with 2,000 values each, none of which another has, and one that all have."""
    (folder / "train").mkdir()
    for part in range(16):
        values = np.append(np.arange(part * 2000, (part + 1) * 2000), 7)
        table = pa.table({"i": values, "click": pa.array(values % 2, pa.int8())})
        pq.write_table(table, folder / f"train/part-{part:05d}.parquet")
    return NVTabularEngine("cpu", None).fit_transform(
        Workflow(graph + "click"),
        {"i": "integer"},
        {"train": folder / "train"},
        folder / "out",
        lambda rows: None,
    )


def test_no_task_holds_more_than_a_partition_or_a_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    sums = vocabularies._sums

    def recorded(tables: Sequence[pa.Table]) -> pa.Table:
        taken.append(sum(map(len, tables)))
        return sums(tables)

    monkeypatch.setattr(vocabularies, "_sums", recorded)
    result = encode_partitions(["i"] >> ops.Categorify(freq_threshold=2), tmp_path)
    assert len(taken) == 16
    assert sum(taken) == 16 * 2000 + 16 - 1
    assert max(taken) < 2300
    assert result.plan.outputs[0].cardinality == 4


def test_no_task_holds_the_statistics_of_more_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recorded(of_module: list[int], parts: Sequence[pa.Array], **options: bool) -> Any:
        keys, index = distinct_of_parts(parts, **options)
        of_module.append(len(keys))
        return keys, index

    merged: list[list[int]] = [[], []]
    for module, of_module in zip((join_groupby, target_encoding), merged, strict=True):
        monkeypatch.setattr(module, "distinct_of_parts", partial(recorded, of_module))
    statistics = ["i"] >> ops.JoinGroupby(stats=["count"])
    encoded = ["i"] >> ops.TargetEncoding("click", kfold=2)
    encode_partitions(statistics + encoded, tmp_path)
    assert all(1900 < max(of_module) < 2300 for of_module in merged)


def test_values_by_key_are_not_in_memory(tmp_path: Path) -> None:
    """Of 400,000 keys in 2 pieces, one of them missing, 3 MB."""
    keys = np.random.default_rng(0).permutation(400_000)
    keys[keys == 5] = NULL_INT64
    pieces = [
        spill(tmp_path, [("v", keyed([of_piece], {"half": of_piece / 2}))])
        for of_piece in np.split(keys, 2)
    ]
    in_order = Keys(pieces, "v")
    look_up = in_order.look_up(tmp_path, "v", [(0, in_order.column("v", "half"), 0.25)])
    frame = pd.DataFrame({"k": pd.array([399_999, None, 5, 0], "Int64")})
    rows_of(look_up.keys, frame[:0])  # opens the index
    tracemalloc.start()
    pa_before = pa.total_allocated_bytes()
    values = look_up.numbers(0)[rows_of(look_up.keys, frame)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    clean_worker_cache()
    assert values.tolist() == [199_999.5, NULL_INT64 / 2, 0.25, 0.0]
    assert peak < 100_000
    assert pa.total_allocated_bytes() - pa_before < 100_000


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
