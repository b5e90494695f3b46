"""What stands between the steps of a GPU server: lists of ids padded into one tensor of int64.

`padded_ids` takes the place of `list_ids`, whose bytes no graph can read: (B, L, T), in plan order,
-1 behind each list's ids. T, the number of ids of the longest list or more, is open.
"""

from __future__ import annotations

import json
from dataclasses import replace

from plumbline.columns.wire import Tensors
from plumbline.dlrm.onnx.padded_ids import PADDING, padded
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.plan.plan import Plan
from plumbline.serving.contract.interface import LIST_IDS, PLAN_HASH, Tensor, encoded_tensors
from plumbline.serving.contract.outputs import to_encoded_tensors

PADDED_IDS = "padded_ids"


def gpu_tensors(plan: Plan) -> tuple[Tensor, ...]:
    """The tensors between the feature step and the model step."""
    return tuple(
        Tensor(PADDED_IDS, "TYPE_INT64", tensor.columns, padded=True)
        if tensor.name == LIST_IDS
        else tensor
        for tensor in encoded_tensors(plan)
    )


def gpu_parameters(plan: Plan) -> dict[str, str]:
    """The config parameters of a model that gives or takes them."""
    tensors = gpu_tensors(plan)
    parameters = {f"{tensor.name}_columns": json.dumps(tensor.columns) for tensor in tensors}
    if any(tensor.padded for tensor in tensors):
        parameters[f"{PADDED_IDS}_padding"] = str(PADDING)
    return {**parameters, PLAN_HASH: plan.content_hash}


def to_gpu_tensors(encoded: Encoded) -> Tensors:
    """Encoded rows as they travel between the steps; a tensor without columns is left out."""
    tensors = to_encoded_tensors(replace(encoded, bags=()))
    return {**tensors, PADDED_IDS: padded(encoded.bags)} if encoded.bags else tensors
