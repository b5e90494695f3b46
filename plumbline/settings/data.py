"""Settings of the log, its side tables, the click model and the label."""

from __future__ import annotations

import codecs
import re
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import Field, field_validator, model_validator

from plumbline.base.errors import nearest
from plumbline.columns.kinds import (
    ELEMENT_KINDS,
    FEATURE_KINDS,
    READ_KINDS,
    FeatureKind,
    Kind,
    check_name,
    expand_range,
    expand_ranges,
)
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.settings.base import PositiveInt, Settings, Share

FileFormat = Literal["csv", "parquet"]


class Table(Settings):
    """How a text or Parquet table is laid out."""

    format: FileFormat = "csv"
    """csv stands for text with any separator."""
    separator: Annotated[str, Field(min_length=1, max_length=8)] = ","
    """Separator of the fields: one character or several, such as `::`."""
    header: bool = True
    """Whether the first line of a text file names its columns."""
    quote: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Character around a field that contains the separator, a line end, or the quote itself,
    doubled. None: quotes are ordinary text."""
    encoding: str = "utf-8"
    """Encoding of the text, by its name in Python: utf-8, latin-1, utf-16, …"""
    trim: bool = False
    """Whether blanks and tabs around a field are removed."""
    missing: tuple[str, ...] = ()
    """Words for missing values, such as NA, NULL or \\N; empty text is always missing."""
    decimal: Literal[".", ","] = "."
    """The decimal mark of numbers in text."""
    thousands: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """The thousands separator of numbers in text: `,` in 1,234,567."""
    list_separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """Separator of the elements of a list inside a text field."""
    columns: dict[str, Kind]
    """Name to kind. For a file without a header: all its columns, in its order. A time that is not
    in ISO 8601 needs its format: `{kind: time, format: "%d/%m/%y %H:%M"}`; a time that graphs read
    is a feature: `{kind: time, feature: true}`."""
    time_formats: dict[str, str] = Field(default_factory=dict)
    """Column of kind time to its format, in the directives of Python's strptime. Filled from
    `columns`."""
    time_features: tuple[str, ...] = ()
    """The columns of kind time that graphs may read; a split by time needs none. Filled from
    `columns`: `{kind: time, feature: true}`."""
    multi_hot: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Makes features of kind string_list from columns of kind flag. A row's list has the names of
    its flags that are 1, in the order given here."""

    @model_validator(mode="before")
    @classmethod
    def _take_times_out_of_columns(cls, data: Any) -> Any:
        columns = data.get("columns") if isinstance(data, dict) else None
        if not isinstance(columns, dict) or not any(isinstance(k, dict) for k in columns.values()):
            return data
        plain, formats = dict(columns), dict(data.get("time_formats") or {})
        features = list(data.get("time_features") or ())
        for name, kind in columns.items():
            if isinstance(kind, dict):
                plain[name], names = "time", expand_range(str(name))
                _check_time(name, kind)
                if "format" in kind:
                    formats |= dict.fromkeys(names, str(kind["format"]))
                if kind.get("feature"):
                    features += [single for single in names if single not in features]
        return {**data, "columns": plain, "time_formats": formats, "time_features": features}

    @field_validator("columns", mode="after")
    @classmethod
    def _expand(cls, columns: dict[str, Kind]) -> dict[str, Kind]:
        return expand_ranges(columns)

    @field_validator("time_features", mode="after")
    @classmethod
    def _expand_times(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(single for name in names for single in expand_range(name))

    @field_validator("multi_hot", mode="after")
    @classmethod
    def _expand_flags(cls, multi_hot: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {
            name: tuple(single for flag in flags for single in expand_range(flag))
            for name, flags in multi_hot.items()
        }

    @model_validator(mode="after")
    def _formats_are_of_times(self) -> Table:
        for name, format_ in self.time_formats.items():
            kind = self.columns.get(name, "not in the table")
            if kind != "time":
                raise ValueError(f"time_formats.{name}: the column is {kind}, wanted kind 'time'")
            _check_time_format(name, format_)
        return self

    @model_validator(mode="after")
    def _time_features_are_times(self) -> Table:
        for name in self.time_features:
            kind = self.columns.get(name, "not in the table")
            if kind != "time":
                raise ValueError(f"time_features: column {name!r} is {kind}, wanted kind 'time'")
        return self

    @model_validator(mode="after")
    def _numbers_can_be_read(self) -> Table:
        mark = self.thousands
        if mark is None:
            return self
        if mark == self.decimal:
            raise ValueError(
                f"thousands {mark!r} is the decimal mark too: give decimal another one "
                f"({'.' if mark == ',' else ','!r})"
            )
        if mark.isalnum() or mark in "+-\r\n\t":
            raise ValueError(f"thousands {mark!r}: wanted a mark such as ',', '.', ' ' or \"'\"")
        return self

    @model_validator(mode="after")
    def _lists_have_a_separator(self) -> Table:
        separator = self.list_separator
        if separator is not None and separator in (self.separator, self.quote):
            raise ValueError(
                f"list_separator {separator!r} is the separator or the quote too: "
                "choose another character"
            )
        lists = self.names(*ELEMENT_KINDS)
        if lists and self.format == "csv" and separator is None:
            raise ValueError(
                f"column {lists[0]!r} is {self.columns[lists[0]]}: "
                "wanted list_separator, the character between a list's elements"
            )
        return self

    @model_validator(mode="after")
    def _every_flag_has_one_use(self) -> Table:
        used: dict[str, str] = {}
        for name, flags in self.multi_hot.items():
            check_name(name)
            if name in self.columns:
                raise ValueError(f"multi_hot.{name}: the table has a column of that name")
            if not flags:
                raise ValueError(f"multi_hot.{name}: wanted columns of kind 'flag', got none")
            for flag in flags:
                kind = self.columns.get(flag, "not in the table")
                if kind != "flag":
                    raise ValueError(
                        f"multi_hot.{name}: column {flag!r} is {kind}, wanted kind 'flag'"
                    )
                if flag in used:
                    raise ValueError(
                        f"column {flag!r} is in multi_hot.{used[flag]} and again in "
                        f"multi_hot.{name}: wanted one use"
                    )
                used[flag] = name
        unused = [flag for flag in self.names("flag") if flag not in used]
        if unused:
            raise ValueError(
                f"column {unused[0]!r} is a flag in no multi_hot: name it in one, "
                "or declare it as unused"
            )
        return self

    @field_validator("separator", "quote", "list_separator", mode="after")
    @classmethod
    def _is_ascii(cls, text: str | None) -> str | None:
        if text is not None and (not text.isascii() or set(text) & set("\r\n")):
            raise ValueError(f"wanted ASCII characters, no line end, got {text!r}")
        return text

    @model_validator(mode="after")
    def _quote_is_no_separator(self) -> Table:
        if self.quote is not None and self.quote in self.separator:
            raise ValueError(
                f"quote {self.quote!r} is part of separator {self.separator!r}: "
                "choose another character"
            )
        if self.trim and self.quote in (" ", "\t"):
            raise ValueError(f"quote {self.quote!r} is removed by trim: choose another character")
        return self

    @field_validator("separator", "quote", "list_separator", mode="before")
    @classmethod
    def _is_no_escape(cls, character: Any) -> Any:
        if isinstance(character, str) and re.fullmatch(r"\\[abtnrvx].*", character):
            raise ValueError(
                f"got a backslash and {character[1:]!r}: "
                f'in YAML write "{character}" in double quotes'
            )
        return character

    @field_validator("encoding", mode="after")
    @classmethod
    def _has_line_ends(cls, encoding: str) -> str:
        ascii_bytes = bytes(range(128))
        try:
            is_wide = codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))
            is_known = is_wide or ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
        except (LookupError, ValueError):
            is_known = False
        if not is_known:
            raise ValueError(f"wanted utf-8, utf-16, latin-1 or such, got {encoding!r}")
        return encoding

    @property
    def value_rules(self) -> ValueRules:
        """The settings that define what the table's values mean."""
        return ValueRules(**{key.name: getattr(self, key.name) for key in fields(ValueRules)})

    def names(self, *kinds: str) -> tuple[str, ...]:
        return tuple(name for name, kind in self.columns.items() if kind in kinds)

    @property
    def read(self) -> dict[str, Kind]:
        """Name to kind of the columns that features are read from."""
        return {
            name: kind
            for name, kind in self.columns.items()
            if kind in READ_KINDS or name in self.time_features
        }

    @property
    def features(self) -> dict[str, FeatureKind]:
        """Name to kind of the table's feature columns; those of `multi_hot` come last."""
        own = {
            name: cast(FeatureKind, kind)
            for name, kind in self.columns.items()
            if kind in FEATURE_KINDS or name in self.time_features
        }
        multi_hot: dict[str, FeatureKind] = dict.fromkeys(self.multi_hot, "string_list")
        return own | multi_hot


