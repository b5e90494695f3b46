"""What the interaction refuses: ValueError naming what was wanted and what came.

The contract and the legend of the names stand in plumbline/dlrm/ops/interaction/operator.py.
"""

from __future__ import annotations

import torch
from torch import Tensor

from plumbline.dlrm.ops.interaction.width import interaction_width

DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def check_inputs(dense: Tensor | None, embeddings: Tensor) -> None:
    """Shapes that belong together, a dtype of `DTYPES`, one device."""
    if embeddings.dim() != 3 or embeddings.shape[1] < 1 or embeddings.shape[2] < 1:
        raise ValueError(
            "interaction: wanted embeddings of shape (B, F, D) with F >= 1 and D >= 1, "
            f"got {_shape(embeddings)}"
        )
    if embeddings.dtype not in DTYPES:
        raise ValueError(
            "interaction: wanted embeddings of float32, bfloat16 or float16, "
            f"got {_name(embeddings.dtype)}"
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
            f"interaction: wanted dense of dtype {_name(embeddings.dtype)} like the embeddings, "
            f"got {_name(dense.dtype)}"
        )
    if dense.device != embeddings.device:
        raise ValueError(
            f"interaction: wanted dense on {embeddings.device} like the embeddings, "
            f"got {dense.device}"
        )


def check_gradient(gradient: Tensor, dense: Tensor | None, embeddings: Tensor) -> None:
    """A gradient like the result of these inputs."""
    rows, features, dim = embeddings.shape
    width = interaction_width(features, dim, dense is not None)
    _check_like("interaction_backward: wanted a gradient", gradient, (rows, width), embeddings)


def check_place(name: str, place: Tensor, shape: tuple[int, ...], like: Tensor) -> None:
    """A place of that shape for a result, with the dtype and on the device of `like`."""
    _check_like(f"{name}: wanted a place for the result", place, shape, like)


def _check_like(wanted: str, tensor: Tensor, shape: tuple[int, ...], like: Tensor) -> None:
    fits = tensor.dim() == len(shape) and all(
        came == size for came, size in zip(tensor.shape, shape, strict=True)
    )
    if not fits or tensor.dtype != like.dtype or tensor.device != like.device:
        raise ValueError(
            f"{wanted} of shape {shape}, {_name(like.dtype)} on {like.device}, got "
            f"{_shape(tensor)}, {_name(tensor.dtype)} on {tensor.device}"
        )


def check_contiguous(name: str, *tensors: Tensor | None) -> None:
    """Each of the tensors that are there is contiguous."""
    for tensor in tensors:
        if tensor is not None and not tensor.is_contiguous():
            raise ValueError(
                f"{name}: wanted contiguous tensors, got strides {tensor.stride()} for the shape "
                f"{_shape(tensor)}"
            )


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
