"""The columns of a file of rows, and their kinds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.errors import DataError, nearest
from plumbline.base.printable import sentence
from plumbline.columns.kinds import FeatureKind
from plumbline.rawlogs.partitions import partition_values
from plumbline.rawlogs.raw_rows import column_names, read_raw_rows
from plumbline.rawlogs.text.headers import listed, separator_of
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.score.reading import Dialect, ReadOptions
from plumbline.serving.score.sources import Sources, sources_of
from plumbline.settings import Log

_FIRST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Layout:
    """The settings for reading a file of rows, and the sources of the model's columns."""

    table: Log
    sources: Sources
    columns: int
    """The number of columns of the file, including unused ones."""

    @classmethod
    def of(
        cls,
        file: Path,
        kinds: Mapping[str, FeatureKind],
        rules: LogRules | None,
        options: ReadOptions,
        keep: Sequence[str],
    ) -> Layout:
        """See `plumbline.serving.score.row_files.RowFile` for the parameters.

        Raises
        ------
        DataError
            The file cannot be read, or lacks a column of the model or of `keep`.
        """
        dialect = Dialect.of(file, rules, options)
        if dialect.has_names:
            return _by_name(file, dialect, kinds, rules, keep)
        declared = options.columns or tuple(rules.log.columns if rules is not None else kinds)
        whole = _in_order(file, dialect, kinds, rules, declared, keep)
        label = rules.log.names("label") if rules is not None else ()
        if options.columns is not None or not label or label[0] in keep:
            return whole
        rest = [name for name in declared if name not in label]
        return whole if _fits(file, whole) or not rest else _without(whole, rest, file)


def _by_name(
    file: Path,
    dialect: Dialect,
    kinds: Mapping[str, FeatureKind],
    rules: LogRules | None,
    keep: Sequence[str],
) -> Layout:
    """The layout of a Parquet file, or of a text file with a header."""
    names = _names(file, dialect)
    present = names if names is not None else (*(rules.log.columns if rules else kinds), *keep)
    sources = sources_of(kinds, rules, present)
    _require(file, present, sources, keep)
    return Layout(_table(dialect, sources.read, sources, keep), sources, len(present))


def _in_order(
    file: Path,
    dialect: Dialect,
    kinds: Mapping[str, FeatureKind],
    rules: LogRules | None,
    declared: Sequence[str],
    keep: Sequence[str],
) -> Layout:
    """The layout of a text file without a header, with the columns `declared`."""
    sources = sources_of(kinds, rules, declared)
    _require(file, declared, sources, keep)
    columns = {name: sources.read.get(name, "unused") for name in declared}
    return Layout(_table(dialect, columns, sources, ()), sources, len(columns))


def _table(
    dialect: Dialect, columns: Mapping[str, str], sources: Sources, keep: Sequence[str]
) -> Log:
    table = dialect.table(columns, sources.multi_hot, sources.time_formats)
    others = {name: "unused" for name in keep if name not in columns}  # any name is allowed here
    return table.model_copy(update={"columns": {**table.columns, **others}})


def _fits(file: Path, layout: Layout) -> bool:
    """Whether the file's first rows have as many fields as the layout has columns."""
    wanted = tuple(layout.sources.read)
    raw = next(iter(read_raw_rows(file, layout.table, wanted, _FIRST_BYTES)), None)
    return raw is None or len(raw.numbers) > 0


def _without(whole: Layout, rest: Sequence[str], file: Path) -> Layout:
    """The layout without the label if the file fits it; else the whole, for the error message."""
    columns = {name: whole.table.columns[name] for name in rest}
    table = whole.table.model_copy(update={"columns": columns})
    layout = Layout(table, whole.sources, len(columns))
    return layout if _fits(file, layout) else whole


def _names(file: Path, dialect: Dialect) -> Sequence[str] | None:
    """The names in the file and in its folders; None for a text file that has only a header."""
    names = column_names(file, dialect.table({}))
    if not names and not dialect.is_parquet:
        return None
    return (*names, *(partition_values(file).keys() - {*names}))


def _require(file: Path, present: Sequence[str], sources: Sources, keep: Sequence[str]) -> None:
    lacking = [name for name in sources.read if name not in present]
    if lacking:
        quoted = any(name.strip("\"'`") in lacking for name in present)
        hint = " The names are quoted: give --quote." if quoted else ""
        if len(present) == 1 and (found := separator_of(present[0], lacking)):
            hint = f" {found!r} would separate them: give --delimiter."
        raise DataError(
            f"{file}: the model wants columns that the file lacks: {', '.join(lacking)}. "
            f"It has {listed(present) or 'no columns'}.{hint}"
        )
    for name in keep:
        if name not in present:
            hint = nearest(name, present)
            raise DataError(sentence(f"{file}: --keep {name}: no such column; {hint}"))
    twice = [name for name in (*sources.read, *keep) if list(present).count(name) > 1]
    if twice:
        raise DataError(f"{file}: duplicate column {', '.join(twice)}.")
