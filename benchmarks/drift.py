"""What counting drift costs a served model: CPU time of a request with it and without it.

Kaggle's model in bf16 on a plan with a hundredth of Criteo's vocabularies, its 39 columns, and the
monitor that runs in the server, with its thread; requests of 1 and of 2,048 rows follow each other
without a pause for some seconds. A figure is the CPU time of the process in a run, divided by its
requests. Triton is left out, and so are the messages to its metrics endpoint.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.criteo_plan import criteo_plan, requests_of
from benchmarks.harness import OURS, Benchmark, parser
from plumbline.columns.wire import CONTINUOUS, Tensors
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.drift.measured import Measured
from plumbline.features.drift.reference import Reference
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan
from plumbline.serving.backend.drift import DriftMonitor
from plumbline.serving.backend.monitoring import Monitor
from plumbline.settings import Model

WITHOUT = "without drift"
ROWS = (1, 2048)
REFERENCE_ROWS = 50_000


def reference_of(plan: Plan, executor: OnlineExecutor) -> Reference:
    (tensors,) = requests_of(REFERENCE_ROWS, 1)

    def raw(position: int) -> NDArray[np.float32]:
        return np.asarray(tensors[CONTINUOUS])[:, position]

    return Reference.of(plan, raw, executor.transform(tensors))


def microseconds(
    answer: Callable[[Tensors, Monitor], None],
    requests: list[Tensors],
    monitor_of: Callable[[], Monitor],
    seconds: float,
) -> Callable[[], float]:
    """A side that returns the CPU time of a request, in a run of some seconds."""

    def side() -> float:
        monitor, done = monitor_of(), 0
        monitor.start()
        end, before = time.perf_counter() + seconds, time.process_time()
        while time.perf_counter() < end:
            answer(requests[done % len(requests)], monitor)
            done += 1
        monitor.stop()
        return (time.process_time() - before) * 1e6 / done

    return side


def main() -> None:
    options = parser(__doc__).parse_args()
    seconds, repeats = (1.2, 1) if options.quick else (10.0, 5)
    benchmark = Benchmark("drift")
    with tempfile.TemporaryDirectory() as name:
        plan = criteo_plan(Path(name), 1e-4 if options.quick else 1e-2)
        executor = OnlineExecutor(plan)
        reference = reference_of(plan, executor)
        model = DLRM(Architecture.of(plan, Model(preset="kaggle")), seed=1)
        scorer = Scorer.of(model, precision="bf16")

        def answer(tensors: Tensors, monitor: Monitor) -> None:
            encoded = executor.transform(tensors)
            monitor.see(tensors, encoded, scorer.score(encoded.ids_BF, encoded.dense_BC, ()))

        def with_drift() -> Monitor:
            return Monitor(plan, _silent, DriftMonitor(reference, 100, _silent_column))

        def without() -> Monitor:
            return Monitor(plan, _silent)

        for rows in ROWS:
            requests = requests_of(rows, 200 if rows == 1 else 20)
            sides = {
                side: microseconds(answer, requests, monitor_of, seconds)
                for side, monitor_of in ((OURS, with_drift), (WITHOUT, without))
            }
            name_of = f"{rows:,} row{'' if rows == 1 else 's'} a request"
            case = benchmark.run(name_of, "µs of CPU", sides, repeats)
            more = case.median(OURS) - case.median(WITHOUT)
            if rows == 1:
                benchmark.at_most("µs more for 1 row", more, 10.0)
            else:
                share = more / case.median(WITHOUT)
                benchmark.at_most(f"share more for {rows:,} rows", share, 0.01)
    benchmark.report(options.json)


def _silent(increments: dict[str, float], values: dict[str, float]) -> None: ...


def _silent_column(
    column: Measured, increments: dict[str, float], values: dict[str, float]
) -> None: ...


if __name__ == "__main__":
    main()
