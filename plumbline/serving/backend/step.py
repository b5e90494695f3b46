"""What the served steps share: Triton's Python model interface around a function on tensors.

Only the server's own Python process can import this module: `triton_python_backend_utils` is there
and nowhere else.
"""

from __future__ import annotations

import gc
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import triton_python_backend_utils as pb_utils

from plumbline.base.errors import PlumblineError
from plumbline.columns.wire import Tensors
from plumbline.features.plan.plan import Plan
from plumbline.serving.backend.batching import answer
from plumbline.serving.backend.monitoring import Monitor, Report, See, told
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.backend.waiting import Waiting, WaitingLine
from plumbline.serving.contract.check_rows import CHECK_FILE, CheckRows, Run


class TritonStep(ABC):
    """Triton makes one object an instance, and calls it from one thread."""

    @abstractmethod
    def load(self, version: ServedVersion, see: See) -> tuple[Run, Plan | None]:
        """Load the step; it calls `see` with all that it answers. Gives its plan, if it has one.

        Raises
        ------
        PlumblineError
            A file is missing, was changed, or does not fit the config: the model is not loaded.
        """

    def initialize(self, args: Mapping[str, str]) -> None:
        version = ServedVersion.open(args)
        self._monitor: Monitor | None = None
        self._run, plan = self.load(version, self._see)
        check = version.folder / CHECK_FILE
        CheckRows.read(check).verify(self._run, version.precision, str(check))
        self._line: WaitingLine[Any] = WaitingLine(version.limits, self._answer_late, _refuse)
        self._warmups = version.warmups
        names = told(plan is not None, version.precision is not None)
        self._made = Monitor(plan, _report(version.model, version.number, *names))
        gc.collect()
        gc.freeze()

    def execute(self, requests: Sequence[Any]) -> list[Any] | None:
        started = time.perf_counter()
        if self._line.takes_over(started):
            self._line.put([_waiting(request) for request in requests])
            return None
        responses = self._responses(requests)
        self._line.answered(started, time.perf_counter())
        if self._warmups:
            self._warmed_up()
        return responses

    def finalize(self) -> None:
        """Called when every request has been answered."""
        self._line.close()
        if self._monitor is not None:
            self._monitor.stop()

    def _warmed_up(self) -> None:
        """Triton's warm-up comes before any request, and is not counted."""
        self._warmups -= 1
        if not self._warmups:
            self._monitor = self._made
            self._monitor.start()

    def _see(self, *seen: Any) -> None:
        if self._monitor is not None:
            self._monitor.see(*seen)

    def _responses(self, requests: Sequence[Any]) -> list[Any]:
        try:
            answers = answer([_tensors(request) for request in requests], self._run)
            return [_response(*pair) for pair in zip(requests, answers, strict=True)]
        except Exception as error:  # noqa: BLE001  a fault of ours ends these requests, not the server
            pb_utils.Logger.log_error(traceback.format_exc())
            reason = f"The step failed: {type(error).__name__}: {error}. See the server's log."
            return [_error(reason, pb_utils.TritonError.INTERNAL) for _ in requests]

    def _answer_late(self, requests: list[Any]) -> None:
        for request, response in zip(requests, self._responses(requests), strict=True):
            _send(request, response)


def _tensors(request: Any) -> Tensors:
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}


def _response(request: Any, given: Tensors | PlumblineError) -> Any:
    """With the outputs that were asked for, no others.

    Triton's Python backend would take the others out, but does so without Python's lock where the
    response is sent from a thread, and that corrupts the process's memory.
    """
    if isinstance(given, PlumblineError):
        return _error(str(given), pb_utils.TritonError.INVALID_ARG)
    asked = request.requested_output_names()
    return pb_utils.InferenceResponse([pb_utils.Tensor(n, given[n]) for n in given if n in asked])


def _error(reason: str, code: Any) -> Any:
    return pb_utils.InferenceResponse([], error=pb_utils.TritonError(reason, code))


def _waiting(request: Any) -> Waiting[Any]:
    return Waiting(request, request.inputs()[0].shape()[0], request.timeout() / 1e6)


def _refuse(request: Any, reason: str) -> None:
    _send(request, _error(reason, pb_utils.TritonError.UNAVAILABLE))


def _send(request: Any, response: Any) -> None:
    """One request whose answer cannot be sent does not keep the others from theirs."""
    try:
        sender = request.get_response_sender()
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
    except Exception:  # noqa: BLE001  whatever Triton raises
        pb_utils.Logger.log_error(traceback.format_exc())


def _report(
    model: str, number: str, counters: Mapping[str, str], gauges: Mapping[str, str]
) -> Report:
    """Sends to the server's metrics endpoint; `counters` and `gauges` are names to descriptions."""
    labels = {"model": model, "version": number}
    kinds = ((counters, pb_utils.MetricFamily.COUNTER), (gauges, pb_utils.MetricFamily.GAUGE))
    families = {
        name: pb_utils.MetricFamily(name=name, description=description, kind=kind)
        for names, kind in kinds
        for name, description in names.items()
    }
    metrics = {name: (family.Metric(labels=labels), family) for name, family in families.items()}
    """A metric is no good without its family."""

    def report(grown: dict[str, float], shares: dict[str, float]) -> None:
        for name, value in grown.items():
            if value:
                metrics[name][0].increment(value)
        for name, value in shares.items():
            metrics[name][0].set(value)

    return report
