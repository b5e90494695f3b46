"""The embedding's ladder on its CUDA kernels, run by the emulation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding
from plumbline.dlrm.ops.embedding.reference import ReferenceEmbedding
from tests.dlrm.kernels import far_memory
from tests.dlrm.kernels.emulated import HOPPER, TURING, Device, EmulatedModule, compiled
from tests.dlrm.kernels.ladder_embedding import (
    COMMON_DIMS,
    DTYPES,
    POOLINGS,
    ROW_DTYPES,
    SHAPES,
    Shape,
    check_bad_ids,
    check_bad_offsets,
    check_look_up,
    check_repeatable,
    check_update,
    draw,
    look_up,
    update,
)

ONE_PROCESSOR = Device(compute_capability=90, shared_kib=227, processors=1)
FREQUENT = Shape((2, 900, 5), (False, False, True), rows=700, dim=8, longest=3)
"""More groups than a processor's blocks have, and rows with occurrences in many parts of 32."""
MOST_FREQUENT = Shape((1, 3, 900), (False,) * 3, rows=1_500, dim=8)
"""Rows with occurrences in more than 33 parts, and others."""


@pytest.fixture(scope="module")
def module() -> EmulatedModule:
    return compiled("embedding")


@pytest.fixture
def kernels(module: EmulatedModule) -> CudaEmbedding:
    module.emulate()
    return CudaEmbedding(module)