def _check_time(name: object, column: dict[Any, Any]) -> None:
    """Raise ValueError for a column that is declared by a wrong mapping."""
    unknown = [key for key in column if key not in _COLUMN_KEYS]
    if unknown:
        raise ValueError(
            f"columns.{name}: unknown key {unknown[0]!r}, {nearest(str(unknown[0]), _COLUMN_KEYS)}"
        )
    if column.get("kind") != "time":
        raise ValueError(
            f"columns.{name}: a mapping is for kind 'time' and its format, got kind "
            f"{column.get('kind')!r}: write the kind alone"
        )
    if not isinstance(column.get("feature", False), bool):
        raise ValueError(f"columns.{name}.feature: wanted true or false, got {column['feature']!r}")
    if "format" not in column and "feature" in column:
        return
    if not isinstance(column.get("format"), str):
        raise ValueError(
            f"columns.{name}: wanted a format such as '%d/%m/%Y %H:%M', got "
            f"{column.get('format')!r}; a time in ISO 8601 or in seconds needs no format: write "
            "time alone"
        )


def _check_time_format(name: str, format_: str) -> None:
    """Raise ValueError if strptime cannot read times in the format."""
    directives = set(re.findall("%[%A-Za-z]", format_.replace("%%", "")))
    if not directives & _DAY_DIRECTIVES:
        raise ValueError(
            f"time_formats.{name}: {format_!r} has no year: wanted strptime's directives, such as "
            "'%d/%m/%Y %H:%M'"
        )
    try:
        datetime.strptime(datetime(2014, 10, 21, 13).strftime(format_), format_)
    except (ValueError, re.error) as error:
        raise ValueError(
            f"time_formats.{name}: {format_!r} is not a format of strptime's directives ({error})"
        ) from None


