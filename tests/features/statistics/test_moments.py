"""The moments of a column: accurate, and the same for any number of threads."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from plumbline.features.statistics.moments import Moments

PRINTED = """
import numpy as np
from plumbline.features.statistics.moments import Moments
moments = Moments.of_column(np.random.default_rng(0).normal(3, 2, 300_000))
print(moments.mean[0].hex(), moments.squares[0].hex())
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core")
def test_the_number_of_threads_changes_no_bit() -> None:
    results = {printed(threads) for threads in (1, 2)}
    assert len(results) == 1, results


def printed(threads: int) -> str:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, f"{threads}")}
    done = subprocess.run(
        [sys.executable, "-c", PRINTED], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.parametrize("count", [1, 7, 129, 100_003])
def test_the_squares_are_those_of_exact_sums(count: int) -> None:
    numbers = np.random.default_rng(count).normal(1e6, 1, count)
    mean = math.fsum(numbers) / count
    moments = Moments.of_column(numbers)
    assert moments.count[0] == count
    assert moments.mean[0] == pytest.approx(mean, rel=1e-15)
    wanted = math.fsum((float(number) - mean) ** 2 for number in numbers)
    assert moments.squares[0] == pytest.approx(wanted, rel=1e-9)
