"""What a launch asks of CUDA's runtime, compiled by nvcc against a runtime of the test's own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.dlrm.kernels.emulated import KERNELS

MOST = 226 * 1024
"""Shared memory of the test's device, 227 KiB, without what the kernel has of its own."""
ASKED = f" set {MOST} set 100"
"""Then as much of the L1 cache for it as can be."""


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("there is no nvcc")
    program = tmp_path_factory.mktemp("launches") / "launches"
    options = ["-std=c++17", "-arch=sm_80", "-cudart=none", f"-I{KERNELS / 'cuda'}"]
    sources = [Path(__file__).parent / name for name in ("launches.cu", "launches_runtime.cpp")]
    subprocess.run([nvcc, *options, *sources, "-o", program], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    return dict(line.split(":", 1) for line in done.stdout.splitlines())


def test_the_most_shared_memory_is_set_once_for_a_kernel_and_a_device(
    lines: dict[str, str],
) -> None:
    def launch(kib: int) -> str:
        return f" launch {kib * 1024}; "

    assert lines["little"] == launch(48)
    assert lines["much"] == ASKED + launch(60)
    assert lines["more"] == launch(90)
    assert lines["less"] == launch(50)
    assert lines["another kernel"] == lines["another device"] == ASKED + launch(60)
    assert lines["back"] == launch(60)


def test_an_error_is_not_left_for_the_next_launch(lines: dict[str, str]) -> None:
    asked, error = lines["refused"].split("; ")
    assert asked == f" set {MOST}"
    assert error == ("one with grid (1, 1), block 32 and 61440 bytes of shared memory: an error")
    assert lines["little again"] == " launch 1024; "
