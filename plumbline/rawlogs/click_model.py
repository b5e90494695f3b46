"""Writes logs of a known click model in Criteo's format, and the true probabilities."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.errors import ConfigError
from plumbline.rawlogs.click_effects import Clicks, Rows
from plumbline.settings import ClickModel, Log

PROBABILITY_FOLDER = "click_probability"

_ROWS_AT_ONCE = 100_000
_SCHEMA = pa.schema([pa.field("probability", pa.float64())])


def write_logs(
    model: ClickModel, log: Log, seed: int, folder: Path, progress: Callable[[int], None]
) -> tuple[Path, ...]:
    """Write `day_0.tsv` to `day_<days - 1>.tsv`, `model.rows` rows in all; returns the files.

    A line holds the label, the counts and the categories (8 hexadecimal digits), separated by
    tabs, without a header; a missing value is empty. `click_probability/day_<n>.parquet` has the
    column `probability` (float64), one row per line. The same seed gives the same bytes. `progress`
    gets the number of rows written since the last call.

    Raises
    ------
    ConfigError
        `log` does not describe such lines.
    """
    _check(model, log)
    clicks = Clicks(model, seed)
    words = [_words(position, values) for position, values in enumerate(model.vocabulary)]
    (folder / PROBABILITY_FOLDER).mkdir(parents=True, exist_ok=True)
    files = []
    for day in range(model.days):
        rows = model.rows // model.days + (day < model.rows % model.days)
        random = np.random.default_rng([seed, 1, day])
        file = folder / f"day_{day}.tsv"
        probabilities = folder / PROBABILITY_FOLDER / f"day_{day}.parquet"
        with file.open("wb") as text, pq.ParquetWriter(probabilities, _SCHEMA) as writer:
            for count in _chunks(rows):
                drawn = clicks.draw(count, random)
                _frame(drawn, words).write_csv(
                    text, separator="\t", include_header=False, quote_style="never"
                )
                writer.write_table(pa.table([pa.array(drawn.probability)], schema=_SCHEMA))
                progress(count)
        files.append(file)
    return tuple(files)


def _check(model: ClickModel, log: Log) -> None:
    wanted = ["label"] + ["continuous"] * model.continuous + ["hex"] * len(model.vocabulary)
    got: list[str] = list(log.columns.values())
    if got != wanted:
        raise ConfigError(
            f"log.columns: the click model draws a label, {model.continuous} continuous and "
            f"{len(model.vocabulary)} hex columns, in this order, got {_summary(got)}."
        )
    if log.format != "csv" or log.separator != "\t" or log.header:
        raise ConfigError(
            "log: the click model draws lines separated by tabs without a header: "
            'wanted format: csv, separator: "\\t", header: false.'
        )


def _summary(kinds: list[str]) -> str:
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def _chunks(rows: int) -> Iterator[int]:
    for first in range(0, rows, _ROWS_AT_ONCE):
        yield min(_ROWS_AT_ONCE, rows - first)


def _words(column: int, values: int) -> pl.Series:
    """The text of each value rank, all different, then null for a missing value."""
    numbers = _scrambled(np.arange(values, dtype=np.uint32) + np.uint32(column << 24))
    return pl.Series([*(f"{number:08x}" for number in numbers.tolist()), None], dtype=pl.String)


def _scrambled(numbers: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """MurmurHash3's last step, a bijection on 32 bits, so that values look like hashes."""
    numbers = (numbers ^ (numbers >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    numbers = (numbers ^ (numbers >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return numbers ^ (numbers >> np.uint32(16))


def _frame(rows: Rows, words: list[pl.Series]) -> pl.DataFrame:
    counts = [
        pl.Series(f"I{position}", values_B, nan_to_null=True).cast(pl.Int64)
        for position, values_B in enumerate(rows.counts)
    ]
    categories = [
        column.gather(ranks_B).alias(f"C{position}")
        for position, (column, ranks_B) in enumerate(zip(words, rows.categories, strict=True))
    ]
    return pl.DataFrame([pl.Series("label", rows.click), *counts, *categories])
