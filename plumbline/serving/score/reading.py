"""The settings for reading a file of rows: the log's, and options that override them."""

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
    "files", "format", "columns", "multi_hot", "time_formats", "time_features", "malformed_limit",
    "typed_copy",
}  # fmt: skip
"""The settings of how text is written."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Settings that override the log's; None keeps the log's.

    `columns` names all columns of a text file without a header line. An empty `quote` means no
    quote, and an empty `missing` no words. The separator `\\t` means a tab.
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
        """The given options, as settings of a table."""
        given = {
            "separator": "\t" if self.separator == "\\t" else self.separator,
            "encoding": self.encoding,
            "header": self.header,
            "trim": self.trim,
            "missing": self.missing,
            "decimal": self.decimal,
            "list_separator": self.list_separator,
        }
        chosen: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
        if self.quote is not None:
            chosen["quote"] = self.quote or None
        if self.thousands is not None:
            chosen["thousands"] = self.thousands or None
        return chosen


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a file is written: the settings of a table, without its columns."""

    settings: Mapping[str, Any]

    @classmethod
    def of(cls, file: Path, rules: LogRules | None, options: ReadOptions) -> Dialect:
        """The dialect of a file. Its first bytes decide between Parquet and text, unless given.

        A text file is read with the log's settings, if the log was text. Otherwise the separator is
        a comma, or a tab if the file's name contains `.tsv`, and the quote is `"`.

        Raises
        ------
        DataError
            The file cannot be read, or the options contradict each other or are for text only.
        """
        given = options.settings()
        file_format = options.format or _format_of(file)
        if file_format == "parquet":
            if given or options.columns is not None:
                raise DataError(
                    f"{file}: a Parquet file describes its own columns and values. Leave out the "
                    "options for reading text."
                )
            return cls({"format": file_format})
        if options.columns is not None:
            if options.header:
                raise DataError(
                    "--columns names the columns of a file without a header line, and --header "
                    "says that there is one. Leave one of the two out."
                )
            given["header"] = False
        return cls({**_own(file, rules), "format": file_format, **given})

    @property
    def is_parquet(self) -> bool:
        return bool(self.settings["format"] == "parquet")

    @property
    def has_names(self) -> bool:
        """Whether the file names its columns."""
        return self.is_parquet or bool(self.settings.get("header", True))

    def table(
        self,
        columns: Mapping[str, str],
        multi_hot: Mapping[str, Sequence[str]] | None = None,
        time_formats: Mapping[str, str] | None = None,
    ) -> Log:
        """The settings of a file with these columns, name to kind; all its times are features.

        Raises
        ------
        DataError
            The settings contradict each other, such as lists in text without a separator.
        """
        times = [name for name, kind in columns.items() if kind == "time"]
        formats = {name: f for name, f in (time_formats or {}).items() if name in times}
        content = {
            **self.settings,
            "columns": dict(columns),
            "multi_hot": dict(multi_hot or {}),
            "time_formats": formats,
            "time_features": times,
        }
        try:
            return Log.model_validate(content)
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
    reasons = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"])
        reason = problem["msg"].removeprefix("Value error, ")
        reasons.append(f"{key}: {reason}" if key else reason)
    return "; ".join(reasons)
