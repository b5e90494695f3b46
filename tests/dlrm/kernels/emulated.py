"""The CUDA sources, compiled by g++ against the emulation to a module that runs on the CPU."""

from __future__ import annotations

import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from unittest import SkipTest

from benchmarks.gpu_check.library import KERNELS, KernelLibrary

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


class EmulatedModule(KernelLibrary):
    """The functions of `plumbline.dlrm._kernels_cuda`, and the choice of device and schedule.

    A kernel's fault raises RuntimeError that names kernel, block, thread and index.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        size, number = ctypes.c_int64, ctypes.c_int
        self.library.plumbline_emulate.argtypes = [number, size, size, ctypes.c_uint64, size]
        self.library.plumbline_emulated_launches.restype = ctypes.c_char_p

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


NEEDED = {"scoring": ("embedding", "interaction")}
"""The operators whose functions another one calls."""


def compiled(operator: str, sources: Path = KERNELS) -> EmulatedModule:
    """The module of one operator, such as "interaction"; skips the test without g++.

    Those that it calls are compiled from the original sources.
    """
    folder = _folder()
    file = folder / f"{operator}-{len(list(folder.iterdir()))}.so"
    build_emulated([operator], file, sources)
    return EmulatedModule(file)


def build_emulated(operators: Sequence[str], file: Path, sources: Path = KERNELS) -> None:
    """Compile the operators' CUDA sources to one library; raises SkipTest without g++."""
    compiler = shutil.which("g++")
    if compiler is None:
        raise SkipTest("there is no g++ to compile the emulated kernels")
    objects = _objects(compiler, [sources / "cuda" / f"{name}.cu" for name in operators], file)
    needed = {name for operator in operators for name in NEEDED.get(operator, ())}
    objects += [_original(compiler, name) for name in sorted(needed - set(operators))]
    emulation = _emulation(compiler)
    partial = file.with_suffix(".partial")
    _run([compiler, "-shared", *map(str, [*objects, *emulation]), "-o", str(partial)])
    partial.rename(file)


@functools.cache
def _folder() -> Path:
    """Folder of this process; its files are needed until the process ends."""
    folder = tempfile.TemporaryDirectory(prefix="emulated-kernels-")
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def _emulation(compiler: str) -> list[Path]:
    """Objects of the emulation itself, linked into every module."""
    return _objects(compiler, sorted((KERNELS / "emulation").glob("*.cpp")), Path("emulation"))


@functools.cache
def _original(compiler: str, operator: str) -> Path:
    """The object of an operator, as it is in the repository."""
    source = KERNELS / "cuda" / f"{operator}.cu"
    return _objects(compiler, [source], Path("original"))[0]


def _objects(compiler: str, sources: Sequence[Path], file: Path) -> list[Path]:
    """Compile each source, for this file, in the folder of this process."""
    objects = [_folder() / f"{file.stem}-{source.stem}.o" for source in sources]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        commands = [
            [compiler, *COMPILE, "-x", "c++", "-c", str(source), "-o", str(target)]
            for source, target in zip(sources, objects, strict=True)
        ]
        list(pool.map(_run, commands))
    return objects


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
