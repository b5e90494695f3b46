"""What scoring asks of CUDA's runtime, compiled by nvcc against a runtime of the test's own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.dlrm.kernels.emulated import KERNELS

pytestmark = pytest.mark.timeout(600)  # the sources are compiled

COPIES, WORK = "1", "2"
DENSE_IS_THERE, IDS_ARE_THERE = "1", "2"
SENT = (
    f" send 24 on {COPIES} record {DENSE_IS_THERE} on {COPIES}"  # 2 rows of 3 float32
    f" send 16 on {COPIES}"  # two places of wrong ids
    f" send 16 on {COPIES} send 24 on {COPIES} send 24 on {COPIES}"  # ids, offsets, ids of lists
    f" record {IDS_ARE_THERE} on {COPIES}"
)
"""The dense features first: layers work on them while the ids are on their way."""
COMPUTED = (
    f" wait for {DENSE_IS_THERE} on {WORK} launch 0 launch 8192"
    f" wait for {IDS_ARE_THERE} on {WORK} gather pool interact launch 8192 launch 0"
)
"""Rounding of the dense features, a layer, look-ups, interaction, a layer, and the last one."""
GOT = f" get 8 on {WORK} get 16 on {WORK} synchronize {WORK}"


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("there is no nvcc")
    program = tmp_path_factory.mktemp("scoring") / "scoring_calls"
    options = ["-std=c++17", "-arch=sm_80", "-cudart=none", f"-I{KERNELS / 'cuda'}"]
    sources = [
        Path(__file__).parent / name for name in ("scoring_calls.cu", "launches_runtime.cpp")
    ]
    subprocess.run([nvcc, *options, *sources, "-o", program], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    return dict(line.split(":", 1) for line in done.stdout.splitlines())


def test_rows_are_sent_on_one_stream_and_computed_on_another(lines: dict[str, str]) -> None:
    wanted = f" device 1{SENT}{COMPUTED}{GOT} device 0; "
    assert lines["score"] == wanted
    assert lines["again"] == wanted, "no memory is taken again"


def test_a_call_that_failed_leaves_no_error_and_no_device(lines: dict[str, str]) -> None:
    assert lines["refused"] == " device 1 device 0; a copy to the device: an error"
    assert lines["after that"] == "; the model failed before: a copy to the device: an error"


def test_memory_that_is_missing_is_named_and_none_is_lost(lines: dict[str, str]) -> None:
    assert lines["no memory"].endswith("; 32 bytes of the device's memory: an error")
    assert lines["last"].endswith(" device 0; ")
    assert lines["free"] == " device 1 all memory is free device 0; "
    assert lines["create"] == "; 320 bytes of the device's memory: an error", "the second one"
    assert lines["take"] == lines["return"].replace(" all memory is free", "")
