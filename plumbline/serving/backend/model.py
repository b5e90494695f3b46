"""A model of the backend: Triton's Python interface around what one version computes.

Only the server's own Python process can import this module, because only that has
`triton_python_backend_utils`.
"""

from __future__ import annotations

import gc
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from numpy.typing import NDArray

from plumbline.base.errors import PlumblineError
from plumbline.columns.wire import Tensors, require_finite
from plumbline.dlrm.ops.device_array import DeviceArray
from plumbline.features.drift.reference import REFERENCE_FILE, read_reference
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.plan.plan import Plan
from plumbline.serving.backend.column_metrics import column_report
from plumbline.serving.backend.drift import DriftMonitor
from plumbline.serving.backend.monitoring import CHECK_REQUEST, Monitor, Report, metrics_of
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.backend.server_process import end_with_server
from plumbline.serving.backend.waiting import Waiting, WaitingLine
from plumbline.serving.contract.check_rows import CHECK_FILE, CheckRows
from plumbline.serving.contract.interface import CLICK_PROBABILITY, wire_columns
from plumbline.serving.contract.outputs import Outputs, on_host

Run = Callable[[Tensors], Outputs]
"""The computation of requests, counted or not."""


@dataclass(frozen=True, slots=True)
class Computation:
    """What a version computes for a request's tensors: they are encoded, then turned into outputs.

    Both functions raise PlumblineError for rows that they cannot take.
    """

    encode: Callable[[Tensors], Encoded]
    outputs: Callable[[Encoded], Outputs]
    plan: Plan | None
    """If the model takes raw columns; their numbers are then checked to be finite."""


class BackendModel(ABC):
    """Triton makes one object for each instance of a model, and calls it from one thread."""

    @abstractmethod
    def load(self, version: ServedVersion) -> Computation:
        """Load what the version computes.

        Raises
        ------
        PlumblineError
            A file is missing, was changed, or does not fit the config: the model is not loaded.
        """

    def initialize(self, args: Mapping[str, str]) -> None:
        end_with_server()
        version = ServedVersion.open(args)
        self._computation = self.load(version)
        plan = self._computation.plan
        self._raw_columns = None if plan is None else wire_columns(plan)
        check = version.folder / CHECK_FILE
        CheckRows.read(check).verify(self._checked, version.precision, str(check))
        self._line: WaitingLine[Any] = WaitingLine(version.limits, self._answer_late, _reject)
        names = metrics_of(plan is not None, version.precision is not None)
        report = _report(version.model, version.number, *names)
        self._monitor = Monitor(plan, report, _drift_monitor(version, plan))
        self._warmup_rows = version.warmup_rows
        if not self._warmup_rows:
            self._monitor.start()
        gc.collect()
        gc.freeze()

    def execute(self, requests: Sequence[Any]) -> list[Any] | None:
        if self._warmup_rows:
            return self._warm_up(requests)
        started = time.perf_counter()
        if self._line.takes_over(started):
            self._line.put([_waiting(request) for request in requests])
            return None
        responses = self._responses(requests)
        self._line.answered(started, time.perf_counter())
        return responses

    def finalize(self) -> None:
        """Called once every request has been answered."""
        self._line.close()
        if not self._warmup_rows:
            self._monitor.stop()

    def _warm_up(self, requests: Sequence[Any]) -> list[Any]:
        """Answer warm-up requests, which precede all others: no limit holds, and none is counted.

        Triton sends a sample of 1,024 rows as 1,024 requests of one row.
        """
        responses = self._responses(requests)
        self._warmup_rows = max(0, self._warmup_rows - sum(map(_rows_of, requests)))
        if not self._warmup_rows:
            self._monitor.start()
        return responses

    def _responses(self, requests: Sequence[Any]) -> list[Any]:
        try:
            answers: dict[int, Outputs | PlumblineError] = {}
            for run, positions in self._by_run(requests):
                tensors = [_tensors(requests[position]) for position in positions]
                answers |= zip(positions, self._answers(tensors, run), strict=True)
            return [_response(request, answers[p]) for p, request in enumerate(requests)]
        except Exception as error:  # noqa: BLE001  a bug of ours fails these requests, not the server
            pb_utils.Logger.log_error(traceback.format_exc())
            reason = f"The model failed: {type(error).__name__}: {error}. See the server's log."
            return [_error(reason, pb_utils.TritonError.INTERNAL) for _ in requests]

    def _by_run(self, requests: Sequence[Any]) -> list[tuple[Run, list[int]]]:
        """The positions of the requests that the metrics count, and of those that they do not."""
        counted: list[int] = []
        uncounted: list[int] = []
        for position, request in enumerate(requests):
            is_check = self._warmup_rows or request.request_id() == CHECK_REQUEST
            (uncounted if is_check else counted).append(position)
        groups = ((self._run, counted), (self._uncounted, uncounted))
        return [(run, positions) for run, positions in groups if positions]

    def _answers(self, requests: Sequence[Tensors], run: Run) -> list[Outputs | PlumblineError]:
        """The outputs of every request, computed in one pass over the rows of all of them.

        If that pass is refused, or the requests' shapes or types differ, each request is computed
        by itself, so that one which cannot be answered spoils no other; its answer is the error.
        """
        if len(requests) > 1 and len({_layout(request) for request in requests}) == 1:
            try:
                joined = {n: np.concatenate([r[n] for r in requests]) for n in requests[0]}
                return [*_split(run(joined), [_rows(request) for request in requests])]
            except PlumblineError:
                pass
        return [_answer(request, run) for request in requests]

    def _run(self, tensors: Tensors) -> Outputs:
        """The outputs, which the metrics count."""
        encoded, outputs = self._computed(tensors)
        of_plan = None if self._raw_columns is None else encoded
        self._monitor.see(tensors, of_plan, on_host(outputs).get(CLICK_PROBABILITY))
        return outputs

    def _uncounted(self, tensors: Tensors) -> Outputs:
        return self._computed(tensors)[1]

    def _checked(self, tensors: Tensors) -> Tensors:
        return on_host(self._uncounted(tensors))

    def _computed(self, tensors: Tensors) -> tuple[Encoded, Outputs]:
        encoded = self._computation.encode(tensors)
        if self._raw_columns is not None:
            require_finite(tensors, self._raw_columns)
        return encoded, self._computation.outputs(encoded)

    def _answer_late(self, requests: list[Any]) -> None:
        for request, response in zip(requests, self._responses(requests), strict=True):
            _send(request, response)


