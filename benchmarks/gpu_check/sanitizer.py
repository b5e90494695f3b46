"""The small ladders under compute-sanitizer: accesses, races in shared memory, barriers."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import SkipTest

from benchmarks.gpu_check.library_file import find_tool
from benchmarks.gpu_check.place import Place
from benchmarks.gpu_check.report import Report

TOOLS = ("memcheck", "racecheck", "synccheck")
FOUND = 86
"""Exit status of the sanitizer if it finds an error."""


def check(place: Place, report: Report) -> None:
    """All tools at once, each with a process of its own."""
    if place.is_emulated:
        raise SkipTest("compute-sanitizer needs a device; the emulation itself checks the same")
    sanitizer = find_tool("compute-sanitizer")
    if sanitizer is None:
        raise SkipTest("compute-sanitizer is not found")
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        runs = {tool: pool.submit(_run, sanitizer, tool, Path(folder)) for tool in TOOLS}
        said = {tool: run.result() for tool, run in runs.items()}
    for tool, (status, output) in said.items():
        summary = [line for line in output.splitlines() if "SUMMARY" in line]
        assert status == 0 and summary, f"{tool} ended with status {status}: {output[-2000:]}"
        report.note(f"{tool}: {summary[-1].strip('= ')}")
        report.checked()


def _run(sanitizer: str, tool: str, folder: Path) -> tuple[int, str]:
    """Status and output; every tensor has memory of its own, so that its ends are seen."""
    command = [
        sanitizer,
        "--tool",
        tool,
        "--error-exitcode",
        str(FOUND),
        "--report-api-errors",
        "no",
    ]
    command += [sys.executable, "-m", "benchmarks.gpu_check.part", "ladders"]
    command += [str(folder / f"{tool}.json"), "--small"]
    own_memory = {**os.environ, "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=own_memory)
    return done.returncode, done.stdout + done.stderr
