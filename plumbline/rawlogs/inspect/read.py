"""Inspects a file: its dialect, and its columns in a sample of the rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from plumbline.base.errors import DataError
from plumbline.columns.parquet import read_batches
from plumbline.rawlogs.inspect.column import (
    SERIES,
    Column,
    NumberFormat,
    missing_words,
    number,
    number_format,
    parquet_column,
    text_column,
    without_words,
)
from plumbline.rawlogs.inspect.dialect import (
    UNIT,
    SniffedDialect,
    encoding_of,
    sniff,
    split_rows,
    with_unit,
)
from plumbline.rawlogs.inspect.sample import is_parquet, read_sample

SAMPLE_ROWS = 200_000
_PARQUET_BYTES = 64 << 20
_BYTE_ORDER_MARK = "\ufeff"
_BLANK_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """A file's sample. `dialect` is None for Parquet, and `numbers` has no meaning then."""

    file: Path
    dialect: SniffedDialect | None
    trim: bool
    missing: tuple[str, ...]
    numbers: NumberFormat
    columns: dict[str, Column]
    rows: int
    """Of the file; an estimate unless it was read to the end."""
    malformed: int
    """Lines of the sample with another number of fields."""
    left_out: tuple[str, ...]
    """Columns that cannot be declared, in words."""

    @property
    def has_names(self) -> bool:
        return self.dialect is None or self.dialect.header

    @property
    def sampled(self) -> int:
        return next((column.rows for column in self.columns.values()), 0)


def inspect_file(file: Path, prefix: str = "c") -> InspectedFile:
    """Inspect a file; columns without a name are called `prefix` and their number, from 1.

    Raises
    ------
    DataError
        The file cannot be read, is empty, or is neither text nor Parquet.
    """
    if is_parquet(file):
        return _inspect_parquet(file)
    return _inspect_text(file, prefix)


def names_of(file: Path) -> tuple[str, ...]:
    """The file's column names, or without a header their number; reads little of the file."""
    if is_parquet(file):
        return tuple(_parquet(file).schema_arrow.names)
    sample = read_sample(file, 1 << 18)
    encoding = encoding_of(sample.head)
    text = _decoded(file, sample.head, encoding)
    dialect = sniff(text, encoding)
    if not dialect.header:
        return (f"{dialect.fields} fields", dialect.separator)
    rows = split_rows(text, dialect.separator, dialect.quote)
    return tuple(rows[0]) if rows else ()


