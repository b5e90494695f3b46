"""Faults that the tests insert into the kernels' sources, and the error that each must cause.

All faults of an operator are compiled at once, each behind a test of one number; the program is
correct if that number is 0.
"""

from __future__ import annotations

import ctypes
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.dlrm.kernels.emulated import KERNELS, EmulatedModule, compiled

NUMBER = "plumbline_fault"


@dataclass(frozen=True)
class Fault:
    """One change of one source file. `right` occurs there once: an expression, or a statement."""

    name: str
    file: str
    right: str
    wrong: str
    says: str
    """Pattern of the expected error."""

    def put_into(self, text: str, number: int) -> str:
        assert text.count(self.right) == 1, f"{self.file} has not once: {self.right}"
        if ";" in self.right:
            both = f"if ({NUMBER} == {number}) {{ {self.wrong} }} else {{ {self.right}\n}}"
        else:
            both = f"({NUMBER} == {number} ? ({self.wrong}) : ({self.right}))"
        return text.replace(self.right, both)


def put_faults(
    faults: Sequence[Fault], sources: str, source: str, folder: Path
) -> dict[Fault, int]:
    """Copy the folder of sources, with the faults and their number, and number the faults from 1.

    `source` is the file that is compiled.
    """
    numbers = {fault: number for number, fault in enumerate(faults, start=1)}
    shutil.copytree(KERNELS / sources, folder / sources)
    for fault, number in numbers.items():
        file = folder / sources / fault.file
        file.write_text(fault.put_into(file.read_text(), number))
    file = folder / sources / source
    file.write_text(f"inline int {NUMBER} = 0;\n{file.read_text()}")
    return numbers


class FaultyModule:
    """The emulated module of an operator on CUDA, with one of its faults at a time."""

    def __init__(self, operator: str, faults: Sequence[Fault], folder: Path) -> None:
        self._numbers = put_faults(faults, "cuda", f"{operator}.cu", folder)
        shutil.copytree(KERNELS / "emulation", folder / "emulation")
        self.module: EmulatedModule = compiled(operator, folder)
        self._number = ctypes.c_int.in_dll(self.module.library, NUMBER)

    def choose(self, fault: Fault | None) -> None:
        """Select the active fault; None for the correct program."""
        self._number.value = 0 if fault is None else self._numbers[fault]
