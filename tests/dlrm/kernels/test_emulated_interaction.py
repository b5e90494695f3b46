"""The interaction's ladder on its CUDA kernels, run by the emulation."""

from __future__ import annotations

import itertools

import pytest
import torch

from plumbline.dlrm.ops.interaction.cuda import CudaInteraction
from tests.dlrm.kernels import far_memory
from tests.dlrm.kernels.emulated import HOPPER, TURING, VOLTA, Device, EmulatedModule, compiled
from tests.dlrm.kernels.ladder_interaction import (
    DTYPES,
    check_backward,
    check_forward,
    check_rows_are_apart,
    draw,
    run_backward,
    run_forward,
    shapes,
)

ONE_PROCESSOR = Device(compute_capability=90, shared_kib=227, processors=1)


@pytest.fixture(scope="module")
def module() -> EmulatedModule:
    return compiled("interaction")


@pytest.fixture
def kernels(module: EmulatedModule) -> CudaInteraction:
    module.emulate()
    return CudaInteraction(module)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("has_dense", [True, False])
def test_every_shape(kernels: CudaInteraction, has_dense: bool, dtype: torch.dtype) -> None:
    for features, dim in shapes(has_dense):
        check_forward(kernels, 3, features, dim, has_dense, dtype)
        check_backward(kernels, 3, features, dim, has_dense, dtype)


@pytest.mark.parametrize("device", [VOLTA, TURING], ids=str)
def test_devices_with_fewer_tensor_cores_and_less_memory(
    module: EmulatedModule, device: Device
) -> None:
    kernels = CudaInteraction(module)
    for dtype, (features, dim) in itertools.product(DTYPES, [(26, 128), (63, 256), (1, 37)]):
        module.emulate(device)
        check_forward(kernels, 2, features, dim, True, dtype)
        check_backward(kernels, 2, features, dim, True, dtype)
        kind = "tensor" if dtype == torch.float16 else "general"
        assert module.launches() == [f"interaction_{p}_{kind}" for p in ("forward", "backward")]


@pytest.mark.parametrize(
    ("features", "dim", "kind"),
    [(26, 128, "tensor"), (26, 1, "tensor"), (63, 256, "tensor"), (26, 4096, "general")],
)
def test_tensor_cores_where_a_row_fits_into_a_warps_share(
    module: EmulatedModule, features: int, dim: int, kind: str
) -> None:
    module.emulate()
    check_forward(CudaInteraction(module), 1, features, dim, True, torch.bfloat16)
    check_backward(CudaInteraction(module), 1, features, dim, True, torch.bfloat16)
    assert module.launches() == [f"interaction_{p}_{kind}" for p in ("forward", "backward")]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_schedules(module: EmulatedModule, dtype: torch.dtype, seed: int) -> None:
    """No order of threads and blocks causes a fault or changes a bit."""
    kernels, case = CudaInteraction(module), draw(6, 26, 40, True, dtype)
    module.emulate(HOPPER, seed=0)
    wanted = [run_forward(kernels, case), *run_backward(kernels, case)]
    module.emulate(ONE_PROCESSOR, seed)
    got = [run_forward(kernels, case), *run_backward(kernels, case)]
    assert all(torch.equal(one, other) for one, other in zip(got, wanted, strict=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_blocks_loop_over_rows(module: EmulatedModule, dtype: torch.dtype) -> None:
    module.emulate(ONE_PROCESSOR)
    check_forward(CudaInteraction(module), 133, 2, 8, True, dtype)
    check_backward(CudaInteraction(module), 133, 2, 8, True, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shift", [1, 4])
def test_unaligned_addresses(kernels: CudaInteraction, dtype: torch.dtype, shift: int) -> None:
    check_forward(kernels, 3, 5, 16, True, dtype, shift=shift)
    check_backward(kernels, 3, 5, 16, True, dtype, shift=shift)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows", [0, 1, 4, 5])
def test_rows(kernels: CudaInteraction, rows: int, dtype: torch.dtype) -> None:
    for has_dense in (True, False):
        check_forward(kernels, rows, 7, 24, has_dense, dtype)
        check_backward(kernels, rows, 7, 24, has_dense, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_row_changes_no_other(kernels: CudaInteraction, dtype: torch.dtype) -> None:
    check_rows_are_apart(kernels, 6, 17, 24, True, dtype)


@pytest.mark.parametrize("compute_capability", [70, 90])
def test_more_than_32_bits(module: EmulatedModule, compute_capability: int) -> None:
    far_memory.check_far_rows(module, compute_capability)
