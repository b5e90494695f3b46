"""Polars columns by exact name; `pl.col` reads `*` and `^a.$` as patterns."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import polars.selectors as cs


def column(name: str) -> pl.Expr:
    """The column of exactly this name.

    >>> pl.DataFrame({"*": [1], "a": [2]}).select(column("*")).columns
    ['*']
    """
    return cs.by_name(name).as_expr()


def is_pattern(name: str) -> bool:
    """Whether Polars reads the name as a pattern; methods of a series with such a name fail.

    >>> is_pattern("*"), is_pattern("^a.$"), is_pattern("a*")
    (True, True, False)
    """
    return name == "*" or (name.startswith("^") and name.endswith("$"))


def columns(names: Iterable[str]) -> list[pl.Expr]:
    """An expression for each name, in order."""
    return [column(name) for name in names]
