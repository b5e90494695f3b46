"""The survey of a log: one pass that collects what later passes need.

It counts the usable rows of each chunk, so a chunk can be parsed alone and its rows get the same
splits as in a pass over the whole log. It also reports all faults of the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.base.files import write_json
from plumbline.base.json_text import read_json
from plumbline.columns.kinds import FeatureKind
from plumbline.rawlogs.estimate import bytes_of_rows
from plumbline.rawlogs.general_parser import Parsed, RawChunk
from plumbline.rawlogs.log_pass import LogPass
from plumbline.rawlogs.malformed import MalformedLines
from plumbline.rawlogs.probe import seen_candidates
from plumbline.rawlogs.row_parser import RowParser
from plumbline.rawlogs.splits.counts import Counted, SplitCounts
from plumbline.rawlogs.splits.split import Assignment, RowSpan, assignment
from plumbline.rawlogs.text.blocks import TextBlock
from plumbline.settings import Config

ROWS_PER_CHUNK = 250_000
SMALLEST_CHUNK_BYTES = 1 << 20
LARGEST_CHUNK_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class SurveyedFile:
    """A log file's chunks.

    The chunks of a text file are contiguous: the first begins at `start`, each ends at its offset
    in `ends`, in bytes of the decompressed file. For a Parquet file `ends` is empty.
    """

    names: tuple[str, ...]
    """The columns of a text file, in its order."""
    start: int
    ends: tuple[int, ...]
    rows: tuple[int, ...]
    """The usable rows of each chunk."""
    split_rows: tuple[tuple[int, ...], ...]
    """For each chunk, its rows in train, valid and test."""
    sha256: tuple[str, ...]
    """`TextBlock.sha256` of each chunk of a text file."""


@dataclass(frozen=True, slots=True)
class Survey:
    """How the log's files are cut into chunks, and how many rows each has."""

    chunk_bytes: int
    files: tuple[SurveyedFile, ...]
    rows: dict[str, int]
    """Split (train, valid, test) to its number of rows."""

    def write(self, file: Path) -> None:
        write_json(file, asdict(self))

    @classmethod
    def read(cls, file: Path) -> Survey:
        """Raises DataError if the file is missing or not a survey."""
        try:
            content = read_json(file)
            files = tuple(
                SurveyedFile(
                    tuple(found["names"]),
                    found["start"],
                    tuple(found["ends"]),
                    tuple(found["rows"]),
                    tuple(tuple(rows) for rows in found["split_rows"]),
                    tuple(found["sha256"]),
                )
                for found in content["files"]
            )
            return cls(content["chunk_bytes"], files, content["rows"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{file}: not the survey of a log ({type(error).__name__} {error}). "
                "Run again with --from ingest."
            ) from None


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A survey and its other results; see `plumbline.rawlogs.ingest.Ingested`."""

    survey: Survey
    splits: Counted
    malformed: MalformedLines
    unmatched: dict[str, int]
    missing: dict[str, int]
    seen: dict[str, set[int | str]]
    """See `plumbline.rawlogs.probe.seen_candidates`, over all rows."""


def survey(
    config: Config, files: Sequence[Path], parser: RowParser, progress: Callable[[int], None]
) -> Surveyed:
    """Read all files once, in chunks, with one thread per core.

    `progress` gets the number of lines read since the last call. A split by rows needs one bit of
    memory per row.

    Raises
    ------
    DataError
        A file is not usable, too many lines are malformed, or a split is empty or one-sided.
    """
    chunk_bytes = _chunk_bytes(config, files)
    log = LogPass(config, files, parser)
    splits = _ChunkSplits(config)
    seen: dict[str, set[int | str]] = {name: set() for name in parser.features}
    surveyed = [_FileChunks() for _ in files]
    for position, chunk in log.run(chunk_bytes, partial(_summarize, parser.features), progress):
        surveyed[position].add(chunk)
        splits.add(position, chunk)
        for name, values in chunk.candidates.items():
            seen[name] |= values
    split_rows, counted = splits.result(parser.label_words)
    return Surveyed(
        Survey(chunk_bytes, tuple(file.frozen(split_rows) for file in surveyed), counted.rows),
        counted,
        log.malformed,
        log.unmatched,
        log.missing,
        seen,
    )


@dataclass(frozen=True, slots=True)
class _ChunkSummary:
    """What is kept of a chunk in place of its rows."""

    click: NDArray[np.int8]
    candidates: Mapping[str, set[int | str]]
    names: tuple[str, ...]
    start: int
    end: int
    sha256: str
    group: NDArray[np.uint64] | None


def _summarize(kinds: Mapping[str, FeatureKind], chunk: RawChunk, parsed: Parsed) -> _ChunkSummary:
    click, candidates = parsed.rows.click, seen_candidates(parsed.rows, kinds)
    if isinstance(chunk, TextBlock):
        names, start, end = tuple(chunk.names), chunk.start, chunk.end
        return _ChunkSummary(click, candidates, names, start, end, chunk.sha256(), parsed.group)
    return _ChunkSummary(click, candidates, (), 0, 0, "", parsed.group)


class _FileChunks:
    """Collects the chunks of a file, in order."""

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._start = 0
        self._ends: list[int] = []
        self._rows: list[int] = []
        self._sha256: list[str] = []

    def add(self, chunk: _ChunkSummary) -> None:
        if not self._rows:
            self._names, self._start = chunk.names, chunk.start
        self._ends.append(chunk.end)
        self._rows.append(len(chunk.click))
        self._sha256.append(chunk.sha256)

    def frozen(self, split_rows: Iterator[tuple[int, ...]]) -> SurveyedFile:
        """Takes one item of `split_rows` per chunk."""
        ends, sha256 = (tuple(self._ends), tuple(self._sha256)) if self._names else ((), ())
        of_chunks = tuple(islice(split_rows, len(self._rows)))
        return SurveyedFile(self._names, self._start, ends, tuple(self._rows), of_chunks, sha256)


class _ChunkSplits:
    """Counts the rows of each split, chunk by chunk."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._counts = SplitCounts()
        self._split_rows: list[tuple[int, ...]] = []
        self._rows = 0
        self._held: list[tuple[int, int, NDArray[np.uint8]]] = []
        """File, rows and clicks (a bit per row) of each chunk, if splits depend on the total."""

    def add(self, file: int, chunk: _ChunkSummary) -> None:
        if self._config.split.by == "rows":
            self._held.append((file, len(chunk.click), np.packbits(chunk.click != 0)))
        else:
            rows = RowSpan(self._rows, file, chunk.click, chunk.group)
            self._count(assignment(self._config, 0), rows)
        self._rows += len(chunk.click)

    def result(self, label_words: Sequence[str]) -> tuple[Iterator[tuple[int, ...]], Counted]:
        """The rows of each split, per chunk and in all; DataError if a split has one class only."""
        assign, first = assignment(self._config, self._rows), 0
        for file, rows, bits in self._held:
            click = np.unpackbits(bits, count=rows).view(np.int8)
            self._count(assign, RowSpan(first, file, click))
            first += rows
        self._held.clear()
        return iter(self._split_rows), self._counts.result(self._config, label_words)

    def _count(self, assign: Assignment, rows: RowSpan) -> None:
        self._split_rows.append(self._counts.add(assign(rows), rows.click))


def _chunk_bytes(config: Config, files: Sequence[Path]) -> int:
    if config.log.format == "parquet":
        return LARGEST_CHUNK_BYTES  # not used
    first = next((file for file in files if file.stat().st_size > 0), files[0])
    wanted = bytes_of_rows(config.log, first, ROWS_PER_CHUNK)
    return min(max(wanted, SMALLEST_CHUNK_BYTES), LARGEST_CHUNK_BYTES)
