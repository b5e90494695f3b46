"""The ladders on a real device, with the module that was built for this Python.

`make gpu-check` climbs them too, and checks more: docs/gpu.md.
"""

from __future__ import annotations

import pytest
import torch

from benchmarks.gpu_check.ladders import Check, rungs
from benchmarks.gpu_check.place import Place
from plumbline.dlrm.ops.library import cuda_module

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.fixture(scope="module")
def place() -> Place:
    module = cuda_module()
    assert module is not None, "there is a device, but the CUDA kernels were not built"
    return Place("cuda", module, is_small=False)


@pytest.mark.parametrize("climb", [pytest.param(climb, id=name) for name, climb in rungs(False)])
def test_rung(place: Place, climb: Check) -> None:
    climb(place)