def _answer(request: Tensors, run: Run) -> Outputs | PlumblineError:
    try:
        return run(request)
    except PlumblineError as error:
        return error


def _tensors(request: Any) -> Tensors:
    return {tensor.name(): tensor.as_numpy() for tensor in request.inputs()}


def _rows(request: Tensors) -> int:
    return len(next(iter(request.values())))


def _layout(request: Tensors) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    """What requests must share to be computed together."""
    return tuple((name, str(t.dtype), t.shape[1:]) for name, t in sorted(request.items()))


def _split(outputs: Outputs, rows: Sequence[int]) -> list[Outputs]:
    """The outputs of each request, which has so many rows."""
    ends = np.cumsum(rows).tolist()
    return [
        {name: output[end - count : end] for name, output in outputs.items()}
        for end, count in zip(ends, rows, strict=True)
    ]


def _response(request: Any, answer: Outputs | PlumblineError) -> Any:
    """With the outputs that were requested, no others.

    Triton's Python backend would remove the others, but does so without holding Python's lock if
    the response is sent from a thread, and that corrupts the process's memory.
    """
    if isinstance(answer, PlumblineError):
        return _error(str(answer), pb_utils.TritonError.INVALID_ARG)
    wanted = request.requested_output_names()
    return pb_utils.InferenceResponse(
        [_output(name, answer[name]) for name in answer if name in wanted]
    )


def _output(name: str, output: NDArray[Any] | DeviceArray) -> Any:
    """The server's tensor; what is on a GPU stays there."""
    if isinstance(output, DeviceArray):
        return pb_utils.Tensor.from_dlpack(name, output)
    return pb_utils.Tensor(name, output)


def _error(reason: str, code: Any) -> Any:
    return pb_utils.InferenceResponse([], error=pb_utils.TritonError(reason, code))


def _rows_of(request: Any) -> int:
    return int(request.inputs()[0].shape()[0])


def _waiting(request: Any) -> Waiting[Any]:
    return Waiting(request, _rows_of(request), request.timeout() / 1e6)


def _reject(request: Any, reason: str) -> None:
    _send(request, _error(reason, pb_utils.TritonError.UNAVAILABLE))


def _send(request: Any, response: Any) -> None:
    """A response that cannot be sent does not keep the other requests from theirs."""
    try:
        sender = request.get_response_sender()
        sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
    except Exception:  # noqa: BLE001  whatever Triton raises
        pb_utils.Logger.log_error(traceback.format_exc())


def _drift_monitor(version: ServedVersion, plan: Plan | None) -> DriftMonitor | None:
    """None for a model without raw columns, with drift turned off, or of an older export."""
    if plan is None or not version.drift_columns:
        return None
    if not version.has_drift_reference:
        pb_utils.Logger.log_info(
            f"Model {version.model!r}, version {version.number}: no drift is measured, because it "
            "was exported without a reference. Run the etl stage again, and export."
        )
        return None
    reference = read_reference(version.folder / REFERENCE_FILE, plan)
    report = column_report(version.model, version.number)
    return DriftMonitor(reference, version.drift_columns, report)


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
    """A metric is only valid as long as its family."""

    def report(increments: dict[str, float], values: dict[str, float]) -> None:
        for name, value in increments.items():
            if value:
                metrics[name][0].increment(value)
        for name, value in values.items():
            metrics[name][0].set(value)

    return report
