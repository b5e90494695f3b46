"""Every operator that a graph may use, a file each.

A module holds how its operator is compiled, and what of NVTabular's own is patched; it declares
both in `OPERATORS`. All modules of the folder are loaded, so a new operator is a new file.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from plumbline.nvtabular.operator_call import CompiledOperator


def _declared() -> Iterator[CompiledOperator]:
    for module in iter_modules(__path__, f"{__name__}."):
        yield from import_module(module.name).OPERATORS


_DECLARED = tuple(_declared())

PATCHED: dict[type, type] = {one.of: one.patched for one in _DECLARED if one.patched is not None}
"""NVTabular's operator to the patched one."""

COMPILED: dict[type, CompiledOperator] = {
    **{one.of: one for one in _DECLARED},
    **{one.patched: one for one in _DECLARED if one.patched is not None},
}
"""An operator's exact type to its compiled form."""

SUPPORTED: tuple[str, ...] = tuple(sorted({one.of.__name__ for one in _DECLARED}))
"""What a workflow may be made of, beside the selection and concatenation of columns."""
