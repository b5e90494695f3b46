"""The native module of the CPU kernels: what each function takes, see dlrm/kernels/cpu."""

def instruction_sets() -> list[str]:
    """Instruction sets of this processor that kernels are compiled for, the widest last."""

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
    """Pairwise dots into `out` (rows, K), see dlrm/interaction.py."""

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
