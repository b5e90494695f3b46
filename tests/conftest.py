import contextlib
import io
import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from plumbline.base.native import SETTING, native
from plumbline.base.threads import let_waiting_threads_sleep

ROOT = Path(__file__).parents[1]

let_waiting_threads_sleep()  # `make test` runs several processes, each with a thread a core

# CI draws the same few examples every time; a run by hand draws new ones. A busy machine is not a
# failure.
settings.register_profile("hand", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("hand"), derandomize=True, max_examples=50)
settings.load_profile("ci" if os.environ.get("CI") else "hand")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    returncode: int
    stderr: str
    stdout: str = ""


Command = Callable[..., Ended]


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a script of the repository in an empty folder, in this process, which is faster."""
    monkeypatch.chdir(tmp_path)

    def run(script: str, *arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        stderr, status = io.StringIO(), 0
        cores = os.sched_getaffinity(0)
        with contextlib.redirect_stderr(stderr):
            try:
                runpy.run_path(str(ROOT / script), run_name="__main__")
            except SystemExit as end:
                status = int(end.code or 0)
            finally:
                os.sched_setaffinity(0, cores)  # a benchmark may pin itself to one
        return Ended(status, stderr.getvalue())

    return run


@pytest.fixture
def process(tmp_path: Path) -> Command:
    """Run a script of the repository in an empty folder, in a new process."""

    def run(script: str, *arguments: object) -> Ended:
        done = subprocess.run(
            [sys.executable, ROOT / script, *map(str, arguments)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )
        return Ended(done.returncode, done.stderr, done.stdout)

    return run


@pytest.fixture(params=["native", "numpy"])
def implementation(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Runs the test with the native module, and with NumPy instead."""
    if request.param == "native" and native is None:
        pytest.skip("plumbline._native is not built")
    monkeypatch.setenv(SETTING, "1" if request.param == "native" else "0")
    return request.param
