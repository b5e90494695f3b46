"""The probe split: raw test rows, and harder rows, on which serving is compared with scoring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from features.columns import FeatureKind
from features.typed import typed_schema
from rawlogs.parts import PartWriter, read_parts

_CANDIDATES = 64
_FIRST_UNSEEN_INTEGER = 2**40
_LAST_UNSEEN_HEX = 0xFFFFFFFF


def write_probe(out: Path, features: Mapping[str, FeatureKind], rows: int) -> int:
    """Write `out/probe` from `out/test` and `out/train`; returns its number of rows.

    First `rows` rows spread evenly over the test split (all of them where it has fewer). Then
    copies of the fullest of these: for each column one with null there, for each categorical
    column one with a value that the train split does not hold, and one with null everywhere.
    """
    sample = _spread(out / "test", rows)
    fullest = sample.select(pl.sum_horizontal(pl.col(features).is_null())).to_series().arg_min()
    row = sample.slice(fullest or 0, 1)
    unseen = unseen_values(out / "train", features)
    with PartWriter(out / "probe", typed_schema(features)) as writer:
        writer.write(pl.concat([sample, *_stress(row, features, unseen)]))
    return writer.rows


def _spread(folder: Path, wanted: int) -> pl.DataFrame:
    rows = sum(len(group) for group in read_parts(folder))
    wanted = min(wanted, rows)
    chosen = np.arange(wanted) * rows // wanted
    found, first = [], 0
    for group in read_parts(folder):
        last = first + len(group)
        found.append(group[chosen[(chosen >= first) & (chosen < last)] - first])
        first = last
    return pl.concat(found)


def _stress(
    row: pl.DataFrame, features: Mapping[str, FeatureKind], unseen: Mapping[str, int | str]
) -> Iterator[pl.DataFrame]:
    nothing = {name: pl.lit(None, row.schema[name]).alias(name) for name in features}
    for name in features:
        yield row.with_columns(nothing[name])
    for name, value in unseen.items():
        yield row.with_columns(pl.lit(value, row.schema[name]).alias(name))
    yield row.with_columns(nothing.values())


def unseen_values(train: Path, features: Mapping[str, FeatureKind]) -> dict[str, int | str]:
    """For each categorical column a value that no row of the split in folder `train` has."""
    unseen: dict[str, int | str] = {}
    count = _CANDIDATES
    while missing := [
        n for n, kind in features.items() if kind != "continuous" and n not in unseen
    ]:
        candidates = {name: _candidates(features[name], count) for name in missing}
        seen = _seen(train, candidates)
        for name in missing:
            free = (value for value in candidates[name] if value not in seen[name])
            value = next(free, None)
            if value is not None:
                unseen[name] = value
        count *= _CANDIDATES
    return {name: unseen[name] for name in features if name in unseen}


def _candidates(kind: FeatureKind, count: int) -> list[int | str]:
    if kind == "hex":
        return [_LAST_UNSEEN_HEX - step for step in range(min(count, _LAST_UNSEEN_HEX))]
    if kind == "integer":
        return [_FIRST_UNSEEN_INTEGER + step for step in range(count)]
    return [f"unseen {step}" for step in range(count)]


def _seen(train: Path, candidates: Mapping[str, list[int | str]]) -> dict[str, set[int | str]]:
    """Which of the candidates stand in the split."""
    scan = pl.scan_parquet(train / "part-*.parquet")
    found = scan.select(
        pl.col(name).filter(pl.col(name).is_in(values)).unique().implode()
        for name, values in candidates.items()
    ).collect()
    return {name: set(found[name][0].to_list()) for name in candidates}
