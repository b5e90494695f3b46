"""A stand-in for `triton_python_backend_utils`, which exists only in the server's process."""

import types
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from plumbline.columns.wire import Tensors


@dataclass
class Tensor:
    of: str
    array: np.ndarray
    device: tuple[int, int] | None = None
    """Kind and number, of a tensor that was taken over by DLPack."""

    @staticmethod
    def from_dlpack(name: str, array: Any) -> "Tensor":
        return Tensor(name, np.from_dlpack(array), array.__dlpack_device__())

    def name(self) -> str:
        return self.of

    def as_numpy(self) -> np.ndarray:
        return self.array

    def shape(self) -> tuple[int, ...]:
        return self.array.shape


@dataclass
class Request:
    tensors: Tensors
    timeout_us: int = 0
    sent: list[Any] = field(default_factory=list)
    wanted: tuple[str, ...] = ("ids", "dense", "click_probability")
    id: str = ""

    def request_id(self) -> str:
        return self.id

    def requested_output_names(self) -> list[str]:
        return list(self.wanted)

    def inputs(self) -> list[Tensor]:
        return [Tensor(name, array) for name, array in self.tensors.items()]

    def timeout(self) -> int:
        return self.timeout_us

    def get_response_sender(self) -> Any:
        return types.SimpleNamespace(send=lambda response, flags: self.sent.append(response))


@dataclass
class Error:
    message: str
    code: str

    INTERNAL, INVALID_ARG, UNAVAILABLE = "internal", "invalid", "unavailable"


@dataclass
class Response:
    output_tensors: list[Tensor]
    error: Error | None = None


class Metric:
    def increment(self, value: float) -> None: ...

    def set(self, value: float) -> None: ...


class MetricFamily:
    COUNTER, GAUGE = "counter", "gauge"

    def __init__(self, name: str, description: str, kind: str) -> None: ...

    def Metric(self, labels: dict[str, str]) -> Metric:
        return Metric()


def module(lines: list[str]) -> types.ModuleType:
    """What is logged is appended to `lines`."""
    made = types.ModuleType("triton_python_backend_utils")
    made.__dict__.update(
        Tensor=Tensor,
        InferenceResponse=Response,
        TritonError=Error,
        MetricFamily=MetricFamily,
        Logger=types.SimpleNamespace(log_error=lines.append, log_info=lines.append),
        TRITONSERVER_RESPONSE_COMPLETE_FINAL=1,
    )
    return made
