"""The interaction's ladder on its CPU kernels and on plain torch."""

from __future__ import annotations

import pytest
import torch

from plumbline.base.native import SETTING
from plumbline.dlrm.ops.interaction import operator as operator
from plumbline.dlrm.ops.interaction.contract import InteractionKernels
from plumbline.dlrm.ops.interaction.cpu import CpuInteraction
from plumbline.dlrm.ops.interaction.reference import ReferenceInteraction
from plumbline.dlrm.ops.library import cpu_module
from tests.dlrm.kernels import ladder_interaction as ladder
from tests.dlrm.kernels.tried_sets import tried_sets

MODULE = cpu_module()
SETS = tried_sets()
NATIVE = {name: CpuInteraction(MODULE, name) for name in SETS}
ALL: dict[str, InteractionKernels] = {"reference": ReferenceInteraction(), **NATIVE}

every = pytest.mark.parametrize("kernels", ALL.values(), ids=ALL.keys())
native = pytest.mark.parametrize("kernels", NATIVE.values(), ids=NATIVE.keys())
dense_or_not = pytest.mark.parametrize("has_dense", [True, False], ids=["dense", "no dense"])
dtypes = pytest.mark.parametrize("dtype", ladder.DTYPES, ids=str)


@every
@dense_or_not
@dtypes
def test_every_shape_forward(
    kernels: InteractionKernels, has_dense: bool, dtype: torch.dtype
) -> None:
    for features, dim in ladder.shapes(has_dense):
        ladder.check_forward(kernels, 3, features, dim, has_dense, dtype)


@every
@dense_or_not
@dtypes
def test_every_shape_backward(
    kernels: InteractionKernels, has_dense: bool, dtype: torch.dtype
) -> None:
    for features, dim in ladder.shapes(has_dense):
        ladder.check_backward(kernels, 3, features, dim, has_dense, dtype)


@every
@dense_or_not
@dtypes
@pytest.mark.parametrize("rows", [0, 1, 5, 64])
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_batches_and_addresses(
    kernels: InteractionKernels, has_dense: bool, dtype: torch.dtype, rows: int, shift: int
) -> None:
    for features, dim in ((5, 7), (26, 16)):
        ladder.check_forward(kernels, rows, features, dim, has_dense, dtype, shift=shift)
        ladder.check_backward(kernels, rows, features, dim, has_dense, dtype, shift=shift)


@every
@dense_or_not
@dtypes
def test_large_vectors_and_many(
    kernels: InteractionKernels, has_dense: bool, dtype: torch.dtype
) -> None:
    for features, dim in ((3, 2050), (150, 33)):
        ladder.check_forward(kernels, 2, features, dim, has_dense, dtype)
        ladder.check_backward(kernels, 2, features, dim, has_dense, dtype)


@every
@dense_or_not
@dtypes
def test_rows_are_apart(kernels: InteractionKernels, has_dense: bool, dtype: torch.dtype) -> None:
    for features, dim in ladder.shapes(has_dense):
        if features * dim <= 32 * 136:
            ladder.check_rows_are_apart(kernels, 3, features, dim, has_dense, dtype)


@native
@dtypes
@pytest.mark.parametrize("threads", [2, 3, 7])
def test_threads_change_no_bit(
    kernels: InteractionKernels, dtype: torch.dtype, threads: int
) -> None:
    case = ladder.draw(5, 26, 37, True, dtype)
    torch.set_num_threads(1)
    alone = [ladder.run_forward(kernels, case), *ladder.run_backward(kernels, case)]
    torch.set_num_threads(threads)
    shared = [ladder.run_forward(kernels, case), *ladder.run_backward(kernels, case)]
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one, other)


@native
@dtypes
def test_results_past_the_caches_are_the_same(
    kernels: InteractionKernels, dtype: torch.dtype
) -> None:
    """More than 16 MB of gradients are streamed if vectors are whole lines of 64 bytes."""
    rows, features, dim = 2500, 26, 128
    case = ladder.draw(rows, features, dim, True, dtype)
    streamed = ladder.run_backward(kernels, case)
    for first in range(0, rows, 500):
        part = ladder.Case(
            case.dense_BD[first : first + 500],
            case.embeddings_BFD[first : first + 500],
            case.gradient_BK[first : first + 500],
        )
        for one, whole in zip(ladder.run_backward(kernels, part), streamed, strict=True):
            assert torch.equal(one, whole[first : first + 500])


@native
@dtypes
def test_halves_round_to_nearest_even_and_keep_what_is_not_finite(
    kernels: InteractionKernels, dtype: torch.dtype
) -> None:
    """One times every value of the dtype, including infinities, NaN and subnormal numbers."""
    if dtype == torch.float32:
        bits = torch.randint(-(2**31), 2**31, (4096,), dtype=torch.int64).to(torch.int32)
    else:
        bits = torch.arange(-(2**15), 2**15, dtype=torch.int16)
    value = bits.view(dtype)
    if dtype != torch.float16:  # below float32's smallest normal number: may count as zero
        value = value[~(value.abs() < torch.finfo(torch.float32).tiny)]
    embeddings = torch.stack([torch.ones_like(value), value], dim=1).unsqueeze(2)
    out = torch.empty(len(value), 8, dtype=dtype)
    kernels.forward(None, embeddings, out)
    assert torch.equal(out[:, 0].nan_to_num(1.5), value.nan_to_num(1.5))


@native
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_sums_round_like_torch(kernels: InteractionKernels, dtype: torch.dtype) -> None:
    """Exact float32 sums of two products, including half-way cases, are rounded as torch does."""
    generator = torch.Generator().manual_seed(5)
    left = torch.randint(-255, 256, (5000, 2), generator=generator).float()
    left *= 2.0 ** torch.randint(-14, 9, (5000, 1), generator=generator)
    right = torch.randint(-255, 256, (5000, 2), generator=generator).float()
    exact = (left * right).sum(1)
    out = torch.empty(5000, 8, dtype=dtype)
    kernels.forward(None, torch.stack([left, right], dim=1).to(dtype), out)
    assert torch.equal(left.to(dtype).float(), left), "the inputs themselves were rounded"
    assert torch.equal(out[:, 0], exact.to(dtype))


@pytest.mark.skipif(not SETS, reason="the native module was not built")
def test_the_operator_runs_the_widest_set_unless_disabled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    case = ladder.draw(4, 7, 24, True, torch.bfloat16)
    ran = []
    for kind in (CpuInteraction, ReferenceInteraction):
        kept = kind.forward

        def noted(self, *tensors, kind=kind, kept=kept):  # type: ignore[no-untyped-def]
            ran.append(kind)
            kept(self, *tensors)

        monkeypatch.setattr(kind, "forward", noted)
    out = operator.interaction(case.dense_BD, case.embeddings_BFD)
    monkeypatch.setenv(SETTING, "0")
    plain = operator.interaction(case.dense_BD, case.embeddings_BFD)
    assert ran == [CpuInteraction, ReferenceInteraction]
    torch.testing.assert_close(out, plain)


@pytest.mark.skipif(not SETS, reason="the native module was not built")
def test_an_unknown_instruction_set_is_refused() -> None:
    case = ladder.draw(1, 2, 3, False, torch.float32)
    with pytest.raises(ValueError, match="no instruction set 'sse9'"):
        ladder.run_forward(CpuInteraction(MODULE, "sse9"), case)
