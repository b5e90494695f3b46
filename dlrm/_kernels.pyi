"""The native module of the CPU kernels: what each function takes, see dlrm/kernels/cpu."""

def instruction_sets() -> list[str]:
    """Instruction sets of this processor that kernels are compiled for, the widest last."""
