"""The result of converting a column, and helpers for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.value_rules.text_values import REFUSED

_SHOWN_CHARACTERS = 40
_PER_SECOND = {"ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_214_400
"""From year 1 to the last day of year 9999, in seconds since 1970."""


class ColumnRefused(ValueError):
    """A column of a type that its kind does not accept, or with overlapping codes."""


def _no_hint(found: object) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Converted:
    """A converted column.

    value: (B,), null if missing or malformed; malformed: (B,), the mask of refused raw values.
    `wanted` describes the values that the kind accepts. For a refused raw value, `hint` continues
    the reason, and `advice` says which setting or kind would accept it.
    """

    value: pl.Series
    malformed: NDArray[np.bool_]
    wanted: str
    hint: Callable[[object], str] = _no_hint
    advice: Callable[[object], str] = _no_hint

    def reason(self, found: object, where: str = "") -> str:
        """Why a raw value is refused."""
        return f"wanted {self.wanted}, found {shown(found)}{where}{self.hint(found)}"


def raw_value(column: pl.Series, row: int) -> object:
    """A raw value, as Python has it; a time that Python cannot have as the number it is stored as.

    Polars would panic for such a time.
    """
    value = column.to_physical()[row]
    if value is None or not column.dtype.is_temporal():
        return column[row]
    a_second = _PER_SECOND.get(getattr(column.dtype, "time_unit", None) or "", 1 / 86_400)
    return column[row] if _FIRST_SECOND <= value / a_second <= _LAST_SECOND else value


def shown(value: object) -> str:
    """A raw value as a message shows it."""
    if value is None:
        return "nothing"
    text = repr(value.to_list() if isinstance(value, pl.Series) else value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def not_refused(column: pl.Series) -> NDArray[np.bool_]:
    return np.zeros(len(column), np.bool_)


def mask_of(flags: pl.Series) -> NDArray[np.bool_]:
    """Booleans without nulls as a NumPy mask."""
    return np.asarray(flags.to_numpy(), dtype=np.bool_)


def by_value(
    column: pl.Series, meaning: Callable[[str], Any], dtype: pa.DataType
) -> tuple[pl.Series, NDArray[np.bool_]]:
    """Apply `meaning` to each distinct text. Returns the values and the mask of the refused."""
    encoded = column.to_arrow().cast(pa.large_string()).dictionary_encode()
    meanings = [meaning(text) for text in encoded.dictionary.to_pylist()]
    values = pa.array([None if m is REFUSED else m for m in meanings], dtype)
    refused = np.array([*(m is REFUSED for m in meanings), False], np.bool_)
    codes = encoded.indices.fill_null(len(meanings)) if column.null_count() else encoded.indices
    series = pl.Series(column.name, values.take(encoded.indices))
    return series, refused[np.asarray(codes)]
