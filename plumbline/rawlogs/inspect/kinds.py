"""Guesses the kind of a column, with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import polars as pl

from plumbline.columns.kinds import Kind
from plumbline.rawlogs.inspect import names
from plumbline.rawlogs.inspect.column import Column, number
from plumbline.rawlogs.inspect.times import Times, times_of

FEW_ROWS = 50
_OWN = 0.95
"""With more distinct values per row than this, a column identifies rows."""
_WORDY = 4.0
_MOSTLY_OWN = 0.2
_SMALL_COUNT = 20
_RECURRING = 5.0
"""Words that occur this often, on average, can be features."""
_WORD_MARK = " "
_LIST_MARKS = ("|", ";", ",", " ", "^", "~", "/")


@dataclass(frozen=True, slots=True)
class Guess:
    """why: a reason for the comment. check: what the user should check, if anything."""

    kind: Kind
    why: str
    check: str | None = None
    times: Times | None = None
    list_mark: str | None = None
    is_free_text: bool = False


def guess_kind(column: Column) -> Guess:
    if column.type == "empty":
        return Guess("unused", "no value in the rows looked at")
    if column.type == "other":
        return Guess("unused", f"no kind supports the type {column.dtype}")
    if column.type == "list":
        return _parquet_list(column)
    if column.distinct == 1 and column.missing < 0.001:
        return Guess("unused", "the same value in every row looked at")
    if column.type == "boolean":
        return Guess("boolean", "true and false")
    if _is_row_number(column):
        return Guess("unused", "the row's number")
    times = times_of(column)
    if times is not None:
        return _time(times)
    if column.type == "float":
        is_code = names.is_key(column.name) and bool((column.present % 1 == 0).all())
        return Guess("integer", _values(column)) if is_code else Guess("continuous", _span(column))
    if column.type == "integer":
        return _integer(column)
    return _text(column)


def _time(times: Times) -> Guess:
    check = None
    if times.is_ambiguous:
        check = f"day and month may be the other way round: read as {times.format}"
    return Guess("time", f"times, {times.shown}", check, times)


def _is_row_number(column: Column) -> bool:
    if column.type != "integer" or column.missing > 0:
        return False
    if names.is_row_number(column.name):
        return column.distinct_share > _OWN
    steps = column.values.diff().drop_nulls()
    counts_up = len(steps) >= FEW_ROWS and number((steps == 1).mean()) > 0.99
    return counts_up and column.distinct_share == 1.0 and column.values.min() in (0, 1)


def _integer(column: Column) -> Guess:
    name, distinct = column.name, column.distinct
    if names.is_measure(name):
        return Guess("continuous", _span(column))
    if _is_row_id(column) and (names.is_key(name) or column.distinct_share == 1.0):
        return Guess("unused", "nearly every row has a value of its own: it names the row")
    if distinct <= 3 or names.is_key(name):
        return Guess("integer", _values(column))
    if names.is_code(name) and distinct <= _SMALL_COUNT:
        return Guess("integer", _values(column))
    if _looks_counted(column):
        check = "a count by its values, a code by its name: then set it to integer"
        return Guess("continuous", _span(column), check if names.is_code(name) else None)
    if names.is_code(name) or distinct <= _SMALL_COUNT:
        return Guess("integer", _values(column))
    if names.is_anonymous(name) and _is_code(column):
        return Guess(
            "integer", _values(column), "taken as a category; continuous if more means more"
        )
    return Guess("continuous", _span(column))


def _is_row_id(column: Column) -> bool:
    return len(column.present) >= FEW_ROWS and column.distinct_share > _OWN


def _looks_counted(column: Column) -> bool:
    """Whether most rows have the least value, 0 or 1, as in counts."""
    least = column.present.min()
    top = next(iter(column.counts))
    return least in (0, 1) and top == least and column.distinct > 3


def _is_code(column: Column) -> bool:
    """Codes are spread over their range; counts are mostly at its low end."""
    if column.distinct_share > _MOSTLY_OWN:
        return False
    values = column.present.cast(pl.Float64)
    least, most = number(values.min()), number(values.max())
    if least >= 2 and column.distinct < 0.1 * (most - least):
        return True
    middle = number(values.median())
    return (middle - least) / max(most - least, 1.0) > 0.15


def _text(column: Column) -> Guess:
    present = column.present
    if number(present.str.contains(r"^\s*[\[{(].*[\]})]\s*$").mean()) > 0.9:
        return Guess(
            "unused",
            "values in brackets",
            "a list or a structure inside text: no kind supports brackets",
        )
    mark = _list_mark(present)
    if mark is not None:
        return Guess("string_list", f"lists, separated by {mark!r}", list_mark=mark)
    if _is_row_id(column):
        if _words(present) >= 2:
            return _free_text(present)
        return Guess("unused", "nearly every row has a value of its own")
    if _hexadecimal(column):
        return Guess("hex", _values(column))
    if len(present) >= FEW_ROWS and _words(present) >= _WORDY and column.distinct_share > 0.3:
        return _free_text(present)
    if len(present) >= FEW_ROWS and _words(present) >= 2 and column.distinct_share > 0.5:
        return _free_text(present)
    check = None
    if len(present) >= FEW_ROWS and column.distinct_share > 0.5:
        check = "most values are in one row only: little can be learned from them"
    return Guess("string", _values(column), check)


def _free_text(present: pl.Series) -> Guess:
    """Text as the list of its words, if the words occur in several rows."""
    words = present.head(20_000).str.split(_WORD_MARK).explode()
    if len(words) / max(words.n_unique(), 1) < _RECURRING:
        return Guess("unused", "free text of words that hardly come again")
    return Guess("string_list", "free text: its words", list_mark=_WORD_MARK, is_free_text=True)


def _words(text: pl.Series) -> float:
    return number(text.head(2000).str.count_matches(r"\S+").mean())


def _hexadecimal(column: Column) -> bool:
    """Whether the values are hexadecimal digits of one length, with letters, of at most 63 bits."""
    lengths = column.present.str.len_bytes()
    if lengths.min() != lengths.max() or not 6 <= int(number(lengths.max())) <= 16:
        return False
    digits = column.present.str.contains(r"^([0-9a-f]+|[0-9A-F]+)$").all()
    both = column.present.str.contains(r"[0-9]") & column.present.str.contains(r"[A-Fa-f]")
    fits = not column.present.str.contains(r"^[89a-fA-F][0-9a-fA-F]{15}$").any()
    return bool(digits) and fits and number(both.mean()) > 0.4


def _list_mark(present: pl.Series) -> str | None:
    """The separator of list elements, if the values look like lists."""
    some = present.head(20_000)
    best: tuple[float, str] | None = None
    for mark in _LIST_MARKS:
        split = some.filter(some.str.contains(mark, literal=True))
        if len(split) < 0.1 * len(some) or len(split) < 3:
            continue
        elements = some.str.split(mark).explode()
        if mark in (" ", ",", "/"):
            elements = elements.str.strip_chars()
            codes = elements.drop_nulls().str.contains(r"^\S*\d\S*$")
            if mark != "," and number(codes.mean()) < 0.9:
                continue
        alone, whole = elements.n_unique(), some.n_unique()
        if number(elements.str.len_chars().max()) > 40 or alone > 0.7 * whole:
            continue
        gain = len(elements) / alone / (len(some) / whole)
        if gain > 1.5 and (best is None or gain > best[0]):
            best = gain, mark
    return None if best is None else best[1]


def _parquet_list(column: Column) -> Guess:
    inner = getattr(column.values.dtype, "inner", None)
    if isinstance(inner, pl.String | pl.Categorical | pl.Enum | pl.Binary):
        return Guess("string_list", "lists of text")
    if inner is not None and inner.is_integer():
        return Guess("integer_list", "lists of integers")
    return Guess("unused", f"no kind supports the type {column.dtype}")


def one_list_mark(guesses: dict[str, Guess], taken: Sequence[str | None]) -> dict[str, Guess]:
    """Choose one list_separator for the table: that of most list columns, or else of free text.

    Other lists stay text; other free text is unused.
    """
    found = [g for g in guesses.values() if g.list_mark and g.list_mark not in taken]
    found = [g for g in found if not g.is_free_text] or found
    marks = [g.list_mark for g in found]
    chosen = max(marks, key=marks.count) if marks else None
    settled = {}
    for name, guess in guesses.items():
        if guess.list_mark is not None and guess.list_mark != chosen:
            what = "free text" if guess.is_free_text else "lists"
            check = f"{what}, separated by {guess.list_mark!r}; a table has one list_separator"
            kind: Kind = "unused" if guess.is_free_text else "string"
            guess = replace(guess, kind=kind, check=check, list_mark=None)
        settled[name] = guess
    return settled


def _values(column: Column) -> str:
    return f"{column.distinct:,} values" + _missing(column)


def _span(column: Column) -> str:
    return f"{number(column.present.min()):g} to {number(column.present.max()):g}" + _missing(
        column
    )


def _missing(column: Column) -> str:
    return f", {column.missing:.1%} missing" if column.missing else ""
