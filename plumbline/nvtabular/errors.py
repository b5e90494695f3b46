"""The error for an NVTabular workflow that cannot be compiled."""

from __future__ import annotations

from collections.abc import Iterable

from plumbline.base.errors import PlumblineError


class UnsupportedOperator(PlumblineError):
    """A workflow uses an operator, a parameter or a column type that has no compiled form."""

    @classmethod
    def in_workflow(
        cls, operator: str, columns: Iterable[str], supported: Iterable[str]
    ) -> UnsupportedOperator:
        names = ", ".join(repr(column) for column in columns)
        return cls(
            f"Column {names} uses {operator}, which has no compiled form. "
            f"Supported: {', '.join(sorted(supported))}. Replace it in the workflow."
        )
