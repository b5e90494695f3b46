"""The time until a server is ready: standing still counts, computing counts a tenth."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from plumbline.serving.launch.model_processes import processor_seconds
from plumbline.serving.launch.start_limit import StartLimit


@pytest.mark.parametrize(("share", "seconds"), [(0.0, 12), (0.01, 12), (0.05, 120), (2.0, 120)])
def test_seconds_in_which_the_processes_compute_count_a_tenth(share: float, seconds: int) -> None:
    now = [100.0]
    limit = StartLimit(12.0, lambda: share * now[0], lambda: now[0])
    for _ in range(10 * seconds - 1):
        now[0] += 0.1
        assert not limit.is_over() or now[0] - 100.0 > seconds - 1.5
    now[0] += 1.5
    assert limit.is_over()


def test_processes_that_end_do_not_count_as_computing() -> None:
    now, computed = [0.0], [50.0]
    limit = StartLimit(2.0, lambda: computed[0], lambda: now[0])
    for _ in range(2):
        now[0] += 1.0
        computed[0] -= 10.0
        is_over = limit.is_over()
    assert is_over


def test_the_processor_time_of_a_process_and_all_below_it() -> None:
    busy = "while True:\n sum(range(10000)); print(flush=True)\n"
    below = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", below], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        before = processor_seconds(process.pid)
        end = time.monotonic() + 60.0
        while processor_seconds(process.pid) < before + 0.2 and time.monotonic() < end:
            os.read(process.stdout.fileno(), 4096)
        assert processor_seconds(process.pid) >= before + 0.2
        os.killpg(process.pid, signal.SIGKILL)
    assert processor_seconds(process.pid) == 0.0
