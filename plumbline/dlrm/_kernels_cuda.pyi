"""Signatures of the native module of the CUDA kernels; see plumbline/dlrm/kernels/cuda/api.h.

Addresses and streams are integers, 0 for none. A launch that CUDA refuses raises RuntimeError.
"""

def interaction_forward(
    dense: int,
    embeddings: int,
    out: int,
    rows: int,
    features: int,
    dim: int,
    number: int,
    form: int,
    stream: int,
) -> None: ...
def interaction_backward(
    gradient: int,
    dense: int,
    embeddings: int,
    dense_gradient: int,
    embedding_gradient: int,
    rows: int,
    features: int,
    dim: int,
    number: int,
    form: int,
    stream: int,
) -> None: ...
def embedding_gather(
    weight: int,
    ids: int,
    first_row: int,
    cardinality: int,
    position: int,
    out: int,
    outside: int,
    rows: int,
    columns: int,
    vectors: int,
    table_rows: int,
    dim: int,
    weight_number: int,
    out_number: int,
    stream: int,
) -> None: ...
def embedding_pool(
    weight: int,
    ids: int,
    offsets: int,
    out: int,
    outside: int,
    rows: int,
    count: int,
    first_row: int,
    cardinality: int,
    position: int,
    vectors: int,
    table_rows: int,
    dim: int,
    mean: bool,
    weight_number: int,
    out_number: int,
    stream: int,
) -> None: ...
def embedding_partial(count: int, dim: int) -> int: ...
def embedding_update(
    weight: int,
    state: int,
    row: int,
    source: int,
    share: int,
    gradient: int,
    partial: int,
    count: int,
    table_rows: int,
    gradient_rows: int,
    dim: int,
    weight_number: int,
    gradient_number: int,
    learning_rate: float,
    eps: float,
    scale: float,
    k0: int,
    k1: int,
    stream: int,
) -> None: ...
def resources() -> str:
    """ptxas output for every kernel and architecture: registers, stack, spills, shared memory."""
