"""The contract of the embedding kernels: look-ups in tables that share one buffer, and the
optimizer on their rows.

Legend: B rows, F columns with one id a row, V id columns in all, N ids of a list column, P weights
of its positions, R rows of all tables, D embedding length.

`ReferenceEmbedding` is the specification; `CpuEmbedding` and `CudaEmbedding` run native kernels.
All share one suite of tests.

Inputs, checked by the caller: contiguous, on one device, ids and offsets int64, `weight_RD` float32
or bfloat16, results and gradients float32, bfloat16 or float16. Each id column has its own table:
`cardinality` rows of `weight_RD`, from row `first_row` on. Any B >= 0, V >= 0, D >= 1.

Look-up:

- The result is (B, V, D). Element [b, v] is the table row of column v's id in row b, rounded to
  nearest, ties to even. Rounding to bfloat16 may flush float32 subnormals (below 2⁻¹²⁶) to 0.
- A list column gives the mean, the sum, the maximum or the position-weighted sum of its ids' rows,
  and zeros for an empty list. The rows are added in float32, in list order; the mean is the sum
  times 1 / length in float32. The maximum is taken element by element. The weighted sum has each
  row times the column's weight of its position in the list, counted from 0; positions behind the
  last weight have the last one. The result is rounded once.

Update. For each row of `weight_RD` that an id of the batch refers to

    g = scale · Σ gradient[b, v]     over its occurrences, in order of b and position in the list,
                                     each times 1 / length for lists that are averaged; of a
                                     list's maximum, only the elements of the first id that has it;
                                     of a weighted sum, times the position's weight
    SGD:               w ← w − learning_rate · g
    row-wise Adagrad:  s ← s + mean(g²);   w ← w − learning_rate / (√s + eps) · g

all in float32. Duplicates are summed before they are squared. s is one number per row, as in
FBGEMM's exact row-wise Adagrad. Rows without an id in the batch are neither read nor written.

A bfloat16 row is written with stochastic rounding, so that steps below half of its spacing are kept
in the mean. The random bits are a hash of two keys and the element's index in the buffer:
`plumbline.dlrm.ops.random_bits`.

An id outside [0, cardinality) raises IdOutOfRange, and offsets that do not rise from 0 to the
number of ids raise ValueError. After either error the result of a look-up is undefined, and an
update has changed nothing. On a GPU nobody waits to learn of them: look-ups do not raise, and an
update notes them on the device, from where they are raised later; see
plumbline/dlrm/ops/embedding/faults.py.

Deterministic for any number of threads. Implementations differ by the rounding of the sums, never
in the random bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from torch import Tensor

from plumbline.dlrm.ops.embedding.pooling import Pooling

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
    """First row of its table in the buffer of all tables."""
    cardinality: int
    position: int
    """Index among all id columns."""
    weights_P: Tensor | None = None
    """float32, contiguous, P >= 1: the weights of its positions, for that pooling only."""


@dataclass(frozen=True, slots=True)
class IdColumns:
    """All id columns of a batch. No two share a table."""

    ids_BF: Tensor
    first_row_F: Tensor
    """int64, like the next two: the first row of each column's table, the table's number of rows,
    and the column's index among all id columns."""
    cardinality_F: Tensor
    position_F: Tensor
    bags: tuple[BagColumn, ...]
    pooling: Pooling


@dataclass(frozen=True, slots=True)
class RowStep:
    """Parameters of one optimizer step, common to all rows."""

    learning_rate: float
    eps: float
    scale: float
    """Factor on the gradient, applied first."""
    k0: int
    k1: int
    """Keys of the random bits, 32 bits each."""


class EmbeddingKernels(Protocol):
    """The operations; their contract is in the module docstring."""

    def gather(self, weight_RD: Tensor, columns: IdColumns, out_BVD: Tensor) -> None:
        """Columns with one id a row: out[b, position[f]] = weight[first_row[f] + ids[b, f]]."""

    def pool(self, weight_RD: Tensor, bag: BagColumn, pooling: Pooling, out_BVD: Tensor) -> None:
        """One list column: out[b, position] = the pooled rows of list b."""

    def update(
        self,
        weight_RD: Tensor,
        state_R: Tensor | None,
        columns: IdColumns,
        gradient_BVD: Tensor,
        step: RowStep,
    ) -> None:
        """Step the rows that ids refer to: SGD, or row-wise Adagrad with a float32 `state_R`."""


class IdOutOfRange(IndexError):
    """An id outside its column's table."""

    def __init__(self, position: int, row: int, got: int, cardinality: int) -> None:
        super().__init__(
            f"embedding: column {position}, row {row}: wanted an id in 0 to {cardinality - 1}, "
            f"got {got}"
        )
        self.position = position
        self.got = got
        self.cardinality = cardinality


def offsets_error(position: int, ids: int) -> ValueError:
    """The error for a list column whose offsets do not fit its `ids` ids."""
    return ValueError(
        f"embedding: column {position}: wanted offsets that rise from 0 to {ids}, its number of "
        "ids, got others"
    )
