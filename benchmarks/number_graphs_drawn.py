"""Drawn tables of numbers on difficult scales, for `benchmarks/number_graphs.py`.

Every informative number is hidden behind a scale: amounts over twelve powers of ten, milliseconds
since 1970, a count that is mostly 0, a number that is missing where it matters most, negative
numbers, a constant, two values a million apart, an empty column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.typed import typed_schema

Floats = NDArray[np.float64]


def unkind(rows: int, random: np.random.Generator) -> tuple[dict[str, Floats], Floats]:
    """Columns, and each row's log-odds."""
    hidden = random.standard_normal((6, rows))
    amount, time, count, known, debt, flag = hidden
    columns = {
        "amount": np.exp(6.0 * amount),
        "milliseconds": 1.6e12 + 3.0e10 * (time > 0) + 1.0e9 * time,
        "count": np.floor(np.exp(1.5 * count - 1.0)),
        "known": np.where(known > 1.0, np.nan, 100.0 * known),
        "debt": -np.exp(3.0 * np.abs(debt)),
        "flag": np.where(flag > 1.5, 1e6, 0.0),
        "constant": np.full(rows, 12345.0),
        "nothing": np.full(rows, np.nan),
    }
    log_odds = amount + np.abs(time) - (count > 1.0) + 1.5 * (known > 1.0) - np.abs(debt) + flag
    return columns, log_odds - 1.5


def waves(rows: int, random: np.random.Generator) -> tuple[dict[str, Floats], Floats]:
    """Heavy-tailed columns with non-monotonic log-odds, and a category."""
    hidden = random.uniform(-1.0, 1.0, (4, rows))
    columns = {f"x{n}": np.sinh(9.0 * one) * 10.0 ** (3 * n) for n, one in enumerate(hidden)}
    return columns, 1.5 * np.sin(6.0 * hidden).sum(0) - 1.0


DRAWN: dict[str, Callable[[int, np.random.Generator], tuple[dict[str, Floats], Floats]]] = {
    "unkind": unkind,
    "waves": waves,
}


def write_drawn(
    name: str, rows: int, folder: Path
) -> tuple[Mapping[str, FeatureKind], dict[str, Path]]:
    """The kinds, and the typed splits `train` and `valid` (a quarter as many rows)."""
    random = np.random.default_rng(1)
    splits = {}
    kinds: dict[str, FeatureKind] = {}
    for split, count in (("train", rows), ("valid", rows // 4)):
        columns, log_odds = DRAWN[name](count, random)
        kinds = {"group": "integer", **dict.fromkeys(columns, "continuous")}
        group = random.integers(0, 20, count)
        click = random.random(count) < 1 / (1 + np.exp(-log_odds - 0.1 * (group - 10)))
        schema = typed_schema(kinds)
        arrays = {"group": group, **columns, CLICK: click.astype(np.int8)}
        table = pa.table({n: pa.array(a).cast(schema.field(n).type) for n, a in arrays.items()})
        splits[split] = folder / split
        splits[split].mkdir(parents=True)
        pq.write_table(table.cast(schema), splits[split] / "part-00000.parquet")
    return kinds, splits
