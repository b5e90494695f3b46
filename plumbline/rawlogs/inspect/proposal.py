"""Proposes a configuration for log files."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from plumbline.base.errors import DataError
from plumbline.columns.kinds import CLICK, ELEMENT_KINDS, FEATURE_KINDS, expand_range
from plumbline.rawlogs.inspect import names
from plumbline.rawlogs.inspect.column import Column
from plumbline.rawlogs.inspect.kinds import Guess, guess_kind, one_list_mark
from plumbline.rawlogs.inspect.label import LabelGuess, guess_label
from plumbline.rawlogs.inspect.leaks import aucs_alone
from plumbline.rawlogs.inspect.read import InspectedFile, inspect_file
from plumbline.rawlogs.inspect.splits import SplitGuess, guess_split, time_column
from plumbline.rawlogs.inspect.tables import Files, Joined, find_table, sort_files
from plumbline.rawlogs.partitions import partition_values

EMBEDDING_DIM = 16
STATE_BYTES = 4
_LEAK = 0.9
_CERTAIN_LEAK = 0.99
_STANDS_OUT = 0.8
_ABOVE_OTHERS = 0.04
_NAMED_LEAK = 0.6
_LEAST_LEAK_CLICKS = 20
_FEW = 5


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the configuration: the inspected file, and the kind of each column."""

    inspected: InspectedFile
    guesses: dict[str, Guess]
    list_mark: str | None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Proposal:
    """checks: what the user should check, in words."""

    name: str
    files: Files
    rows: int
    """Of the whole log; an estimate unless all of it was read."""
    log: Table
    label: LabelGuess
    tables: dict[str, Table]
    split: SplitGuess
    time: str | None
    embedding_rows: dict[str, int]
    """Categorical column to an estimate of its distinct values in the whole log."""
    checks: list[str] = field(default_factory=list)

    @property
    def embedding_bytes(self) -> int:
        return sum(self.embedding_rows.values()) * (EMBEDDING_DIM * 4 + STATE_BYTES)


def propose(
    paths: Sequence[Path], name: str | None, label: str | None, click: Sequence[str]
) -> Proposal:
    """Inspect the files and propose a configuration.

    Raises
    ------
    DataError
        A file is not usable, or no column can be taken for the label.
    """
    files = sort_files(paths)
    inspected = inspect_file(files.log[0])
    checks = [f"left out: {reason}" for reason in inspected.left_out]
    checks += _unwritable(inspected)
    columns = {n: c for n, c in inspected.columns.items() if _is_writable(n)}
    of_folders = _of_folders(files, inspected)
    chosen = guess_label(columns, label, click, has_names=inspected.has_names)
    checks += [f"{chosen.column}: {check}" for check in chosen.checks]
    guesses = _guesses(inspected, columns, chosen)
    guesses = _one_time(guesses, time := time_column(columns, guesses), columns)
    guesses = _without_leaks(columns, guesses, chosen, checks)
    guesses |= of_folders
    tables = _tables(files, columns, guesses, checks)
    _require_features(inspected, guesses, tables)
    checks += [f"{n}: {g.check}" for n, g in guesses.items() if g.check]
    log = Table(inspected, guesses, _list_mark(guesses))
    split = guess_split(columns, guesses, time, chosen)
    rows = inspected.rows * len(files.log)
    checks += _of_the_text(inspected, rows)
    return Proposal(
        name or _name(files), files, rows, log, chosen, tables, split,
        time, _embedding_rows(log, tables, rows), checks,
    )  # fmt: skip


def _guesses(
    inspected: InspectedFile, columns: Mapping[str, Column], label: LabelGuess | None
) -> dict[str, Guess]:
    guesses = {name: guess_kind(column) for name, column in columns.items()}
    if label is not None:
        guesses[label.column] = Guess("label", label.why)
        if CLICK in guesses and label.column != CLICK:
            why = f"a feature cannot be named {CLICK!r}: rename it to use it"
            guesses[CLICK] = Guess("unused", why)
    dialect = inspected.dialect
    taken = (dialect.separator, dialect.quote) if dialect else ()
    return one_list_mark(guesses, taken)


