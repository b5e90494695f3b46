"""A shared library of the CUDA kernels as a module like `plumbline.dlrm._kernels_cuda`.

The library needs no nanobind and fits every version of Python. Its functions and their parameters
are read from plumbline/dlrm/kernels/cuda/api.h, so they stand in one place.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

KERNELS = Path(__file__).parents[2] / "plumbline" / "dlrm" / "kernels"
API = KERNELS / "cuda" / "api.h"
PREFIX = "plumbline_"
TYPES = {
    "int": ctypes.c_int,
    "int64_t": ctypes.c_int64,
    "uint32_t": ctypes.c_uint32,
    "uint64_t": ctypes.c_uint64,
    "float": ctypes.c_float,
}
"""Of parameters and results; a pointer is an address."""

NOT_CODE = re.compile(r"//[^\n]*|^\s*#[^\n]*(?:\\\n[^\n]*)*", re.MULTILINE)
FUNCTION = re.compile(
    rf"PLUMBLINE_CUDA_API\s+(?P<result>[^;()]*?){PREFIX}(?P<name>\w+)\((?P<of>[^)]*)\)"
)


class KernelLibrary(ModuleType):
    """The functions of api.h that the file has, without their prefix.

    Addresses are integers. A function's error text raises RuntimeError.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(f"kernels_{file.stem}")
        self.library = ctypes.CDLL(str(file))
        for declared in FUNCTION.finditer(NOT_CODE.sub("", API.read_text(encoding="utf-8"))):
            function = getattr(self.library, PREFIX + declared["name"], None)
            if function is not None:
                parameters = [_type(one) for one in declared["of"].split(",") if one.strip()]
                result = _type(declared["result"] + "result")
                setattr(self, declared["name"], _callable(function, parameters, result))


def _type(declared: str) -> Any:
    """The ctypes type of `const float *name`."""
    if "*" in declared:
        return ctypes.c_void_p
    kind = declared.replace("const ", "").split()[0]
    if kind not in TYPES:
        raise TypeError(f"{API.name}: wanted a pointer or one of {', '.join(TYPES)}, got {kind}")
    return TYPES[kind]


def _callable(function: Any, parameters: list[Any], result: Any) -> Callable[..., Any]:
    function.argtypes = parameters
    if result is not ctypes.c_void_p:
        function.restype = result
        return function
    function.restype = ctypes.c_char_p

    def call(*arguments: Any) -> None:
        answer = function(*arguments)
        if answer is not None:
            raise RuntimeError(answer.decode())

    return call
