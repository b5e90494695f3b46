"""The machine code of the built CUDA kernels, as cuobjdump prints it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

INSTRUCTION = re.compile(r"/\*(?P<address>[0-9a-f]{4,})\*/\s+(?P<text>[^;]+);")
BRANCH = re.compile(r"\bBRA\b.*?0x(?P<target>[0-9a-f]+)")


@dataclass(frozen=True)
class Loop:
    """The instructions from a label to the branch back to it."""

    start: int
    end: int
    instructions: tuple[str, ...]

    def count(self, *names: str) -> int:
        """How many have one of these names; LDSM is the name of LDSM.16.M88.4."""
        found = Counter(_name(instruction) for instruction in self.instructions)
        return sum(found[name] for name in names)

    def is_inside(self, other: Loop) -> bool:
        return self != other and other.start <= self.start and self.end <= other.end


def main_loop(module: Path, architecture: int, kernel: str) -> Loop:
    """The loop with products of tensor cores, of the kernel whose mangled name has `kernel` in it.

    It has no loop inside, so none of its instructions is executed twice a round. Skips the test if
    there is no cuobjdump.
    """
    for function in _code(module, architecture).split("Function : ")[1:]:
        if kernel in function.split("\n", 1)[0]:
            loops = _loops(function)
            multiplying = [loop for loop in loops if loop.count("HMMA")]
            assert len(multiplying) == 1, f"{kernel}: {len(multiplying)} loops with products"
            assert not any(loop.is_inside(multiplying[0]) for loop in loops), f"{kernel}: nested"
            return multiplying[0]
    raise AssertionError(f"sm_{architecture} has no kernel {kernel}")


_CODE: dict[tuple[Path, int], str] = {}


def _code(module: Path, architecture: int) -> str:
    if (module, architecture) not in _CODE:
        folders = [f"{sysconfig.get_path('purelib')}/nvidia/cu13/bin", os.environ.get("PATH", "")]
        cuobjdump = shutil.which("cuobjdump", path=os.pathsep.join(folders))
        if cuobjdump is None or shutil.which("nvdisasm", path=os.pathsep.join(folders)) is None:
            pytest.skip("there is no cuobjdump with nvdisasm to read the machine code")
        command = [cuobjdump, "-sass", "-arch", f"sm_{architecture}", str(module)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        _CODE[module, architecture] = done.stdout
    return _CODE[module, architecture]


def _loops(function: str) -> list[Loop]:
    code = [(int(found["address"], 16), found["text"]) for found in INSTRUCTION.finditer(function)]
    loops = []
    for end, (address, text) in enumerate(code):
        branch = BRANCH.search(text)
        if branch is not None and int(branch["target"], 16) < address:
            start = int(branch["target"], 16)
            inside = tuple(text for at, text in code[: end + 1] if at >= start)
            loops.append(Loop(start, address, inside))
    return loops


def _name(instruction: str) -> str:
    words = instruction.split()
    return words[words[0].startswith("@")].split(".")[0]
