"""Numbers: continuous, integer and hex, from text, integers, floats, decimals and booleans."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.unsigned import NO_CODE, UNSIGNED_START, signed_code, signed_codes
from plumbline.columns.value_rules import advice, kinds, text_values
from plumbline.columns.value_rules.converted import (
    ColumnRefused,
    Converted,
    by_value,
    mask_of,
    not_refused,
)
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.values import NULL_INT64

_ZERO_FRACTION = r"^([+-]?[0-9]+)\.0*$"
_DIGITS = r"^\+?[0-9]+$"
_INT64_BOUND = 2.0**63


def continuous(column: pl.Series, rules: ValueRules) -> Converted:
    number, malformed = reals(column, rules)
    narrow = number.cast(pl.Float32)
    malformed |= mask_of(narrow.is_infinite().fill_null(False))
    value = narrow.set(~narrow.is_finite(), None)
    wanted = kinds.ACCEPTED["continuous"].wanted
    return Converted(value, malformed, wanted, advice=partial(advice.of_number, rules=rules))


def reals(column: pl.Series, rules: ValueRules) -> tuple[pl.Series, NDArray[np.bool_]]:
    """float64 numbers, null if missing, NaN or malformed; and the mask of the malformed."""
    if column.dtype != pl.String:
        number, malformed = column.cast(pl.Float64), not_refused(column)
    else:
        number, malformed = _reals_of_text(column, rules)
    if rules.missing_numbers and column.dtype != pl.Boolean:
        number = number.set(number.is_in(rules.missing_numbers).fill_null(False), None)
    return number.fill_nan(None), malformed


def _reals_of_text(column: pl.Series, rules: ValueRules) -> tuple[pl.Series, NDArray[np.bool_]]:
    number = with_points(column, rules).cast(pl.Float64, strict=False)
    rest = number.is_null() & column.is_not_null()
    malformed = mask_of(rest)
    if malformed.any():
        meaning = partial(text_values.real, rules=rules)
        values, refused = by_value(column.filter(rest), meaning, pa.float64())
        number = number.scatter(np.flatnonzero(malformed), values)
        malformed[malformed] = refused
    return number, malformed


def with_points(column: pl.Series, rules: ValueRules) -> pl.Series:
    """Numbers in text as Polars reads them; null if a decimal or thousands mark is ambiguous."""
    if rules.has_plain_numbers:
        return column
    if rules.thousands is not None:
        grouped = column.str.contains(f"^(?:{text_values.thousands_pattern(rules)})$")
        without = column.str.replace_all(text_values.thousands_marks(rules), "")
        column = without.zip_with(grouped.fill_null(False), column)
    mark = re.escape(rules.decimal)
    plain = column.str.contains(f"^[+-]?(?:[0-9]+|[0-9]*{mark}[0-9]+)$")
    return column.set(~plain, None).str.replace(rules.decimal, ".", literal=True)


def integer(column: pl.Series, rules: ValueRules) -> Converted:
    """Integers as int64 codes (see `plumbline.columns.unsigned`).

    Raises
    ------
    ColumnRefused
        Both negative numbers and numbers from 2⁶³ on, whose codes overlap.
    """
    codes = _codes(column, rules)
    if column.dtype != pl.Boolean:
        codes.leave_out(rules.missing_integers)
    return codes.converted(
        kinds.ACCEPTED["integer"].wanted, _hint, partial(advice.of_integer, rules=rules)
    )


def hexadecimal(column: pl.Series, rules: ValueRules) -> Converted:
    """Hexadecimal text, or integers, as int64 codes."""
    if column.dtype != pl.String:
        codes = _codes(column, rules)
    else:
        codes = _Codes(column)
        number = column.str.to_integer(base=16, dtype=pl.UInt64, strict=False)
        signed = column.str.starts_with("-") | column.str.starts_with("+")
        long = column.str.len_bytes() > text_values.MOST_HEX_DIGITS
        known = (number.is_not_null() & ~signed & ~long).fill_null(False)
        codes.store_unsigned(mask_of(known), number.fill_null(0).to_numpy())
    codes.leave_out(rules.missing_hexadecimals)
    return codes.converted(kinds.ACCEPTED["hex"].wanted, _hex_hint, advice.of_hexadecimal)


def _codes(column: pl.Series, rules: ValueRules) -> _Codes:
    dtype = column.dtype
    if dtype == pl.String:
        return _Codes.of_text(column, rules)
    if dtype.is_decimal():
        return _Codes.of_text(without_zero_fraction(column), ValueRules())
    if dtype.is_float():
        return _Codes.of_floats(column)
    codes = _Codes(column)
    known = mask_of(column.is_not_null())
    if dtype == pl.UInt64:
        codes.store_unsigned(known, column.fill_null(0).to_numpy())
    else:
        codes.values, codes.known = column.cast(pl.Int64).fill_null(0).to_numpy(), known
    return codes


def without_zero_fraction(column: pl.Series) -> pl.Series:
    """Decimals as exact text; whole numbers have no point."""
    text: pl.Series = column.cast(pl.String).str.replace(r"\.0*$", "")
    return text


class _Codes:
    """Integers that are being converted to codes.

    values: int64 (B,), the codes; known: mask of the rows that have a code; given: mask of the rows
    whose raw value is not missing; unsigned: mask of the numbers from 2⁶³ on.
    """

    def __init__(self, column: pl.Series) -> None:
        self.name = column.name
        self.values: NDArray[np.int64] = np.zeros(len(column), np.int64)
        self.known: NDArray[np.bool_] = np.zeros(len(column), np.bool_)
        self.given = mask_of(column.is_not_null())
        self.unsigned: NDArray[np.bool_] = np.zeros(len(column), np.bool_)

    @classmethod
    def of_text(cls, column: pl.Series, rules: ValueRules) -> _Codes:
        """Read common formats as whole columns, and the remaining texts one by one."""
        codes = cls(column)
        numbers = with_points(column, rules).cast(pl.Int64, strict=False)
        codes.values = numbers.fill_null(0).to_numpy().copy()
        codes.known = mask_of(numbers.is_not_null())
        positions = np.flatnonzero(codes.given & ~codes.known)
        if len(positions) and rules.has_plain_numbers:
            whole = column.gather(positions).str.extract(_ZERO_FRACTION)
            numbers = whole.cast(pl.Int64, strict=False)
            positions = codes._store(positions, numbers, numbers)
        if len(positions):
            texts = column.gather(positions)
            digits = texts.set(~texts.str.contains(_DIGITS), None)
            numbers = digits.cast(pl.UInt64, strict=False)
            signed, refused = signed_codes(numbers.fill_null(0).to_numpy())
            codes.unsigned[positions] = mask_of(numbers.is_not_null())
            positions = codes._store(positions, numbers, pl.Series(signed), refused)
        if len(positions):
            texts = column.gather(positions)
            numbers, refused = by_value(texts, partial(text_values.whole, rules=rules), pa.int64())
            codes.given[positions] = mask_of(numbers.is_not_null()) | refused
            negative = mask_of(texts.str.starts_with("-"))
            codes.unsigned[positions] = ~negative & (numbers.fill_null(0).to_numpy() < 0)
            codes._store(positions, numbers, numbers)
        return codes

    @classmethod
    def of_floats(cls, column: pl.Series) -> _Codes:
        codes = cls(column)
        numbers = column.cast(pl.Float64).fill_null(np.nan).to_numpy()
        codes.given = ~np.isnan(numbers)
        is_whole = np.equal(numbers, np.floor(numbers))
        codes.known = is_whole & (np.abs(numbers) < _INT64_BOUND)
        codes.values = np.where(codes.known, numbers, 0.0).astype(np.int64)
        large = is_whole & (numbers >= _INT64_BOUND) & (numbers < 2 * _INT64_BOUND)
        if large.any():
            codes.store_unsigned(large, np.where(large, numbers, 0.0).astype(np.uint64))
        return codes

    def store_unsigned(self, rows: NDArray[np.bool_], numbers: NDArray[np.uint64]) -> None:
        """Store the numbers of a mask of rows."""
        codes, refused = signed_codes(numbers)
        self.values = np.where(rows, codes, self.values)
        self.known = self.known | (rows & ~refused)
        self.unsigned = self.unsigned | (rows & (numbers >= np.uint64(UNSIGNED_START)))

    def leave_out(self, missing: Sequence[int]) -> None:
        """Make these numbers missing."""
        for number in missing:
            code, is_unsigned = signed_code(number), number >= UNSIGNED_START
            if code is not None:
                equal = (self.values == code) & (self.unsigned == is_unsigned) & self.known
                self.given, self.known = self.given & ~equal, self.known & ~equal

    def converted(
        self, wanted: str, hint: Callable[[object], str], advised: Callable[[object], str]
    ) -> Converted:
        known = self.known & (self.values != NULL_INT64)
        if self.unsigned.any():
            self._check_signs(known)
        value = pl.Series(self.name, pa.array(self.values, mask=~known))
        return Converted(value, self.given & ~known, wanted, hint, advised)

    def _store(
        self,
        positions: NDArray[np.int64],
        numbers: pl.Series,
        codes: pl.Series,
        refused: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int64]:
        """Store the codes of the numbers that are not null. Returns the positions of the nulls."""
        is_number = mask_of(numbers.is_not_null())
        self.values[positions[is_number]] = codes.fill_null(0).to_numpy()[is_number]
        self.known[positions[is_number]] = True if refused is None else ~refused[is_number]
        return positions[~is_number]

    def _check_signs(self, known: NDArray[np.bool_]) -> None:
        negative = known & (self.values < 0) & ~self.unsigned
        if negative.any():
            raise ColumnRefused(
                f"column {self.name!r} holds the negative number "
                f"{self.values[np.argmax(negative)]} beside numbers from 9223372036854775808 on, "
                "which are stored by their bits and cannot be told apart from negative ones: "
                "declare it as string, or name the negative number in log.missing"
            )


def _hint(found: object) -> str:
    if str(found).strip() == str(NO_CODE):
        return "; this one number of 64 bits has no code: declare the column as string"
    word = found.strip().lower() if isinstance(found, str) else ""
    if word in text_values.TRUE_WORDS or word in text_values.FALSE_WORDS:
        return "; kind boolean takes it"
    return ""


def _hex_hint(found: object) -> str:
    is_without_code = str(found).strip().lower() == f"{NO_CODE:x}"
    return _hint(str(NO_CODE)) if is_without_code else ""
