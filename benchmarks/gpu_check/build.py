"""Builds the kernels: nvcc alone, or g++ against the emulation, to a shared library.

The library is kept in `.gpu-check/` under a hash of the sources, and taken again while they are the
same. So one that was built elsewhere can be brought to a machine without nvcc.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.gpu_check.library import KERNELS
from benchmarks.gpu_check.library_file import FOLDER, find_tool, library_file
from benchmarks.gpu_check.report import Report
from tests.dlrm.kernels.emulated import build_emulated

NVCC_OPTIONS = ("-std=c++17", "-O3", "-lineinfo", "-Xptxas=-v", "-Xcompiler=-fPIC")
ENTRY = re.compile(
    r"Compiling entry function '_ZN9plumbline\d+(?P<name>[a-z_]+).*?' for '(?P<on>\w+)'"
    r".*?(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
    r".*?Used (?P<registers>\d+) registers",
    re.DOTALL,
)
"""ptxas's report of one kernel."""


def check(is_emulated: bool, report: Report) -> None:
    """Build the library, unless it is there."""
    file = library_file(is_emulated)
    if file.exists():
        report.note(f"{file.name} was built before from the same sources")
    elif is_emulated:
        file.parent.mkdir(exist_ok=True)
        build_emulated([source.stem for source in _sources()], file)
    else:
        file.parent.mkdir(exist_ok=True)
        _report_kernels(_build(file), report)
    report.checked()


def _sources() -> list[Path]:
    return sorted((KERNELS / "cuda").glob("*.cu"))


def _build(file: Path) -> str:
    """Compile every source with nvcc, and link; returns what ptxas said."""
    nvcc = find_tool("nvcc")
    if nvcc is None:
        raise FileNotFoundError(
            f"wanted nvcc on the path, in CUDA_HOME or in /usr/local/cuda, or {file.name} in "
            f"{FOLDER.name}/; found neither. Install the CUDA toolkit"
        )
    options = [*NVCC_OPTIONS, f"-arch={_architecture()}"]
    sources = _sources()
    objects = [file.with_name(f"{file.stem}-{source.stem}.o") for source in sources]
    commands = [
        [nvcc, *options, "-c", str(source), "-o", str(target)]
        for source, target in zip(sources, objects, strict=True)
    ]
    with ThreadPoolExecutor() as pool:
        said = "".join(pool.map(_run, commands))
    partial = file.with_suffix(".partial")
    _run([nvcc, "-shared", *map(str, objects), "-o", str(partial)])
    for target in objects:
        target.unlink()
    partial.rename(file)
    return said


def _architecture() -> str:
    """The device's, or without one those of all devices."""
    if not torch.cuda.is_available():
        return "all-major"
    major, minor = torch.cuda.get_device_capability()
    return f"sm_{major}{minor}"


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def _report_kernels(said: str, report: Report) -> None:
    """Of each kernel's forms for dtypes, the one with the most."""
    most: dict[tuple[str, str], tuple[int, int]] = {}
    for entry in ENTRY.finditer(said):
        key = entry["name"], entry["on"]
        registers, spilled = most.get(key, (0, 0))
        spills = int(entry["stores"]) + int(entry["loads"])
        most[key] = max(registers, int(entry["registers"])), max(spilled, spills)
    rows = [[*key, *map(str, counts)] for key, counts in most.items()]
    report.table("Kernels as compiled", ["kernel", "for", "registers", "bytes spilled"], rows)
