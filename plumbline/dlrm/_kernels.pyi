"""Signatures of the native module of the CPU kernels; sources: plumbline/dlrm/kernels/cpu."""

from typing import Any

from numpy.typing import NDArray

def instruction_sets() -> list[str]:
    """Instruction sets that have kernels and that this processor supports, widest last."""

def advise_large_pages(start: int, bytes: int) -> None:
    """Ask for large pages for memory that has not been touched yet; best effort."""

# Pointers are addresses of contiguous memory. Dtypes are 0 float32, 1 bfloat16, 2 float16.
# `singles` holds the pointers of ids, first_row, cardinality and position; a bag is (ids, number of
# ids, offsets, first_row, cardinality, position). `position` is the column's index among all id
# columns, and `vectors` their number. Pooling is 0 sum, 1 mean, 2 max. Each function returns None,
# or (position, row, id, cardinality) of an id that is out of range. Offsets that do not fit raise
# ValueError.

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
    pooling: int,
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
    """Apply the optimizer's step; `state` is 0 for SGD."""

# The interaction takes addresses of contiguous tensors; 0 means no dense tensor. Dtypes are as
# above. An instruction set that the processor lacks raises ValueError.

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
    """Write pairwise dots to `out` (rows, K); see plumbline/dlrm/ops/interaction/contract.py."""

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
    """Write the gradients of `dense`, if given, and of `embeddings`, from the gradient of `out`."""

def relu_gradient(
    instruction_set: str,
    dtype: int,
    rows: int,
    columns: int,
    gradient: int,
    output: int,
    kept: int,
    bias_gradient: int,
    threads: int,
) -> None:
    """Write the gradient where `output` is above zero to `kept`, and its sum over rows, float32."""

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
        pooling: int,
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

class Int8ScoringModel:
    """A DLRM in int8, see plumbline/dlrm/kernels/cpu/scoring_int8.h.

    The int8 rows at the address `tables` and their float32 scales at `scales` have to stay there.
    Columns, `last`, and the first bottom layer, which `first` has if there is one, are as above. A
    layer of `bottom` (the others) and `top` is an int8 weight (outputs, inputs), and a float32
    scale and bias (outputs,), all contiguous; they are copied. ValueError where layers do not fit
    together or are too wide for their sums.
    """

    def __init__(
        self,
        instruction_set: str,
        tables: int,
        scales: int,
        dim: int,
        continuous: int,
        singles: list[tuple[int, int, int]],
        lists: list[tuple[int, int, int]],
        pooling: int,
        first: list[tuple[NDArray[Any], NDArray[Any]]],
        bottom: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]],
        top: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]],
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
        """As `ScoringModel.score`."""
