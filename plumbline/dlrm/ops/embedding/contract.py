"""The contract of the embedding kernels: look-ups in tables that share one buffer, and the
optimizer on their rows.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, R rows of
all tables, D embedding length.

`ReferenceEmbedding` is the specification; `CpuEmbedding` and `CudaEmbedding` run native kernels.
All share one suite of tests.

Inputs, checked by the caller: contiguous, on one device, ids and offsets int64, `weight_RD` float32
or bfloat16, results and gradients float32, bfloat16 or float16. Each id column has a table of its
own in `weight_RD`: `cardinality` rows, the first of which is `first_row`. Any B >= 0, V >= 0,
D >= 1.

Look-up:

- The result is (B, V, D). At [b, v] stands the row that column v names in b, converted: rounded to
  nearest, even on ties. Rounded to bfloat16, a subnormal number of float32, one below 2⁻¹²⁶, may
  become 0.
- A list column gives the mean or the sum of its rows, and zeros where the list is empty. The rows
  are added in float32, in the order of the list; the mean is the sum times 1 / length in float32.
  The result is rounded once.

Update. For each row r of `weight_RD` that the batch's ids name

    g = scale · Σ gradient[b, v]     over its occurrences, in order of b and position in the list,
                                     each times 1 / length in lists that give their mean
    SGD:               w ← w − learning_rate · g
    row-wise Adagrad:  s ← s + mean(g²);   w ← w − learning_rate / (√s + eps) · g

all in float32. Duplicates are summed before they are squared. s is one number a row, as in FBGEMM's
exact row-wise Adagrad. Rows without an id in the batch are neither read nor written.

A bfloat16 row is written with stochastic rounding, so that steps smaller than half of its spacing
are kept in the mean. Its random bits are a hash of two keys and of the element's position in the
buffer: `plumbline.dlrm.ops.random_bits`.

An id outside [0, cardinality) raises IdOutOfRange, and offsets that do not rise from 0 to the
number of ids raise ValueError. After either, the result of a look-up is not defined, and an update
has changed nothing.

Deterministic, with any number of threads. Implementations differ from each other within the
rounding of the sums, never in the random bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from torch import Tensor

BagIds: TypeAlias = tuple[Tensor, Tensor]
"""A list column's ids: ids_N and offsets_B1, both int64; row b has ids_N[offsets[b]:offsets[b+1]].
"""
Bags: TypeAlias = Sequence[BagIds]


@dataclass(frozen=True, slots=True)
class BagColumn:
    """A column with a list of ids a row: row b has ids_N[offsets[b]:offsets[b + 1]]."""

    ids_N: Tensor
    offsets_B1: Tensor
    first_row: int
    """Where its table begins in the buffer of all tables."""
    cardinality: int
    position: int
    """Among all id columns."""


@dataclass(frozen=True, slots=True)
class IdColumns:
    """All id columns of a batch. No two have one table."""

    ids_BF: Tensor
    first_row_F: Tensor
    """int64, like the two after it: where each column's table begins, its number of rows, and the
    column's position among all id columns."""
    cardinality_F: Tensor
    position_F: Tensor
    bags: tuple[BagColumn, ...]
    mean: bool
    """Whether a list gives the mean of its rows, or their sum."""


@dataclass(frozen=True, slots=True)
class RowStep:
    """One step of the rows' optimizer: what all rows have in common."""

    learning_rate: float
    eps: float
    scale: float
    """The gradient is multiplied by it first."""
    k0: int
    k1: int
    """Keys of the random bits, 32 bits each."""


class EmbeddingKernels(Protocol):
    """The operations; the head of this file has their contract."""

    def gather(self, weight_RD: Tensor, columns: IdColumns, out_BVD: Tensor) -> None:
        """The columns with one id a row: out[b, position[f]] = weight[first_row[f] + ids[b, f]]."""

    def pool(self, weight_RD: Tensor, bag: BagColumn, mean: bool, out_BVD: Tensor) -> None:
        """One list column: out[b, position] = the mean or the sum of the rows of list b."""

    def update(
        self,
        weight_RD: Tensor,
        state_R: Tensor | None,
        columns: IdColumns,
        gradient_BVD: Tensor,
        step: RowStep,
    ) -> None:
        """Apply SGD, or with a float32 `state_R` row-wise Adagrad, to the rows that ids name."""


class IdOutOfRange(IndexError):
    """An id that its column's table has no row for."""

    def __init__(self, position: int, row: int, got: int, cardinality: int) -> None:
        super().__init__(
            f"embedding: column {position}, row {row}: wanted an id in 0 to {cardinality - 1}, "
            f"got {got}"
        )
        self.position = position
        self.got = got
        self.cardinality = cardinality


def offsets_error(position: int, ids: int) -> ValueError:
    """Of a list column whose offsets do not fit its `ids` ids."""
    return ValueError(
        f"embedding: column {position}: wanted offsets that rise from 0 to {ids}, its number of "
        "ids, got others"
    )
