"""The settings by which a file of rows is read: the log's, and the options that override them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from plumbline.base.errors import DataError
from plumbline.serving.contract.log_rules import LogRules
from plumbline.settings import Log
from plumbline.settings.data import FileFormat

_PARQUET = b"PAR1"
_DIALECT = set(Log.model_fields) - {
    "files", "format", "columns", "multi_hot", "time_formats", "malformed_limit", "typed_copy",
}  # fmt: skip
"""The settings that say how text is written."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """What is to be read otherwise than the log was; None where it is read as the log.

    `columns` names all columns of a text file, which has no header line then. An empty `quote`
    stands for no quote, no word in `missing` for none, and the separator `\\t`, as a shell has it,
    for a tab.
    """

    format: FileFormat | None = None
    separator: str | None = None
    quote: str | None = None
    encoding: str | None = None
    header: bool | None = None
    columns: tuple[str, ...] | None = None
    trim: bool | None = None
    missing: tuple[str, ...] | None = None
    decimal: str | None = None
    thousands: str | None = None
    list_separator: str | None = None

    def settings(self) -> dict[str, Any]:
        """The given ones as settings of a table."""
        given = {
            "separator": "\t" if self.separator == "\\t" else self.separator,
            "encoding": self.encoding,
            "header": self.header,
            "trim": self.trim,
            "missing": self.missing,
            "decimal": self.decimal,
            "list_separator": self.list_separator,
        }
        found: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
        if self.quote is not None:
            found["quote"] = self.quote or None
        if self.thousands is not None:
            found["thousands"] = self.thousands or None
        return found


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written, whatever its columns: settings of a table, by name."""

    settings: Mapping[str, Any]

    @classmethod
    def of(cls, file: Path, rules: LogRules | None, options: ReadOptions) -> Dialect:
        """Of a file: its first bytes decide between Parquet and text, unless the options say it.

        A text file is written as the log was, where that was text. Otherwise its separator is a
        comma, or a tab where its name has `.tsv` in it, and its quote is `"`.

        Raises
        ------
        DataError
            The file cannot be read, or the options do not fit each other or a Parquet file.
        """
        given = options.settings()
        form = options.format or _format_of(file)
        if form == "parquet":
            if given or options.columns is not None:
                raise DataError(
                    f"{file}: a Parquet file describes its own columns and values. Leave out the "
                    "options for reading text."
                )
            return cls({"format": form})
        if options.columns is not None:
            if options.header:
                raise DataError(
                    "--columns names the columns of a file without a header line, and --header "
                    "says that there is one. Leave one of the two out."
                )
            given["header"] = False
        return cls({**_own(file, rules), "format": form, **given})

    @property
    def is_parquet(self) -> bool:
        return bool(self.settings["format"] == "parquet")

    @property
    def has_names(self) -> bool:
        """Whether the file names its columns."""
        return self.is_parquet or bool(self.settings.get("header", True))

    def table(
        self, columns: Mapping[str, str], multi_hot: Mapping[str, Sequence[str]] | None = None
    ) -> Log:
        """The settings of a file with these columns, name to kind.

        Raises
        ------
        DataError
            They do not fit together, such as lists in text without a separator.
        """
        form = {**self.settings, "columns": dict(columns), "multi_hot": dict(multi_hot or {})}
        try:
            return Log.model_validate(form)
        except ValidationError as error:
            raise DataError(f"How the file is read: {_reasons(error)}.") from None


def _own(file: Path, rules: LogRules | None) -> dict[str, Any]:
    if rules is not None and rules.log.format == "csv":
        return rules.log.model_dump(include=_DIALECT)
    return {"separator": "\t" if ".tsv" in file.suffixes else ",", "quote": '"'}


def _format_of(file: Path) -> FileFormat:
    try:
        with file.open("rb") as stream:
            return "parquet" if stream.read(len(_PARQUET)) == _PARQUET else "csv"
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}.") from None


def _reasons(error: ValidationError) -> str:
    found = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        reason = problem["msg"].removeprefix("Value error, ")
        found.append(f"{place}: {reason}" if place else reason)
    return "; ".join(found)
