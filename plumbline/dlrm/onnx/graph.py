"""Build an ONNX graph, value by value; its weights stay in their own file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import (
    GraphProto,
    NodeProto,
    StringStringEntryProto,
    TensorProto,
    ValueInfoProto,
    helper,
    numpy_helper,
)

from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.tensors.tensor_offsets import TensorSpan

_ELEMENTS = {"F32": TensorProto.FLOAT, "BF16": TensorProto.BFLOAT16}
"""The safetensors name of each dtype of a model's weights, and its ONNX type."""


class GraphBuilder:
    """Every method adds a value to the graph and returns its name, for use as a later input.

    Parameters
    ----------
    file
        A safetensors file with the weights, in a folder next to the graph's own file.
    spans
        Offsets of the weights in the file.
    """

    def __init__(self, file: Path, spans: Mapping[str, TensorSpan]) -> None:
        self._file = file
        self._spans = spans
        self._nodes: list[NodeProto] = []
        self._tensors: list[TensorProto] = []
        self._inputs: list[ValueInfoProto] = []

    def input(self, name: str, element: int, shape: list[str | int]) -> str:
        """An input of the graph; a size given as text is dynamic."""
        self._inputs.append(helper.make_tensor_value_info(name, element, shape))
        return name

    def add(self, name: str, operator: str, *inputs: str, **attributes: Any) -> str:
        """The result of an operator."""
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, values: NDArray[Any] | np.generic) -> str:
        """A small tensor stored in the graph itself."""
        self._tensors.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weight(self, name: str, dtype: str, *shape: int) -> str:
        """A tensor of the weights file; raises ModelError if its dtype or shape differs."""
        span = self._spans.get(name)
        if span is None or (span.dtype, span.shape) != (dtype, shape):
            got = span and f"{span.dtype} of shape {span.shape}"
            reason = f"{name}: wanted {dtype} of shape {shape}, found {got}"
            raise ModelError.unreadable(str(self._file), reason)
        tensor = TensorProto(name=name, dims=shape, data_type=_ELEMENTS[dtype])
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (
            ("location", f"{self._file.parent.name}/{self._file.name}"),
            ("offset", span.offset),
            ("length", span.length),
        ):
            tensor.external_data.append(StringStringEntryProto(key=key, value=str(value)))
        self._tensors.append(tensor)
        return name

    def finished(self, name: str, output: ValueInfoProto) -> GraphProto:
        """The graph whose result is the value named by `output`."""
        return helper.make_graph(
            self._nodes, name, self._inputs, [output], initializer=self._tensors
        )
