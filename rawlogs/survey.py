"""The survey of a log: one pass that finds what every later pass has to know beforehand.

It counts the usable rows of each piece, so that any piece can be parsed alone and its rows still
get the splits that they would get in one pass over all; and it does all complaining about the log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from features.errors import DataError
from features.files import write_json
from features.reading import THREADS, read_ahead
from features.settings import Config
from rawlogs.estimate import bytes_of_rows
from rawlogs.malformed import Fault, MalformedLines
from rawlogs.probe import seen_candidates
from rawlogs.raw_rows import TextBlock
from rawlogs.row_parser import Piece, RowParser
from rawlogs.split import SPLITS, Assignment, assignment

ROWS_A_PIECE = 250_000
SMALLEST_PIECE_BYTES = 1 << 20
LARGEST_PIECE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class SurveyedFile:
    """A log file's pieces.

    Those of a text file follow each other without gaps: the first begins at `start`, each ends at
    its place in `ends`, in bytes of the (decompressed) file. Of a Parquet file `ends` is empty.
    """

    names: tuple[str, ...]
    """The columns of a text file, in its order."""
    start: int
    ends: tuple[int, ...]
    rows: tuple[int, ...]
    """The usable rows of each piece."""


@dataclass(frozen=True, slots=True)
class Survey:
    """How the log's files are cut into pieces, and how many rows each has."""

    piece_bytes: int
    files: tuple[SurveyedFile, ...]
    rows: dict[str, int]
    """Split (train, valid, test) to its rows."""

    def write(self, file: Path) -> None:
        write_json(file, asdict(self))

    @classmethod
    def read(cls, file: Path) -> Survey:
        """Raises DataError where the file is missing or is no survey."""
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            files = tuple(
                SurveyedFile(
                    tuple(found["names"]),
                    found["start"],
                    tuple(found["ends"]),
                    tuple(found["rows"]),
                )
                for found in content["files"]
            )
            return cls(content["piece_bytes"], files, content["rows"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{file}: not the survey of a log ({type(error).__name__} {error}). "
                "Run again with --from ingest."
            ) from None


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A survey, and what was found out besides; see `rawlogs.ingest.Ingested`."""

    survey: Survey
    click_rate: dict[str, float]
    malformed: int
    examples: tuple[str, ...]
    unmatched: dict[str, int]
    seen: dict[str, set[int | str]]
    """See `rawlogs.probe.seen_candidates`, over all rows."""


def survey(
    config: Config, files: Sequence[Path], parser: RowParser, progress: Callable[[int], None]
) -> Surveyed:
    """Read all files once, some pieces at a time, in as many threads as there are cores.

    `progress` is called with the number of further lines read. Where the split is by rows, memory
    holds one bit a row.

    Raises
    ------
    DataError
        A file is not usable, too many lines are malformed, or a split is empty or one-sided.
    """
    piece_bytes = _piece_bytes(config, files)
    tally = _Tally(config)
    with ThreadPoolExecutor(THREADS) as pool:
        found = tuple(
            _survey_file(parser, position, file, piece_bytes, pool, tally, progress)
            for position, file in enumerate(files)
        )
    rows, clicks = tally.of_splits()
    for split in SPLITS:
        require_both_classes(split, rows[split], clicks[split])
    rate = {split: clicks[split] / rows[split] for split in SPLITS}
    malformed = tally.malformed
    return Surveyed(
        Survey(piece_bytes, found, rows),
        rate,
        malformed.count,
        tuple(malformed.examples),
        tally.unmatched,
        tally.seen,
    )


def require_both_classes(split: str, rows: int, clicks: int) -> None:
    """Raises DataError where a split has no rows, or rows of one class alone."""
    if not 0 < clicks < rows:
        raise DataError(
            f"Split {split!r} holds {rows} rows, {clicks} of them clicks: wanted rows with clicks "
            "and rows without. Give more rows, or change split or label in the configuration."
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept of a piece; its rows are not."""

    click: NDArray[np.int8]
    faults: Sequence[Fault]
    lines: int
    read: int
    unmatched: Mapping[str, int]
    candidates: Mapping[str, set[int | str]]
    start: int
    end: int
    names: tuple[str, ...]


def _see(parser: RowParser, file: Path, piece: Piece) -> _Seen:
    parsed = parser.parse(file, piece)
    start, end = 0, 0
    names: tuple[str, ...] = ()
    if isinstance(piece, TextBlock):
        start, end, names = piece.raw.start, piece.raw.end, tuple(piece.names)
    return _Seen(
        parsed.rows.click,
        parsed.faults,
        parsed.lines,
        parsed.read,
        parsed.unmatched,
        seen_candidates(parsed.rows, parser.features),
        start,
        end,
        names,
    )


def _survey_file(
    parser: RowParser,
    position: int,
    file: Path,
    piece_bytes: int,
    pool: ThreadPoolExecutor,
    tally: _Tally,
    progress: Callable[[int], None],
) -> SurveyedFile:
    names: tuple[str, ...] = ()
    ends: list[int] = []
    rows: list[int] = []
    start, lines, read = 0, 0, 0
    work = (partial(_see, parser, file, piece) for piece in parser.pieces(file, piece_bytes))
    for seen in read_ahead(pool, work, THREADS):
        tally.add(position, file, lines, seen)
        if not rows:
            names, start = seen.names, seen.start
        ends.append(seen.end)
        rows.append(len(seen.click))
        lines += seen.lines
        read += seen.read
        progress(seen.read)
    if read == 0:
        raise DataError(f"{file}: the file holds no rows.")
    is_text = bool(names)
    return SurveyedFile(names, start, tuple(ends) if is_text else (), tuple(rows))


class _Tally:
    """Rows and clicks of each split, malformed lines, unmatched keys, as pieces come in order."""

    def __init__(self, config: Config) -> None:
        self.malformed = MalformedLines(config.log.malformed_limit, "log.malformed_limit")
        self.unmatched = dict.fromkeys(config.tables, 0)
        self.seen: dict[str, set[int | str]] = {name: set() for name in config.features}
        self._config = config
        self._rows = np.zeros(len(SPLITS), np.int64)
        self._clicks = np.zeros(len(SPLITS), np.int64)
        self._count = 0
        self._held: list[tuple[int, int, NDArray[np.uint8]]] = []
        """Rows, file, and click bits of pieces whose splits depend on the number of all rows."""

    def add(self, position: int, file: Path, lines: int, seen: _Seen) -> None:
        """A piece before which the file has `lines` lines."""
        self.malformed.record(file, [Fault(f.line + lines, f.reason) for f in seen.faults])
        for table, count in seen.unmatched.items():
            self.unmatched[table] += count
        for name, values in seen.candidates.items():
            self.seen[name] |= values
        if self._config.split.by == "rows":
            self._held.append((len(seen.click), position, np.packbits(seen.click != 0)))
        else:
            assign = assignment(self._config, 0)
            self._assign(assign, self._count, position, seen.click)
        self._count += len(seen.click)

    def of_splits(self) -> tuple[dict[str, int], dict[str, int]]:
        """The rows and the clicks of each split."""
        if self._count == 0:
            raise DataError(f"No usable row in the log. The first: {self.malformed.examples[0]}.")
        first = 0
        assign = assignment(self._config, self._count)
        for rows, position, bits in self._held:
            self._assign(assign, first, position, np.unpackbits(bits, count=rows).view(np.int8))
            first += rows
        self._held.clear()
        rows_of = dict(zip(SPLITS, self._rows.tolist(), strict=True))
        return rows_of, dict(zip(SPLITS, self._clicks.tolist(), strict=True))

    def _assign(
        self, assign: Assignment, first: int, position: int, click: NDArray[np.int8]
    ) -> None:
        splits = assign(first, len(click), position)
        self._rows += np.bincount(splits, minlength=len(SPLITS))
        self._clicks += np.bincount(splits[click != 0], minlength=len(SPLITS))


def _piece_bytes(config: Config, files: Sequence[Path]) -> int:
    if config.log.format == "parquet":
        return LARGEST_PIECE_BYTES  # not used
    wanted = bytes_of_rows(files[0], ROWS_A_PIECE)
    return min(max(wanted, SMALLEST_PIECE_BYTES), LARGEST_PIECE_BYTES)
