"""A few changed artifacts, each used in a process of its own; `make fuzz` runs thousands."""

from __future__ import annotations

import os
import random
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline.base.native import uses_native
from tests.conftest import ROOT
from tests.hostile.signing import sign
from tests.hostile.trials import KINDS
from tests.hostile.use import use

SEED = int(os.environ.get("FUZZ_SEED") or (5 if os.environ.get("CI") else secrets.randbits(32)))


def test_changed_artifacts_are_used_or_refused() -> None:
    """`FUZZ_SEED` in the environment draws the same changes again."""
    command = ["-m", "tests.hostile.trials", "--seed", str(SEED), "--seconds", "4"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " trials, 0 faults" in done.stdout


@pytest.mark.parametrize("kind", sorted(set(KINDS)))
def test_signed_artifacts_are_used(original: Path, tmp_path: Path, kind: str) -> None:
    """So a refusal in a trial is for its change."""
    folder = Path(shutil.copytree(original / kind, tmp_path / kind))
    sign(folder)
    assert use(folder, original, random.Random(0)) == "used"


FAULTS = {
    "os.kill(os.getpid(), signal.SIGSEGV)": "SIGSEGV after",
    "while True: pass": "SIGALRM after",
    "bytearray(1 << 40)": "MemoryError",
    "raise KeyError('x')": "KeyError: 'x'",
}


def test_a_trial_finds_a_fault(tmp_path: Path) -> None:
    """A crash, an endless loop, a huge allocation, and an error that is not for a user."""
    code = (
        "import os, signal; from pathlib import Path; from tests.hostile import trials\n"
        f"trials.SECONDS, folder = 1, Path({str(tmp_path)!r})\n"
        f"for body in {list(FAULTS)!r}:\n"
        "    trials._use = lambda *given: exec(body)\n"
        "    print('@', trials.Trial(1).run(folder, folder))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    found = done.stdout.split("@")[1:]
    assert len(found) == len(FAULTS), done.stderr
    for said, fault in zip(found, FAULTS.values(), strict=True):
        assert fault in said


@pytest.mark.skipif(not uses_native(), reason="plumbline._native is not in use")
def test_native_calls_with_drawn_bytes_end() -> None:
    command = ["-m", "tests.hostile.native_calls", "--seed", str(SEED), "--seconds", "2"]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"'{name}': " in done.stdout for name in ("parse", "columns", "index", "encoder"))
