"""Polars columns by their very names: `pl.col` takes `*` and `^a.$` for patterns."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl
import polars.selectors as cs


def column(name: str) -> pl.Expr:
    """The column of this name, whatever characters are in it.

    >>> pl.DataFrame({"*": [1], "a": [2]}).select(column("*")).columns
    ['*']
    """
    return cs.by_name(name).as_expr()


def is_pattern(name: str) -> bool:
    """Whether Polars takes the name for a pattern; the methods of a series of that name fail.

    >>> is_pattern("*"), is_pattern("^a.$"), is_pattern("a*")
    (True, True, False)
    """
    return name == "*" or (name.startswith("^") and name.endswith("$"))


def columns(names: Iterable[str]) -> list[pl.Expr]:
    """One expression a name, in their order."""
    return [column(name) for name in names]
