"""What every form of the embedding kernels offers, and what it is given.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, R rows of
all tables, D embedding length.

The forms (`ReferenceEmbedding`, `CpuEmbedding` and the one for CUDA) do the same, and share one
suite of tests. Tensors are checked before they come here: contiguous, on one device, ids and
offsets int64, `weight_RD` float32 or bfloat16, results and gradients float32, bfloat16 or float16.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class BagColumn:
    """A column with a list of ids a row: row b has ids_N[offsets[b]:offsets[b + 1]]."""

    ids_N: Tensor
    offsets_B1: Tensor
    first_row: int
    """Where its table begins in the buffer of all tables."""
    cardinality: int
    place: int
    """Its position among all id columns."""


@dataclass(frozen=True, slots=True)
class IdColumns:
    """All id columns of a batch. No two have one table."""

    ids_BF: Tensor
    first_row_F: Tensor
    """int64, like the two after it: where each column's table begins, its rows, its position."""
    cardinality_F: Tensor
    place_F: Tensor
    bags: tuple[BagColumn, ...]
    mean: bool
    """Whether a list gives the mean of its rows, or their sum."""


class EmbeddingKernels(Protocol):
    """The operations; see the heads of plumbline/dlrm/ops/embedding/operator.py and
    plumbline/dlrm/ops/embedding/optimizer.py.

    An id outside [0, cardinality) raises IdOutOfRange, and offsets that do not rise from 0 to the
    number of ids raise ValueError. After either, the result is not defined, but `update` has then
    changed nothing.
    """

    def gather(
        self,
        weight_RD: Tensor,
        ids_BF: Tensor,
        first_row_F: Tensor,
        cardinality_F: Tensor,
        place_F: Tensor,
        out_BVD: Tensor,
    ) -> None:
        """out[b, place[f]] = weight[first_row[f] + ids[b, f]], in the dtype of `out_BVD`."""

    def pool(
        self,
        weight_RD: Tensor,
        ids_N: Tensor,
        offsets_B1: Tensor,
        first_row: int,
        cardinality: int,
        place: int,
        mean: bool,
        out_BVD: Tensor,
    ) -> None:
        """out[b, place] = sum or mean of the rows of list b, in list order; zeros where empty."""

    def update(
        self,
        weight_RD: Tensor,
        state_R: Tensor | None,
        columns: IdColumns,
        gradient_BVD: Tensor,
        learning_rate: float,
        eps: float,
        scale: float,
        k0: int,
        k1: int,
    ) -> None:
        """Apply SGD, or with a float32 `state_R` row-wise Adagrad, to the rows that ids name."""


class IdOutOfRange(IndexError):
    """An id that its column's table has no row for."""

    def __init__(self, place: int, row: int, came: int, cardinality: int) -> None:
        super().__init__(
            f"embedding: column {place}, row {row}: wanted an id in 0 to {cardinality - 1}, "
            f"got {came}"
        )
        self.place = place
        self.came = came
        self.cardinality = cardinality


def offsets_error(place: int, ids: int) -> ValueError:
    """Of a list column whose offsets do not fit its `ids` ids."""
    return ValueError(
        f"embedding: column {place}: wanted offsets that rise from 0 to {ids}, its number of ids, "
        "got others"
    )
