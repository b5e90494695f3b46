"""The cases of the benchmark of operators: a workflow of each, and rows for all of them.

A new operator needs a line in `CASES`; a test compares them with the operators that there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from scipy import sparse

from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operators.arithmetic import Add, Divide, Multiply, Subtract
from plumbline.nvtabular.operators.cast import Cast
from plumbline.nvtabular.operators.compare import Compare, IsIn
from plumbline.nvtabular.operators.date_part import DatePart
from plumbline.nvtabular.operators.filter import Where
from plumbline.nvtabular.operators.list_length import ListLength
from plumbline.nvtabular.operators.periodic import Cosine, Sine
from plumbline.nvtabular.operators.quantile_bucketize import QuantileBucketize
from plumbline.nvtabular.operators.quantile_transform import QuantileTransform
from plumbline.nvtabular.operators.range_ids import RangeIds
from plumbline.nvtabular.operators.seconds import SecondsBetween, SecondsSince
from plumbline.nvtabular.operators.text import (
    CountSubstring,
    Lowercase,
    SplitPart,
    Substring,
    TextLength,
)

KINDS: dict[str, FeatureKind] = {
    "x": "continuous",
    "y": "continuous",
    "z": "continuous",
    "i": "integer",
    "h": "hex",
    "s": "string",
    "t": "string",
    "l": "integer_list",
    "clock": "time",
    "later": "time",
}
INTEGERS, WORDS, FEW_WORDS = 200_000, 50_000, 300
ROWS_PER_PART = 250_000

Build = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class OperatorCase:
    """A workflow without the click, and the operators that it measures.

    The peer is NVTabular with its own operators. If NVTabular cannot do the same work, `patched`
    says why, and its engine runs the patched operators. `one_part`: the rows are in one part,
    because the engine draws the same folds for every part: Merlin does not tell it the number.
    """

    name: str
    operators: tuple[str, ...]
    build: Build
    patched: str | None = None
    one_part: bool = False


HASHES = "NVTabular's hash depends on the row's number"
OWN = "NVTabular does not have this operator"
ROWS = "NVTabular leaves rows out of one branch alone"
OUTSIDE = "NVTabular reads outside of the matrix for an unknown id"
FOLDS = "NVTabular draws other folds, and its sums of clicks wrap at 128"


def _case(
    name: str, build: Build, patched: str | None = None, also: str = "", one_part: bool = False
) -> OperatorCase:
    return OperatorCase(name, (name.split()[0], *also.split()), build, patched, one_part)


def _lists(node: Any) -> Any:
    return node >> ops.Categorify()


def _external() -> pd.DataFrame:
    """A value for each of the integers."""
    return pd.DataFrame({"i": np.arange(1, INTEGERS + 1), "value": np.arange(INTEGERS) / 7})


def _features() -> sparse.coo_matrix:
    """Eight features of 64 for each of the integers."""
    random = np.random.default_rng(5)
    row = np.repeat(np.arange(INTEGERS), 8)
    return sparse.coo_matrix((random.random(len(row)), (row, random.integers(0, 64, len(row)))))


CASES: tuple[OperatorCase, ...] = (
    _case("FillMissing", lambda: ["x", "y"] >> ops.FillMissing(0.5)),
    _case("FillMedian", lambda: ["x", "y"] >> ops.FillMedian(), "its median is approximate"),
    _case("Clip", lambda: ["x", "y"] >> ops.Clip(0.0, 9.0)),
    _case("LogOp", lambda: ["x", "y"] >> ops.Clip(0.0) >> ops.LogOp()),
    _case("Normalize", lambda: ["x", "y"] >> ops.FillMissing(0.0) >> ops.Normalize()),
    _case("NormalizeMinMax", lambda: ["x", "y"] >> ops.FillMissing(0.0) >> ops.NormalizeMinMax()),
    _case("QuantileTransform", lambda: ["x", "y"] >> QuantileTransform(knots=64), OWN),
    _case("ReduceDtypeSize", lambda: ["x", "y"] >> ops.Clip(0.0) >> ops.ReduceDtypeSize()),
    _case("Bucketize", lambda: ["x", "y"] >> ops.FillMissing(0.0)
          >> ops.Bucketize({name: [1.0, 2.0, 4.0, 8.0] for name in ("x", "y")})),
    _case("QuantileBucketize", lambda: ["x", "y"] >> QuantileBucketize(buckets=32), OWN),
    _case("HashBucket of integers", lambda: ["i"] >> ops.HashBucket(10_000), HASHES),
    _case("HashBucket of text", lambda: ["s"] >> ops.HashBucket(10_000), HASHES),
    _case("HashedCross", lambda: [["i", "s"]] >> ops.HashedCross(100_000), HASHES),
    _case("Categorify of integers", lambda: ["i"] >> ops.Categorify()),
    _case("Categorify of hex", lambda: ["h"] >> ops.Categorify(freq_threshold=3)),
    _case("Categorify of text", lambda: ["s", "t"] >> ops.Categorify()),
    _case("Categorify of a combination",
          lambda: [["t", "s"]] >> ops.Categorify(encode_type="combo")),
    _case("Categorify of lists", lambda: ["l"] >> ops.Categorify()),
    _case("DropLowCardinality", lambda: ["s", "t"] >> ops.Categorify()
          >> ops.DropLowCardinality(min_cardinality=2)),
    _case("JoinGroupby of one key", lambda: ["i"] >> ops.JoinGroupby(
        cont_cols=["z"], stats=["count", "sum", "mean", "std"])),
    _case("JoinGroupby of two keys", lambda: [["h", "i"]] >> ops.JoinGroupby(
        cont_cols=["z"], stats=["count", "mean", "min", "max"])),
    _case("TargetEncoding of one key",
          lambda: ["i"] >> ops.TargetEncoding(["z"], kfold=1, p_smooth=20)),
    _case("TargetEncoding of two keys",
          lambda: [["h", "i"]] >> ops.TargetEncoding(["z"], kfold=1, p_smooth=20)),
    _case("TargetEncoding in five folds",
          lambda: ["s"] >> ops.TargetEncoding([CLICK], kfold=5, p_smooth=20), FOLDS,
          one_part=True),
    _case("JoinExternal", lambda: (["i"] >> ops.JoinExternal(_external(), on="i"))["value"]),
    _case("ColumnSimilarity", lambda: [["i", "h"]] >> ops.ColumnSimilarity(_features()), OUTSIDE),
    _case("Rename", lambda: ["x", "y"] >> ops.FillMissing(0.0) >> ops.Rename(postfix="_")),
    _case("Add tags", lambda: ["x", "y"] >> ops.FillMissing(0.0) >> ops.AddTags(["a"])
          >> ops.AddMetadata() >> ops.AddProperties({"a": 1}) >> ops.TagAsUserFeatures(),
          also="AddTags AddMetadata AddProperties TagAsUserFeatures TagAsItemFeatures TagAsUserID"
               " TagAsItemID"),
    _case("Filter", lambda: ["x", "y"] >> ops.Filter(Where("x", ">", 1.0)), ROWS),
    _case("Dropna", lambda: ["x", "y"] >> ops.Dropna(), ROWS),
    _case("ListSlice", lambda: _lists(["l"] >> ops.ListSlice(-3)), "NVTabular pads on cuDF only"),
    _case("ValueCount", lambda: _lists(["l"]) >> ops.ValueCount()),
    _case("ListLength", lambda: ["l"] >> ListLength(), OWN),
    _case("DatePart", lambda: ["clock"] >> DatePart("hour", "day_of_week") >> RangeIds(0, 23), OWN),
    _case("SecondsBetween", lambda: [["clock", "later"]] >> SecondsBetween(), OWN),
    _case("SecondsSince", lambda: ["clock"] >> SecondsSince("2026-01-01"), OWN),
    _case("Sine", lambda: ["x", "y"] >> Sine(24), OWN, also="Cosine"),
    _case("Cosine", lambda: ["x", "y"] >> Cosine(24), OWN),
    _case("Compare", lambda: ["x", "y"] >> Compare(">=", 2.0), OWN),
    _case("IsIn", lambda: ["t"] >> IsIn(["word 1", "word 2"]), OWN),
    _case("Add", lambda: [["x", "y"]] >> Add(), OWN),
    _case("Subtract", lambda: [["x", "y"]] >> Subtract(), OWN),
    _case("Multiply", lambda: [["x", "y"]] >> Multiply(), OWN),
    _case("Divide", lambda: [["x", "y"]] >> Divide(), OWN),
    _case("Cast", lambda: ["x"] >> Cast("integer") >> ops.Categorify(), OWN),
    _case("RangeIds", lambda: ["i"] >> RangeIds(1, 1000), OWN),
    _case("Lowercase", lambda: ["s"] >> Lowercase() >> ops.Categorify(), OWN),
    _case("Substring", lambda: ["s"] >> Substring(0, 6) >> ops.Categorify(), OWN),
    _case("SplitPart", lambda: ["s"] >> SplitPart(" ", 1) >> ops.Categorify(), OWN),
    _case("CountSubstring", lambda: ["s"] >> CountSubstring("1") >> RangeIds(0, 9), OWN),
    _case("TextLength", lambda: ["s"] >> TextLength() >> RangeIds(0, 30), OWN),
)  # fmt: skip


def write_rows(folder: Path, rows: int) -> None:
    """Write `folder/part-*.parquet`: the columns of KINDS and the click, as the ingest does.

    Numbers (but z) and text are missing in 5 % of the rows. Keys are drawn by Zipf's law.
    """
    folder.mkdir(parents=True)
    random = np.random.default_rng(3)

    def ranks(count: int, distinct: int) -> np.ndarray:
        return np.floor(distinct ** random.random(count)).astype(np.int64)

    def words(count: int, distinct: int) -> pl.Series:
        rank = ranks(count, distinct)
        return pl.Series([f"word {number}" for number in rank.tolist()])

    for part, first in enumerate(range(0, rows, ROWS_PER_PART)):
        count = min(ROWS_PER_PART, rows - first)
        lengths = random.integers(0, 6, count)
        lists = np.split(ranks(int(lengths.sum()), 10_000), np.cumsum(lengths)[:-1])
        clock = random.integers(0, 10**15, count)
        columns = {
            "x": pl.Series(random.lognormal(0.5, 1.0, count), dtype=pl.Float32),
            "y": pl.Series(random.lognormal(0.5, 1.0, count), dtype=pl.Float32),
            "z": pl.Series(random.integers(0, 50, count), dtype=pl.Float32),
            "i": pl.Series(ranks(count, INTEGERS)),
            "h": pl.Series(ranks(count, INTEGERS) * 2_654_435_761 % 2**32),
            "s": words(count, WORDS),
            "t": words(count, FEW_WORDS),
            "l": pl.Series([one.tolist() for one in lists], dtype=pl.List(pl.Int64)),
            "clock": pl.Series(clock),
            "later": pl.Series(clock + random.integers(0, 10**10, count)),
            CLICK: pl.Series((random.random(count) < 0.25).astype(np.int8)),
        }
        missing = {
            name: pl.when(pl.Series(random.random(count) >= 0.05)).then(pl.col(name)).alias(name)
            for name in ("x", "y", "s", "t")
        }
        frame = pl.DataFrame(columns).with_columns(**missing)
        frame.write_parquet(folder / f"part-{part:05d}.parquet", compression="zstd")


def write_one_part(parts: Path, folder: Path) -> None:
    """Write the rows of `parts` as `folder/part-00000.parquet`, in one row group."""
    folder.mkdir()
    frame = pl.read_parquet(parts / "*.parquet")
    frame.write_parquet(folder / "part-00000.parquet", row_group_size=len(frame))
