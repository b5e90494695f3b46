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


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="one instruction set here")
@pytest.mark.parametrize("source", sorted(SOURCES.glob("*_loops.cpp")), ids=lambda file: file.stem)
def test_the_loops_of_an_instruction_set_share_no_function(source: Path, tmp_path: Path) -> None:
    """Without optimization every function that is not always inlined has a symbol, even if weak."""
    compiled = tmp_path / "loops.o"
    subprocess.run(
        ["g++", *OPTIONS, "-O0", "-DPLUMBLINE_INSTRUCTION_SET=avx2", "-c", source, "-o", compiled],
        check=True,
    )
    names = ["nm", "--demangle", "--defined-only", "--extern-only", compiled]
    symbols = subprocess.run(names, check=True, capture_output=True, text=True).stdout
    (symbol,) = symbols.splitlines()
    assert " T " in symbol and "loops<(plumbline::InstructionSet)1>(" in symbol
