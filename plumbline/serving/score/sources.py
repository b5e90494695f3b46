"""The source of each of a model's columns: the file of rows, its flags, or a side table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from plumbline.base.errors import DataError
from plumbline.base.files import file_sha256
from plumbline.columns import exact
from plumbline.columns.kinds import FeatureKind, Kind
from plumbline.rawlogs.side_tables import LoadedTable, load_table
from plumbline.serving.contract.log_rules import LogRules


@dataclass(frozen=True, slots=True)
class Sources:
    """The columns that are read from the file, and those that are joined.

    `read` maps the file's columns, with flags and keys, to their kinds; `multi_hot` maps lists to
    their flags; `joined` maps side tables to the model's columns in them. `time_formats` has the
    formats of the log's and the side tables' times.
    """

    read: dict[str, Kind]
    multi_hot: dict[str, tuple[str, ...]] = field(default_factory=dict)
    joined: dict[str, tuple[str, ...]] = field(default_factory=dict)
    time_formats: Mapping[str, str] = field(default_factory=dict)


def sources_of(
    kinds: Mapping[str, FeatureKind], rules: LogRules | None, present: Collection[str]
) -> Sources:
    """The sources for a file with the columns `present`.

    A column of a side table, or a list of flags, is read from the file itself if it has a column of
    that name, unless the log uses the name for another column.
    """
    if rules is None:
        return Sources(dict(kinds))
    others = rules.log.columns.keys() - rules.log.read.keys()
    given = set(present) - others
    sources = Sources({}, time_formats=rules.time_formats)
    of_table = {c: name for name, t in rules.tables.items() for c in t.settings.features}
    for name, kind in kinds.items():
        if name in given:
            sources.read[name] = kind
        elif name in rules.log.multi_hot:
            sources.multi_hot[name] = rules.log.multi_hot[name]
            sources.read.update(dict.fromkeys(rules.log.multi_hot[name], "flag"))
        elif name in of_table:
            table = of_table[name]
            sources.joined[table] = (*sources.joined.get(table, ()), name)
        else:
            sources.read[name] = kind
    for table in sources.joined:
        key = rules.tables[table].settings.key
        sources.read[key] = rules.log.columns[key]
    return sources


@dataclass(frozen=True, slots=True)
class Joins:
    """The side tables, and warnings about them."""

    tables: tuple[LoadedTable, ...]
    """Side tables with only the model's columns."""
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, sources: Sources, rules: LogRules | None, folder: Path, is_given: bool) -> Joins:
        """Read the side tables in `folder`. `is_given` is true if the user named the folder.

        Raises
        ------
        DataError
            A table's file is missing or unusable (see `plumbline.rawlogs.side_tables`).
        """
        tables, warnings = [], []
        for name, columns in sources.joined.items():
            ruled = rules.tables[name] if rules is not None else None
            if rules is None or ruled is None:
                continue
            file = folder / ruled.settings.file
            if not file.is_file():
                raise DataError(_not_there(name, file, columns, is_given))
            warnings += _other_content(file, ruled.sha256)
            key_kind = rules.log.columns[ruled.settings.key]
            table = load_table(file, name, ruled.settings, key_kind)
            tables.append(
                replace(table, rows=table.rows.select(exact.columns([table.key, *columns])))
            )
        return cls(tuple(tables), tuple(warnings))


def _not_there(name: str, file: Path, columns: Sequence[str], is_given: bool) -> str:
    where = "Correct --tables" if is_given else "Give its folder with --tables"
    return (
        f"{file}: no such file, but training joined {', '.join(columns)} from it (side table "
        f"{name!r}). {where}, or add these columns to the file of rows."
    )


def _other_content(file: Path, wanted: str | None) -> list[str]:
    if wanted is None:
        return []
    got = file_sha256(file)
    if got == wanted:
        return []
    return [
        f"{file}: is not the file that training joined (SHA-256 {got[:12]}…, in training "
        f"{wanted[:12]}…), so the joined columns may differ."
    ]
