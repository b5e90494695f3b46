"""The interaction on a CPU: the native kernels of one instruction set."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from plumbline.dlrm.ops.address import address
from plumbline.dlrm.ops.dtypes import NUMBERS


class CpuInteraction:
    """Implements `InteractionKernels` on CPU tensors.

    `module` is `plumbline.dlrm._kernels`, and the instruction set one of its `instruction_sets()`.
    A dtype without kernels in that set uses those of a narrower set. The kernels use
    `torch.get_num_threads()` threads; the number changes no bit of the result.
    """

    def __init__(self, module: ModuleType, instruction_set: str) -> None:
        self._forward = module.interaction_forward
        self._backward = module.interaction_backward
        self._instruction_set = instruction_set

    def forward(self, dense_BD: Tensor | None, embeddings_BFD: Tensor, out_BK: Tensor) -> None:
        """Write the result into `out_BK`."""
        self._forward(
            self._instruction_set,
            NUMBERS[embeddings_BFD.dtype],
            *embeddings_BFD.shape,
            address(dense_BD),
            embeddings_BFD.data_ptr(),
            out_BK.data_ptr(),
            torch.get_num_threads(),
        )

    def backward(
        self,
        gradient_BK: Tensor,
        dense_BD: Tensor | None,
        embeddings_BFD: Tensor,
        dense_gradient_BD: Tensor | None,
        embedding_gradient_BFD: Tensor,
    ) -> None:
        """Write the inputs' gradients; `dense_gradient_BD` is None if `dense_BD` is."""
        self._backward(
            self._instruction_set,
            NUMBERS[embeddings_BFD.dtype],
            *embeddings_BFD.shape,
            gradient_BK.data_ptr(),
            address(dense_BD),
            embeddings_BFD.data_ptr(),
            address(dense_gradient_BD),
            embedding_gradient_BFD.data_ptr(),
            torch.get_num_threads(),
        )
