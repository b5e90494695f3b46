"""Constants in the parameters of expressions."""

from __future__ import annotations

from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """A NumPy scalar as Python's own int, float, bool or text; any other value as it is."""
    return value.item() if isinstance(value, np.generic) else value


EXACT_INTEGERS = 2**53
"""The largest absolute value up to which float64 has every integer."""


def is_exact_integer(number: float) -> bool:
    """Whether float64 holds the number as an integer."""
    return float(number).is_integer() and abs(number) <= EXACT_INTEGERS


def text_of(operator: str, wanted: str, value: Any) -> str:
    """The value as text.

    Raises
    ------
    ValueError
        It is no text, is empty (which means missing), or is no UTF-8.
    """
    if isinstance(value, str) and value and is_utf8(value):
        return str(value)
    if isinstance(value, str):
        wanted += " in UTF-8" if value else ", not empty"
    raise ValueError(f"{operator}: wanted {wanted}, got {value!r}")


def is_utf8(text: str) -> bool:
    """False if the text has a surrogate, which UTF-8 cannot encode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
