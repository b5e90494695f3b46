"""Merlin Systems' export of a workflow against our feature step of it, on one server.

Requests go to its executor, as its users' do: a Python model that calls the workflow's model. It
has one tensor per column, and no missing values.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tritonclient.http
from tritonclient.utils import np_to_triton_dtype

from benchmarks.criteo_rows import CATEGORICAL, CONTINUOUS
from benchmarks.harness import OURS, Benchmark
from benchmarks.serve_export import READY_SECONDS, export
from plumbline.base.errors import DataError
from plumbline.columns.wire import Tensors, to_tensors
from plumbline.features.plan.plan import read_plan
from plumbline.serving.contract.interface import DENSE, FEATURES_MODEL, IDS, wire_columns
from plumbline.serving.launch.server import TritonServer
from plumbline.settings import Serving

ROOT = Path(__file__).parent.parent
PEERS = ROOT / ".venv-peers"
MERLIN = "Merlin Systems"
MISSING = f"{MERLIN}: left out, not found in {PEERS.name}. `make peers` installs it."
PICKLES = f"{MERLIN} exports pickles; the benchmark's server loads those made in the same run."
TARGET = "times Merlin Systems' feature step, 1 row"
TIMES = 200.0

EXECUTOR = "executor_model"
REQUESTS_A_ROUND = {OURS: 40, MERLIN: 3}
FLOAT_TOLERANCE = 2e-5
"""NVTabular computes log and normalization in float32."""


def against_merlin(benchmark: Benchmark, folder: Path, rows: int, rounds: int) -> None:
    """Our feature step and Merlin Systems', alternately, at 1 and 64 rows per request, over HTTP.

    Raises DataError if their ids or floats differ.
    """
    versions = [d.version for d in distributions(name="merlin-systems", path=[str(PEERS)])]
    if not versions:
        benchmark.notes.append(MISSING)
        benchmark.not_measured(TARGET, TIMES)
        return
    benchmark.versions["merlin-systems"] = versions[0]
    benchmark.notes.append(PICKLES)
    _export(folder, rows)
    whole = pq.read_table(folder / "rows.parquet")
    served = export("kaggle", read_plan(folder / "plan"), folder, "fp32", Serving(), whole)
    for model in (folder / "models").iterdir():
        _with_peers(model / "1" / "model.py")
        model.rename(served.repository / model.name)
    server = TritonServer(served.repository, folder / "server", ready_seconds=READY_SECONDS)
    with (
        server,
        tritonclient.http.InferenceServerClient(server.http_url) as client,
    ):
        for size in (1, 64):
            batches = [whole.slice(size * n, size) for n in range(whole.num_rows // size)]
            wire = [to_tensors(rows, wire_columns(served.plan)) for rows in batches]
            sides = {
                OURS: partial(_ask, client, FEATURES_MODEL, [_inputs(w) for w in wire]),
                MERLIN: partial(_ask, client, EXECUTOR, [_inputs(_columns(b)) for b in batches]),
            }
            _check_equal(sides[OURS](0), sides[MERLIN](0))
            case = benchmark.add(f"feature step, {size} rows, HTTP", "ms", _in_turn(sides, rounds))
            if size == 1:
                benchmark.at_least(TARGET, case.ratios[MERLIN], TIMES)


def _export(folder: Path, rows: int) -> None:
    paths = [str(PEERS), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.serve_merlin_export", folder, str(rows)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DataError(f"{MERLIN}' export failed: {done.stderr[-2000:]}")


def _with_peers(entry: Path) -> None:
    """Add the peers' folder to the path, since the server's Python has only the environment's."""
    code = entry.read_text(encoding="utf-8")
    first = f"import sys\n\nsys.path.insert(0, {str(PEERS)!r})\n\n"
    entry.write_text(first + code, encoding="utf-8")


def _ask(
    client: tritonclient.http.InferenceServerClient, model: str, requests: list[Any], n: int
) -> Any:
    return client.infer(model, requests[n % len(requests)])


def _columns(rows: pa.Table) -> Tensors:
    """The rows as Merlin Systems' tensors."""
    types = dict.fromkeys(CATEGORICAL, np.int64) | dict.fromkeys(CONTINUOUS, np.float32)
    return {name: rows[name].to_numpy().astype(dtype) for name, dtype in types.items()}


def _inputs(tensors: Tensors) -> list[tritonclient.http.InferInput]:
    inputs = []
    for name, tensor in tensors.items():
        tensor_input = tritonclient.http.InferInput(
            name, list(tensor.shape), np_to_triton_dtype(tensor.dtype)
        )
        tensor_input.set_data_from_numpy(tensor)
        inputs.append(tensor_input)
    return inputs


def _check_equal(ours: Any, theirs: Any) -> None:
    ids_BF, dense_BC = (
        np.column_stack([theirs.as_numpy(name).reshape(-1) for name in names])
        for names in (CATEGORICAL, CONTINUOUS)
    )
    if not np.array_equal(ids_BF, ours.as_numpy(IDS)):
        raise DataError(f"{MERLIN} gives other ids than ours: not equal work.")
    difference = float(np.abs(dense_BC - ours.as_numpy(DENSE)).max())
    if not difference <= FLOAT_TOLERANCE:
        raise DataError(f"{MERLIN} differs from ours by {difference} in a float: not equal work.")


def _in_turn(sides: Mapping[str, Callable[[int], object]], rounds: int) -> dict[str, list[float]]:
    """Median milliseconds of each side's requests per round, without the first round."""
    figures: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(1 + rounds):
        for side, ask in sides.items():
            count = REQUESTS_A_ROUND[side]
            figures[side].append(_milliseconds(ask, range(turn * count, (turn + 1) * count)))
    return {side: medians[1:] for side, medians in figures.items()}


def _milliseconds(ask: Callable[[int], object], numbers: Iterable[int]) -> float:
    times = []
    for number in numbers:
        start = time.perf_counter()
        ask(number)
        times.append((time.perf_counter() - start) * 1000.0)
    return statistics.median(times)
