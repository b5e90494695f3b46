"""The error for an NVTabular workflow that cannot be compiled."""

from __future__ import annotations

from collections.abc import Iterable

from plumbline.base.errors import PlanError, PlumblineError, nearest
from plumbline.base.printable import sentence


class UnsupportedOperator(PlumblineError):
    """A workflow uses an operator, a parameter or a column type that has no compiled form."""

    @classmethod
    def in_workflow(cls, what: str, column: str, remedy: str) -> UnsupportedOperator:
        """`remedy` is sentences: why it has none, and what to write instead."""
        return cls(
            f"Column {column!r} uses {what}, which has no compiled form. {remedy} "
            "`plumbline operators` lists the operators that have one."
        )


class UnknownColumn(PlanError):
    """A workflow selects or subtracts a column that does not exist."""

    @classmethod
    def named(cls, what: str, name: str, known: Iterable[str]) -> UnknownColumn:
        return cls(sentence(f"{what} {name!r}; {nearest(name, known)}"))
