"""The CUDA sources, compiled by g++ against the emulation to a module that runs on the CPU."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

KERNELS = Path(__file__).parents[3] / "plumbline" / "dlrm" / "kernels"
COMPILE = [
    "-std=c++20",
    "-O1",
    "-fPIC",
    "-U_FORTIFY_SOURCE",  # it reports the longjmp between fibres as a fault
    "-fno-gnu-unique",  # modules must not share variables
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unknown-pragmas",
    "-DPLUMBLINE_EMULATED",
]


@dataclass(frozen=True)
class Device:
    """The device properties that kernels query before a launch."""

    compute_capability: int
    """10 · major + minor."""
    shared_kib: int
    """Maximum shared memory per block."""
    processors: int


VOLTA = Device(70, 96, 80)
TURING = Device(75, 64, 40)
AMPERE = Device(80, 163, 108)
HOPPER = Device(90, 227, 132)

ADDRESS, SIZE, NUMBER = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
FLOAT, KEY = ctypes.c_float, ctypes.c_uint32
PARAMETERS: dict[str, list[Any]] = {
    "interaction_forward": [*[ADDRESS] * 3, *[SIZE] * 3, *[NUMBER] * 2, ADDRESS],
    "interaction_backward": [*[ADDRESS] * 5, *[SIZE] * 3, *[NUMBER] * 2, ADDRESS],
    "embedding_gather": [*[ADDRESS] * 7, *[SIZE] * 5, *[NUMBER] * 2, ADDRESS],
    "embedding_pool": [*[ADDRESS] * 5, *[SIZE] * 8, *[NUMBER] * 3, ADDRESS],
    "embedding_update": [
        *[ADDRESS] * 7,
        *[SIZE] * 4,
        *[NUMBER] * 2,
        *[FLOAT] * 3,
        *[KEY] * 2,
        ADDRESS,
    ],
}
"""As in plumbline/dlrm/kernels/cuda/api.h."""


class EmulatedModule(ModuleType):
    """The functions of `plumbline.dlrm._kernels_cuda`, and the choice of device and schedule.

    A kernel's fault raises RuntimeError that names kernel, block, thread and index.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(f"emulated_{file.stem}")
        self.library = ctypes.CDLL(str(file))
        for name, parameters in PARAMETERS.items():
            function = getattr(self.library, f"plumbline_{name}", None)
            if function is not None:
                setattr(self, name, _raising(function, parameters))
        self.library.plumbline_emulate.argtypes = [NUMBER, SIZE, SIZE, ctypes.c_uint64, SIZE]
        self.library.plumbline_emulated_launches.restype = ctypes.c_char_p

    def embedding_partial(self, count: int, dim: int) -> int:
        function = self.library.plumbline_embedding_partial
        function.argtypes, function.restype = [SIZE, SIZE], SIZE
        partial: int = function(count, dim)
        return partial

    def emulate(self, device: Device = HOPPER, seed: int = 0, last_blocks: int = 0) -> None:
        """Emulate the device, and run blocks and threads in an order drawn from `seed`.

        With `last_blocks` only the last blocks of every grid run.
        """
        shared_bytes = 1024 * device.shared_kib
        self.library.plumbline_emulate(
            device.compute_capability, shared_bytes, device.processors, seed, last_blocks
        )

    def launches(self) -> list[str]:
        """The kernels that ran since `emulate`."""
        launched: bytes = self.library.plumbline_emulated_launches()
        return launched.decode().split()


def _raising(function: Any, parameters: list[Any]) -> Callable[..., None]:
    function.argtypes, function.restype = parameters, ctypes.c_char_p

    def call(*arguments: Any) -> None:
        answer = function(*arguments)
        if answer is not None:
            raise RuntimeError(answer.decode())

    return call


def compiled(operator: str, sources: Path = KERNELS) -> EmulatedModule:
    """The module of one operator, "interaction" or "embedding"; skips the test without g++."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("there is no g++ to compile the emulated kernels")
    folder = _folder()
    file = folder / f"{operator}-{len(list(folder.iterdir()))}.so"
    emulation = _emulation(compiler, folder)
    source = ["-x", "c++", str(sources / "cuda" / f"{operator}.cu"), "-x", "none"]
    _run([compiler, *COMPILE, "-shared", *source, *map(str, emulation), "-o", str(file)])
    return EmulatedModule(file)


@functools.cache
def _folder() -> Path:
    """Folder of this process; its files are needed until the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="emulated-kernels-")
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def _emulation(compiler: str, folder: Path) -> list[Path]:
    """Objects of the emulation itself, linked into every module."""
    sources = sorted((KERNELS / "emulation").glob("*.cpp"))
    objects = [folder / f"{source.stem}.o" for source in sources]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        commands = [
            [compiler, *COMPILE, "-c", str(source), "-o", str(file)]
            for source, file in zip(sources, objects, strict=True)
        ]
        list(pool.map(_run, commands))
    return objects


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
