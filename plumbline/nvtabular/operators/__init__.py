"""The operators that a graph may use, a file each.

A module compiles its operator, defines the patched subclass of NVTabular's or an operator of our
own, and declares them in `OPERATORS`. All modules of the folder are loaded, so a new operator is a
new file.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from plumbline.nvtabular.operator_call import CompiledOperator

_MODULES = tuple(import_module(module.name) for module in iter_modules(__path__, f"{__name__}."))

_DECLARED: tuple[CompiledOperator, ...] = tuple(
    declared for module in _MODULES for declared in module.OPERATORS
)

PATCHED: dict[type, type] = {
    declared.operator: declared.patched for declared in _DECLARED if declared.patched is not None
}
"""NVTabular's operator to the patched operator."""

COMPILED: dict[type, CompiledOperator] = {
    **{declared.operator: declared for declared in _DECLARED},
    **{declared.patched: declared for declared in _DECLARED if declared.patched is not None},
}
"""An operator's exact type, patched or not, to its declaration."""

SUPPORTED: tuple[str, ...] = tuple(sorted({declared.operator.__name__ for declared in _DECLARED}))
"""The names of the operators that a workflow may use, besides selecting and combining columns."""


def purposes() -> dict[str, str]:
    """What each operator of `SUPPORTED` does.

    It is in the line of its module's docstring that begins with its name, or else in the first.
    """
    purposes = {}
    for module in _MODULES:
        first, *rest = (module.__doc__ or "").strip().split("\n")
        for declared in module.OPERATORS:
            name = declared.operator.__name__
            line = next((line for line in rest if line.startswith(f"{name}: ")), first)
            purposes[name] = line.partition(": ")[2].removesuffix(".")
    return {name: purposes[name] for name in SUPPORTED}