def _of_folders(files: Files, inspected: InspectedFile) -> dict[str, Guess]:
    """Columns that are in the names of folders, `key=value`, and not in the files."""
    values: dict[str, set[str]] = {}
    for file in files.log:
        for name, value in partition_values(file).items():
            values.setdefault(name, set()).add(value or "")
    found = {}
    for name, of_name in values.items():
        if name in inspected.columns or not _is_writable(name):
            continue
        if len(of_name) == 1 or names.is_time(name):
            found[name] = Guess("unused", f"in the folders' names, {len(of_name)} values")
        else:
            found[name] = Guess("string", f"in the folders' names, {len(of_name)} values")
    return found


def _one_time(
    guesses: dict[str, Guess], time: str | None, columns: Mapping[str, Column]
) -> dict[str, Guess]:
    """Times other than the split's are unused: no kind of feature takes times."""
    settled = {}
    for name, guess in guesses.items():
        if guess.kind == "time" and name != time:
            missing = f", {columns[name].missing:.1%} missing" if columns[name].missing else ""
            guess = replace(guess, kind="unused", why=f"another time ({guess.why}){missing}")
        settled[name] = guess
    return settled


def _without_leaks(
    columns: Mapping[str, Column],
    guesses: dict[str, Guess],
    label: LabelGuess,
    checks: list[str],
) -> dict[str, Guess]:
    """Report columns that predict the label too well; leave out certain leaks."""
    click = label.is_click
    clicks = int(click.sum())
    if min(clicks, len(click) - clicks) < _LEAST_LEAK_CLICKS:
        checks.append(
            f"{clicks} clicks in {len(click)} rows looked at: too few to judge whether a column is "
            "known only afterwards"
        )
        return guesses
    others = {n: c for n, c in columns.items() if n != label.column}
    found = aucs_alone(others, guesses, click)
    settled = dict(guesses)
    ordered = sorted(found.values(), reverse=True)
    for name, auc in found.items():
        guess = guesses[name]
        next_best = next((other for other in ordered if other < auc), 0.5)
        by_name = names.is_known_afterwards(name)
        stands_out = auc >= _STANDS_OUT and auc - next_best >= _ABOVE_OTHERS
        suspected = by_name and guess.kind != "unused" and auc >= _NAMED_LEAK
        if auc < _LEAK and not stands_out and not suspected:
            continue
        strength = f"alone it ranks clicks with an AUC of {auc:.3f}"
        if auc < _LEAK and not stands_out:
            check = f"its name means something known only afterwards: set it to unused ({strength})"
            settled[name] = replace(guess, check=check)
        elif guess.kind == "unused":
            settled[name] = replace(
                guess, why=f"{guess.why}; {strength}: may be known only afterwards"
            )
        elif auc >= _CERTAIN_LEAK or by_name:
            check = f"left out, may be known only afterwards ({strength}); if not, {guess.kind}"
            settled[name] = replace(guess, kind="unused", check=check)
        else:
            check = f"{strength}: may be known only afterwards; then set it to unused"
            settled[name] = replace(guess, check=check)
    return settled


def _tables(
    files: Files,
    log: Mapping[str, Column],
    guesses: Mapping[str, Guess],
    checks: list[str],
) -> dict[str, Table]:
    tables: dict[str, Table] = {}
    taken = {n for n, guess in guesses.items() if guess.kind not in ("unused", "time", "label")}
    for file in files.others:
        name = _identifier(file)
        joined = find_table(file, f"{name}_c", log, guesses)
        if isinstance(joined, str):
            checks.append(f"{file.name}: left out, {joined}")
            continue
        table = _table(joined, taken)
        taken |= {n for n, g in table.guesses.items() if g.kind not in ("unused", "key")}
        if joined.covered < 1.0:
            share = f"{1 - joined.covered:.1%} of the rows looked at"
            checks.append(f"{file.name}: {share} have a {joined.key!r} that it does not hold")
        tables[name] = table
    return tables


