"""The instruction set that a CPU kernel runs with. Needs no torch."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

PLAIN = "plain"


def candidates(module: ModuleType) -> list[str]:
    """The sets worth a try, widest first: `plain` only where there is no other."""
    sets: list[str] = module.instruction_sets()[::-1]
    return [name for name in sets if name != PLAIN] or sets


def build_of(module: ModuleType) -> dict[str, Any]:
    """What tells one build of the kernels from another."""
    try:
        number = version("plumbline")
    except PackageNotFoundError:  # run from the sources
        number = ""
    if module.__file__ is None:
        return {"version": number}
    file = Path(module.__file__).stat()
    return {"version": number, "bytes": file.st_size, "modified": file.st_mtime_ns}
