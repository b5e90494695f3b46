"""The rows of a surveyed log, read from the raw files each time an engine needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, repeat
from pathlib import Path

from plumbline.base.errors import DataError
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.rows import Chunk, Rows
from plumbline.rawlogs.fingerprint import Fingerprint
from plumbline.rawlogs.general_parser import RawChunk
from plumbline.rawlogs.raw_rows import declared_constants
from plumbline.rawlogs.row_parser import RowParser
from plumbline.rawlogs.side_tables import table_files
from plumbline.rawlogs.splits.split import SPLITS, RowSpan, assignment
from plumbline.rawlogs.survey import Survey, SurveyedFile
from plumbline.rawlogs.text.blocks import TextBlock
from plumbline.rawlogs.text.streams import TextFormat
from plumbline.settings import Config, Table


class RawLog:
    """A `RowSource` of the splits train, valid and test, in the chunks of the survey.

    Its rows are those of a typed copy. A chunk of plain text reads its bytes when it is called. A
    chunk of a compressed or Parquet file holds the bytes from the moment it is yielded, so the
    caller bounds the memory by taking only a few chunks ahead.

    `fingerprints` are those of the log's files, then of the side tables, at the time of the survey.

    Raises
    ------
    DataError
        A file has changed since the survey. Text is checked chunk by chunk as it is read; of a
        Parquet file and of the side tables, only names, sizes and times are.
    """

    def __init__(
        self,
        config: Config,
        files: Sequence[Path],
        survey: Survey,
        fingerprints: Sequence[Fingerprint],
        parser: RowParser | None = None,
    ) -> None:
        self._config = config
        self._files = tuple(files)
        self._survey = survey
        self._fingerprints = tuple(fingerprints)
        self._require_unchanged()
        self._parser = parser or RowParser(config, files)
        self._assign = assignment(config, sum(sum(file.rows) for file in survey.files))

    @property
    def kinds(self) -> Mapping[str, FeatureKind]:
        return self._config.features

    @property
    def splits(self) -> Mapping[str, int]:
        return self._survey.rows

    def chunks(self, split: str) -> Iterator[Chunk]:
        """See `plumbline.columns.rows.RowSource.chunks`."""
        self._require_unchanged()
        wanted, first = SPLITS.index(split), 0
        for position, surveyed in enumerate(self._survey.files):
            chunks = _chunks_of(wanted, first, position, surveyed)
            yield from self._of_file(position, surveyed, chunks)
            first += sum(surveyed.rows)

    def _require_unchanged(self) -> None:
        tables = table_files(self._config, self._files).values()
        for file, fingerprint in zip((*self._files, *tables), self._fingerprints, strict=True):
            fingerprint.require(file)

    def _of_file(
        self, position: int, surveyed: SurveyedFile, wanted: Iterator[_SurveyedChunk]
    ) -> Iterator[Chunk]:
        file = self._files[position]
        if surveyed.ends and TextFormat.of(file, self._config.log).is_plain:
            names, bounds = surveyed.names, (surveyed.start, *surveyed.ends)
            constants = declared_constants(file, self._config.log)
            for chunk in wanted:
                start, end = bounds[chunk.number : chunk.number + 2]
                yield partial(self._read_rows, chunk, start, end, names, constants)
            return
        raw_chunks = self._parser.chunks(file, self._survey.chunk_bytes)
        number = -1
        for chunk in wanted:
            raw: RawChunk | None = None
            while number < chunk.number:
                raw = next(raw_chunks, None)
                number += 1
            if raw is None:
                raise _changed(file)
            yield partial(self._rows, chunk, raw)

    def _read_rows(
        self,
        chunk: _SurveyedChunk,
        start: int,
        end: int,
        names: Sequence[str],
        constants: Mapping[str, str | None],
    ) -> Rows:
        text = read_text(self._files[chunk.file], start, end)
        return self._rows(chunk, TextBlock(text, start, names, constants=constants))

    def _rows(self, chunk: _SurveyedChunk, raw: RawChunk) -> Rows:
        file = self._files[chunk.file]
        if isinstance(raw, TextBlock) and raw.sha256() != chunk.sha256:
            raise _changed(file)
        parsed = self._parser.parse(file, raw)
        rows, click = parsed.rows, parsed.rows.click
        if len(click) != chunk.rows:
            raise _changed(file)
        if chunk.split_rows == chunk.rows:
            return rows
        mask = self._assign(RowSpan(chunk.first, chunk.file, click, parsed.group)) == chunk.split
        if mask.sum() != chunk.split_rows:
            raise _changed(file)
        return rows.take(mask)


@dataclass(frozen=True, slots=True)
class _SurveyedChunk:
    """A chunk: index in its file, first row in the log, rows, file, split, hash of its text."""

    number: int
    first: int
    rows: int
    file: int
    split: int
    split_rows: int
    sha256: str | None


def _chunks_of(
    split: int, first: int, file: int, surveyed: SurveyedFile
) -> Iterator[_SurveyedChunk]:
    """The chunks of a file with rows of the split; `first` is the file's first row in the log."""
    firsts = accumulate(surveyed.rows, initial=first)
    hashes = surveyed.sha256 or repeat(None)
    chunks = zip(firsts, surveyed.rows, surveyed.split_rows, hashes, strict=False)
    for number, (start, rows, of_splits, sha256) in enumerate(chunks):
        if of_splits[split]:
            yield _SurveyedChunk(number, start, rows, file, split, of_splits[split], sha256)


def are_read_apart(files: Sequence[Path], log: Table) -> bool:
    """Whether each chunk of a `RawLog` of these files reads its own bytes, in any process.

    Those of compressed and of Parquet files are read on the way to them.
    """
    return log.format != "parquet" and all(TextFormat.of(file, log).is_plain for file in files)


def read_text(file: Path, start: int, end: int) -> bytes:
    """The bytes of a plain file from the start of a row to the end of a row, with its newline.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    try:
        with file.open("rb") as stream:
            stream.seek(start)
            text = stream.read(end - start)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error}.") from None
    return text if len(text) == end - start else text + b"\n"  # the file's last newline is missing


def _changed(file: Path) -> DataError:
    return DataError(
        f"{file}: the rows are not those that stage ingest read. Run again with --from ingest."
    )
