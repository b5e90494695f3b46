"""Ingests a raw log: a survey and a probe split, or a typed Parquet copy of each split."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from plumbline.columns.kinds import CLICK
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.rawlogs.convert import TIME
from plumbline.rawlogs.fingerprint import Fingerprint
from plumbline.rawlogs.frames import frame_of_rows
from plumbline.rawlogs.general_parser import Parsed, RawChunk
from plumbline.rawlogs.log_pass import LogPass
from plumbline.rawlogs.malformed import MalformedLines
from plumbline.rawlogs.parts import TypedRows, TypedWriter
from plumbline.rawlogs.probe import write_probe
from plumbline.rawlogs.raw_log import RawLog
from plumbline.rawlogs.row_parser import RowParser
from plumbline.rawlogs.side_tables import table_files
from plumbline.rawlogs.splits.counts import Counted, SplitCounts
from plumbline.rawlogs.splits.course import Course
from plumbline.rawlogs.splits.groups import GROUP
from plumbline.rawlogs.splits.split import SPLITS, RowSpan, assignment, check_files
from plumbline.rawlogs.splits.time_order import sorted_by_time, times_of
from plumbline.rawlogs.survey import survey
from plumbline.rawlogs.text.blocks import BLOCK_BYTES
from plumbline.settings import Config, TimeSplit

PROBE = "probe"
SURVEY_FILE = "survey.json"
_TYPED = "typed"


@dataclass(frozen=True, slots=True)
class Ingested:
    """What the ingest read and wrote."""

    rows: dict[str, int]
    """Split (train, valid, test, probe) to its number of rows."""
    malformed: int
    """Log lines without a usable row."""
    examples: tuple[str, ...]
    """The first malformed lines, as `file:line: reason`."""
    advice: tuple[str, ...]
    """Settings under which these would be read."""
    unmatched: dict[str, int]
    """Side table to the number of log rows whose key it does not have."""
    missing: dict[str, int]
    """Feature column to the number of log rows without a value in it."""
    click_rate: dict[str, float]
    """Split (train, valid, test) to its share of clicks, for train before negatives are dropped."""
    left_out: dict[str, int]
    """Reason (see `splits.split.LEFT_OUT`) to the number of rows in no split."""
    sampled_click_rate: float
    keep_negatives: float
    """See `plumbline.rawlogs.splits.counts.Counted`."""
    course: Course
    """The clicks along the log, in the order of the splits' rows."""

    @classmethod
    def of(
        cls,
        splits: Counted,
        probe: int,
        malformed: MalformedLines,
        unmatched: dict[str, int],
        missing: dict[str, int],
    ) -> Ingested:
        return cls(
            {**splits.rows, PROBE: probe},
            malformed.count,
            tuple(malformed.examples),
            tuple(malformed.advice),
            unmatched,
            missing,
            splits.click_rate,
            splits.left_out,
            splits.sampled_click_rate,
            splits.keep_negatives,
            splits.course,
        )


def ingest(
    config: Config, files: Sequence[Path], out: Path, progress: Callable[[int], None]
) -> Ingested:
    """Write `out/survey.json`, which `RawLog` needs to read the log's rows, and `out/probe`.

    A split by time needs sorted rows, so it needs a typed copy: see `ingest_typed`. `progress` gets
    the number of log lines read since the last call. The output of an earlier attempt in `out` is
    deleted first.

    Raises
    ------
    DataError
        A file is not usable, too many lines are malformed, or a split is empty or one-sided.
    """
    if config.split.by == "time":
        raise ValueError("a split by time needs a typed copy: use ingest_typed")
    _prepare(config, files, out)
    fingerprints = fingerprints_of(config, files)
    parser = RowParser(config, files)
    found = survey(config, files, parser, progress)
    found.survey.write(out / SURVEY_FILE)
    log = RawLog(config, files, found.survey, fingerprints, parser)
    # The survey also counts rows in no split, whose values are unseen in the splits.
    seen = None if any(found.splits.left_out.values()) else found.seen
    probe = write_probe(log, out, config.serving.probe_rows, seen)
    return Ingested.of(found.splits, probe, found.malformed, found.unmatched, found.missing)


def ingest_typed(
    config: Config, files: Sequence[Path], out: Path, progress: Callable[[int], None]
) -> Ingested:
    """Write `out/<split>/part-*.parquet` for train, valid, test and probe.

    The columns are those of `config.features` in order, then `click`. Rows are kept in `out/typed`
    until all are read. Otherwise as `ingest`.
    """
    _prepare(config, files, out)
    parser = RowParser(config, files)
    log = LogPass(config, files, parser)
    typed = _typed_rows(out / _TYPED, log.run(BLOCK_BYTES, _frame, progress))
    splits = _write_splits(config, typed, out, parser.label_words)
    shutil.rmtree(out / _TYPED)
    copy = TypedParquet({split: out / split for split in SPLITS}, config.features)
    probe = write_probe(copy, out, config.serving.probe_rows)
    return Ingested.of(splits, probe, log.malformed, log.unmatched, log.missing)


def fingerprints_of(config: Config, files: Sequence[Path]) -> list[Fingerprint]:
    """Fingerprints of the log's files, then of the side tables."""
    tables = table_files(config, tuple(files)).values()
    return [Fingerprint.of(file) for file in (*files, *tables)]


def _prepare(config: Config, files: Sequence[Path], out: Path) -> None:
    check_files(config, files)
    for name in (*SPLITS, PROBE, _TYPED):
        shutil.rmtree(out / name, ignore_errors=True)
    (out / SURVEY_FILE).unlink(missing_ok=True)


def _typed_rows(folder: Path, frames: Iterable[tuple[int, pl.DataFrame]]) -> list[TypedRows]:
    folder.mkdir(parents=True)
    parts: list[TypedRows] = []
    for position, frame in frames:
        if len(frame) > 0:
            parts.append(TypedRows.write(folder / f"{len(parts):07d}.arrow", position, frame))
    return parts


def _frame(chunk: RawChunk, parsed: Parsed) -> pl.DataFrame:
    frame = frame_of_rows(parsed.rows)
    if parsed.time is not None:
        frame = frame.with_columns(pl.Series(TIME, parsed.time))
    if parsed.group is not None:
        frame = frame.with_columns(pl.Series(GROUP, parsed.group))
    return frame


def _write_splits(
    config: Config, typed: Sequence[TypedRows], out: Path, label_words: Sequence[str]
) -> Counted:
    split = config.split
    times = times_of(typed) if isinstance(split, TimeSplit) and split.gap else None
    assign = assignment(config, sum(part.rows for part in typed), times)
    schema, counts = typed_schema(config.features), SplitCounts()
    with ExitStack() as stack:
        writers = [stack.enter_context(TypedWriter(out / name, schema)) for name in SPLITS]
        first = 0
        for frame, file in _in_order(config, typed):
            click = frame[CLICK].to_numpy()
            group = frame[GROUP].to_numpy() if GROUP in frame.columns else None
            splits = assign(RowSpan(first, file, click, group))
            for position, rows in enumerate(counts.add(splits, click)):
                if rows:
                    writers[position].write(frame.filter(pl.Series(splits == position)))
            first += len(frame)
    return counts.result(config, label_words)


def _in_order(config: Config, typed: Sequence[TypedRows]) -> Iterable[tuple[pl.DataFrame, int]]:
    if config.split.by == "time":
        return ((frame, 0) for frame in sorted_by_time(typed))
    return ((part.frame(), part.file) for part in typed)
