"""The contract of scoring: a whole model from encoded rows to probabilities, in one call. Needs no
torch.

Legend: B rows, F columns with one id a row, C continuous columns, R rows of all tables, D embedding
length.

`plumbline.dlrm.model.dlrm.DLRM` is the specification. cpu.py runs the native module; cuda.py runs
the CUDA kernels, for a server; plumbline/dlrm/score/torch_scoring.py runs the model in training's
process on a GPU, and without a native module. Probabilities are float32. In bf16 precision,
weights, activations and embeddings are rounded to bfloat16, as in bf16 training; sums are float32.
int8_reference.py defines int8 precision. With the native module a row's probability has the same
bits in any batch and with any number of threads; with the CUDA kernels in any batch on one kind of
GPU.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.ops.embedding.pooling import Pooling

if TYPE_CHECKING:
    from plumbline.columns.values import Lists


class IdTable(NamedTuple):
    """An id column's table in the buffer of all tables."""

    first_row: int
    cardinality: int
    """Number of rows of the table."""
    position: int
    """The column's index among all id columns."""


@dataclass(frozen=True, slots=True)
class ScoringShape:
    """A model's shape: everything except its weights."""

    single: tuple[IdTable, ...]
    """Tables of the columns of `ids_BF`."""
    lists: tuple[IdTable, ...]
    """Tables of the list columns."""
    pooling: Pooling
    """What a list gives of its rows."""
    weighted_lists: int
    """Number of list columns with weights of their positions: all or none."""
    embedding_dim: int
    embedding_rows: Literal["fp32", "bf16"]
    """Precision of the trained tables."""
    continuous: int
    """Number of continuous columns: C."""
    bottom_layers: int
    top_layers: int
    """Number of top layers, without the last one, which gives the logit."""


def position_weights(
    shape: ScoringShape, weights: Mapping[str, NDArray[Any]]
) -> list[NDArray[np.float32]]:
    """The weights of each weighted list column's positions."""
    return [weights[f"tables.position_weights.{number}"] for number in range(shape.weighted_lists)]


class Scoring(Protocol):
    """Computes the probabilities of inputs of the right shapes and dtypes."""

    def score(
        self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32], bags: Sequence[Lists]
    ) -> NDArray[np.float32] | None:
        """probability_B; None if an id is outside its table."""