@pytest.mark.parametrize("row_dtype", ROW_DTYPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_look_up_and_update(
    kernels: CudaEmbedding, shape: Shape, row_dtype: torch.dtype, dtype: torch.dtype
) -> None:
    for number, pooling in enumerate(POOLINGS):
        case = draw(shape, row_dtype, dtype, pooling)
        check_look_up(kernels, case, dtype)
        check_update(kernels, case, adagrad=number < 2, scale=0.5)


@pytest.mark.parametrize("row_dtype", ROW_DTYPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("dim", COMMON_DIMS)
def test_look_ups_of_common_lengths(
    module: EmulatedModule, dim: int, row_dtype: torch.dtype, dtype: torch.dtype
) -> None:
    module.emulate()
    case = draw(Shape((7, 300, 1), (False,) * 3, rows=45, dim=dim), row_dtype)
    check_look_up(CudaEmbedding(module), case, dtype)
    assert module.launches() == ["embedding_gather_common"]


@pytest.mark.parametrize("unaligned", ["table", "result"])
def test_unaligned_addresses(module: EmulatedModule, unaligned: str) -> None:
    case = draw(Shape((5, 9), (False, False), rows=6, dim=16), torch.float32)
    wanted_BVD = torch.empty(6, 2, 16)
    look_up(ReferenceEmbedding(), case, wanted_BVD)
    for shift, kernel in ((1, "embedding_gather"), (4, "embedding_gather_common")):
        module.emulate()
        moved = _shifted(case.weight_RD, shift) if unaligned == "table" else case.weight_RD
        out_BVD = _shifted(torch.empty(6, 2, 16), shift if unaligned == "result" else 0)
        look_up(CudaEmbedding(module), replace(case, weight_RD=moved), out_BVD)
        assert torch.equal(out_BVD, wanted_BVD)
        assert module.launches() == [kernel]


def _shifted(tensor: torch.Tensor, shift: int) -> torch.Tensor:
    """A copy that starts so many items behind an aligned address."""
    buffer = torch.empty(tensor.numel() + shift, dtype=tensor.dtype)
    return buffer[shift:].view(tensor.shape).copy_(tensor)


@pytest.mark.parametrize("row_dtype", ROW_DTYPES, ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_schedules(module: EmulatedModule, row_dtype: torch.dtype, seed: int) -> None:
    """No order of threads and blocks, nor how many there are, changes a bit."""
    module.emulate()
    wanted = check_repeatable(CudaEmbedding(module), FREQUENT, row_dtype)
    module.emulate(ONE_PROCESSOR, seed)
    got = check_repeatable(CudaEmbedding(module), FREQUENT, row_dtype)
    assert torch.equal(got.buffer, wanted.buffer)
    assert torch.equal(got.state_buffer, wanted.state_buffer)
    assert "embedding_update_spans" in module.launches()


@pytest.mark.parametrize("row_dtype", ROW_DTYPES, ids=str)
def test_groups_loop_over_rows(module: EmulatedModule, row_dtype: torch.dtype) -> None:
    module.emulate(ONE_PROCESSOR)
    case = draw(FREQUENT, row_dtype)
    check_look_up(CudaEmbedding(module), case, torch.bfloat16)
    check_update(CudaEmbedding(module), case, adagrad=True)
    shape = Shape((2, 9, 5, 7), (False,) * 4, rows=64 * 128 // 4 + 50, dim=16)
    check_look_up(CudaEmbedding(module), draw(shape, row_dtype), torch.float32)


@pytest.mark.parametrize("row_dtype", ROW_DTYPES, ids=str)
@pytest.mark.parametrize("dim", [4, 8, 16, 32, 64, 128])
def test_updates_of_one_quad_a_lane(
    module: EmulatedModule, dim: int, row_dtype: torch.dtype
) -> None:
    """They have the bits of the kernel for any length, which takes unaligned rows."""
    shape = Shape((2, 900, 5), (False, False, True), rows=90, dim=dim, longest=3)
    for adagrad in (True, False):
        case, unaligned = draw(shape, row_dtype), draw(shape, row_dtype)
        unaligned = replace(unaligned, weight_RD=_shifted(unaligned.weight_RD, 1))
        module.emulate()
        check_update(CudaEmbedding(module), case, adagrad)
        assert module.launches()[0] == "embedding_update_parts_quads"
        module.emulate()
        update(CudaEmbedding(module), unaligned, adagrad)
        assert module.launches()[0] == "embedding_update_parts"
        assert torch.equal(case.weight_RD, unaligned.weight_RD)
        assert torch.equal(case.state_R, unaligned.state_R)


@pytest.mark.parametrize("dim", [8, 37, 128])
def test_rows_with_very_many_occurrences(module: EmulatedModule, dim: int) -> None:
    """They are summed by blocks, in an order that no device and no schedule changes."""
    wanted = None
    for number, device in enumerate((HOPPER, TURING, ONE_PROCESSOR)):
        module.emulate(device, seed=number)
        case = draw(replace(MOST_FREQUENT, dim=dim), torch.float32)
        check_update(CudaEmbedding(module), case, adagrad=True)
        assert "embedding_update_long_spans" in module.launches()
        assert wanted is None or torch.equal(case.buffer, wanted)
        wanted = case.buffer


def test_a_row_longer_than_a_blocks_shared_memory(kernels: CudaEmbedding) -> None:
    shape = Shape((3,), (False,), rows=2, dim=8192)
    check_update(kernels, draw(shape, torch.float32), adagrad=True)
    shape = Shape((3,), (False,), rows=2, dim=227 * 256 + 4)
    with pytest.raises(RuntimeError, match="rows of 58116 numbers do not fit into a block's"):
        update(kernels, draw(shape, torch.float32), adagrad=True)


@pytest.mark.parametrize("row_dtype", ROW_DTYPES, ids=str)
def test_wrong_ids_and_offsets(kernels: CudaEmbedding, row_dtype: torch.dtype) -> None:
    check_bad_ids(kernels, row_dtype)
    check_bad_offsets(kernels, row_dtype)


@pytest.mark.parametrize("dim", [8, 16])
def test_a_look_up_that_does_not_wait(module: EmulatedModule, dim: int) -> None:
    """An id without a row gives zeros, or is left out of its list."""
    module.emulate()
    case = draw(Shape((5, 9), (False, True), rows=4, dim=dim), torch.float32)
    bag = case.columns.bags[0]
    bad = case.columns.ids_BF.clone(), bag.ids_N.clone()
    bad[0][2, 0], bad[1][0] = 5, -1
    fitting = replace(bag, ids_N=bag.ids_N[1:], offsets_B1=(bag.offsets_B1 - 1).clamp(min=0))
    columns = replace(case.columns, ids_BF=bad[0], bags=(replace(bag, ids_N=bad[1]),))
    out_BVD, wanted_BVD = torch.empty(4, 2, dim), torch.empty(4, 2, dim)
    look_up(CudaEmbedding(module, waits=False), replace(case, columns=columns), out_BVD)
    wanted = replace(case, columns=replace(case.columns, bags=(fitting,)))
    look_up(ReferenceEmbedding(), wanted, wanted_BVD)
    wanted_BVD[2, 0] = 0
    torch.testing.assert_close(out_BVD, wanted_BVD)


@pytest.mark.parametrize("dim", [24, 32])
def test_more_than_32_bits(module: EmulatedModule, dim: int) -> None:
    far_memory.check_far_table(module, dim)
