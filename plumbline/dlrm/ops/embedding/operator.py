"""All embedding tables of a model in one buffer, and the operator `plumbline::embedding` on it.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, R rows of
all tables, D embedding length.

Contract, for every form of the operator:

- `weight_RD` is float32 or bfloat16. Each id column has a table of its own in it: `cardinality`
  rows, the first of which is `first_row`. Ids are int64.
- The result is (B, V, D), contiguous, of float32, bfloat16 or float16, whatever the rows are. At
  [b, v] stands the row that column v names in b, converted: rounded to nearest, even on ties.
- Rounded to bfloat16, a subnormal number of float32, one below 2⁻¹²⁶, may become 0.
- A list column gives the mean or the sum of its rows, and zeros where the list is empty. They are
  added in float32, in the order of the list; the mean is the sum times 1 / length in float32. The
  result is rounded once.
- An id outside [0, cardinality) raises IdOutOfRange, an IndexError. Any other input that does not
  fit raises ValueError naming what was wanted and what came.
- Any B >= 0, V >= 0, D >= 1. Deterministic, with any number of threads. Not differentiable: the
  gradient's way to the rows is `EmbeddingOptimizer`. `embedding_reference` is the specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeAlias

import torch
from torch import Tensor, nn

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture, RowPrecision
from plumbline.dlrm.ops.embedding.cpu import CpuEmbedding
from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding
from plumbline.dlrm.ops.embedding.interface import (
    BagColumn,
    EmbeddingKernels,
    IdColumns,
    IdOutOfRange,
)
from plumbline.dlrm.ops.embedding.memory import empty_rows, require_memory
from plumbline.dlrm.ops.embedding.reference import ReferenceEmbedding, embedding_reference
from plumbline.dlrm.ops.library import cpu_module, cuda_module

__all__ = ["EmbeddingTables", "embedding", "embedding_kernels", "embedding_reference"]

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
ROW_DTYPES: dict[RowPrecision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}

INITIAL_DEVIATION = 0.01
FILL = 1 << 20
"""Numbers drawn at a time for rows that are narrower than the generator's numbers."""

BagIds: TypeAlias = tuple[Tensor, Tensor]
"""A list column's ids: ids_N and offsets_B1, both int64; row b has ids_N[offsets[b]:offsets[b+1]].
"""
Bags: TypeAlias = Sequence[BagIds]


