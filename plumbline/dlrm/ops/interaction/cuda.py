"""The interaction's CUDA kernels on torch tensors.

Legend: B rows, F embeddings of a row, D their length, K width of the result.
"""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from plumbline.dlrm.ops.address import address
from plumbline.dlrm.ops.cuda_device import device_of, stream_of
from plumbline.dlrm.ops.dtypes import NUMBERS


class CudaInteraction:
    """Implements `InteractionKernels` on the current stream of the tensors' device.

    Parameters
    ----------
    module
        `plumbline.dlrm._kernels_cuda`, or the emulated one, whose tensors are on the CPU.
    """

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def forward(self, dense_BD: Tensor | None, embeddings_BFD: Tensor, out_BK: Tensor) -> None:
        with device_of(embeddings_BFD):
            self._module.interaction_forward(
                address(dense_BD),
                address(embeddings_BFD),
                address(out_BK),
                *embeddings_BFD.shape,
                NUMBERS[embeddings_BFD.dtype],
                stream_of(embeddings_BFD),
            )

    def backward(
        self,
        gradient_BK: Tensor,
        dense_BD: Tensor | None,
        embeddings_BFD: Tensor,
        dense_gradient_BD: Tensor | None,
        embedding_gradient_BFD: Tensor,
    ) -> None:
        with device_of(embeddings_BFD):
            self._module.interaction_backward(
                address(gradient_BK),
                address(dense_BD),
                address(embeddings_BFD),
                address(dense_gradient_BD),
                address(embedding_gradient_BFD),
                *embeddings_BFD.shape,
                NUMBERS[embeddings_BFD.dtype],
                stream_of(embeddings_BFD),
            )
