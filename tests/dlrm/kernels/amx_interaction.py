"""The interaction's kernels on emulated tiles, compiled from sources that a test may change."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

import plumbline.dlrm

SOURCES = Path(plumbline.dlrm.__path__[0]) / "kernels" / "cpu"
PROGRAM = Path(__file__).with_name("amx_interaction.cpp")
OPTIONS = [
    "-std=gnu++20",
    "-O1",
    "-mavx2",
    "-mfma",
    "-mf16c",
    "-fPIC",
    "-shared",
    "-fno-gnu-unique",  # modules must not share variables
    "-Wno-psabi",
    "-DPLUMBLINE_INSTRUCTION_SET=emulatedamx",
]


class AmxInteraction(ModuleType):
    """The functions of the interaction in `plumbline.dlrm._kernels`, for bfloat16 and one thread.

    RuntimeError says what tiles refuse and whether scratch memory was too small.
    """

    def __init__(self, sources: Path, file: Path) -> None:
        super().__init__("amx_interaction")
        if shutil.which("g++") is None:
            pytest.skip("there is no g++ to compile the kernels")
        command = ["g++", *OPTIONS, "-I", str(sources), str(PROGRAM), "-o", str(file)]
        subprocess.run(command, check=True)
        self.library = ctypes.CDLL(str(file))

    def interaction_forward(self, _set: str, _dtype: int, *arguments: int) -> None:
        self._call(self.library.interaction_forward, *arguments[:-1])

    def interaction_backward(self, _set: str, _dtype: int, *arguments: int) -> None:
        self._call(self.library.interaction_backward, *arguments[:-1])

    @staticmethod
    def _call(function: ctypes._CFuncPtr, *arguments: int) -> None:
        function.restype = ctypes.c_char_p
        wrong = function(*(ctypes.c_int64(argument) for argument in arguments))
        if wrong is not None:
            raise RuntimeError(wrong.decode())
