"""Calls of the kernels at the size of the article's model, with the bytes that each has to move.

As a part of its own, which `counters` starts under ncu, it makes each call once.
Legend: B rows, F embeddings of a row, D their length, K width of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from benchmarks.gpu_check.place import Place
from benchmarks.gpu_check.report import Report
from plumbline.dlrm.ops.embedding.contract import IdColumns, RowStep
from plumbline.dlrm.ops.interaction.cuda import FORM, Form
from plumbline.dlrm.ops.interaction.width import interaction_width

FEATURES, DIM = 26, 128
ROWS, SMALL_ROWS = 65_536, 8
CARDINALITY, SMALL_CARDINALITY = 200_000, 50
"""Rows of each table: far more in all than a cache holds."""

Ids = Literal["distinct", "uniform", "zipf", "one"]
IDS: tuple[Ids, ...] = get_args(Ids)


@dataclass(frozen=True)
class Call:
    """`kernel` begins the names of its kernels on a device."""

    name: str
    kernel: str
    bytes: int
    work: Callable[[], object]


def check(place: Place, report: Report) -> None:
    """Make each call once, in the order of the table."""
    calls = counted(place)
    for call in calls:
        call.work()
        place.wait()
        report.checked()
    rows = [[call.name, call.kernel, str(call.bytes)] for call in calls]
    report.table("Calls", ["call", "kernels", "bytes"], rows)


def counted(place: Place) -> list[Call]:
    """The calls whose counters are read."""
    fp32, bf16 = torch.float32, torch.bfloat16
    return [
        *interaction_calls(place, bf16),
        gather_call(place, fp32, bf16),
        gather_call(place, bf16, bf16),
        update_call(place, fp32, "distinct"),
    ]


def interaction_calls(place: Place, dtype: torch.dtype, form: Form = FORM) -> tuple[Call, Call]:
    """Forward and backward."""
    dense_BD, embeddings_BFD, out_BK = interaction_inputs(place, dtype)
    gradients = torch.empty_like(dense_BD), torch.empty_like(embeddings_BFD)
    size = dense_BD.nbytes + embeddings_BFD.nbytes + out_BK.nbytes
    kernels, name = place.interaction(form), _name(dtype)
    return (
        Call(
            f"interaction forward {name}",
            "interaction_forward",
            size,
            lambda: kernels.forward(dense_BD, embeddings_BFD, out_BK),
        ),
        Call(
            f"interaction backward {name}",
            "interaction_backward",
            size + sum(gradient.nbytes for gradient in gradients),
            lambda: kernels.backward(out_BK, dense_BD, embeddings_BFD, *gradients),
        ),
    )


def interaction_inputs(place: Place, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """dense_BD, embeddings_BFD and a gradient_BK, at random."""
    shapes = (DIM,), (FEATURES, DIM), (interaction_width(FEATURES, DIM, has_dense=True),)
    rows = rows_of(place)
    dense, embeddings, gradient = (
        torch.randn(rows, *shape, dtype=dtype, device=place.device) for shape in shapes
    )
    return dense, embeddings, gradient


def gather_call(place: Place, row_dtype: torch.dtype, dtype: torch.dtype) -> Call:
    """Look-ups of distinct ids, so that every row is read from memory."""
    weight_RD, columns = tables(place, row_dtype), draw_columns(place, "distinct")
    out_BVD = torch.empty(*columns.ids_BF.shape, DIM, dtype=dtype, device=place.device)
    row_bytes = columns.ids_BF.numel() * DIM * row_dtype.itemsize
    kernels = place.embedding(waits=False)
    return Call(
        f"gather {_name(row_dtype)} to {_name(dtype)}",
        "embedding_gather",
        row_bytes + out_BVD.nbytes + columns.ids_BF.nbytes,
        lambda: kernels.gather(weight_RD, columns, out_BVD),
    )


def update_call(place: Place, row_dtype: torch.dtype, ids: Ids) -> Call:
    """A step of row-wise Adagrad, with its checks and its sort.

    The bytes are those of its own kernels: each touched row and its state, read and written, the
    gradients, and two int64 for each id.
    """
    weight_RD, columns = tables(place, row_dtype), draw_columns(place, ids)
    state_R = torch.zeros(len(weight_RD), device=place.device)
    shape = *columns.ids_BF.shape, DIM
    gradient_BVD = torch.randn(shape, dtype=torch.bfloat16, device=place.device)
    touched = len((columns.first_row_F + columns.ids_BF).unique())
    row_bytes = 2 * touched * (DIM * row_dtype.itemsize + state_R.itemsize)
    step = RowStep(learning_rate=1e-3, eps=1e-8, scale=1.0, k0=1, k1=2)
    kernels = place.embedding(waits=False)
    return Call(
        f"update {_name(row_dtype)}, ids {ids}",
        "embedding_update",
        row_bytes + gradient_BVD.nbytes + 2 * columns.ids_BF.nbytes,
        lambda: kernels.update(weight_RD, state_R, columns, gradient_BVD, step),
    )


def tables(place: Place, row_dtype: torch.dtype) -> Tensor:
    """weight_RD of all columns' tables."""
    rows = FEATURES * _cardinality(place)
    return torch.randn(rows, DIM, dtype=row_dtype, device=place.device)


def draw_columns(place: Place, ids: Ids) -> IdColumns:
    """A batch's ids: all distinct, uniform, by Zipf's law with exponent 1, or all the same."""
    cardinality, rows = _cardinality(place), rows_of(place)
    uniform_BF = torch.rand(rows, FEATURES, device=place.device)
    if ids == "distinct":
        drawn = [torch.randperm(cardinality, device=place.device)[:rows] for _ in range(FEATURES)]
        ids_BF = torch.stack(drawn, dim=1)
    elif ids == "uniform":
        ids_BF = (cardinality * uniform_BF).long().clamp(max=cardinality - 1)
    elif ids == "zipf":
        ids_BF = (cardinality**uniform_BF).long().clamp(1, cardinality) - 1
    else:
        ids_BF = torch.zeros_like(uniform_BF, dtype=torch.int64)
    column_F = torch.arange(FEATURES, device=place.device)
    sizes_F = torch.full_like(column_F, cardinality)
    return IdColumns(ids_BF.contiguous(), column_F * cardinality, sizes_F, column_F, (), "sum")


def rows_of(place: Place) -> int:
    return SMALL_ROWS if place.is_small else ROWS


def _cardinality(place: Place) -> int:
    return SMALL_CARDINALITY if place.is_small else CARDINALITY


def _name(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]
