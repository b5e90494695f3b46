"""The embedding's ladder on every implementation for the CPU."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import EmbeddingKernels, IdColumns, RowStep
from plumbline.dlrm.ops.embedding.cpu import CpuEmbedding
from plumbline.dlrm.ops.embedding.reference import ReferenceEmbedding
from plumbline.dlrm.ops.library import cpu_module
from tests.dlrm.kernels import ladder_embedding as ladder

IMPLEMENTATIONS = ("reference", "plain", "avx2", "avx512", "avx512bf16")

LARGE = ladder.Shape((30_000, 3, 500, 9), (False, False, True, False), rows=4500, dim=20)
"""Large enough for several tasks per thread."""


@pytest.fixture(params=IMPLEMENTATIONS)
def kernels(request: pytest.FixtureRequest) -> EmbeddingKernels:
    """Each implementation that runs on this machine."""
    return ReferenceEmbedding() if request.param == "reference" else native(request.param)


def native(instruction_set: str) -> CpuEmbedding:
    module = cpu_module()
    if module is None or instruction_set not in module.instruction_sets():
        pytest.skip(f"no {instruction_set} kernels here")
    return CpuEmbedding(module, instruction_set)


@pytest.mark.parametrize("row_dtype", ladder.ROW_DTYPES)
@pytest.mark.parametrize("shape", ladder.SHAPES)
def test_climbs_the_ladder(kernels, shape, row_dtype):
    for seed, dtype in enumerate(ladder.DTYPES):
        for number, pooling in enumerate(ladder.POOLINGS):
            case = ladder.draw(shape, row_dtype, dtype, pooling, seed)
            ladder.check_look_up(kernels, case, dtype)
            ladder.check_update(kernels, case, adagrad=(seed + number) % 2 == 0, scale=0.5)


@pytest.mark.parametrize("row_dtype", ladder.ROW_DTYPES)
def test_refuses_what_does_not_fit(kernels, row_dtype):
    ladder.check_bad_ids(kernels, row_dtype)
    ladder.check_bad_offsets(kernels, row_dtype)


@pytest.mark.parametrize("row_dtype", ladder.ROW_DTYPES)
def test_gives_equal_bits_with_any_number_of_threads(kernels, row_dtype):
    results = []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        looked_up = ladder.check_look_up(kernels, ladder.draw(LARGE, row_dtype), torch.bfloat16)
        updated = ladder.check_repeatable(kernels, LARGE, row_dtype)
        results.append((looked_up, updated.buffer, updated.state_buffer))
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert torch.equal(one, two)


@pytest.mark.parametrize("adagrad", [False, True])
def test_many_occurrences_of_few_rows(kernels, adagrad):
    shape = ladder.Shape((3, 1), (False, True), rows=5000, dim=8)
    ladder.check_update(kernels, ladder.draw(shape, torch.float32), adagrad, scale=1e-3)


@pytest.mark.parametrize("dtype", ladder.DTYPES)
@pytest.mark.parametrize("dim", [32, 40])
def test_large_results_are_the_same(kernels, dtype, dim):
    shape = ladder.Shape((900, 7, 50), (False,) * 3, rows=50_000, dim=dim)
    ladder.check_look_up(kernels, ladder.draw(shape, torch.float32), dtype)


def test_a_bad_id_names_the_first_one(kernels):
    case = ladder.draw(LARGE, torch.float32)
    ids_BF = case.columns.ids_BF.clone()
    ids_BF[4321, 2], ids_BF[1234, 1], ids_BF[4400, 0] = -7, 3, -1
    spoilt = replace(case, columns=replace(case.columns, ids_BF=ids_BF))
    torch.set_num_threads(2)
    with pytest.raises(IndexError, match=r"column 1, row 1234: .* 0 to 2, got 3"):
        ladder.look_up(kernels, spoilt, torch.empty(LARGE.rows, 4, LARGE.dim))


def test_all_classes_of_numbers_are_converted_to_nearest(kernels):
    generator = np.random.default_rng(1)
    bits = generator.integers(0, 2**32, (4096, 16), dtype=np.uint32)
    bits[:512] = (bits[:512] & 0x80000FFF) | 0x38000000  # subnormal as float16
    bits[512:700] |= 0x7F800000  # not finite
    bits[700:800] = (bits[700:800] & 0x80000FFF) | 0x477FE000  # the largest float16 and above
    bits[800:900] &= 0x807FFFFF  # subnormal as float32
    bits[900:1000] &= 0xFFFF8000  # ties
    weight_RD = torch.from_numpy(bits.view(np.int32)).view(torch.float32)
    halves = torch.arange(65536, dtype=torch.int32).to(torch.int16).view(4096, 16)
    for rows_RD in (weight_RD, halves.view(torch.bfloat16)):
        for dtype in ladder.DTYPES:
            actual = all_rows(kernels, rows_RD, dtype)
            wanted = rows_RD.to(dtype)
            if rows_RD.dtype == torch.float32 and dtype == torch.bfloat16:
                may_be_zero = (rows_RD.abs() < 2.0**-126) & (actual == 0)
                wanted = torch.where(may_be_zero, actual, wanted)
            assert torch.equal(actual.isnan(), wanted.isnan())
            finite = ~wanted.isnan()
            assert torch.equal(actual[finite], wanted[finite])
    assert np.isfinite(weight_RD.numpy()).sum() > 60_000


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_gradients_of_all_classes_of_numbers_are_read_exactly(kernels, dtype):
    gradient_RD = torch.arange(65536, dtype=torch.int32).to(torch.int16).view(4096, 16).view(dtype)
    weight_RD = torch.zeros(4096, 16)
    step(kernels, weight_RD, gradient_RD, learning_rate=-1.0)
    wanted = gradient_RD.float()
    assert torch.equal(weight_RD.isnan(), wanted.isnan())
    assert torch.equal(weight_RD[~wanted.isnan()], wanted[~wanted.isnan()])


def test_values_that_are_not_finite_are_not_rounded_stochastically(kernels):
    weight_RD = torch.zeros(3, 20, dtype=torch.bfloat16)
    gradient_RD = torch.tensor([float("inf"), -float("inf"), float("nan")])[:, None].expand(3, 20)
    step(kernels, weight_RD, gradient_RD.contiguous(), learning_rate=1.0)
    assert (weight_RD[0] == -float("inf")).all()
    assert (weight_RD[1] == float("inf")).all()
    assert weight_RD[2].isnan().all()


@pytest.mark.parametrize("instruction_set", IMPLEMENTATIONS[1:])
@pytest.mark.parametrize("dim", [9, 16, 24])
def test_random_bits_beyond_four_billion_elements(instruction_set, dim):
    kernels = native(instruction_set)
    first_row = 2**32 // dim - 2  # a row of four begins before element 2³² and ends after it
    weight_RD = torch.randn(4, dim).bfloat16()
    gradient_RD = torch.randn(4, dim)
    wanted_RD = ladder.stochastic_rounding(
        (weight_RD.float() - 0.25 * gradient_RD).numpy(), first_row + np.arange(4)
    )

    class Far:
        """A buffer of which only the last rows exist."""

        dtype, shape = torch.bfloat16, (first_row + 4, dim)

        def data_ptr(self) -> int:
            return weight_RD.data_ptr() - 2 * first_row * dim

    step(kernels, Far(), gradient_RD, learning_rate=0.25, first_row=first_row)  # type: ignore[arg-type]
    assert torch.equal(weight_RD.float(), torch.from_numpy(wanted_RD))


def all_rows(kernels: EmbeddingKernels, weight_RD: Tensor, dtype: torch.dtype) -> Tensor:
    rows, dim = weight_RD.shape
    out_BVD = torch.empty(rows, 1, dim, dtype=dtype)
    columns = one_column(rows)
    kernels.gather(weight_RD, columns, out_BVD)
    return out_BVD[:, 0]


def step(
    kernels: EmbeddingKernels,
    weight_RD: Tensor,
    gradient_RD: Tensor,
    learning_rate: float,
    first_row: int = 0,
) -> None:
    """SGD on each row, each with the gradient at the same index."""
    columns = one_column(len(gradient_RD), first_row)
    gradient_BVD = gradient_RD.unsqueeze(1)
    row_step = RowStep(learning_rate, 1e-8, 1.0, *ladder.KEYS)
    kernels.update(weight_RD, None, columns, gradient_BVD, row_step)


def one_column(rows: int, first_row: int = 0) -> IdColumns:
    return IdColumns(
        torch.arange(rows).unsqueeze(1),
        torch.tensor([first_row]),
        torch.tensor([rows]),
        torch.tensor([0]),
        (),
        "sum",
    )
