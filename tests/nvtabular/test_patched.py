"""The patched operators, where they differ from NVTabular's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.columns.typed import typed_schema
from plumbline.features.operators.target_encoding import folds_of
from plumbline.nvtabular.frames import FrameReader
from plumbline.nvtabular.library import Dataset, Serial, Workflow, ops
from plumbline.nvtabular.operators import PATCHED
from plumbline.nvtabular.patched import patched, set_training
from plumbline.nvtabular.quiet import quiet

KINDS: dict[str, Any] = {
    "x": "continuous",
    "i": "integer",
    "s": "string",
    "k": "integer_list",
    "w": "string_list",
}
EMPTY: dict[str, Any] = {"x": None, "i": None, "s": None, "k": None, "w": None, "click": 0}


def files(folder: Path, parts: Sequence[Sequence[dict[str, Any]]]) -> list[Path]:
    """Write the parts as files; columns that a row does not name are null."""
    folder.mkdir()
    written = []
    for number, rows in enumerate(parts):
        table = pa.Table.from_pylist([EMPTY | row for row in rows], typed_schema(KINDS))
        written.append(folder / f"part-{number:05d}.parquet")
        pq.write_table(table, written[-1])
    return written


class Run:
    """A graph with patched operators, fitted on parts; a part is a list of rows."""

    def __init__(self, graph: Any, folder: Path, *parts: Sequence[dict[str, Any]]) -> None:
        self.workflow = patched(Workflow(graph), folder / "learned")
        self._reader = FrameReader(KINDS, "cpu")
        self._train = self._reader.dataset(files(folder / "train", parts))
        self._folder = folder
        with quiet(), Serial():
            self.workflow.fit(self._train)

    def train(self) -> pd.DataFrame:
        return self._encoded(self._train)

    def rows(self, *rows: dict[str, Any]) -> pd.DataFrame:
        return self._encoded(self._reader.dataset(files(self._folder / "rows", [rows])))

    def _encoded(self, dataset: Dataset) -> pd.DataFrame:
        with quiet(), Serial():
            frames = self.workflow.transform(dataset).to_ddf()
            return frames.compute(scheduler="synchronous").reset_index(drop=True)


def column(name: str, *values: Any) -> list[dict[str, Any]]:
    return [{name: value} for value in values]


def test_every_patched_operator_is_a_subclass() -> None:
    assert all(issubclass(subclass, operator) for operator, subclass in PATCHED.items())


def test_a_copy_is_patched_and_writes_into_the_folder(tmp_path: Path) -> None:
    node = ["s"] >> ops.Categorify() >> ops.TargetEncoding("click", out_path="elsewhere")
    copy = patched(Workflow(node), tmp_path)
    assert type(node.op) is ops.TargetEncoding
    assert node.op.out_path == "elsewhere"
    assert type(copy.output_node.op) is PATCHED[ops.TargetEncoding]
    folders = [Path(n.op.out_path) for n in (copy.output_node, copy.output_node.parents[0])]
    assert all(folder.parent == tmp_path for folder in folders)
    assert folders[0] != folders[1]


def test_hashes_are_of_the_value_alone(tmp_path: Path) -> None:
    """NVTabular mixes the row's number into the hash on pandas."""
    graph = ["i", "s", "x", "w"] >> ops.HashBucket(1000)
    rows = [{"i": 5, "s": "a", "x": 0.5, "w": ["a", None]}] * 3
    frame = Run(graph, tmp_path, rows[:1]).rows(*rows)
    bucket = {
        name: int(pd.util.hash_array(np.array([value]))[0] % np.uint64(1000))
        for name, value in (("i", 5), ("x", 0.5))
    }
    of_text = int(pd.util.hash_array(np.array(["a"], object))[0] % np.uint64(1000))
    assert frame["i"].tolist() == [bucket["i"]] * 3
    assert frame["x"].tolist() == [bucket["x"]] * 3
    assert frame["s"].tolist() == [of_text] * 3
    assert [row.tolist() for row in frame["w"]] == [[of_text, (2**64 - 1) % 1000]] * 3


def test_crosses_and_buckets_out_of_vocabulary_are_of_the_values_alone(tmp_path: Path) -> None:
    crossed = [["i", "s"]] >> ops.HashedCross(1000)
    ids = ["i"] >> ops.Categorify(num_buckets=100)
    rows = [{"i": 5, "s": "a"}] * 2 + [{"i": None, "s": None}]
    frame = Run(crossed + ids, tmp_path, [{"i": 1, "s": "a"}]).rows(*rows)
    of_i = pd.util.hash_array(np.array([5]))[0]
    of_s = pd.util.hash_array(np.array(["a"], object))[0]
    assert frame["i_X_s"].tolist() == [int((of_i ^ of_s) % np.uint64(1000))] * 2 + [0]
    assert frame["i"].tolist() == [2 + int(of_i % np.uint64(100))] * 2 + [1]


