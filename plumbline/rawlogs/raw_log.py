"""The rows of a surveyed log, read from its own files as often as an engine asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path

from plumbline.base.errors import DataError
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.rows import Chunk, Rows
from plumbline.rawlogs.blocks import read_block
from plumbline.rawlogs.fingerprint import Fingerprint
from plumbline.rawlogs.raw_rows import TextBlock, declared_constants
from plumbline.rawlogs.row_parser import Piece, RowParser
from plumbline.rawlogs.side_tables import table_files
from plumbline.rawlogs.split import SPLITS, Stretch, assignment
from plumbline.rawlogs.survey import Survey, SurveyedFile
from plumbline.rawlogs.text_streams import TextForm
from plumbline.settings import Config


class RawLog:
    """A `RowSource` of the splits train, valid and test; a chunk is a piece of a file.

    Its rows are those that a typed copy would have. A chunk of plain text reads its bytes when it
    is called. One of a compressed or a Parquet file holds what was read when it was yielded, so
    that the caller bounds the memory: by calling a few chunks ahead, and no more.

    `fingerprints` are those of the log's files, then of the side tables', as they were surveyed.

    Raises
    ------
    DataError
        A file has changed since.
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
            places = _places(wanted, first, position, surveyed)
            yield from self._of_file(position, surveyed, places)
            first += sum(surveyed.rows)

    def _require_unchanged(self) -> None:
        tables = table_files(self._config, self._files).values()
        for file, fingerprint in zip((*self._files, *tables), self._fingerprints, strict=True):
            fingerprint.require(file)

    def _of_file(
        self, position: int, surveyed: SurveyedFile, places: Iterator[_Place]
    ) -> Iterator[Chunk]:
        file = self._files[position]
        if surveyed.ends and TextForm.of(file, self._config.log).is_plain:
            bounds = (surveyed.start, *surveyed.ends)
            for place in places:
                start, end = bounds[place.number : place.number + 2]
                yield partial(self._read, place, start, end, surveyed.names)
            return
        pieces = self._parser.pieces(file, self._survey.piece_bytes)
        number = -1
        for place in places:
            piece: Piece | None = None
            while number < place.number:
                piece = next(pieces, None)
                number += 1
            if piece is None:
                raise _changed(file)
            yield partial(self._rows, place, piece)

    def _read(self, place: _Place, start: int, end: int, names: Sequence[str]) -> Rows:
        file = self._files[place.file]
        constants = declared_constants(file, self._config.log)
        block = TextBlock(read_block(file, start, end), names, 1, constants=constants)
        return self._rows(place, block)

    def _rows(self, place: _Place, piece: Piece) -> Rows:
        file = self._files[place.file]
        parsed = self._parser.parse(file, piece)
        rows = parsed.rows
        stretch = Stretch(place.first, place.file, rows.click, parsed.group)
        mask = self._assign(stretch) == place.split
        if len(rows) != place.rows or mask.sum() != place.split_rows:
            raise _changed(file)
        return rows if mask.all() else rows.take(mask)


@dataclass(frozen=True, slots=True)
class _Place:
    """Which of its file's pieces it is, its first row in the log and its rows, file and split."""

    number: int
    first: int
    rows: int
    file: int
    split: int
    split_rows: int


def _places(split: int, first: int, file: int, surveyed: SurveyedFile) -> Iterator[_Place]:
    """The pieces of a file that have rows of the split; `first` is the file's first row."""
    firsts = accumulate(surveyed.rows, initial=first)
    pieces = zip(firsts, surveyed.rows, surveyed.split_rows, strict=False)
    for number, (start, rows, of_splits) in enumerate(pieces):
        if of_splits[split]:
            yield _Place(number, start, rows, file, split, of_splits[split])


def _changed(file: Path) -> DataError:
    return DataError(
        f"{file}: holds other rows than stage ingest found there. Run again with --from ingest."
    )
