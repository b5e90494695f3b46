"""Both ladders on a real device."""

from __future__ import annotations

from types import ModuleType

import pytest
import torch

from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding
from plumbline.dlrm.ops.interaction.cuda import CudaInteraction, Form
from plumbline.dlrm.ops.library import cuda_module
from tests.dlrm.kernels import ladder_embedding, ladder_interaction

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.fixture(scope="module")
def module() -> ModuleType:
    native = cuda_module()
    assert native is not None, "there is a device, but the CUDA kernels were not built"
    return native


@pytest.mark.parametrize("dtype", ladder_interaction.DTYPES, ids=str)
@pytest.mark.parametrize("has_dense", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 5, 20_001])
@pytest.mark.parametrize("form", Form, ids=str)
def test_interaction(
    module: ModuleType, form: Form, rows: int, has_dense: bool, dtype: torch.dtype
) -> None:
    kernels = CudaInteraction(module, form)
    shapes = [(26, 16)] if rows > 5 else ladder_interaction.shapes(has_dense)
    for features, dim in shapes:
        for check in (ladder_interaction.check_forward, ladder_interaction.check_backward):
            check(kernels, rows, features, dim, has_dense, dtype, "cuda")
            check(kernels, rows, features, dim, has_dense, dtype, "cuda", shift=1)


@pytest.mark.parametrize("dtype", ladder_interaction.DTYPES, ids=str)
@pytest.mark.parametrize("form", Form, ids=str)
def test_a_row_changes_no_other(module: ModuleType, form: Form, dtype: torch.dtype) -> None:
    kernels = CudaInteraction(module, form)
    ladder_interaction.check_rows_are_apart(kernels, 6, 26, 128, True, dtype, "cuda")


@pytest.mark.parametrize("row_dtype", ladder_embedding.ROW_DTYPES, ids=str)
@pytest.mark.parametrize("dtype", ladder_embedding.DTYPES, ids=str)
@pytest.mark.parametrize("shape", ladder_embedding.SHAPES, ids=str)
def test_embedding(
    module: ModuleType,
    shape: ladder_embedding.Shape,
    row_dtype: torch.dtype,
    dtype: torch.dtype,
) -> None:
    kernels = CudaEmbedding(module)
    for number, pooling in enumerate(ladder_embedding.POOLINGS):
        case = ladder_embedding.draw(shape, row_dtype, dtype, pooling, device="cuda")
        ladder_embedding.check_look_up(kernels, case, dtype)
        ladder_embedding.check_update(kernels, case, adagrad=number < 2, scale=0.5)


@pytest.mark.parametrize("row_dtype", ladder_embedding.ROW_DTYPES, ids=str)
def test_wrong_ids(module: ModuleType, row_dtype: torch.dtype) -> None:
    ladder_embedding.check_bad_ids(CudaEmbedding(module), row_dtype, "cuda")
