"""The interaction's CUDA kernels on torch tensors.

Legend: B rows, F embeddings of a row, D their length, K width of the result.
"""

from __future__ import annotations

from enum import IntEnum
from types import ModuleType

from torch import Tensor

from plumbline.dlrm.ops.address import address
from plumbline.dlrm.ops.cuda_device import device_of, stream_of
from plumbline.dlrm.ops.dtypes import NUMBERS


class Form(IntEnum):
    """What the kernels multiply with. A form permits those before it, where it has no kernel."""

    GENERAL = 0
    """Float32 on ordinary cores: any shape and dtype."""
    WMMA = 1
    """Tensor cores through CUDA's wmma: any shape in bfloat16 and float16."""
    MMA = 2
    """Tensor cores through PTX's mma.sync, on sm_80 and newer: at most 31 vectors of 16, 32, 64 or
    128 items in bfloat16 and float16, at addresses aligned to 16 bytes."""


FORM = Form.MMA
"""The default. No device has shown yet that it is faster than `Form.WMMA`."""


class CudaInteraction:
    """Implements `InteractionKernels` on the current stream of the tensors' device.

    Parameters
    ----------
    module
        `plumbline.dlrm._kernels_cuda`, or the emulated one, whose tensors are on the CPU.
    form
        The fastest kernels that it may take.
    """

    def __init__(self, module: ModuleType, form: Form = FORM) -> None:
        self._module = module
        self._form = form

    def forward(self, dense_BD: Tensor | None, embeddings_BFD: Tensor, out_BK: Tensor) -> None:
        with device_of(embeddings_BFD):
            self._module.interaction_forward(
                address(dense_BD),
                address(embeddings_BFD),
                address(out_BK),
                *embeddings_BFD.shape,
                NUMBERS[embeddings_BFD.dtype],
                self._form,
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
                self._form,
                stream_of(embeddings_BFD),
            )
