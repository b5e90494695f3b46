"""Side tables: loaded whole, checked for unique keys, joined to the log's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from plumbline.base.errors import DataError
from plumbline.columns.exact import column
from plumbline.columns.kinds import Kind
from plumbline.columns.unsigned import unsigned_number
from plumbline.rawlogs.convert import convert
from plumbline.rawlogs.malformed import Fault, MalformedLines
from plumbline.rawlogs.partitions import partition_root
from plumbline.rawlogs.raw_rows import read_raw_rows
from plumbline.rawlogs.sources import require_filled
from plumbline.settings import Config, Label, SideTable

_MATCHED = "\x1fmatched"


@dataclass(frozen=True, slots=True)
class LoadedTable:
    """`rows` has the key, without nulls or duplicates, and the table's feature columns."""

    name: str
    key: str
    rows: pl.DataFrame

    def join(self, log: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """The log with the table's columns, and the number of rows whose key the table lacks.

        Such rows get nulls and empty lists. The log's rows keep their order.
        """
        right = self.rows.with_columns(pl.lit(True).alias(_MATCHED))
        joined = log.join(right, on=column(self.key), how="left", maintain_order="left")
        unmatched = joined[_MATCHED].null_count()
        lists = [column(name).fill_null([]) for name in self._lists]
        return joined.drop(_MATCHED).with_columns(lists), unmatched

    @property
    def _lists(self) -> list[str]:
        return [name for name, dtype in self.rows.schema.items() if isinstance(dtype, pl.List)]


def load_tables(config: Config, log_files: Sequence[Path]) -> list[LoadedTable]:
    """Load the side tables; see `table_files` and `load_table`."""
    files = table_files(config, tuple(log_files))
    return [
        load_table(files[name], name, table, config.log.columns[table.key])
        for name, table in config.tables.items()
    ]


def table_files(config: Config, log_files: tuple[Path, ...]) -> dict[str, Path]:
    """Table name to its file, which is in the folder of the first log file.

    If the log is in `key=value` folders, it is in the folder above these.
    """
    folder = partition_root(log_files[0])
    return {name: folder / table.file for name, table in config.tables.items()}


def load_table(file: Path, name: str, table: SideTable, key_kind: Kind) -> LoadedTable:
    """Load a side table; its key is parsed as the kind of the log's column.

    Raises
    ------
    DataError
        A line is malformed or has no key, or two lines have the same key.
    """
    require_filled(file)
    kinds: dict[str, Kind] = {table.key: key_kind}
    kinds.update(table.read)
    malformed = MalformedLines(limit=0, setting=None)
    first_lines: dict[object, int] = {}
    frames = []
    for raw in read_raw_rows(file, table, tuple(kinds)):
        malformed.record(file, raw.faults)
        frame, faults = convert(file, raw, kinds, Label(), table)
        malformed.record(file, faults)
        for key, line in zip(frame[table.key].to_list(), raw.numbers.tolist(), strict=True):
            if key is None:
                reason = f"column {table.key!r}: wanted a key, found nothing"
                malformed.record(file, [Fault(line, reason)])
            first = first_lines.setdefault(key, line)
            if first != line:
                raise DataError(
                    f"{file}:{line}: table {name!r} has the key {table.key} "
                    f"{_in_file(key, key_kind)!r} a second time, first in line {first}. "
                    f"Keep one row a key."
                )
        frames.append(frame)
    if not first_lines:
        raise DataError(f"{file}: table {name!r} holds no rows.")
    return LoadedTable(name, table.key, pl.concat(frames))


def _in_file(key: object, kind: Kind) -> object:
    if isinstance(key, int) and kind == "hex":
        return f"{unsigned_number(key):x}"
    return key
