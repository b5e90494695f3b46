"""The NVTabular engine on Dask: the same result on every cluster, also if its workers die."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from plumbline.base.errors import MachineError, PlumblineError
from plumbline.base.library_log import library_log
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.features.engine.encoded import EtlResult
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.nvtabular import cluster, engine
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.frames import FrameReader, write_encoded
from plumbline.nvtabular.library import Workflow, dask_config, ops
from plumbline.nvtabular.operators import fill_median
from plumbline.nvtabular.operators.quantile_bucketize import QuantileBucketize
from plumbline.nvtabular.patching import pieces
from plumbline.nvtabular.patching.medians import median_of
from tests.conftest import Command
from tests.deaths import deaths, fallible, mortal

ROOT = Path(__file__).parents[2]
KINDS: dict[str, Any] = {"x": "continuous", "i": "integer", "s": "string", "l": "integer_list"}
ROWS = 2100

TINY = {
    "name": "tiny",
    "click_model": {"rows": 3000, "days": 3, "vocabulary": [40, 5], "continuous": 1},
    "log": {
        "separator": "\t",
        "header": False,
        "columns": {"label": "label", "I1": "continuous", "C1..C2": "hex"},
    },
    "split": {"by": "file", "valid": [1], "test": [2]},
    "workflow": {"graph": "criteo", "options": {"frequency_threshold": 2}},
}

pytestmark = pytest.mark.timeout(900)


def rows(number: int, seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 4, number)
    columns = {
        "x": pa.array(rng.normal(size=number).astype(np.float32), mask=rng.random(number) < 0.2),
        "i": pa.array(rng.integers(2**53, 2**53 + 90, number), mask=rng.random(number) < 0.1),
        "s": pa.array([f"é{n}" for n in rng.geometric(0.02, number)]),
        "l": pa.array([rng.integers(0, 30, length).tolist() for length in lengths]),
        "click": pa.array(rng.integers(0, 2, number).astype(np.int8)),
    }
    schema = typed_schema(KINDS)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def splits(folder: Path, parts: int) -> dict[str, Path]:
    """The same rows in this number of files, one of which has none if there are several."""
    found = {}
    for split, table in (("train", rows(ROWS, 0)), ("test", rows(100, 1))):
        found[split] = folder / f"{split} in {parts}"
        found[split].mkdir(parents=True)
        bounds = np.linspace(0, len(table), parts + 1).astype(int)
        bounds[1] = bounds[0] if parts > 1 else bounds[1]
        for number, (start, end) in enumerate(pairwise(bounds)):
            file = found[split] / f"part-{number:05d}.parquet"
            pq.write_table(table.slice(start, end - start), file)
    return found


def workflow() -> Workflow:
    """Every way of learning, of numbers, values, lists and combinations."""
    ids = ["i", "s", "l"] >> ops.Categorify(freq_threshold=2, num_buckets=3)
    combined = [["i", "s"]] >> ops.Categorify(encode_type="combo", max_size=50)
    numbers = ["x"] >> ops.FillMedian() >> ops.Normalize()
    buckets = ["x"] >> QuantileBucketize(5) >> ops.Rename(postfix="_bucket")
    statistics = ["s"] >> ops.JoinGroupby(["x"], ["count", "mean", "std"])
    encoded = ["s"] >> ops.TargetEncoding("click", kfold=3, fold_seed=4)
    return Workflow(ids + combined + numbers + buckets + statistics + encoded + "click")


def encode(data: dict[str, Path], out: Path, scheduler: str | None) -> EtlResult:
    nvtabular = NVTabularEngine("cpu", scheduler)
    return nvtabular.fit_transform(workflow(), KINDS, data, out, lambda rows: None)


def encoded_rows(out: Path, split: str) -> pa.Table:
    files = sorted((out / split).iterdir())
    return pa.concat_tables(pq.read_table(file) for file in files).combine_chunks()


def bits(table: pa.Table) -> dict[str, list[Any]]:
    """The columns, numbers by their bits: NaN equals itself."""
    return {
        name: (
            np.asarray(table[name]).view(np.int32).tolist()
            if pa.types.is_floating(table[name].type)
            else table[name].to_pylist()
        )
        for name in table.column_names
    }


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if not path.is_dir()
    }


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one process for one file a split."""
    folder = tmp_path_factory.mktemp("alone")
    encode(splits(folder / "data", 1), folder / "out", None)
    return folder / "out"


def require_equal(out: Path, alone: Path, result: EtlResult) -> None:
    plan = json.loads((alone / "plan/plan.json").read_text())
    assert result.plan.content_hash == plan["content_hash"]
    assert files(out / "plan") == files(alone / "plan")
    for split in ("train", "test"):
        assert bits(encoded_rows(out, split)) == bits(encoded_rows(alone, split))
    assert sorted(path.name for path in out.iterdir()) == ["plan", "test", "train"]


