"""The native module of the CPU kernels: what each function takes, see
plumbline/dlrm/kernels/cpu."""

from typing import Any

from numpy.typing import NDArray

def instruction_sets() -> list[str]:
    """Instruction sets of this processor that kernels are compiled for, the widest last."""

def advise_large_pages(start: int, bytes: int) -> None:
    """Ask for large pages behind memory that has not been touched yet."""

# Pointers are addresses of contiguous memory; dtypes are 0 float32, 1 bfloat16, 2 float16.
# `singles` are the pointers of ids, first_row, cardinality and position; a bag is (ids, number of
# ids, offsets, first_row, cardinality, position). A position is the column's among all id columns;
# `vectors` is their number. A result is None, or the position, row, id and cardinality of an id
# that is out of range. Offsets that do not fit raise ValueError.

def embedding_gather(
    instruction_set: str,
    weight: int,
    row_dtype: int,
    dim: int,
    singles: tuple[int, ...],
    rows: int,
    columns: int,
    out: int,
    out_dtype: int,
    vectors: int,
    threads: int,
) -> tuple[int, int, int, int] | None: ...
def embedding_pool(
    instruction_set: str,
    weight: int,
    row_dtype: int,
    dim: int,
    bag: tuple[int, ...],
    rows: int,
    mean: bool,
    out: int,
    out_dtype: int,
    vectors: int,
    threads: int,
) -> tuple[int, int, int, int] | None: ...
def embedding_update(
    instruction_set: str,
    weight: int,
    row_dtype: int,
    dim: int,
    state: int,
    singles: tuple[int, ...],
    rows: int,
    columns: int,
    bags: list[tuple[int, ...]],
    mean: bool,
    gradient: int,
    gradient_dtype: int,
    vectors: int,
    learning_rate: float,
    eps: float,
    scale: float,
    k0: int,
    k1: int,
    threads: int,
) -> tuple[int, int, int, int] | None:
    """`state` is 0 for SGD."""

# The interaction takes addresses of contiguous tensors (0 for no dense one); dtypes are 0 float32,
# 1 bfloat16, 2 float16. ValueError for an instruction set that the processor does not have.

def interaction_forward(
    instruction_set: str,
    dtype: int,
    rows: int,
    features: int,
    dim: int,
    dense: int,
    embeddings: int,
    out: int,
    threads: int,
) -> None:
    """Pairwise dots into `out` (rows, K), see plumbline/dlrm/ops/interaction/contract.py."""

def interaction_backward(
    instruction_set: str,
    dtype: int,
    rows: int,
    features: int,
    dim: int,
    gradient: int,
    dense: int,
    embeddings: int,
    dense_gradient: int,
    embedding_gradient: int,
    threads: int,
) -> None:
    """The gradients of `dense`, if it is there, and of `embeddings` from that of `out`."""

class ScoringModel:
    """A DLRM for inference, see plumbline/dlrm/kernels/cpu/scoring.h.

    `dtype` is the activations', `row_dtype` that of the rows at the address `tables`, which have to
    stay there. A column is (first_row, cardinality, position), a layer a float32 weight (outputs,
    inputs) and bias (outputs,), both contiguous; they are copied. ValueError where layers do not
    fit together.
    """

    def __init__(
        self,
        instruction_set: str,
        dtype: int,
        tables: int,
        row_dtype: int,
        dim: int,
        continuous: int,
        singles: list[tuple[int, int, int]],
        lists: list[tuple[int, int, int]],
        mean: bool,
        bottom: list[tuple[NDArray[Any], NDArray[Any]]],
        top: list[tuple[NDArray[Any], NDArray[Any]]],
        last: tuple[NDArray[Any], NDArray[Any]],
    ) -> None: ...
    def score(
        self,
        ids: NDArray[Any],
        dense: NDArray[Any],
        lists: list[tuple[NDArray[Any], NDArray[Any]]],
        probability: NDArray[Any],
        threads: int,
    ) -> bool:
        """Fill `probability`, float32 (B,), from int64 (B, F) and float32 (B, C), of any strides.

        A list column is its int64 ids and offsets, which rise from 0 to the number of ids. False
        where a table has no row for an id.
        """
