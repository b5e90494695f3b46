"""Triton entry of the no-op peers: returns zeros for the number of rows in the request.

It is copied into the benchmark's repository as a model's `model.py`. It reads no tensor values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """The class name that Triton requires."""

    def initialize(self, args: Mapping[str, str]) -> None:
        config = json.loads(args["model_config"])
        self._first_input = config["input"][0]["name"]
        rows = int(config["max_batch_size"])
        self._zeros = {
            tensor["name"]: np.zeros(
                (rows, int(tensor["dims"][0])),
                pb_utils.triton_string_to_numpy(tensor["data_type"]),
            )
            for tensor in config["output"]
        }

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        return [self._response(request) for request in requests]

    def _response(self, request: Any) -> Any:
        rows = pb_utils.get_input_tensor_by_name(request, self._first_input).shape()[0]
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, zeros[:rows]) for name, zeros in self._zeros.items()]
        )