def test_the_native_engine_gives_the_same(alone: Path, tmp_path: Path) -> None:
    data, native = splits(tmp_path / "data", 7), NativeEngine(compile_unfitted(workflow(), KINDS))
    native.fit_transform(TypedParquet(data, KINDS), tmp_path / "out", lambda rows: None)
    assert files(tmp_path / "out/plan") == files(alone / "plan")
    assert bits(encoded_rows(tmp_path / "out", "test")) == bits(encoded_rows(alone, "test"))


@pytest.mark.parametrize("parts", [7, pytest.param(50, marks=pytest.mark.slow)])
def test_partitions_change_nothing(parts: int, alone: Path, tmp_path: Path) -> None:
    """Not even the folds of the training rows, which are drawn by their place in the split."""
    result = encode(splits(tmp_path / "data", parts), tmp_path / "out", None)
    require_equal(tmp_path / "out", alone, result)
    assert len(list((tmp_path / "out/train").iterdir())) == parts


@contextmanager
def running_scheduler(folder: Path, workers: int) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and its workers, each a process; yields the address and the scheduler."""
    folder.mkdir()
    address = folder / "scheduler.json"
    shared = ["--no-dashboard", "--scheduler-file", str(address)]
    commands = [
        ["scheduler", "--host", "127.0.0.1", "--port", "0", *shared],
        [
            *("worker", "--nworkers", str(workers), "--nthreads", "1", *shared),
            *("--local-directory", str(folder)),
        ],
    ]
    environment = {
        **os.environ,
        "DASK_DATAFRAME__QUERY_PLANNING": "False",  # the program `dask` imports the frames
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "10",
        "PYTHONPATH": str(ROOT),
    }
    with (folder / "log").open("wb") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "dask", *command], cwd=folder, env=environment, stderr=log
            )
            for command in commands
        ]
        try:
            yield _address(folder / "scheduler.json", folder / "log"), processes[0]
        finally:
            for process in reversed(processes):
                process.terminate()
            for process in processes:
                process.wait(120)


def _address(file: Path, log: Path) -> str:
    """The address in a file that the scheduler writes once it runs."""
    deadline = time.monotonic() + 300
    while True:
        try:
            return str(json.loads(file.read_text())["address"])
        except (FileNotFoundError, json.JSONDecodeError):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers: int, alone: Path, tmp_path: Path) -> None:
    with running_scheduler(tmp_path / "cluster", workers) as (address, _):
        for parts in (1, 7, 50):
            out = tmp_path / f"out {parts}"
            result = encode(splits(tmp_path / "data", parts), out, address)
            require_equal(out, alone, result)


@pytest.mark.slow
def test_a_worker_of_a_running_cluster_that_dies_costs_time_only(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deaths(tmp_path / "deaths", 2)
    monkeypatch.setattr(engine, "write_encoded", mortal(write_encoded, folder))
    with running_scheduler(tmp_path / "cluster", 2) as (address, _):
        result = encode(splits(tmp_path / "data", 3), tmp_path / "out", address)
    assert not list(folder.iterdir())
    require_equal(tmp_path / "out", alone, result)


@dataclass(frozen=True, slots=True)
class MortalReader(FrameReader):
    """A reader of files that dies."""

    folder: Path

    def __call__(self, file: Path) -> Any:
        return mortal(FrameReader(self.kinds, self.device), self.folder)(file)


LEARNING = [
    (pieces, "spilled_partition", pieces.spilled_partition, 2),
    (pieces, "merged_piece", pieces.merged_piece, 3),
    (fill_median, "median_of", median_of, 1),
]
"""Functions of tasks, and how many deaths each meets: three operators learn in pieces."""


@pytest.mark.slow
@pytest.mark.parametrize("phase", ["encode", "fit"])
def test_workers_that_die_cost_time_only(
    phase: str,
    alone: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Five deaths while files are written, which one task may all have met: Dask allows three.

    Or deaths while files are read, and values counted, merged and sorted. What libraries warn of in
    the workers is in the run's log, and nowhere else.
    """
    coming = [deaths(tmp_path / "deaths", 5 if phase == "encode" else 2)]
    if phase == "encode":
        monkeypatch.setattr(engine, "write_encoded", mortal(write_encoded, coming[0]))
    else:
        monkeypatch.setattr(engine, "FrameReader", partial(MortalReader, folder=coming[0]))
        for module, name, function, number in LEARNING:
            coming.append(deaths(tmp_path / f"deaths in {name}", number))
            monkeypatch.setattr(module, name, mortal(function, coming[-1]))
    data = splits(tmp_path / "data", 3)
    with library_log(tmp_path / "libraries.log"):
        result = encode(data, tmp_path / "out", "local")
    assert "Warning" not in capfd.readouterr().err
    assert "Tensorflow dtype mappings" in (tmp_path / "libraries.log").read_text(encoding="utf-8")
    assert not any(list(folder.iterdir()) for folder in coming)
    require_equal(tmp_path / "out", alone, result)
    monkeypatch.undo()
    encode(data, tmp_path / "undisturbed", None)
    assert files(tmp_path / "out") == files(tmp_path / "undisturbed")


