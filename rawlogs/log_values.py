"""Stand-in until features.typed has it."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import pyarrow as pa

from features.columns import FeatureKind
from features.values import NULL_INT64, Text, Values


def columns_of_table(table: pa.Table, kinds: Mapping[str, FeatureKind]) -> dict[str, Values]:
    found: dict[str, Values] = {}
    for name, kind in kinds.items():
        s = pl.Series(table[name])
        if kind == "continuous":
            found[name] = s.cast(pl.Float32).fill_null(float("nan")).to_numpy()
        elif kind in ("integer", "hex"):
            found[name] = s.cast(pl.Int64).fill_null(NULL_INT64).to_numpy()
        else:
            found[name] = Text.from_arrow(table[name])
    return found
