"""Guesses the label column, and which of its values are clicks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plumbline.base.errors import DataError, nearest
from plumbline.base.printable import sentence
from plumbline.rawlogs.inspect import names
from plumbline.rawlogs.inspect.column import Column, number

_YES = (
    "yes", "y", "true", "t", "1", "click", "clicked", "positive", "pos", "good", "like", "liked",
    "buy", "bought", "purchase", "purchased", "converted", "won", "on",
)  # fmt: skip
_FEW_VALUES = 20


@dataclass(frozen=True, slots=True)
class LabelGuess:
    """at_least, click: as in the configuration; without both: 0 and 1, or true and false.

    is_click: bool (rows,). known: bool (rows,), false if the label is missing. why: the reason for
    the column and its clicks. checks: what the user should check.
    """

    column: str
    at_least: float | None
    click: tuple[str, ...]
    is_click: NDArray[np.bool_]
    known: NDArray[np.bool_]
    why: str
    checks: tuple[str, ...]

    @property
    def click_rate(self) -> float:
        return float(self.is_click[self.known].mean()) if self.known.any() else 0.0


def guess_label(
    columns: Mapping[str, Column], wanted: str | None, click: Sequence[str], *, has_names: bool
) -> LabelGuess:
    """The label: column `wanted`, or else by name and values.

    Raises
    ------
    DataError
        There is no such column, or none that looks like a label; or no row has a value of `click`.
    """
    if wanted is not None:
        if wanted not in columns:
            hint = nearest(wanted, columns)
            raise DataError(sentence(f"--label {wanted}: no such column; {hint}"))
        return _with_clicks(columns[wanted], click, "named by --label", ())
    ranked = sorted(
        (rank, position, column.name)
        for position, column in enumerate(columns.values())
        if (rank := _rank(column, position, len(columns), has_names)) is not None
    )
    if not ranked:
        few = [c.name for c in columns.values() if 1 < c.distinct <= _FEW_VALUES]
        hint = f" Columns with few values: {', '.join(few)}." if few else ""
        raise DataError(
            "No column looks like a label (a column of two values, or a rating): "
            f"name it with --label NAME.{hint}"
        )
    column = columns[ranked[0][2]]
    others = [name for _, _, name in ranked[1:4]]
    named = names.label_rank(column.name) is not None
    why = "its name and its values are a label's" if named else _unnamed_why(column)
    checks: tuple[str, ...] = ()
    if others and not named:
        checks = (f"the label may also be {', '.join(others)}: give --label",)
    return _with_clicks(column, click, why, checks)


def _unnamed_why(column: Column) -> str:
    return "it has two values" if column.distinct == 2 else "its values are those of a rating"


def _rank(column: Column, position: int, count: int, has_names: bool) -> tuple[int, int] | None:
    """Lower is more likely; None if the column does not look like a label."""
    by_name = names.label_rank(column.name)
    if column.distinct == 2 and column.missing < 0.05:
        if by_name is not None:
            return 0, by_name
        at_an_end = position in (0, count - 1)
        if not has_names:
            return (1, 0 if at_an_end else 1) if _is_zero_one(column) else (3, 0)
        return (2, 0) if position == count - 1 else (4, 0 if _is_zero_one(column) else 1)
    if names.is_rating(column.name) and _is_rating(column):
        return 3, 0
    if not has_names and _is_rating(column):
        return 2, 0
    return None


def _is_zero_one(column: Column) -> bool:
    return column.type == "boolean" or (column.is_number and set(column.counts) <= {0, 1})


def _is_rating(column: Column) -> bool:
    """Few values between 0 and 10, whole or half."""
    if not column.is_number or not 3 <= column.distinct <= 21:
        return False
    values = column.present.cast(pl.Float64)
    is_in_steps = values.is_between(0, 10).all() and (values * 2 % 1 == 0).all()
    return bool(is_in_steps) and number(values.max()) > 2


def _with_clicks(
    column: Column, click: Sequence[str], why: str, checks: tuple[str, ...]
) -> LabelGuess:
    known = column.values.is_not_null().to_numpy()
    if column.type in ("list", "other", "empty"):
        raise DataError(
            f"Column {column.name!r} cannot be the label: it holds {column.dtype}, "
            "wanted words or numbers."
        )
    if column.missing > 0:
        missing = f"the label is missing in {column.missing:.1%} of the rows looked at: such rows"
        checks = (*checks, f"{missing} are malformed")
    at_least, chosen, reason = None, tuple(click), ""
    if click:
        text = _as_text(column)
        is_click = text.is_in(list(click)).fill_null(False).to_numpy()
        if not is_click.any():
            seen = list(text.drop_nulls().unique().sort().head(_FEW_VALUES))
            raise DataError(
                f"--click {' '.join(click)}: no row looked at has it in column {column.name!r}, "
                f"which holds {', '.join(map(repr, seen))}."
            )
        reason = "clicks named by --click"
    elif _is_zero_one(column):
        is_click = column.values.cast(pl.Float64).fill_null(0.0).to_numpy() == 1
    elif column.is_number:
        at_least, reason, check = _threshold(column)
        is_click = (column.values.cast(pl.Float64).fill_null(-np.inf) >= at_least).to_numpy()
        checks = (*checks, check)
    else:
        word, reason, doubt = _click_word(column)
        chosen = (word,)
        is_click = (column.values.cast(pl.String) == word).fill_null(False).to_numpy()
        checks = (*checks, doubt) if doubt else checks
    if not is_click.any() or is_click[known].all():
        checks = (*checks, "the rows looked at are of one class: training needs both")
    whole = f"{why}; {reason}" if reason else why
    return LabelGuess(column.name, at_least, chosen, is_click, known, whole, checks)


def _as_text(column: Column) -> pl.Series:
    return column.text if column.text is not None else column.values.cast(pl.String)


def _threshold(column: Column) -> tuple[float, str, str]:
    """The least number that is a click, the reason, and what to check."""
    values = column.present.cast(pl.Float64)
    most, least = number(values.max()), number(values.min())
    if column.distinct == 2:
        return (
            most,
            f"of its two numbers the larger is the click: {most:g}",
            (f"a click is a row with {most:g}, not {least:g}"),
        )
    if _is_rating(column):
        bound = 4.0 if most <= 5 else 8.0
        return bound, "a rating", f"a click is a rating of {bound:g} or more"
    if number((values == 0).mean()) > 0.3 and least == 0:
        return 1.0, "a number that is mostly 0", "a click is any number from 1 on"
    bound = number(values.quantile(0.75, "nearest"))
    return bound, "a number", f"a click is {bound:g} or more, the upper quarter"


def _click_word(column: Column) -> tuple[str, str, str | None]:
    """The word that is a click, the reason, and what to check."""
    counts = {str(word): rows for word, rows in column.counts.items()}
    if len(counts) > 1000:
        raise DataError(
            f"Column {column.name!r} has {len(counts):,} words: name those that are clicks with "
            "--click WORD …, or another label with --label."
        )
    known = [word for word in counts if word.strip().strip(".").lower() in _YES]
    if known:
        others = "" if len(counts) == 2 else f"{len(counts)} words: check which are clicks"
        return known[0], f"{known[0]!r} says so", others or None
    rarest = min(counts, key=lambda word: (counts[word], word))
    shown = ", ".join(f"{word!r} ({rows:,})" for word, rows in list(counts.items())[:5])
    greater = [word for word in counts if word.lstrip().startswith(">")]
    if len(greater) == 1:
        return greater[0], f"{greater[0]!r} is the greater", f"clicks are rows with {greater[0]!r}"
    least = "rarer" if len(counts) == 2 else "rarest"
    return rarest, f"{rarest!r} is the {least} of {shown}", f"clicks are rows with {rarest!r}"
