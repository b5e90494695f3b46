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
def scoring_create(
    device: int,
    number: int,
    most_rows: int,
    continuous: int,
    singles: int,
    lists: int,
    tables: int,
    table_rows: int,
    dim: int,
    row_number: int,
    first_row: int,
    cardinality: int,
    position: int,
    pooling: int,
    position_weights: int,
    positions: int,
    model: int,
) -> None: ...
def scoring_layer(
    model: int, is_bottom: bool, inputs: int, outputs: int, weight: int, bias: int
) -> None: ...
def scoring_last(model: int, inputs: int, weight: int, bias: float) -> None: ...
def scoring_score(
    model: int,
    rows: int,
    ids: int,
    dense: int,
    list_ids: int,
    list_offsets: int,
    probability: int,
    on_host: int,
    is_outside: int,
) -> None: ...
def scoring_free(model: int) -> None: ...
def memory_kind() -> int: ...
def memory_take(device: int, bytes: int, memory: int) -> None: ...
def memory_return(device: int, memory: int) -> None: ...
def resources() -> str:
    """ptxas output for every kernel and architecture: registers, stack, spills, shared memory."""
