"""One pass over a whole log, which reports every fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from plumbline.base.errors import DataError
from plumbline.base.read_ahead import THREADS, read_ahead
from plumbline.columns.values import is_missing
from plumbline.rawlogs.general_parser import Parsed, RawChunk
from plumbline.rawlogs.malformed import Fault, MalformedLines
from plumbline.rawlogs.row_parser import RowParser
from plumbline.settings import Config

Summary = TypeVar("Summary")


class LogPass:
    """Parses a log's chunks, a thread per core; counts malformed lines, unmatched rows and missing
    values of the feature columns."""

    def __init__(self, config: Config, files: Sequence[Path], parser: RowParser) -> None:
        self.malformed = MalformedLines(config.log.malformed_limit, "log.malformed_limit")
        self.unmatched = dict.fromkeys(config.tables, 0)
        self.missing = dict.fromkeys(config.features, 0)
        self._files = files
        self._parser = parser

    def run(
        self,
        chunk_bytes: int,
        summarize: Callable[[RawChunk, Parsed], Summary],
        progress: Callable[[int], None],
    ) -> Iterator[tuple[int, Summary]]:
        """Yields the index of each chunk's file and the chunk's summary, in the log's order.

        `summarize` runs in the threads that parse. `progress` gets the number of lines read since
        the last call.

        Raises
        ------
        DataError
            A file is not usable, too many lines are malformed, or the log has no usable row.
        """
        usable, read = 0, 0
        with ThreadPoolExecutor(THREADS) as pool:
            for position, file in enumerate(self._files):
                chunks = self._parser.chunks(file, chunk_bytes)
                work = (partial(self._summarize, summarize, file, chunk) for chunk in chunks)
                lines = 0
                for result in read_ahead(pool, work, THREADS):
                    self._record(file, lines, result)
                    usable += result.rows
                    lines += result.lines
                    progress(result.rows + len(result.faults))
                    read += result.rows + len(result.faults)
                    yield position, result.summary
        if read == 0 and len(self._files) == 1:
            raise DataError(f"{self._files[0]}: the file holds no rows.")
        if read == 0:
            raise DataError(f"{self._files[0]}: this file and all others of the log hold no rows.")
        if usable == 0:
            first = f"{self.malformed.examples[0]}{self.malformed.advised()}"
            raise DataError(f"No usable row in the log. The first: {first}.")

    def _summarize(
        self, summarize: Callable[[RawChunk, Parsed], Summary], file: Path, chunk: RawChunk
    ) -> _ChunkResult[Summary]:
        parsed = self._parser.parse(file, chunk)
        summary = summarize(chunk, parsed)
        rows = len(parsed.rows)
        missing = {
            name: int(np.count_nonzero(is_missing(values)))
            for name, values in parsed.rows.columns.items()
        }
        return _ChunkResult(summary, rows, parsed.faults, parsed.lines, parsed.unmatched, missing)

    def _record(self, file: Path, lines: int, result: _ChunkResult[Summary]) -> None:
        """`lines` is the number of the file's lines before the chunk."""
        self.malformed.record(file, [fault.further(lines) for fault in result.faults])
        for table, count in result.unmatched.items():
            self.unmatched[table] += count
        for name, count in result.missing.items():
            self.missing[name] += count


@dataclass(frozen=True, slots=True)
class _ChunkResult(Generic[Summary]):
    """A summary in place of the chunk's rows; for the other fields see `Parsed`."""

    summary: Summary
    rows: int
    faults: Sequence[Fault]
    lines: int
    unmatched: Mapping[str, int]
    missing: Mapping[str, int]
    """Feature column to its number of missing values."""