_COLUMN_KEYS = ("kind", "format", "feature")
_DAY_DIRECTIVES = {"%Y", "%y", "%G", "%c", "%x"}


class Log(Table):
    """The table of clicks: one row an impression."""

    files: tuple[str, ...] = ()
    """Names of the log files in the folder that `--data` names. None: all files in it and its
    folders, in natural order, except those whose names begin with `_` or `.`."""
    malformed_limit: Annotated[int, Field(ge=0)] = 100
    """With more malformed lines than this, the ingest stops."""
    typed_copy: bool = False
    """Whether the ingest writes the typed rows of all splits as Parquet. It always does for the
    NVTabular engine, for a split by time, and for the Spark engine if the log is not plain text;
    otherwise the engine reads the log itself."""


class SideTable(Table):
    """A table that is joined to the log by one key column, of kind `key` here."""

    file: str
    """File name; the file is in the folder of the first log file."""

    @model_validator(mode="after")
    def _has_one_key(self) -> SideTable:
        if len(self.names("key")) != 1:
            raise ValueError("wanted exactly one column of kind 'key'")
        return self

    @property
    def key(self) -> str:
        return self.names("key")[0]


class ClickModel(Settings):
    """Logs in Criteo's format, drawn from a known click model, so the best possible AUC is
    known."""

    rows: PositiveInt
    """Number of rows, of all days together."""
    days: Annotated[int, Field(ge=3)]
    """Number of files, one a day."""
    vocabulary: tuple[PositiveInt, ...]
    """Number of values of each categorical column."""
    continuous: Annotated[int, Field(ge=0)] = 13
    """Number of continuous columns."""
    click_rate: Share = 0.25
    """Approximate share of clicks."""


class Label(Settings):
    """A label column holds 0 and 1, true and false, or numbers or words of which some are
    clicks."""

    at_least: float | None = None
    """Numbers from this one on are clicks."""
    click: tuple[str, ...] = ()
    """The words that are clicks; other words are not. A number counts as a word, and is compared as
    a number. YAML reads unquoted yes, on and true as one boolean, which stands for all three."""

    @field_validator("click", mode="before")
    @classmethod
    def _are_words(cls, click: Any) -> Any:
        if not isinstance(click, list | tuple):
            raise ValueError(f'wanted a list of words such as ["yes"], got {click!r}')
        words: list[Any] = []
        for word in click:
            if isinstance(word, bool):
                words += [spelling(w) for w in _YAML_WORDS[word] for spelling in _YAML_CASES]
            else:
                words.append(str(word) if isinstance(word, int | float) else word)
        if "" in words:
            raise ValueError("empty text is a missing label, not a click: leave it out")
        return tuple(words)

    @model_validator(mode="after")
    def _say_one_way(self) -> Label:
        if self.at_least is not None and self.click:
            raise ValueError(
                "at_least and click exclude each other: a click is a number from at_least on, or a "
                "word of click"
            )
        return self


_YAML_WORDS = {True: ("true", "yes", "on"), False: ("false", "no", "off")}
_YAML_CASES = (str.lower, str.title, str.upper)
