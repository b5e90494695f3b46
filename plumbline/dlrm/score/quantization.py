"""A model's weights in int8, computed from the trained ones alone. Needs no torch.

Legend: R rows of all tables, D embedding length, I inputs, O outputs of a layer.

`plumbline.dlrm.ops.scoring.int8_reference` defines the numbers and what is computed with them. Rows
of the tables get a scale each, layers a scale for each output. The first bottom layer and the last
one stay float32: they are small, and the model's input and output pass through them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.weight_shapes import int8_layers
from plumbline.dlrm.ops.scoring.int8_reference import quantize

ROWS_AT_A_TIME = 2**16


def quantized_weights(
    architecture: Architecture, weights: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The tensors of `plumbline.dlrm.model.weight_shapes.int8_shapes`.

    `weights` are those of `weight_shapes`: float32, and bfloat16 rows as uint16.
    """
    floats, integers = {}, {}
    floats["tables.scale"], integers["tables.weight"] = _rows(weights["tables.weight"])
    for name in int8_layers(architecture):
        q_OI, scale_O = quantize(weights[f"{name}.weight"])
        floats[f"{name}.scale"], integers[f"{name}.weight"] = scale_O, q_OI
    for name, weight in weights.items():
        if name not in integers:
            floats[name] = weight
    return floats | integers  # in a file, float32 first, so that all tensors are aligned


def _rows(weight_RD: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.int8]]:
    scale_R = np.empty(len(weight_RD), np.float32)
    q_RD = np.empty(weight_RD.shape, np.int8)
    for first in range(0, len(weight_RD), ROWS_AT_A_TIME):
        part = slice(first, first + ROWS_AT_A_TIME)
        q_RD[part], scale_R[part] = quantize(_float32(weight_RD[part]))
    return scale_R, q_RD


def _float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """bfloat16 is represented by its bits, as uint16."""
    if values.dtype == np.uint16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values
