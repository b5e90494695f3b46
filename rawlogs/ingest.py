"""Raw logs become a survey and a probe of the test split; or typed Parquet, a folder a split."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from features.errors import DataError
from features.settings import Config
from features.typed import TypedParquet, typed_schema
from rawlogs.fingerprint import Fingerprint
from rawlogs.malformed import MalformedLines
from rawlogs.parts import PartWriter, TypedRows
from rawlogs.probe import write_probe
from rawlogs.raw_log import RawLog
from rawlogs.raw_rows import read_raw_rows
from rawlogs.row_parser import RowParser, log_kinds
from rawlogs.side_tables import load_tables, table_files
from rawlogs.split import SPLITS, assignment, check_files, sorted_by_time
from rawlogs.survey import require_both_classes, survey
from rawlogs.values import convert

PROBE = "probe"
SURVEY_FILE = "survey.json"
_TYPED = "typed"


@dataclass(frozen=True, slots=True)
class Ingested:
    """What was read and written."""

    rows: dict[str, int]
    """Split to its rows: train, valid, test, probe."""
    malformed: int
    """Log lines that held no usable row."""
    examples: tuple[str, ...]
    """The first of them, as `file:line: reason`."""
    unmatched: dict[str, int]
    """Side table to the log rows whose key it does not have."""
    click_rate: dict[str, float]
    """Split (train, valid, test) to its share of clicks."""


def ingest(
    config: Config, files: Sequence[Path], out: Path, progress: Callable[[int], None]
) -> Ingested:
    """Write `out/survey.json`, from which `RawLog` reads the log's rows, and `out/probe`.

    Not for a split by time: its rows have to be sorted, so it takes a typed copy. `progress` is
    called with the number of further log lines read. What an earlier attempt left in `out` is
    deleted first.

    Raises
    ------
    DataError
        A file is not usable, too many lines are malformed, or a split is empty or one-sided.
    """
    _prepare(config, files, out)
    fingerprints = fingerprints_of(config, files)
    parser = RowParser(config, files)
    found = survey(config, files, parser, progress)
    found.survey.write(out / SURVEY_FILE)
    log = RawLog(config, files, found.survey, fingerprints, parser)
    probe = write_probe(log, out, config.serving.probe_rows, found.seen)
    return Ingested(
        {**found.survey.rows, PROBE: probe},
        found.malformed,
        found.examples,
        found.unmatched,
        found.click_rate,
    )


def ingest_typed(
    config: Config, files: Sequence[Path], out: Path, progress: Callable[[int], None]
) -> Ingested:
    """Write `out/<split>/part-*.parquet` for train, valid, test and probe.

    Columns are those of `config.features` in order, then `click`. Rows wait in `out/typed` until
    all are read. For the rest see `ingest`.
    """
    _prepare(config, files, out)
    reader = _LogReader(config, tuple(files), out / _TYPED)
    typed = reader.read(progress)
    click_rate, rows = _write_splits(config, typed, out)
    shutil.rmtree(out / _TYPED)
    copy = TypedParquet({split: out / split for split in SPLITS}, config.features)
    rows[PROBE] = write_probe(copy, out, config.serving.probe_rows)
    malformed = reader.malformed
    examples = tuple(malformed.examples)
    return Ingested(rows, malformed.count, examples, reader.unmatched, click_rate)


def fingerprints_of(config: Config, files: Sequence[Path]) -> list[Fingerprint]:
    """Of all files that are read: the log's, then the side tables'."""
    tables = table_files(config, tuple(files)).values()
    return [Fingerprint.of(file) for file in (*files, *tables)]


def _prepare(config: Config, files: Sequence[Path], out: Path) -> None:
    check_files(config, files)
    for name in (*SPLITS, PROBE, _TYPED):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / SURVEY_FILE).unlink(missing_ok=True)


class _LogReader:
    """Reads, types and joins the log, batch by batch."""

    def __init__(self, config: Config, files: tuple[Path, ...], folder: Path) -> None:
        self.malformed = MalformedLines(config.log.malformed_limit, "log.malformed_limit")
        self.unmatched = dict.fromkeys(config.tables, 0)
        self._config = config
        self._files = files
        self._folder = folder
        self._kinds = log_kinds(config)
        self._tables = load_tables(config, files)

    def read(self, progress: Callable[[int], None]) -> list[TypedRows]:
        self._folder.mkdir(parents=True)
        parts: list[TypedRows] = []
        for position, file in enumerate(self._files):
            for frame in self._batches(file, progress):
                path = self._folder / f"{len(parts):07d}.arrow"
                parts.append(TypedRows.write(path, position, frame))
        if not parts:
            raise DataError(f"No usable row in the log. The first: {self.malformed.examples[0]}.")
        return parts

    def _batches(self, file: Path, progress: Callable[[int], None]) -> Iterable[pl.DataFrame]:
        lines = 0
        log = self._config.log
        for raw in read_raw_rows(file, log, tuple(self._kinds)):
            frame, faults = convert(file, raw, self._kinds, self._config.label, log)
            self.malformed.record(file, [*raw.faults, *faults])
            read = len(raw.numbers) + len(raw.faults)
            lines += read
            progress(read)
            if len(frame) > 0:
                yield self._joined(frame)
        if lines == 0:
            raise DataError(f"{file}: the file holds no rows.")

    def _joined(self, frame: pl.DataFrame) -> pl.DataFrame:
        for table in self._tables:
            frame, unmatched = table.join(frame)
            self.unmatched[table.name] += unmatched
        return frame


def _write_splits(
    config: Config, typed: Sequence[TypedRows], out: Path
) -> tuple[dict[str, float], dict[str, int]]:
    """Click rate and rows of each split."""
    assign = assignment(config, sum(part.rows for part in typed))
    schema = typed_schema(config.features)
    with ExitStack() as stack:
        writers = [stack.enter_context(PartWriter(out / name, schema)) for name in SPLITS]
        first = 0
        for frame, file in _in_order(config, typed):
            splits = assign(first, len(frame), file)
            for position in np.unique(splits):
                writers[position].write(frame.filter(pl.Series(splits == position)))
            first += len(frame)
    for name, writer in zip(SPLITS, writers, strict=True):
        require_both_classes(name, writer.rows, writer.clicks)
    rates = {n: writer.clicks / writer.rows for n, writer in zip(SPLITS, writers, strict=True)}
    return rates, {name: writer.rows for name, writer in zip(SPLITS, writers, strict=True)}


def _in_order(config: Config, typed: Sequence[TypedRows]) -> Iterable[tuple[pl.DataFrame, int]]:
    if config.split.by == "time":
        return ((frame, 0) for frame in sorted_by_time(typed))
    return ((part.frame(), part.file) for part in typed)
