"""The probe split: raw test rows, and harder rows, on which serving is compared with scoring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import polars as pl

from features.columns import ELEMENT_KINDS, FeatureKind
from features.typed import typed_schema
from rawlogs.parts import PartWriter, read_parts

_CANDIDATES = 64
_FIRST_UNSEEN_INTEGER = 2**40
_LAST_UNSEEN_HEX = 0xFFFFFFFF


def write_probe(out: Path, features: Mapping[str, FeatureKind], rows: int) -> int:
    """Write `out/probe` from `out/test` and `out/train`; returns its number of rows.

    First `rows` rows spread evenly over the test split (all of them where it has fewer). Then
    copies of the fullest of these: for each column one with null there (in a list column an empty
    list), for each categorical column one with a value that the train split does not hold (a list
    gets it as a further element), for each list column one with a further element that is null,
    and one with null everywhere.
    """
    sample = _spread(out / "test", rows)
    missing = [_is_missing(name, kind) for name, kind in features.items()]
    fullest = sample.select(pl.sum_horizontal(missing)).to_series().arg_min()
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


def _is_missing(name: str, kind: FeatureKind) -> pl.Expr:
    column = pl.col(name)
    return column.list.len() == 0 if kind in ELEMENT_KINDS else column.is_null()


def _stress(
    row: pl.DataFrame, features: Mapping[str, FeatureKind], unseen: Mapping[str, int | str]
) -> Iterator[pl.DataFrame]:
    nothing = {
        name: pl.lit([] if kind in ELEMENT_KINDS else None, row.schema[name]).alias(name)
        for name, kind in features.items()
    }
    for name in features:
        yield row.with_columns(nothing[name])
    for name, value in unseen.items():
        yield row.with_columns(_with_value(row.schema[name], name, value))
    for name, kind in features.items():
        if kind in ELEMENT_KINDS:
            yield row.with_columns(_with_value(row.schema[name], name, None))
    yield row.with_columns(nothing.values())


def _with_value(dtype: pl.DataType, name: str, value: int | str | None) -> pl.Expr:
    """The value in the column's place, or behind the elements of its list."""
    if not isinstance(dtype, pl.List):
        return pl.lit(value, dtype).alias(name)
    return pl.col(name).list.concat(pl.lit([value], dtype)).alias(name)


def unseen_values(train: Path, features: Mapping[str, FeatureKind]) -> dict[str, int | str]:
    """For each categorical column a value that no row of the split in folder `train` has."""
    unseen: dict[str, int | str] = {}
    count = _CANDIDATES
    while missing := [
        n for n, kind in features.items() if kind != "continuous" and n not in unseen
    ]:
        candidates = {name: _candidates(_element_kind(features[name]), count) for name in missing}
        seen = _seen(train, candidates, features)
        for name in missing:
            free = (value for value in candidates[name] if value not in seen[name])
            value = next(free, None)
            if value is not None:
                unseen[name] = value
        count *= _CANDIDATES
    return {name: unseen[name] for name in features if name in unseen}


def _candidates(kind: str, count: int) -> list[int | str]:
    if kind == "hex":
        return [_LAST_UNSEEN_HEX - step for step in range(min(count, _LAST_UNSEEN_HEX))]
    if kind == "integer":
        return [_FIRST_UNSEEN_INTEGER + step for step in range(count)]
    return [f"unseen {step}" for step in range(count)]


def _element_kind(kind: FeatureKind) -> str:
    return ELEMENT_KINDS.get(kind, kind)


def _seen(
    train: Path,
    candidates: Mapping[str, list[int | str]],
    features: Mapping[str, FeatureKind],
) -> dict[str, set[int | str]]:
    """Which of the candidates stand in the split."""
    scan = pl.scan_parquet(train / "part-*.parquet")
    columns = {
        name: pl.col(name).explode() if features[name] in ELEMENT_KINDS else pl.col(name)
        for name in candidates
    }
    found = scan.select(
        columns[name].filter(columns[name].is_in(values)).unique().implode()
        for name, values in candidates.items()
    ).collect()
    return {name: set(found[name][0].to_list()) for name in candidates}
