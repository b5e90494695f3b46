"""An inference request as data, and its encodings: HTTP with binary tensors, and gRPC.

Nothing is checked here, so a request can have any fault.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2
from tritonclient.utils import np_to_triton_dtype

from plumbline.columns.wire import Tensors


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor as declared, and its bytes.

    Over HTTP, `parameters` replace the parameter with the number of bytes.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a model, for `outputs`; empty means all of them."""

    model: str
    inputs: tuple[Input, ...]
    version: str = ""
    outputs: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        version = f"/versions/{self.version}" if self.version else ""
        return quote(f"/v2/models/{self.model}{version}/infer")


@dataclass(frozen=True, slots=True)
class Post:
    """An HTTP request; `headers` are in addition to those of HTTP itself."""

    path: str
    headers: Mapping[str, str]
    body: bytes


def call(model: str, tensors: Tensors) -> Call:
    """A valid request."""
    return Call(model, tuple(_input(name, tensor) for name, tensor in tensors.items()))


def text_bytes(values: Any) -> bytes:
    """Strings as Triton encodes them: each after its length, uint32 little-endian."""
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def to_post(wanted: Call) -> Post:
    """The HTTP request: a JSON header, then the tensors' bytes."""
    head = to_head(wanted)
    body = b"".join(tensor.data for tensor in wanted.inputs)
    return post(wanted.path, json.dumps(head).encode(), body)


def to_head(wanted: Call) -> dict[str, Any]:
    """The JSON header."""
    head: dict[str, Any] = {
        "parameters": {"binary_data_output": True, **wanted.parameters},
        "inputs": [
            {
                "name": tensor.name,
                "shape": tensor.shape,
                "datatype": tensor.datatype,
                "parameters": tensor.parameters or {"binary_data_size": len(tensor.data)},
            }
            for tensor in wanted.inputs
        ],
    }
    if wanted.outputs:
        head["outputs"] = [
            {"name": name, "parameters": {"binary_data": True}} for name in wanted.outputs
        ]
    return head


def post(path: str, head: bytes, body: bytes) -> Post:
    return Post(path, {"Inference-Header-Content-Length": str(len(head))}, head + body)


def to_message(wanted: Call) -> Any:
    """The gRPC message, with raw contents."""
    message = service_pb2.ModelInferRequest(model_name=wanted.model, model_version=wanted.version)
    _set_parameters(message.parameters, wanted.parameters)
    for tensor in wanted.inputs:
        declared = message.inputs.add(name=tensor.name, datatype=tensor.datatype)
        declared.shape.extend(tensor.shape)
        _set_parameters(declared.parameters, tensor.parameters)
        message.raw_input_contents.append(tensor.data)
    for name in wanted.outputs:
        message.outputs.add(name=name)
    return message


def _input(name: str, tensor: NDArray[Any]) -> Input:
    data = tensor.tobytes() if tensor.dtype != np.object_ else text_bytes(tensor.ravel().tolist())
    return Input(name, np_to_triton_dtype(tensor.dtype), tensor.shape, data)


def _set_parameters(target: Any, parameters: Mapping[str, Any]) -> None:
    for key, value in parameters.items():
        if isinstance(value, bool):
            target[key].bool_param = value
        elif isinstance(value, int):
            target[key].int64_param = value
        elif isinstance(value, float):
            target[key].double_param = value
        else:
            target[key].string_param = str(value)
