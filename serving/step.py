"""What the served steps share: Triton's Python model interface around a function on tensors.

Only the server's own Python process can import this module: `triton_python_backend_utils` is there
and nowhere else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import triton_python_backend_utils as pb_utils

from features.errors import PlumblineError
from features.wire import Tensors
from serving.batching import Run, answer
from serving.check_rows import CHECK_FILE, CheckRows
from serving.served_version import ServedVersion


class TritonStep(ABC):
    """Triton makes one object an instance, and calls it from one thread."""

    @abstractmethod
    def load(self, version: ServedVersion) -> Run:
        """Load the step from its version folder and its config's parameters.

        Raises
        ------
        PlumblineError
            A file is missing, was changed, or does not fit the config: the model is not loaded.
        """

    def initialize(self, args: Mapping[str, str]) -> None:
        version = ServedVersion.open(args)
        self._inputs = version.inputs
        self._run = self.load(version)
        check = version.folder / CHECK_FILE
        CheckRows.read(check).verify(self._run, version.precision, str(check))

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        answers = answer([self._tensors(request) for request in requests], self._run)
        return [_response(given) for given in answers]

    def _tensors(self, request: Any) -> Tensors:
        return {
            name: pb_utils.get_input_tensor_by_name(request, name).as_numpy()
            for name in self._inputs
        }


def _response(given: Tensors | PlumblineError) -> Any:
    if isinstance(given, PlumblineError):
        return pb_utils.InferenceResponse([], error=pb_utils.TritonError(str(given)))
    return pb_utils.InferenceResponse([pb_utils.Tensor(n, array) for n, array in given.items()])
