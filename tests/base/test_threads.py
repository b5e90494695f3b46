"""Waiting threads sleep soon, in programs and unless the user has chosen otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from plumbline.base.threads import SPIN_COUNT, let_waiting_threads_sleep

COMMAND = """
import sys
from plumbline.cli import main
sys.argv = ["plumbline", "operators", "--help"]
try:
    main()
finally:
    import plumbline.dlrm._kernels
"""


def test_without_a_setting_threads_spin_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    let_waiting_threads_sleep()
    assert os.environ.pop("GOMP_SPINCOUNT") == str(SPIN_COUNT)


@pytest.mark.parametrize(
    ("name", "value"), [("GOMP_SPINCOUNT", "7"), ("OMP_WAIT_POLICY", "ACTIVE")]
)
def test_the_users_setting_stays(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv(name, value)
    before = dict(os.environ)
    let_waiting_threads_sleep()
    assert dict(os.environ) == before


def test_a_command_sets_it_before_the_library_is_loaded() -> None:
    pytest.importorskip("plumbline.dlrm._kernels")
    kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND],
        env=kept | {"OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"GOMP_SPINCOUNT = '{SPIN_COUNT}'" in done.stderr
