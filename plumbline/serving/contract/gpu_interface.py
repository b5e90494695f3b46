"""The tensors between the models of a GPU server, which pads the lists of ids.

The int64 tensor `padded_ids` replaces `list_ids`, whose bytes no ONNX graph can read. It has
shape (B, L, T), in plan order, with -1 after the ids of each list. T is at least the length of the
longest list.
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
    """The tensors between `ctr_features` and `ctr_dlrm`."""
    return tuple(
        Tensor(PADDED_IDS, "TYPE_INT64", tensor.columns, padded=True)
        if tensor.name == LIST_IDS
        else tensor
        for tensor in encoded_tensors(plan)
    )


def gpu_parameters(plan: Plan) -> dict[str, str]:
    """The config parameters of a model that has these tensors as inputs or outputs."""
    tensors = gpu_tensors(plan)
    parameters = {f"{tensor.name}_columns": json.dumps(tensor.columns) for tensor in tensors}
    if any(tensor.padded for tensor in tensors):
        parameters[f"{PADDED_IDS}_padding"] = str(PADDING)
    return {**parameters, PLAN_HASH: plan.content_hash}


def to_gpu_tensors(encoded: Encoded) -> Tensors:
    """Encoded rows as the tensors between the models; a tensor without columns is left out."""
    tensors = to_encoded_tensors(replace(encoded, bags=()))
    return {**tensors, PADDED_IDS: padded(encoded.bags)} if encoded.bags else tensors
