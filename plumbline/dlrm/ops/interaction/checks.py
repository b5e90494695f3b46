"""Checks of the interaction's inputs; they raise ValueError.

plumbline/dlrm/ops/interaction/contract.py has the contract and the legend of the names.
"""

from __future__ import annotations

from torch import Tensor

from plumbline.dlrm.ops.dtypes import NUMBERS, dtype_name
from plumbline.dlrm.ops.interaction.width import interaction_width

DTYPES = tuple(NUMBERS)


def check_inputs(dense: Tensor | None, embeddings: Tensor) -> None:
    """Require matching shapes, one dtype of `DTYPES`, and one device."""
    if embeddings.dim() != 3 or embeddings.shape[1] < 1 or embeddings.shape[2] < 1:
        raise ValueError(
            "interaction: wanted embeddings of shape (B, F, D) with F >= 1 and D >= 1, "
            f"got {_shape(embeddings)}"
        )
    if embeddings.dtype not in DTYPES:
        raise ValueError(
            "interaction: wanted embeddings of float32, bfloat16 or float16, "
            f"got {dtype_name(embeddings.dtype)}"
        )
    if dense is None:
        return
    rows, _, dim = embeddings.shape
    if dense.dim() != 2 or dense.shape[0] != rows or dense.shape[1] != dim:
        raise ValueError(
            f"interaction: wanted dense of shape {(rows, dim)} beside embeddings of shape "
            f"{_shape(embeddings)}, got {_shape(dense)}"
        )
    if dense.dtype != embeddings.dtype:
        raise ValueError(
            f"interaction: wanted dense of dtype {dtype_name(embeddings.dtype)} like the "
            f"embeddings, got {dtype_name(dense.dtype)}"
        )
    if dense.device != embeddings.device:
        raise ValueError(
            f"interaction: wanted dense on {embeddings.device} like the embeddings, "
            f"got {dense.device}"
        )


def check_gradient(gradient: Tensor, dense: Tensor | None, embeddings: Tensor) -> None:
    """Require a gradient with the shape, dtype and device of the result."""
    rows, features, dim = embeddings.shape
    shape = (rows, interaction_width(features, dim, dense is not None))
    fits = gradient.dim() == 2 and all(
        got == size for got, size in zip(gradient.shape, shape, strict=True)
    )
    if not fits or gradient.dtype != embeddings.dtype or gradient.device != embeddings.device:
        raise ValueError(
            f"interaction_backward: wanted a gradient of shape {shape}, "
            f"{dtype_name(embeddings.dtype)} on {embeddings.device}, got {_shape(gradient)}, "
            f"{dtype_name(gradient.dtype)} on {gradient.device}"
        )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
