"""What comes of a column."""

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


class ColumnRefused(ValueError):
    """A column whose type its kind cannot take, or whose values contradict each other."""


def _no_hint(found: object) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Taken:
    """A column's values.

    value: null where missing or malformed; malformed: (B,), true where the raw value is refused;
    `wanted` is what the kind takes; `hint` continues the reason why a value is refused,
    and `advice` says which setting or kind would take it.
    """

    value: pl.Series
    malformed: NDArray[np.bool_]
    wanted: str
    hint: Callable[[object], str] = _no_hint
    advice: Callable[[object], str] = _no_hint

    def reason(self, found: object, where: str = "") -> str:
        """Why a raw value is refused."""
        return f"wanted {self.wanted}, found {shown(found)}{where}{self.hint(found)}"


def shown(value: object) -> str:
    """A raw value as a message shows it."""
    if value is None:
        return "nothing"
    text = repr(value.to_list() if isinstance(value, pl.Series) else value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def not_refused(column: pl.Series) -> NDArray[np.bool_]:
    return np.zeros(len(column), np.bool_)


def mask_of(flags: pl.Series) -> NDArray[np.bool_]:
    """Of booleans without nulls."""
    return np.asarray(flags.to_numpy(), dtype=np.bool_)


def by_value(
    column: pl.Series, meaning: Callable[[str], Any], dtype: pa.DataType
) -> tuple[pl.Series, NDArray[np.bool_]]:
    """Text by what `meaning` says of each distinct one: the values, and which are refused."""
    encoded = column.to_arrow().cast(pa.large_string()).dictionary_encode()
    meanings = [meaning(text) for text in encoded.dictionary.to_pylist()]
    values = pa.array([None if m is REFUSED else m for m in meanings], dtype)
    refused = np.array([*(m is REFUSED for m in meanings), False], np.bool_)
    codes = encoded.indices.fill_null(len(meanings)) if column.null_count() else encoded.indices
    series = pl.Series(column.name, values.take(encoded.indices))
    return series, refused[np.asarray(codes)]
