"""Tensors of more than 2³¹ items, of which only the last take memory, and checks on them."""

from __future__ import annotations

import mmap

import numpy as np
import pytest
import torch
from torch import Tensor

from plumbline.dlrm.ops.embedding.contract import IdColumns, RowStep
from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding
from plumbline.dlrm.ops.interaction.cuda import CudaInteraction, Form
from plumbline.dlrm.ops.interaction.width import interaction_width
from tests.dlrm.kernels import ladder_embedding, ladder_interaction
from tests.dlrm.kernels.emulated import Device, EmulatedModule

NO_RESERVE = 0x4000
"""MAP_NORESERVE of Linux: memory is taken when it is written."""

DIM = 32
NEAR = 3
"""Number of rows that are checked; they fit in one block."""

MANY_PROCESSORS = 1 << 26
"""Enough processors that no block processes a second row."""


def sparse(*shape: int, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Zeros; skips the test if the machine lacks the address space."""
    length = torch.Size(shape).numel()
    try:
        memory = mmap.mmap(
            -1,
            length * dtype.itemsize,
            flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE,
        )
    except OSError as error:
        pytest.skip(f"no address space for {length} items: {error}")
    return torch.frombuffer(memory, dtype=dtype).view(shape)


def check_far_rows(module: EmulatedModule, form: Form) -> None:
    """The last rows of a batch whose arrays exceed 2³¹ items equal the same rows alone."""
    rows = (1 << 31) // DIM + NEAR
    near = ladder_interaction.draw(NEAR, 1, DIM, True, torch.bfloat16)
    far = ladder_interaction.Case(
        sparse(rows, DIM),
        sparse(rows, 1, DIM),
        sparse(rows, interaction_width(1, DIM, has_dense=True)),
    )
    assert near.dense_BD is not None and far.dense_BD is not None
    for far_tensor, near_tensor in (
        (far.dense_BD, near.dense_BD),
        (far.embeddings_BFD, near.embeddings_BFD),
        (far.gradient_BK, near.gradient_BK),
    ):
        far_tensor[-NEAR:] = near_tensor
    module.emulate(Device(90, 227, MANY_PROCESSORS), last_blocks=NEAR)
    kernels = CudaInteraction(module, form)
    out_BK = sparse(*far.gradient_BK.shape)
    gradients = sparse(rows, 1, DIM), sparse(rows, DIM)
    kernels.forward(far.dense_BD, far.embeddings_BFD, out_BK)
    kernels.backward(far.gradient_BK, far.dense_BD, far.embeddings_BFD, gradients[1], gradients[0])
    module.emulate(Device(90, 227, MANY_PROCESSORS))
    assert torch.equal(out_BK[-NEAR:], ladder_interaction.run_forward(kernels, near))
    for got, wanted in zip(gradients, ladder_interaction.run_backward(kernels, near), strict=True):
        assert torch.equal(got[-NEAR:], wanted)


def check_far_table(module: EmulatedModule, dim: int) -> None:
    """Rows at the end of a table of more than 2³² numbers: look-up, step and random bits."""
    table_rows = (1 << 32) // dim + NEAR
    row_B = torch.arange(table_rows - NEAR, table_rows)
    weight_RD = sparse(table_rows, dim)
    weight_RD[-NEAR:] = torch.randn(NEAR, dim, generator=torch.Generator().manual_seed(0))
    before_BD = weight_RD[-NEAR:].clone()
    columns = IdColumns(
        row_B.unsqueeze(1),
        torch.tensor([0]),
        torch.tensor([table_rows]),
        torch.tensor([0]),
        (),
        "sum",
    )
    module.emulate()
    kernels = CudaEmbedding(module)
    out_BVD = torch.empty(NEAR, 1, dim, dtype=torch.bfloat16)
    kernels.gather(weight_RD, columns, out_BVD)
    assert torch.equal(out_BVD[:, 0], before_BD), "a look-up of a far row is wrong"
    gradient_BVD = torch.full((NEAR, 1, dim), 0.001)
    step = RowStep(1.0, 1e-8, 1.0, *ladder_embedding.KEYS)
    kernels.update(weight_RD, None, columns, gradient_BVD, step)
    value_BD = (before_BD.float() - 0.001).numpy()
    wanted_BD = ladder_embedding.stochastic_rounding(value_BD, row_B.numpy())
    np.testing.assert_array_equal(weight_RD[-NEAR:].float().numpy(), wanted_BD)