def test_ties_are_in_order_of_value_also_where_the_vocabulary_is_cut(tmp_path: Path) -> None:
    values = np.random.default_rng(0).permutation(np.arange(-500, 500))
    rows = [{"i": int(value), "s": f"v{value}é"} for value in values]
    graph = ["i", "s"] >> ops.Categorify(max_size=403)
    run = Run(graph, tmp_path, rows[:300], rows[300:])
    ids = run.train()["i"].to_numpy()
    assert (ids == np.where(values < -100, values + 503, 2)).all()
    rank = {text: index for index, text in enumerate(sorted(row["s"] for row in rows))}
    expected = [rank[row["s"]] + 3 if rank[row["s"]] < 400 else 2 for row in rows]
    assert run.train()["s"].tolist() == expected


def test_missing_values_in_lists_are_null_and_missing_lists_empty(tmp_path: Path) -> None:
    """NVTabular fails on missing lists, and encodes a missing element as out of vocabulary."""
    rows = [{"k": [2**62 + 1, None], "w": ["é", ""]}, {}, {"k": [], "w": [None]}, {"k": [7, 7]}]
    run = Run(["k", "w"] >> ops.Categorify(), tmp_path, rows[1:3], rows)
    frame = run.rows(*rows, {"k": [2**62], "w": ["z"]})
    assert [row.tolist() for row in frame["k"]] == [[4, 1], [], [], [3, 3], [2]]
    assert [row.tolist() for row in frame["w"]] == [[3, 1], [], [1], [], [2]]


def test_columns_without_any_value_are_null(tmp_path: Path) -> None:
    """NVTabular fails to fit and to encode them."""
    combined = [["i", "s"]] >> ops.Categorify(encode_type="combo")
    graph = (["i", "s", "k"] >> ops.Categorify()) + combined
    frame = Run(graph, tmp_path, column("i", None, None)).rows({}, {"i": 1, "s": "a", "k": [1]})
    assert frame[["i", "s", "i_s"]].to_numpy().tolist() == [[1, 1, 1], [2, 2, 2]]
    assert [row.tolist() for row in frame["k"]] == [[], [2]]


def test_numbers_are_float64_and_integers_may_be_missing(tmp_path: Path) -> None:
    """NVTabular fails to clip or bucketize nullable integers, and computes in float32."""
    rows = column("i", 3, None, -4, 2**53)
    clipped = ["i"] >> ops.Clip(min_value=0.5) >> ops.LogOp() >> ops.Rename(postfix="_log")
    bucket = ["i"] >> ops.Bucketize([0, 3]) >> ops.Rename(postfix="_bucket")
    filled = ["i"] >> ops.FillMissing(0.5) >> ops.Rename(postfix="_filled")
    frame = Run(clipped + bucket + filled, tmp_path, rows).train()
    expected = np.log(np.array([4.0, np.nan, 1.5, 2.0**53 + 1]))
    np.testing.assert_array_equal(frame["i_log"], expected)
    assert frame["i_bucket"].tolist() == [2, 2, 0, 2]
    assert frame["i_filled"].tolist() == [3.0, 0.5, -4.0, 2.0**53]


def test_medians_are_exact_over_all_parts(tmp_path: Path) -> None:
    """NVTabular's median is 1.0."""
    run = Run(["x"] >> ops.FillMedian(), tmp_path, column("x", 1, None), column("x", 100))
    assert run.rows({})["x"].tolist() == [50.5]


def test_deviations_are_exact(tmp_path: Path) -> None:
    """NVTabular's deviation is 0.0 for the large numbers, and 1.5e-9 for the equal ones."""
    large = [10**10 + n for n in range(7)]
    rows = [{"i": value, "x": 0.1} for value in large]
    filled = ["x"] >> ops.FillMissing(0.1) >> ops.LogOp() >> ops.Normalize()
    run = Run((["i"] >> ops.Normalize()) + filled, tmp_path, rows[:3], rows[3:])
    np.testing.assert_allclose(run.train()["i"], np.arange(-3, 4) / np.std(range(7), ddof=1))
    np.testing.assert_allclose(run.rows({"x": 1.1})["x"], np.log(2.1 / 1.1), rtol=1e-6)


def test_bounds_of_parts_without_numbers(tmp_path: Path) -> None:
    parts = [column("x", None), column("x", 1, 5), column("x", None, 3)]
    frame = Run(["x"] >> ops.NormalizeMinMax(), tmp_path, *parts).rows({"x": 2}, {"x": 9}, {})
    np.testing.assert_array_equal(frame["x"], [0.25, 2.0, np.nan])


def test_a_column_of_one_number_becomes_a_half(tmp_path: Path) -> None:
    """NVTabular's result is missing if the number is 0."""
    run = Run(["x"] >> ops.NormalizeMinMax(), tmp_path, column("x", 0, None, 0))
    np.testing.assert_array_equal(run.rows(*column("x", 0, 3, None))["x"], [0.5, 0.5, np.nan])