def _table(joined: Joined, taken: set[str]) -> Table:
    inspected = joined.inspected
    columns = {
        (joined.key if name == joined.own_key else name): column
        for name, column in inspected.columns.items()
        if _is_writable(name)
    }
    guesses = {}
    for name, guess in _guesses(inspected, columns, None).items():
        if name == joined.key:
            guess = Guess("key", "joins it to the log")
        elif guess.kind == "time":
            guess = Guess("unused", f"a time ({guess.why}): no kind supports it here")
        elif guess.kind != "unused" and (name in taken or name == CLICK):
            guess = Guess("unused", "another table has a column of this name")
        guesses[name] = guess
    return Table(replace(inspected, columns=columns), guesses, _list_mark(guesses), joined.key)


def _require_features(
    inspected: InspectedFile, guesses: Mapping[str, Guess], tables: Mapping[str, Table]
) -> None:
    """Raises DataError if no feature is left."""
    every = [*guesses.values(), *(g for table in tables.values() for g in table.guesses.values())]
    if any(guess.kind in FEATURE_KINDS for guess in every):
        return
    why = [f"{name} ({guess.why})" for name, guess in guesses.items() if guess.kind == "unused"]
    found = f": {', '.join(why[:_FEW])}" if why else ""
    raise DataError(f"{inspected.file}: no column is fit to be a feature{found}.")


def _list_mark(guesses: Mapping[str, Guess]) -> str | None:
    return next((guess.list_mark for guess in guesses.values() if guess.list_mark), None)


def _embedding_rows(log: Table, tables: Mapping[str, Table], rows: int) -> dict[str, int]:
    found = {}
    for table in (log, *tables.values()):
        of_table = rows if table is log else table.inspected.rows
        for name, guess in table.guesses.items():
            is_category = guess.kind in ("integer", "hex", "string", "boolean", *ELEMENT_KINDS)
            if is_category and name in table.inspected.columns:
                found[name] = _extrapolated(table.inspected.columns[name], of_table)
    return found


def _extrapolated(column: Column, rows: int) -> int:
    """Distinct values in `rows` rows, by the power law of the sample's two halves."""
    values = column.values
    if column.type == "list":
        values = values.explode()
    half = values.head(len(values) // 2).n_unique()
    whole = values.n_unique()
    if half < 2 or rows <= column.rows:
        return whole
    power = min(max(math.log2(whole / half), 0.0), 1.0)
    return round(whole * math.pow(rows / max(column.rows, 1), power))


def _unwritable(inspected: InspectedFile) -> list[str]:
    return [
        f"left out: column {name!r}, which a configuration would read as a range"
        for name in inspected.columns
        if not _is_writable(name)
    ]


def _is_writable(name: str) -> bool:
    try:
        return expand_range(name) == [name]
    except ValueError:
        return False


def _of_the_text(inspected: InspectedFile, rows: int) -> list[str]:
    checks = []
    if not inspected.has_names:
        checks.append("the file has no header: the columns are called by their position, c1, c2, …")
    if inspected.numbers.is_ambiguous:
        checks.append("1,234 may be 1.234 or 1234: set log.decimal and log.thousands")
    if inspected.malformed:
        checks.append(
            f"{inspected.malformed} of {inspected.sampled + inspected.malformed:,} lines looked at "
            "have another number of fields than most: they are malformed"
        )
    if inspected.missing:
        words = ", ".join(map(repr, inspected.missing))
        checks.append(f"taken for missing: {words}")
    if inspected.dialect is not None and inspected.dialect.encoding in ("cp1252", "latin-1"):
        checks.append(f"the text is not UTF-8: read as {inspected.dialect.encoding}")
    if rows < 1000:
        checks.append(f"{rows} rows are few to learn from, and to judge by")
    return checks


def _name(files: Files) -> str:
    return _identifier(files.folder if files.folder is not None else files.log[0])


def _identifier(path: Path) -> str:
    """A name for a table or a run: letters, digits and underscores of the file's name."""
    stem = path.name if path.is_dir() else path.name.split(".")[0] or path.name
    if stem in ("u", "data") and not path.is_dir():
        stem = path.name.replace(".", "_")
    return re.sub(r"\W+", "_", stem).strip("_")[:60] or "log"


def click_counts(label: LabelGuess) -> tuple[int, int]:
    """Clicks, and rows that have a label, among those looked at."""
    return int(label.is_click[label.known].sum()), int(np.count_nonzero(label.known))
