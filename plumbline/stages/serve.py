"""Stage serve: start Triton on the exported repository, send raw test rows, compare, time.

The rows are the probe split: raw test rows, and copies of one with missing values and with values
not seen in training. Ids must equal those of the ETL, and scores those of offline scoring.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.console import progress_bar, say, waiting
from plumbline.columns.typed import values_of
from plumbline.columns.values import Lists
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.plan.plan import OutputColumn, Plan, read_plan
from plumbline.serving.check.comparison import Comparison, compare
from plumbline.serving.check.latency import BATCH_SIZES, measure_latency
from plumbline.serving.client.client import Client
from plumbline.serving.client.connection import Protocol
from plumbline.serving.contract.interface import ENSEMBLE_MODEL, FUSED_MODEL
from plumbline.serving.launch.server import TritonServer
from plumbline.stages.finished import Finished
from plumbline.stages.run import Run
from plumbline.stages.stage import Stage, StageResult, reads

MODELS = {"ensemble": ENSEMBLE_MODEL, "fused": FUSED_MODEL}
ANSWER_SECONDS = 900.0
"""Limit of one request: a slow model on a busy machine is slow, but not wrong."""


def settings(run: Run) -> dict[str, Any]:
    return run.config.serving.model_dump(mode="json", include={"probe_rows", "latency_requests"})


def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
    raw = pq.read_table(inputs["ingest"].path("probe"))
    repository = inputs["export"].path("model_repository")
    work_folder = out / "server"  # has the log, and is kept if the stage fails
    with ExitStack() as running:
        with waiting("starting"):
            server = running.enter_context(TritonServer(repository, work_folder))
        with waiting("comparing"):
            compared = _compare(server, raw, inputs)
        latency = _latency(server, raw, run.config.serving.latency_requests)
    shutil.rmtree(work_folder)
    say(
        f"  {compared.rows_compared} rows compared: ids identical {compared.ids_identical}, "
        f"largest score difference {compared.max_abs_score_diff:.1e}"
    )
    facts = {
        **asdict(compared),
        "latency_ms": latency["grpc"],
        "latency_ms_by_protocol": latency,
    }
    return StageResult({"probe": raw.num_rows}, facts=facts)


def _compare(server: TritonServer, raw: pa.Table, inputs: Mapping[str, Finished]) -> Comparison:
    plan = read_plan(inputs["etl"].path("plan"))
    encoded = pq.read_table(inputs["etl"].path("probe"))
    offline = pq.read_table(inputs["evaluate"].path("probe.parquet"))["probability"]
    with (
        Client(server.grpc_url, "grpc", MODELS["ensemble"], ANSWER_SECONDS) as ensemble,
        Client(server.grpc_url, "grpc", MODELS["fused"], ANSWER_SECONDS) as fused,
    ):
        return compare(
            ensemble,
            fused,
            raw,
            _encoded(encoded, plan),
            offline.to_numpy(),
        )


def _encoded(table: pa.Table, plan: Plan) -> Encoded:
    """The encoded rows of a file, as the feature model returns them."""
    single = [column for column in plan.categorical if not column.is_list]
    lists = [column for column in plan.categorical if column.is_list]
    return Encoded(
        _matrix(table, single, np.dtype(np.int64)),
        tuple(cast(Lists, values_of(table[column.name])) for column in lists),
        _matrix(table, plan.continuous, np.dtype(np.float32)),
    )


def _matrix(table: pa.Table, columns: Sequence[OutputColumn], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The columns as an array of shape (rows, number of columns)."""
    if not columns:
        return np.empty((table.num_rows, 0), dtype)
    return np.column_stack([table[column.name].to_numpy() for column in columns]).astype(dtype)


def _latency(server: TritonServer, raw: pa.Table, requests: int) -> dict[str, Any]:
    """Protocol, then model, then batch size, to p50 and p99 in milliseconds."""
    latency: dict[str, Any] = {}
    total = 2 * len(MODELS) * len(BATCH_SIZES) * requests
    with progress_bar("timing", total, "requests") as progress:
        endpoints: dict[Protocol, str] = {"grpc": server.grpc_url, "http": server.http_url}
        for protocol, url in endpoints.items():
            latency[protocol] = {}
            for name, model in MODELS.items():
                with Client(url, protocol, model, ANSWER_SECONDS) as client:
                    latency[protocol][name] = measure_latency(client, client.tensors(raw), requests)
                progress(len(BATCH_SIZES) * requests)
    return latency


STAGE = Stage("serve", reads("ingest", "etl", "evaluate", "export"), settings, work)
