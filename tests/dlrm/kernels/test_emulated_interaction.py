"""The interaction's ladder on its CUDA kernels, run by the emulation."""

from __future__ import annotations

import itertools

import pytest
import torch

from plumbline.dlrm.ops.interaction.cuda import CudaInteraction, Form
from tests.dlrm.kernels import far_memory
from tests.dlrm.kernels.emulated import (
    AMPERE,
    HOPPER,
    TURING,
    VOLTA,
    Device,
    EmulatedModule,
    compiled,
)
from tests.dlrm.kernels.ladder_interaction import (
    COMMON_DIMS,
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
FEW_WARPS = Device(compute_capability=90, shared_kib=48, processors=1)
HALVES = (torch.bfloat16, torch.float16)


def kernels_of(kind: str) -> list[str]:
    return [f"interaction_{direction}_{kind}" for direction in ("forward", "backward")]


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


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("form", [Form.WMMA, Form.MMA], ids=str)
def test_common_shapes_in_both_forms(
    module: EmulatedModule, form: Form, dtype: torch.dtype
) -> None:
    kernels, kind = CudaInteraction(module, form), "mma" if form == Form.MMA else "tensor"
    for vectors, dim in itertools.product((2, 7, 16, 17, 27, 31), COMMON_DIMS):
        for has_dense in (True, False):
            module.emulate()
            check_forward(kernels, 2, vectors - has_dense, dim, has_dense, dtype)
            check_backward(kernels, 2, vectors - has_dense, dim, has_dense, dtype)
            assert module.launches() == kernels_of(kind)


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
        assert module.launches() == kernels_of(kind)


@pytest.mark.parametrize(
    ("features", "dim", "kind"),
    [
        (26, 128, "mma"),
        (30, 16, "mma"),
        (31, 16, "tensor"),
        (26, 1, "tensor"),
        (63, 256, "tensor"),
        (26, 4096, "general"),
    ],
)
@pytest.mark.parametrize("device", [AMPERE, HOPPER], ids=str)
def test_the_fastest_kernels_that_take_a_shape(
    module: EmulatedModule, features: int, dim: int, kind: str, device: Device
) -> None:
    module.emulate(device)
    check_forward(CudaInteraction(module), 1, features, dim, True, torch.bfloat16)
    check_backward(CudaInteraction(module), 1, features, dim, True, torch.bfloat16)
    assert module.launches() == kernels_of(kind)


def test_a_form_permits_those_before_it(module: EmulatedModule) -> None:
    for form, kind in ((Form.GENERAL, "general"), (Form.WMMA, "tensor"), (Form.MMA, "mma")):
        module.emulate()
        check_forward(CudaInteraction(module, form), 1, 26, 16, True, torch.bfloat16)
        check_backward(CudaInteraction(module, form), 1, 26, 16, True, torch.bfloat16)
        assert module.launches() == kernels_of(kind)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("dim", [40, 64])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_schedules(module: EmulatedModule, dtype: torch.dtype, dim: int, seed: int) -> None:
    """No order of threads and blocks causes a fault or changes a bit."""
    kernels, case = CudaInteraction(module), draw(6, 26, dim, True, dtype)
    module.emulate(HOPPER, seed=0)
    wanted = [run_forward(kernels, case), *run_backward(kernels, case)]
    module.emulate(FEW_WARPS, seed)
    got = [run_forward(kernels, case), *run_backward(kernels, case)]
    assert all(torch.equal(one, other) for one, other in zip(got, wanted, strict=True))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("dim", [8, 16])
def test_blocks_loop_over_rows(module: EmulatedModule, dim: int, dtype: torch.dtype) -> None:
    module.emulate(ONE_PROCESSOR)
    check_forward(CudaInteraction(module), 133, 2, dim, True, dtype)
    check_backward(CudaInteraction(module), 133, 2, dim, True, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shift", [1, 4])
def test_unaligned_addresses(module: EmulatedModule, dtype: torch.dtype, shift: int) -> None:
    module.emulate()
    check_forward(CudaInteraction(module), 3, 5, 16, True, dtype, shift=shift)
    check_backward(CudaInteraction(module), 3, 5, 16, True, dtype, shift=shift)
    assert module.launches() == kernels_of("general" if dtype == torch.float32 else "tensor")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("rows", [0, 1, 4, 5])
def test_rows(kernels: CudaInteraction, rows: int, dtype: torch.dtype) -> None:
    for has_dense, dim in itertools.product((True, False), (24, 32)):
        check_forward(kernels, rows, 7, dim, has_dense, dtype)
        check_backward(kernels, rows, 7, dim, has_dense, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("dim", [24, 32])
def test_a_row_changes_no_other(module: EmulatedModule, dim: int, dtype: torch.dtype) -> None:
    module.emulate(FEW_WARPS)
    check_rows_are_apart(CudaInteraction(module), 12, 17, dim, True, dtype)


@pytest.mark.parametrize("form", Form, ids=str)
def test_more_than_32_bits(module: EmulatedModule, form: Form) -> None:
    far_memory.check_far_rows(module, form)