@pytest.mark.parametrize("keys", [["s"], [["s", "i"]], ["s", ["s", "i"]]])
def test_statistics_by_key(keys: list[Any], tmp_path: Path) -> None:
    """NVTabular divides by all rows, and counts none of a missing key.

    Every key is compared with pandas.
    """
    rng = np.random.default_rng(7)
    words, numbers = ["a", "b", None], [None, 0.5, 1.25, 7.0]
    rows = [
        {"s": words[rng.integers(3)], "i": int(rng.integers(2)), "x": numbers[rng.integers(4)]}
        for _ in range(40)
    ]
    stats = ["count", "sum", "mean", "std", "var", "min", "max"]
    run = Run(keys >> ops.JoinGroupby(["x"], stats), tmp_path, rows[:9], rows[9:30], rows[30:])
    frame = run.train()
    for key in keys:
        group = [key] if isinstance(key, str) else key
        prefix = "_".join(group)
        for index, row in enumerate(rows):
            same = [r for r in rows if all(r[name] == row[name] for name in group)]
            values = pd.Series([r["x"] for r in same], dtype=float)
            assert frame[f"{prefix}_count"][index] == len(same)
            for statistic in stats[1:]:
                expected = getattr(values, statistic)()
                actual = frame[f"{prefix}_x_{statistic}"][index]
                np.testing.assert_allclose(actual, expected, rtol=1e-12, err_msg=statistic)
    unseen = run.rows({"s": "z", "i": 9})
    for name in unseen:
        np.testing.assert_array_equal(unseen[name], 0.0 if name.endswith("_count") else np.nan)


def test_the_largest_number_is_possible_alone(tmp_path: Path) -> None:
    """NVTabular fails with `min` and `max` alone."""
    rows = [{"s": "a", "x": 1}, {"s": "a", "x": 3}, {"s": "b", "x": None}]
    run = Run(["s"] >> ops.JoinGroupby(["x"], ["max"]), tmp_path, rows)
    np.testing.assert_array_equal(run.rows(*column("s", "a", "b"))["s_x_max"], [3.0, np.nan])


def test_a_key_may_be_measured_too(tmp_path: Path) -> None:
    """NVTabular fails to fit, because its executor passes the column twice."""
    graph = ["i"] >> ops.JoinGroupby(["i"], ["sum", "count"])
    frame = Run(graph, tmp_path, column("i", 2, 2, None)).rows(*column("i", 2, None, 5))
    np.testing.assert_array_equal(frame["i_i_sum"], [4.0, 0.0, np.nan])
    assert frame["i_count"].tolist() == [2.0, 1.0, 0.0]


def test_targets_are_encoded_out_of_fold_for_training_rows_only(tmp_path: Path) -> None:
    """NVTabular draws folds for all rows."""
    rng = np.random.default_rng(3)
    rows = [
        {"s": ["a", "b", None][rng.integers(3)], "click": int(rng.integers(2))} for _ in range(30)
    ]
    graph = ["s"] >> ops.TargetEncoding("click", kfold=3, fold_seed=5, p_smooth=2)
    run = Run(graph, tmp_path, rows[:10], rows[10:])
    mean = np.mean([row["click"] for row in rows])

    def encoded(key: Any, of: Sequence[dict[str, Any]]) -> float:
        clicks = [row["click"] for row in of if row["s"] == key]
        return float((sum(clicks) + 2 * mean) / (len(clicks) + 2))

    keys = ["a", "b", None, "z"]
    actual = run.rows(*column("s", *keys))["TE_s_click"]
    np.testing.assert_allclose(actual, [encoded(key, rows) for key in keys])
    set_training(run.workflow, True)
    folds = np.concatenate([folds_of(5, 3, 0, n) for n in (10, 20)])
    expected = [
        encoded(row["s"], [r for r, f in zip(rows, folds, strict=True) if f != fold])
        for row, fold in zip(rows, folds, strict=True)
    ]
    np.testing.assert_allclose(run.train()["TE_s_click"], expected)


def test_sums_of_clicks_do_not_wrap(tmp_path: Path) -> None:
    """NVTabular's sums are int8, as the click is."""
    rows = [{"s": "a", "click": 1}] * 300 + [{"s": "b", "click": 0}] * 300
    graph = ["s"] >> ops.TargetEncoding("click", kfold=1, p_smooth=0)
    assert Run(graph, tmp_path, rows).rows(*column("s", "a", "b", "z"))["TE_s_click"].tolist() == [
        1.0,
        0.0,
        0.5,
    ]


def test_low_cardinality_is_only_marked(tmp_path: Path) -> None:
    """NVTabular fails if another operator follows, or if a column has no ids."""
    ids = ["s", "i"] >> ops.Categorify()
    graph = ((ids + "x") >> ops.DropLowCardinality(99)) >> ops.Rename(postfix="_out")
    assert list(Run(graph, tmp_path, column("s", "a")).train()) == ["s_out", "i_out", "x_out"]