class EmbeddingTables(nn.Module):
    """The tables of an architecture's id columns, in plan order, in one buffer.

    `weight` (R, D) is a parameter without gradient, on the meta device until `initialize_` or
    `load_state_dict(..., assign=True)` fills it.

    Parameters
    ----------
    rows
        "fp32", or "bf16", which halves the memory; see docs/decisions/0012.
    """

    def __init__(self, architecture: Architecture, rows: RowPrecision = "fp32") -> None:
        super().__init__()
        self.architecture = architecture
        self.cardinalities = architecture.cardinalities
        first_row_V = tuple(accumulate((0, *self.cardinalities)))
        shape = (first_row_V[-1], architecture.embedding_dim)
        empty_RD = torch.empty(shape, dtype=ROW_DTYPES[rows], device="meta")
        self.weight = nn.Parameter(empty_RD, requires_grad=False)
        self._first_row = first_row_V[:-1]
        names = architecture.categorical
        self._single = [v for v, name in enumerate(names) if name not in architecture.bags]
        self._lists = [v for v, name in enumerate(names) if name in architecture.bags]
        self.first_row: Tensor
        self.first_row_F: Tensor
        self.cardinality_F: Tensor
        self.place_F: Tensor
        self._keep("first_row", self._first_row)
        self._keep("first_row_F", [self._first_row[v] for v in self._single])
        self._keep("cardinality_F", [self.cardinalities[v] for v in self._single])
        self._keep("place_F", self._single)

    def _keep(self, name: str, numbers: Sequence[int]) -> None:
        """As a buffer, which goes where the module goes, and is not stored with its weights."""
        tensor = torch.tensor(numbers, dtype=torch.int64, device="cpu")
        self.register_buffer(name, tensor, persistent=False)

    @torch.no_grad()
    def initialize_(self, generator: torch.Generator, deviation: float = INITIAL_DEVIATION) -> None:
        """Rows ~ N(0, deviation²), drawn table by table; bfloat16 rows are those, rounded.

        Raises
        ------
        ConfigError
            The rows and the optimizer's state for them do not fit into the memory.
        """
        if self.weight.is_meta:
            require_memory(self.architecture, self.weight.element_size())
            rows_RD = empty_rows(self.weight.shape, self.weight.dtype)
            self.weight = nn.Parameter(rows_RD, requires_grad=False)
        for position in range(len(self.cardinalities)):
            _fill(self.table(position).flatten(), generator, deviation)

    def table(self, position: int) -> Tensor:
        """The rows of the id column at this position in plan order; shares their memory."""
        return self.weight.narrow(0, self._first_row[position], self.cardinalities[position])

    def forward(
        self, ids_BF: Tensor, bags: Bags = (), dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """embedding_BVD of `dtype`; `bags` are the list columns' ids_N and offsets_B1.

        Raises
        ------
        ModelError
            An id that its column has no row for.
        """
        self._check(ids_BF, bags)
        try:
            embedding_BVD: Tensor = embedding(
                self.weight,
                ids_BF,
                self.first_row_F,
                self.cardinality_F,
                self.place_F,
                [ids_N for ids_N, _ in bags],
                [offsets_B1 for _, offsets_B1 in bags],
                [self._first_row[v] for v in self._lists],
                [self.cardinalities[v] for v in self._lists],
                self._lists,
                self.architecture.bag == "mean",
                dtype,
            )
        except IdOutOfRange as error:
            raise self.named(error) from None
        return embedding_BVD

    def columns(self, ids_BF: Tensor, bags: Bags) -> IdColumns:
        """The batch's ids with what the kernels have to know of their tables.

        Raises ValueError for inputs that are not what `forward` takes.
        """
        self._check(ids_BF, bags)
        return IdColumns(
            ids_BF.contiguous(),
            self.first_row_F,
            self.cardinality_F,
            self.place_F,
            tuple(
                BagColumn(
                    ids_N.contiguous(),
                    offsets_B1.contiguous(),
                    self._first_row[v],
                    self.cardinalities[v],
                    v,
                )
                for v, (ids_N, offsets_B1) in zip(self._lists, bags, strict=True)
            ),
            self.architecture.bag == "mean",
        )

    def named(self, error: IdOutOfRange) -> ModelError:
        """The same, with the name of the column."""
        name = self.architecture.categorical[error.place]
        return ModelError.id_out_of_range(name, error.came, error.cardinality)

    def _check(self, ids_BF: Tensor, bags: Bags) -> None:
        if ids_BF.dim() != 2 or ids_BF.shape[1] != len(self._single):
            raise ValueError(
                f"embedding: wanted ids of shape (B, {len(self._single)}), got {_shape(ids_BF)}"
            )
        if len(bags) != len(self._lists):
            raise ValueError(f"embedding: wanted {len(self._lists)} bags, got {len(bags)}")
        for ids_N, offsets_B1 in bags:
            if ids_N.dim() != 1 or offsets_B1.shape != (len(ids_BF) + 1,):
                raise ValueError(
                    f"embedding: wanted the ids of a bag in one row and {len(ids_BF) + 1} offsets, "
                    f"got shapes {_shape(ids_N)} and {_shape(offsets_B1)}"
                )
        for tensor in (ids_BF, *(tensor for bag in bags for tensor in bag)):
            if tensor.dtype != torch.int64 or tensor.device != self.weight.device:
                raise ValueError(
                    f"embedding: wanted ids and offsets of int64 on {self.weight.device} like the "
                    f"rows, got {_name(tensor.dtype)} on {tensor.device}"
                )


@torch.library.custom_op("plumbline::embedding", mutates_args=())
def embedding(
    weight: Tensor,
    ids: Tensor,
    first_row: Tensor,
    cardinality: Tensor,
    place: Tensor,
    bag_ids: list[Tensor],
    bag_offsets: list[Tensor],
    bag_first_row: list[int],
    bag_cardinality: list[int],
    bag_place: list[int],
    mean: bool,
    dtype: torch.dtype,
) -> Tensor:
    """(B, V, D) of `dtype`; `EmbeddingTables.forward`, which checks the inputs, is its caller."""
    if dtype not in DTYPES or weight.dtype not in ROW_DTYPES.values():
        raise ValueError(
            "embedding: wanted rows of float32 or bfloat16, and a result of float32, bfloat16 or "
            f"float16, got {_name(weight.dtype)} and {_name(dtype)}"
        )
    out_BVD = _empty_result(weight, ids, bag_ids, dtype)
    kernels = embedding_kernels(weight.device)
    if ids.shape[1]:
        kernels.gather(weight, ids.contiguous(), first_row, cardinality, place, out_BVD)
    for position, ids_N in enumerate(bag_ids):
        kernels.pool(
            weight,
            ids_N.contiguous(),
            bag_offsets[position].contiguous(),
            bag_first_row[position],
            bag_cardinality[position],
            bag_place[position],
            mean,
            out_BVD,
        )
    return out_BVD


@embedding.register_fake
def _(
    weight: Tensor,
    ids: Tensor,
    first_row: Tensor,
    cardinality: Tensor,
    place: Tensor,
    bag_ids: list[Tensor],
    bag_offsets: list[Tensor],
    bag_first_row: list[int],
    bag_cardinality: list[int],
    bag_place: list[int],
    mean: bool,
    dtype: torch.dtype,
) -> Tensor:
    return _empty_result(weight, ids, bag_ids, dtype)


def _empty_result(
    weight: Tensor, ids: Tensor, bag_ids: Sequence[Tensor], dtype: torch.dtype
) -> Tensor:
    columns = ids.shape[1] + len(bag_ids)
    return weight.new_empty(ids.shape[0], columns, weight.shape[1], dtype=dtype)


def embedding_kernels(device: torch.device) -> EmbeddingKernels:
    """The fastest form for tensors of this device.

    On a GPU an id without a row is found when the rows are updated: to ask each time they are
    gathered would wait for the device.
    """
    module = cpu_module() if device.type == "cpu" else cuda_module()
    if module is None or device.type not in ("cpu", "cuda"):
        return ReferenceEmbedding()
    if device.type == "cuda":
        return CudaEmbedding(module, waits=False)
    return CpuEmbedding(module, module.instruction_sets()[-1])


def _fill(values: Tensor, generator: torch.Generator, deviation: float) -> None:
    """Normal numbers into a flat tensor.

    Drawn in parts they are the same as drawn at once, since torch draws them sixteen at a time and
    the last sixteen once more: so no part is shorter, and all but the last are whole multiples.
    """
    if values.dtype == torch.float32:
        values.normal_(0.0, deviation, generator=generator)
        return
    start = 0
    while start < len(values):
        count = FILL if len(values) - start >= 2 * FILL else len(values) - start
        drawn = torch.empty(count).normal_(0.0, deviation, generator=generator)
        values[start : start + count] = drawn
        start += count


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