def _inspect_text(file: Path, prefix: str) -> InspectedFile:
    sample = read_sample(file)
    encoding = encoding_of(sample.head)
    text = _decoded(file, sample.head, encoding)
    dialect = sniff(text, encoding)
    first = split_rows(text[: 1 << 20], dialect.separator, dialect.quote)
    rows = [row for row in first if len(row) == dialect.fields]
    if not rows:
        raise DataError(f"{file}: wanted lines of fields, found none in the first MiB.")
    header = rows[0] if dialect.header else [f"{prefix}{i + 1}" for i in range(dialect.fields)]
    frame, malformed, characters = _parsed(
        file, text, dialect, skip=dialect.header, whole=sample.is_whole
    )
    if dialect.header:
        frame, repeated = _without_header(frame, header)
        malformed += repeated
    if sample.middle and dialect.quote is None and len(frame) < SAMPLE_ROWS:
        middle = _decoded(file, sample.middle, encoding).partition("\n")[2]
        further, _, _ = _parsed(file, middle, dialect, skip=False, whole=False)
        frame = pl.concat([frame, further.head(SAMPLE_ROWS // 4)])
    if len(frame) == 0:
        raise DataError(f"{file}: wanted rows, found only a header.")
    read_bytes = max(characters, 1)
    estimate = len(frame) if sample.is_whole and len(frame) < SAMPLE_ROWS else round(
        min(len(frame), SAMPLE_ROWS) * len(text) / read_bytes * sample.total_bytes
        / max(len(sample.head), 1)
    )  # fmt: skip
    return _described(file, dialect, header, frame, estimate, malformed)


def _described(
    file: Path,
    dialect: SniffedDialect,
    header: list[str],
    frame: pl.DataFrame,
    rows: int,
    malformed: int,
) -> InspectedFile:
    fields = [column.rename(SERIES) for column in frame.get_columns()]
    series = [column.set(column == "", None) for column in fields]
    trim = _has_blanks(series, header)
    if trim:
        header = [name.strip(" \t") for name in header]
        stripped = [column.str.strip_chars(" \t") for column in series]
        series = [column.set(column == "", None) for column in stripped]
    missing = missing_words(series)
    numbers = number_format(series, None if dialect.quote else dialect.separator)
    columns: dict[str, Column] = {}
    left_out: list[str] = []
    for name, values in _nameable(header, series, left_out):
        columns[name] = text_column(name, values, numbers, missing)
    return InspectedFile(
        file, dialect, trim, tuple(missing), numbers, columns, rows, malformed, tuple(left_out)
    )


def _nameable(
    header: list[str], series: list[pl.Series], left_out: list[str]
) -> list[tuple[str, pl.Series]]:
    """Columns that a configuration can name: those with a unique name."""
    repeated = {name for name, count in Counter(header).items() if count > 1 and name}
    for name in sorted(repeated):
        left_out.append(f"columns {name!r}: the header names it twice")
    nameless = [position + 1 for position, name in enumerate(header) if not name]
    if nameless:
        positions = ", ".join(map(str, nameless[:5]))
        left_out.append(f"column {positions}: the header has no name for it")
    return [
        (name, values)
        for name, values in zip(header, series, strict=True)
        if name and name not in repeated
    ]


def _decoded(file: Path, text: bytes, encoding: str) -> str:
    decoded = text.decode(encoding, errors="replace").removeprefix(_BYTE_ORDER_MARK)
    if "\r" in decoded:
        decoded = decoded.replace("\r\n", "\n")
        if "\n" not in decoded:
            decoded = decoded.replace("\r", "\n")
    if "\x00" in decoded:
        raise DataError(f"{file}: wanted CSV, TSV or Parquet, found bytes that are no text.")
    if not decoded.strip("\n"):
        raise DataError(f"{file}: the file is empty.")
    return decoded


def _parsed(
    file: Path, text: str, dialect: SniffedDialect, *, skip: bool, whole: bool
) -> tuple[pl.DataFrame, int, int]:
    """The rows as text, the number of malformed lines, and the number of characters parsed."""
    text = text.lstrip("\n")
    if not whole:
        text = text[: text.rfind("\n") + 1]
    text = _first_lines(text, SAMPLE_ROWS + 1)
    malformed = 0

    def skip_malformed(row: pa_csv.InvalidRow) -> str:
        nonlocal malformed
        malformed += 1
        return "skip"

    names = [f"{position}" for position in range(dialect.fields)]
    try:
        parsed = pa_csv.read_csv(
            pa.BufferReader(with_unit(text, dialect.separator).encode()),
            pa_csv.ReadOptions(
                column_names=names, skip_rows_after_names=int(skip), block_size=64 << 20
            ),
            pa_csv.ParseOptions(
                delimiter=UNIT,
                quote_char=dialect.quote if dialect.quote is not None else False,
                newlines_in_values=dialect.quote is not None,
                invalid_row_handler=skip_malformed,
            ),
            pa_csv.ConvertOptions(column_types={name: pa.string() for name in names}),
        )
    except pa.ArrowInvalid:
        raise DataError(
            f"{file}: wanted lines of fields, but a quoted field is opened and not closed."
        ) from None
    frame = pl.DataFrame(parsed)
    if dialect.quote is not None:
        inside = [column.str.replace_all(UNIT, dialect.separator) for column in frame.get_columns()]
        frame = pl.DataFrame(inside)
    return frame, malformed, len(text)


def _without_header(frame: pl.DataFrame, header: list[str]) -> tuple[pl.DataFrame, int]:
    """The rows without repeated headers, as in concatenated files, and the number of these."""
    same = [frame.to_series(position) == name for position, name in enumerate(header)]
    repeated = pl.DataFrame([s.alias(str(i)) for i, s in enumerate(same)]).fold(lambda a, b: a & b)
    return frame.filter(~repeated), int(repeated.sum())


def _first_lines(text: str, count: int) -> str:
    """At most the first `count` lines."""
    if text.count("\n") <= count:
        return text
    position = 0
    for _ in range(count):
        position = text.index("\n", position) + 1
    return text[:position]


def _has_blanks(series: list[pl.Series], header: list[str]) -> bool:
    """Whether blanks around the fields belong to the separator."""
    around = [
        number(values.str.contains(r"^[ \t]|[ \t]$").mean()) > _BLANK_SHARE
        for values in (column.drop_nulls() for column in series)
        if len(values) > 0
    ]
    return sum(around) >= max(1, len(around) // 4) or (
        any(around) and any(name != name.strip() for name in header)
    )


def _parquet(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file}: cannot be read as Parquet: {reason}.") from None


def _inspect_parquet(file: Path) -> InspectedFile:
    parquet = _parquet(file)
    try:
        batches, taken, size = [], 0, 0
        for batch in read_batches(parquet, 16_384):
            batches.append(batch)
            taken, size = taken + len(batch), size + batch.nbytes
            if taken >= SAMPLE_ROWS or size >= _PARQUET_BYTES:
                break
        rows, groups = parquet.metadata.num_rows, parquet.metadata.num_row_groups
        if taken < rows // 2 and groups > 2:
            batches.append(next(parquet.iter_batches(16_384, row_groups=[groups // 2])))
        table = pa.Table.from_batches(batches, parquet.schema_arrow)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file}: cannot be read as Parquet: {reason}.") from None
    if len(table) == 0:
        raise DataError(f"{file}: the table has no row.")
    columns: dict[str, Column] = {}
    left_out: list[str] = []
    counted = Counter(table.column_names)
    for position, name in enumerate(table.column_names):
        if counted[name] > 1 or not name:
            left_out.append(f"column {name!r}: wanted one of that name, and not an empty one")
            continue
        columns[name] = _parquet_column(name, table.column(position))
    missing = missing_words([c.values for c in columns.values() if c.type == "text"])
    columns = {name: without_words(column, missing) for name, column in columns.items()}
    return InspectedFile(
        file, None, False, tuple(missing), NumberFormat(), columns, rows, 0, tuple(left_out)
    )


def _parquet_column(name: str, values: pa.ChunkedArray) -> Column:
    try:
        series = pl.Series(SERIES, values)
    except (pl.exceptions.PolarsError, pa.ArrowException, TypeError, ValueError):
        return Column(
            name, "other", pl.Series(SERIES, [None] * len(values)), None, str(values.type)
        )
    return replace(parquet_column(name, series), dtype=str(values.type))
