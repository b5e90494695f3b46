"""One pass over a whole log that reports everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from plumbline.base.errors import DataError
from plumbline.base.read_ahead import THREADS, read_ahead
from plumbline.rawlogs.general_parser import Parsed, RawChunk
from plumbline.rawlogs.malformed import Fault, MalformedLines
from plumbline.rawlogs.row_parser import RowParser
from plumbline.settings import Config

Look = TypeVar("Look")


class LogPass:
    """Parses a log's chunks in as many threads as there are cores, and counts what is amiss."""

    def __init__(self, config: Config, files: Sequence[Path], parser: RowParser) -> None:
        self.malformed = MalformedLines(config.log.malformed_limit, "log.malformed_limit")
        self.unmatched = dict.fromkeys(config.tables, 0)
        self._files = files
        self._parser = parser

    def run(
        self,
        chunk_bytes: int,
        look: Callable[[RawChunk, Parsed], Look],
        progress: Callable[[int], None],
    ) -> Iterator[tuple[int, Look]]:
        """The position of each chunk's file, and what `look` keeps of it, in the log's order.

        `look` is called in the threads that parse. `progress` is called with the number of further
        lines read.

        Raises
        ------
        DataError
            A file is not usable, too many lines are malformed, or the log has no usable row.
        """
        usable, read = 0, 0
        with ThreadPoolExecutor(THREADS) as pool:
            for position, file in enumerate(self._files):
                chunks = self._parser.chunks(file, chunk_bytes)
                work = (partial(self._look, look, file, chunk) for chunk in chunks)
                lines = 0
                for found in read_ahead(pool, work, THREADS):
                    self._record(file, lines, found)
                    usable += found.rows
                    lines += found.lines
                    progress(found.rows + len(found.faults))
                    read += found.rows + len(found.faults)
                    yield position, found.kept
        if read == 0 and len(self._files) == 1:
            raise DataError(f"{self._files[0]}: the file holds no rows.")
        if read == 0:
            raise DataError(f"{self._files[0]}: this file and all others of the log hold no rows.")
        if usable == 0:
            first = f"{self.malformed.examples[0]}{self.malformed.advised()}"
            raise DataError(f"No usable row in the log. The first: {first}.")

    def _look(
        self, look: Callable[[RawChunk, Parsed], Look], file: Path, chunk: RawChunk
    ) -> _Found[Look]:
        parsed = self._parser.parse(file, chunk)
        kept = look(chunk, parsed)
        rows = len(parsed.rows)
        return _Found(kept, rows, parsed.faults, parsed.lines, parsed.unmatched)

    def _record(self, file: Path, lines: int, found: _Found[Look]) -> None:
        """A chunk before which the file has `lines` lines."""
        self.malformed.record(file, [fault.further(lines) for fault in found.faults])
        for table, count in found.unmatched.items():
            self.unmatched[table] += count


@dataclass(frozen=True, slots=True)
class _Found(Generic[Look]):
    """What is kept of a chunk, instead of its rows; see `Parsed` for the rest."""

    kept: Look
    rows: int
    faults: Sequence[Fault]
    lines: int
    unmatched: Mapping[str, int]
