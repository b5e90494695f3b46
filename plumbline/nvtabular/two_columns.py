"""Expressions of two columns: the selected pair."""

from __future__ import annotations

from typing import Any


def pair(operator: str, col_selector: Any) -> tuple[str, str]:
    """The names of the two selected columns, in order; one that is selected twice is both.

    Raises
    ------
    ValueError
        Not two columns are selected.
    """
    names = list(col_selector.names)
    if len(names) != 2:
        raise ValueError(f"{operator}: wanted two columns, got {len(names)}: {', '.join(names)}")
    first, second = names
    return first, second
