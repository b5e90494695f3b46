"""All embedding tables of a model in one buffer.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, P weights
of its positions, R rows of all tables, D embedding length.

plumbline/dlrm/ops/embedding/contract.py has the contract of the look-up. This module checks its
inputs: ValueError names what was wanted and what was got.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn

from plumbline.base.device import Device
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture, RowPrecision
from plumbline.dlrm.ops.dtypes import DTYPES, dtype_name
from plumbline.dlrm.ops.embedding.contract import BagColumn, Bags, IdColumns, IdOutOfRange
from plumbline.dlrm.ops.embedding.memory import empty_rows, require_memory
from plumbline.dlrm.ops.embedding.operator import embed
from plumbline.dlrm.ops.embedding.position_weights import position_gradient

INITIAL_DEVIATION = 0.01
FILL = 1 << 20
"""Numbers drawn at a time, about."""


class EmbeddingTables(nn.Module):
    """The tables of an architecture's id columns, in plan order, in one buffer.

    `weight` (R, D) is a parameter without gradient, on the meta device until `initialize_` or
    `load_state_dict(..., assign=True)` fills it; after the latter, call `move_offsets`. So are
    `position_weights`, float32 (P,) for each list column of a model with weighted positions; their
    gradient is from `position_gradients`.

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
        empty_RD = torch.empty(shape, dtype=DTYPES[rows], device="meta")
        self.weight = nn.Parameter(empty_RD, requires_grad=False)
        weighted = () if architecture.bag_positions is None else architecture.bags
        self.position_weights = nn.ParameterList(
            nn.Parameter(torch.empty(architecture.bag_positions or 0, device="meta"))
            for _ in weighted
        )
        self._first_row = first_row_V[:-1]
        names = architecture.categorical
        self._single = [v for v, name in enumerate(names) if name not in architecture.bags]
        self._lists = [v for v, name in enumerate(names) if name in architecture.bags]
        self.first_row: Tensor
        self.first_row_F: Tensor
        self.cardinality_F: Tensor
        self.position_F: Tensor
        self._keep("first_row", self._first_row)
        self._keep("first_row_F", [self._first_row[v] for v in self._single])
        self._keep("cardinality_F", [self.cardinalities[v] for v in self._single])
        self._keep("position_F", self._single)

    def _keep(self, name: str, numbers: Sequence[int]) -> None:
        """Register an int64 buffer that moves with the module and is not saved with its weights."""
        tensor = torch.tensor(numbers, dtype=torch.int64, device="cpu")
        self.register_buffer(name, tensor, persistent=False)

    def move_offsets(self) -> None:
        """Move the tables' offsets, which are not saved with the weights, to the rows' device."""
        for name, tensor in self.named_buffers():
            self.register_buffer(name, tensor.to(self.weight.device), persistent=False)

    @torch.no_grad()
    def initialize_(self, generator: torch.Generator, deviation: float = INITIAL_DEVIATION) -> None:
        """Draw rows ~ N(0, deviation²), table by table; bfloat16 rows are the same, rounded.

        The weights of positions are 1: a list's vector is the sum at first.

        Raises
        ------
        ConfigError
            The rows and their optimizer state do not fit in memory.
        """
        if self.weight.is_meta:
            self.require_memory("cpu")
            rows_RD = empty_rows(self.weight.shape, self.weight.dtype)
            self.weight = nn.Parameter(rows_RD, requires_grad=False)
        for number, weights_P in enumerate(self.position_weights):
            ones_P = torch.ones(weights_P.shape, device="cpu")
            self.position_weights[number] = nn.Parameter(ones_P)
        for position in range(len(self.cardinalities)):
            _fill(self.table(position), generator, deviation)

    def require_memory(self, device: Device) -> None:
        """Raise ConfigError if the rows and their optimizer state do not fit in what is free."""
        tables = dict(zip(self.architecture.categorical, self.cardinalities, strict=True))
        row_bytes = self.weight.shape[1] * self.weight.element_size()
        require_memory(tables, row_bytes, device=device)

    def table(self, position: int) -> Tensor:
        """The rows of the id column at this position in plan order, as a view."""
        return self.weight.narrow(0, self._first_row[position], self.cardinalities[position])

    def forward(
        self, ids_BF: Tensor, bags: Bags = (), dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """embedding_BVD of `dtype`; `bags` are the list columns' ids_N and offsets_B1.

        Raises
        ------
        ModelError
            An id is out of its column's range.
        """
        try:
            return embed(self.weight, self.columns(ids_BF, bags), dtype)
        except IdOutOfRange as error:
            raise self.named(error) from None

    def columns(self, ids_BF: Tensor, bags: Bags) -> IdColumns:
        """The batch's ids with their tables' offsets and sizes, for the kernels.

        Raises ValueError for inputs that `forward` does not accept.
        """
        self._check(ids_BF, bags)
        weights = [w.detach() for w in self.position_weights] or [None] * len(bags)
        return IdColumns(
            ids_BF.contiguous(),
            self.first_row_F,
            self.cardinality_F,
            self.position_F,
            tuple(
                BagColumn(
                    ids_N.contiguous(),
                    offsets_B1.contiguous(),
                    self._first_row[v],
                    self.cardinalities[v],
                    v,
                    weights_P,
                )
                for v, (ids_N, offsets_B1), weights_P in zip(
                    self._lists, bags, weights, strict=True
                )
            ),
            self.architecture.bag,
        )

    def position_gradients(self, ids_BF: Tensor, bags: Bags, gradient_BVD: Tensor) -> list[Tensor]:
        """The gradient of each of `position_weights`, from that of the result of `forward`.

        Raises ModelError for an id out of its column's range.
        """
        if not self.position_weights:
            return []
        try:
            return [
                position_gradient(self.weight.detach(), bag, gradient_BVD[:, bag.position])
                for bag in self.columns(ids_BF, bags).bags
            ]
        except IdOutOfRange as error:
            raise self.named(error) from None

    def named(self, error: IdOutOfRange) -> ModelError:
        """The same error, with the column's name."""
        name = self.architecture.categorical[error.position]
        return ModelError.id_out_of_range(name, error.got, error.cardinality)

    def _check(self, ids_BF: Tensor, bags: Bags) -> None:
        if self.first_row_F.device != self.weight.device:
            raise ValueError(
                f"embedding: wanted the tables' offsets on {self.weight.device} like the rows, got "
                f"{self.first_row_F.device}: call move_offsets"
            )
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
                    f"rows, got {dtype_name(tensor.dtype)} on {tensor.device}"
                )


def _fill(rows_RD: Tensor, generator: torch.Generator, deviation: float) -> None:
    """Fill a table with normal numbers."""
    if rows_RD.dtype == torch.float32:
        rows_RD.normal_(0.0, deviation, generator=generator)
        return
    start = 0
    for drawn_ND in drawn_rows(len(rows_RD), rows_RD.shape[1], generator, deviation):
        rows_RD[start : start + len(drawn_ND)] = drawn_ND
        start += len(drawn_ND)


def drawn_rows(
    rows: int, dim: int, generator: torch.Generator, deviation: float
) -> Iterator[Tensor]:
    """The rows of a table ~ N(0, deviation²), float32, about a million numbers at a time.

    Parts give the same numbers as one draw: torch draws sixteen at a time, and the last sixteen
    again. So all parts but the last are multiples of sixteen, and none is shorter.
    """
    step = 16 * max(1, FILL // (16 * dim))
    while rows:
        count = step if rows >= 2 * step else rows
        yield torch.empty(count, dim).normal_(0.0, deviation, generator=generator)
        rows -= count


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