SLOW_TO_START = """
import time
from pathlib import Path

starts = Path({folder!r})
if len(list(starts.iterdir())) >= {workers}:
    time.sleep(20)
(starts / str(time.time_ns())).touch()
"""
"""A module that workers load when they start: all but the first ones take long."""


@pytest.mark.slow
def test_workers_that_die_together_and_start_slowly_cost_time_only(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask gives a dead worker up whose successor takes 15 seconds to start."""
    (tmp_path / "starts").mkdir()
    workers = len(os.sched_getaffinity(0))
    slow = tmp_path / "slow.py"
    slow.write_text(SLOW_TO_START.format(folder=str(tmp_path / "starts"), workers=workers))
    coming = deaths(tmp_path / "deaths", workers)
    monkeypatch.setattr(engine, "write_encoded", mortal(write_encoded, coming))
    with dask_config.set({"distributed.worker.preload": [str(slow)]}):
        result = encode(splits(tmp_path / "data", 3), tmp_path / "out", "local")
    require_equal(tmp_path / "out", alone, result)


@pytest.mark.slow
def test_a_task_that_raised_is_run_again(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deaths(tmp_path / "failures", cluster.RETRIES)
    monkeypatch.setattr(engine, "write_encoded", fallible(write_encoded, folder))
    result = encode(splits(tmp_path / "data", 1), tmp_path / "out", "local")
    require_equal(tmp_path / "out", alone, result)
    deaths(tmp_path / "more", cluster.RETRIES + 1)
    monkeypatch.setattr(engine, "write_encoded", fallible(write_encoded, tmp_path / "more"))
    with pytest.raises(OSError, match="the disk does not answer"):
        encode(splits(tmp_path / "again", 1), tmp_path / "out", "local")


@pytest.mark.slow
def test_too_many_deaths_under_one_task_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = deaths(tmp_path / "deaths", 9)
    monkeypatch.setattr(cluster, "ALLOWED_FAILURES", 1)
    monkeypatch.setattr(engine, "write_encoded", mortal(write_encoded, folder))
    with pytest.raises(
        MachineError, match=r"^2 workers of the Dask cluster died under one task, .* give the work"
    ):
        encode(splits(tmp_path / "data", 1), tmp_path / "out", "local")
    assert not (tmp_path / "out/scratch").exists()
    assert not (tmp_path / "out/plan/plan.json").exists()


@pytest.mark.slow
def test_workers_that_do_not_see_the_run_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_sees", str.isspace)
    with (
        running_scheduler(tmp_path / "cluster", 1) as (address, _),
        pytest.raises(PlumblineError, match=r"that see the folder .*/out/scratch, but the one at"),
    ):
        encode(splits(tmp_path / "data", 1), tmp_path / "out", address)


def test_a_cluster_without_workers_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_WORKER_SECONDS", 1)
    with (
        running_scheduler(tmp_path / "cluster", 0) as (address, _),
        pytest.raises(PlumblineError, match=r"but none joined it within 1 seconds\. Start one"),
    ):
        encode(splits(tmp_path / "data", 1), tmp_path / "out", address)


@pytest.mark.slow
def test_a_scheduler_that_stops_is_one_line(tmp_path: Path) -> None:
    with running_scheduler(tmp_path / "cluster", 1) as (address, process):
        data = splits(tmp_path / "data", 50)
        nvtabular = NVTabularEngine("cpu", address)
        with pytest.raises(MachineError, match=f"The Dask scheduler at {address} stopped, or drop"):
            nvtabular.fit_transform(
                workflow(), KINDS, data, tmp_path / "out", lambda rows: process.kill()
            )


def test_no_scheduler_at_the_address_is_one_line(command: Command, tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(yaml.safe_dump(TINY, sort_keys=False))
    ended = command(
        *("pipelines/run_all.py", "--config", config, "--to", "etl"),
        *("--engine", "nvtabular", "--scheduler", "tcp://127.0.0.1:9", "--device", "cpu"),
    )
    assert ended.returncode == 2
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("error: Wanted a Dask scheduler at tcp://127.0.0.1:9, but none answers")
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "runs/tiny/etl/manifest.json").exists()
