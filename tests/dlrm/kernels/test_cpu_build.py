"""The symbols that the loops of the CPU kernels export."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

import plumbline.dlrm

SOURCES = Path(plumbline.dlrm.__path__[0]) / "kernels" / "cpu"
OPTIONS = ["-std=gnu++20", "-mavx2", "-mfma", "-mf16c", "-Wno-psabi"]
NUMBERS = {"avx2": 1, "emulatedamx": 2}
PERSONALITY = "DW.ref.__gxx_personality_v0"
"""Data that any function which cleans up after an exception refers to."""


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="one instruction set here")
@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("source", sorted(SOURCES.glob("*_loops.cpp")), ids=lambda file: file.stem)
def test_the_loops_of_an_instruction_set_share_no_function(
    source: Path, name: str, tmp_path: Path
) -> None:
    """Without optimization every function that is not always inlined has a symbol, even if weak."""
    compiled = tmp_path / "loops.o"
    options = [*OPTIONS, "-O0", f"-DPLUMBLINE_INSTRUCTION_SET={name}"]
    subprocess.run(["g++", *options, "-c", source, "-o", compiled], check=True)
    names = ["nm", "--demangle", "--defined-only", "--extern-only", compiled]
    symbols = subprocess.run(names, check=True, capture_output=True, text=True).stdout
    (symbol,) = [line for line in symbols.splitlines() if PERSONALITY not in line]
    assert " T " in symbol and f"loops<(plumbline::InstructionSet){NUMBERS[name]}>(" in symbol
