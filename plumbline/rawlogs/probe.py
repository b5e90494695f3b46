"""The probe split: test rows and harder rows, on which serving is compared with scoring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
import polars as pl

from plumbline.base.read_ahead import THREADS, read_ahead
from plumbline.columns.exact import column
from plumbline.columns.kinds import ELEMENT_KINDS, FeatureKind
from plumbline.columns.rows import Rows, RowSource
from plumbline.columns.typed import typed_schema
from plumbline.columns.values import Lists, Text, Values
from plumbline.rawlogs.frames import frame_of_rows, series
from plumbline.rawlogs.parts import TypedWriter

FEWEST_CANDIDATES = 64
_FIRST_UNSEEN_INTEGER = 2**40
_LAST_UNSEEN_HEX = 0xFFFFFFFF
_UNSEEN = "unseen"
_WITHOUT_UNSEEN = ("continuous", "boolean", "time")
"""Kinds without unseen values: a boolean is 0 or 1."""


def write_probe(
    source: RowSource, out: Path, rows: int, seen: Mapping[str, set[int | str]] | None = None
) -> int:
    """Write `out/probe` from the source's test and train splits; returns its number of rows.

    First come `rows` rows, evenly spread over the test split (all of them if it has fewer). Then
    come copies of the row with the fewest missing values: for each column one with null there (an
    empty list in a list column), for each categorical column one with a value that no row of the
    source has (as a further element of a list), for each list column one with null as a further
    element, and one with null everywhere.

    `seen` is the result of `seen_candidates` over all rows of the source; without it they are read.
    """
    features = source.kinds
    sample = _spread(source, rows)
    missing = [_is_missing(name, kind) for name, kind in features.items()]
    fullest = sample.select(pl.sum_horizontal(missing)).to_series().arg_min()
    row = sample.slice(fullest or 0, 1)
    unseen = unseen_values(source, seen)
    with TypedWriter(out / "probe", typed_schema(features)) as writer:
        writer.write(pl.concat([sample, *_stress(row, features, unseen)]))
    return writer.rows


def _spread(source: RowSource, wanted: int) -> pl.DataFrame:
    rows = source.splits["test"]
    wanted = min(wanted, rows)
    chosen = np.arange(wanted) * rows // wanted
    found, first = [], 0
    for chunk in _rows(source, "test"):
        last = first + len(chunk)
        taken = chunk.take(chosen[(chosen >= first) & (chosen < last)] - first)
        found.append(frame_of_rows(taken))
        first = last
    return pl.concat(found)


def _rows(source: RowSource, split: str) -> Iterator[Rows]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield from read_ahead(pool, source.chunks(split), THREADS)


def _is_missing(name: str, kind: FeatureKind) -> pl.Expr:
    value = column(name)
    return value.list.len() == 0 if kind in ELEMENT_KINDS else value.is_null()


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
    """The value instead of the column's value, or after the elements of its list."""
    if not isinstance(dtype, pl.List):
        return pl.lit(value, dtype).alias(name)
    return column(name).list.concat(pl.lit([value], dtype)).alias(name)


def unseen_values(
    source: RowSource, seen: Mapping[str, set[int | str]] | None = None
) -> dict[str, int | str]:
    """Categorical column to a value that no row of the source has; see `write_probe`."""
    unseen: dict[str, int | str] = {}
    count = FEWEST_CANDIDATES
    kinds = {name: kind for name, kind in source.kinds.items() if kind not in _WITHOUT_UNSEEN}
    while missing := {name: kind for name, kind in kinds.items() if name not in unseen}:
        if seen is None:
            seen = {name: set() for name in missing}
            for rows in chain.from_iterable(_rows(source, split) for split in source.splits):
                for name, values in seen_candidates(rows, missing, count).items():
                    seen[name] |= values
        for name, kind in missing.items():
            free = (value for value in _candidates(kind, count) if value not in seen[name])
            value = next(free, None)
            if value is not None:
                unseen[name] = value
        count, seen = count * FEWEST_CANDIDATES, None
    return {name: unseen[name] for name in kinds}


def seen_candidates(
    rows: Rows, kinds: Mapping[str, FeatureKind], count: int = FEWEST_CANDIDATES
) -> dict[str, set[int | str]]:
    """Categorical column to those of its first `count` candidates that the rows have."""
    return {
        name: _seen(rows.columns[name], _candidates(kind, count))
        for name, kind in kinds.items()
        if kind not in _WITHOUT_UNSEEN
    }


def _candidates(kind: FeatureKind, count: int) -> range | list[str]:
    """Values that hardly occur in a log, the least likely first."""
    element = ELEMENT_KINDS.get(kind, kind)
    if element == "hex":
        return range(_LAST_UNSEEN_HEX, max(_LAST_UNSEEN_HEX - count, 0), -1)
    if element == "integer":
        return range(_FIRST_UNSEEN_INTEGER, _FIRST_UNSEEN_INTEGER + count)
    return [f"{_UNSEEN} {step}" for step in range(count)]


def _seen(values: Values, candidates: range | list[str]) -> set[int | str]:
    if isinstance(values, Lists):
        return _seen(values.values, candidates)
    if isinstance(values, Text):
        if _UNSEEN.encode() not in values.data.tobytes():
            return set()
        texts = series(values)
        return set(texts.filter(texts.is_in(candidates)).unique().to_list())
    low, high = sorted((candidates[0], candidates[-1]))
    if not len(values) or values.max() < low:
        return set()
    return set(values[(values >= low) & (values <= high)].tolist())
