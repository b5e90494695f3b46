"""What a monitor reports of columns equals what is counted of all rows at once."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plumbline.columns.values import concat
from plumbline.columns.wire import CONTINUOUS, Tensors, WireColumns, to_tensors
from plumbline.features.drift.bins import stability_index
from plumbline.features.drift.measured import Measured
from plumbline.features.drift.reference import REFERENCE_FILE, Reference
from plumbline.features.drift.training_rows import reference_of
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import Plan
from plumbline.serving.backend import drift
from plumbline.serving.backend.drift import INDEX, MISSING, UNSEEN, VALUES, DriftMonitor
from plumbline.serving.contract.interface import wire_columns
from plumbline.serving.errors import RepositoryError
from plumbline.serving.repository.export import write_repository
from plumbline.serving.repository.release import Release
from tests.features.drift.plans import KINDS, measured_plan, measured_rows
from tests.row_sources import rows_of, table_of
from tests.serving.backend.test_model import WARM_UPS, arguments
from tests.serving.backend.triton_backend import Request
from tests.serving.releases import ROWS, SETTINGS, model_of, write_small_plan


class Reports:
    """Adds up what is reported, and counts the reports."""

    def __init__(self) -> None:
        self.totals: dict[tuple[str, str, str], float] = {}
        self.gauges: dict[tuple[str, str], float] = {}
        self.calls = 0

    def __call__(self, column: Measured, grown: dict[str, float], values: dict[str, float]) -> None:
        self.calls += 1
        of = (column.measure, column.column)
        for name, value in grown.items():
            self.totals[(name, *of)] = self.totals.get((name, *of), 0.0) + value
        if INDEX in values:
            self.gauges[of] = values[INDEX]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return measured_plan(tmp_path / "plan")


@pytest.fixture
def reference(plan: Plan) -> Reference:
    return reference_of(plan, rows_of(measured_rows(200), KINDS))  # type: ignore[arg-type]


@pytest.fixture
def requests(plan: Plan) -> list[tuple[Any, Encoded]]:
    """Of 1 to 200 rows, 1,600 rows together."""
    executor, columns = OnlineExecutor(plan), wire_columns(plan)
    table, requests, start = measured_rows(400), [], 0
    for rows in [1] * 100 + [200] * 7 + [99, 1]:
        tensors: Tensors = to_tensors(table.slice(start, rows), columns)
        requests.append((tensors[CONTINUOUS], executor.transform(tensors)))
        start += rows
    return requests


def whole(requests: list[tuple[Any, Encoded]]) -> tuple[Any, Encoded]:
    raw, encoded = zip(*requests, strict=True)
    return np.concatenate(raw), Encoded(
        np.concatenate([one.ids_BF for one in encoded]),
        tuple(concat(bags) for bags in zip(*(one.bags for one in encoded), strict=True)),
        np.concatenate([one.dense_BC for one in encoded]),
    )


def test_counts_and_index_are_those_of_all_rows(
    reference: Reference, requests: list[tuple[Any, Encoded]]
) -> None:
    reports, clock = Reports(), Clock()
    monitor = DriftMonitor(reference, 100, reports, clock)
    for number, request in enumerate(requests):
        monitor.keep(*request)
        if number % 40 == 39:
            clock.now += 7.0
            monitor.tick()
    monitor.tick(is_last=True)
    raw_BC, encoded = whole(requests)
    counted = reference.count(lambda position: raw_BC[:, position], encoded)
    assert len(reports.gauges) == len(reference.columns) == 6
    for column, counts_K in zip(reference.columns, counted, strict=True):
        of = (column.measured.measure, column.measured.column)
        assert reports.totals[(VALUES, *of)] == counts_K.sum()
        assert reports.totals[(MISSING, *of)] == column.bins.missing(counts_K)
        assert reports.totals[(UNSEEN, *of)] == column.bins.unseen(counts_K)
        assert reports.gauges[of] == stability_index(column.counts_K, counts_K)
    assert reports.totals[VALUES, "number", "price"] == 1600
    assert reports.totals[MISSING, "number", "price"] == 320
    assert reports.totals[UNSEEN, "id", "city"] == 320
    assert max(reports.gauges.values()) == pytest.approx(0.0, abs=1e-5)


def test_only_so_many_columns_are_measured(
    reference: Reference, requests: list[tuple[Any, Encoded]]
) -> None:
    reports = Reports()
    monitor = DriftMonitor(reference, 2, reports, Clock())
    monitor.keep(*requests[0])
    monitor.tick(is_last=True)
    measured = {(measure, column) for _, measure, column in reports.totals}
    assert measured == {("number", "price"), ("id", "city")}


def test_reports_are_seldom_and_silent_without_rows(
    reference: Reference, requests: list[tuple[Any, Encoded]]
) -> None:
    reports, clock = Reports(), Clock()
    monitor = DriftMonitor(reference, 1, reports, clock)
    for second in range(1, 31):
        clock.now = float(second)
        monitor.keep(*requests[0])
        monitor.tick()
    assert reports.calls == 3
    clock.now = 60.0
    monitor.tick()
    monitor.tick(is_last=True)
    assert reports.calls == 3
    assert reports.totals[VALUES, "number", "price"] == 30


def test_no_index_of_few_values(reference: Reference, requests: list[tuple[Any, Encoded]]) -> None:
    reports = Reports()
    monitor = DriftMonitor(reference, 100, reports, Clock())
    monitor.keep(*requests[100])
    monitor.tick(is_last=True)
    assert reports.totals[VALUES, "number", "price"] == 200 and not reports.gauges


def test_of_too_many_rows_some_are_counted_evenly_spread(
    plan: Plan, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drift, "ROWS_A_TICK", 150)
    reports = Reports()
    monitor = DriftMonitor(reference, 100, reports, Clock())
    tensors = to_tensors(measured_rows(100), wire_columns(plan))
    tensors[CONTINUOUS] = np.repeat(np.float32([1.0, np.nan]), 250)[:, np.newaxis]
    encoded = OnlineExecutor(plan).transform(tensors)
    for _ in range(2):  # the second finds no room
        monitor.keep(tensors[CONTINUOUS], encoded)
    monitor.tick()
    fewer = to_tensors(measured_rows(20), wire_columns(plan))
    monitor.keep(fewer[CONTINUOUS], OnlineExecutor(plan).transform(fewer))
    monitor.tick(is_last=True)
    assert reports.totals[VALUES, "number", "price"] == 150 + 100
    assert reports.totals[MISSING, "number", "price"] == 75 + 20
    assert reports.totals[VALUES, "length", "tags"] == 150 + 100


def test_the_index_covers_the_last_windows(
    plan: Plan, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A window has both enough rows and enough seconds."""
    monkeypatch.setattr(drift, "WINDOW_ROWS", 1000)
    reports, clock = Reports(), Clock()
    monitor = DriftMonitor(reference, 100, reports, clock)
    executor, columns = OnlineExecutor(plan), wire_columns(plan)
    alike = to_tensors(measured_rows(200), columns)
    other = {**alike, CONTINUOUS: np.full((1000, 1), 99, np.float32)}

    def index_after(tensors: Tensors, seconds: float) -> float:
        clock.now += seconds
        monitor.keep(tensors[CONTINUOUS], executor.transform(tensors))
        monitor.tick()
        return reports.gauges["number", "price"]

    assert index_after(other, 10) > 1.0
    assert index_after(other, 600) > 1.0  # the window ends
    mixed = index_after(alike, 10)
    assert 0.1 < mixed < 5.0
    assert 0.1 < index_after(alike, 10) < mixed
    index_after(alike, 600)
    assert index_after(alike, 600) == pytest.approx(0.0, abs=1e-5)


def test_a_model_sends_the_metrics_of_its_columns(
    tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the entry that Triton loads; the check rows and the warm-up are not counted."""
    repository = exported(tmp_path, drift_columns=2)
    sent: dict[tuple[str, str, str], float] = {}
    model = loaded(repository, sent, monkeypatch)
    for rows in (1, 2, 30):
        model.execute([Request(to_tensors(ROWS.slice(0, rows), COLUMNS))])
    model.finalize()
    assert not log
    counted = {key: value for key, value in sent.items() if key[0].startswith("plumbline_column")}
    assert counted == {
        (VALUES, "price", "number"): 6,
        (MISSING, "price", "number"): 2,
        (UNSEEN, "price", "number"): 0,
        (VALUES, "city", "id"): 6,
        (MISSING, "city", "id"): 2,
        (UNSEEN, "city", "id"): 1,
    }


@pytest.mark.parametrize(("columns", "has_reference"), [(0, True), (5, False)])
def test_a_model_without_a_reference_or_with_drift_turned_off_counts_no_columns(
    tmp_path: Path,
    log: list[str],
    monkeypatch: pytest.MonkeyPatch,
    columns: int,
    has_reference: bool,
) -> None:
    repository = exported(tmp_path, drift_columns=columns, has_reference=has_reference)
    sent: dict[tuple[str, str, str], float] = {}
    model = loaded(repository, sent, monkeypatch)
    model.execute([Request(to_tensors(ROWS, COLUMNS))])
    model.finalize()
    assert not [name for name, *_ in sent if name.startswith("plumbline_column")]
    assert [line for line in log if "no drift is measured" in line] == log
    assert bool(log) is not has_reference


def test_a_reference_that_was_changed_is_refused(
    tmp_path: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = exported(tmp_path, drift_columns=2)
    file = repository / "ctr_fused" / "1" / REFERENCE_FILE
    file.write_text(file.read_text().replace('"rows": 3', '"rows": 4'))
    with pytest.raises(RepositoryError, match=r"drift.json: wanted SHA-256"):
        loaded(repository, {}, monkeypatch)


COLUMNS = WireColumns.of({"price": "continuous", "city": "string"})


def exported(folder: Path, *, drift_columns: int, has_reference: bool = True) -> Path:
    """A repository of a plan whose reference has the rows of `ROWS`."""
    plan = write_small_plan(folder / "plan", ["Oslo", "Rome"])
    model = model_of(plan, folder / "model", seed=1)
    rows = rows_of(table_of(plan.kinds, [0, 0, 1], **ROWS.to_pydict()), plan.kinds)
    reference_of(plan, rows).write(folder / REFERENCE_FILE)
    settings = SETTINGS.model_copy(update={"drift_columns": drift_columns})
    drift_file = folder / REFERENCE_FILE if has_reference else None
    release = Release.of(plan, model, ROWS, settings, drift=drift_file)
    write_repository(release, folder / "repository", settings)
    return folder / "repository"


def loaded(
    repository: Path, sent: dict[tuple[str, str, str], float], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The fused model behind the stand-in for Triton, after its warm-up; it adds up in `sent`."""

    class Family:
        COUNTER, GAUGE = "counter", "gauge"

        def __init__(self, name: str, description: str, kind: str) -> None:
            self.name = name

        def Metric(self, labels: dict[str, str]) -> Any:
            assert labels["model"] == "ctr_fused" and labels["version"] == "1"
            key = (self.name, labels.get("column", ""), labels.get("measure", ""))

            def add(value: float) -> None:
                sent[key] = sent.get(key, 0.0) + value

            return SimpleNamespace(increment=add, set=lambda value: sent.update({key: value}))

    monkeypatch.setattr(sys.modules["triton_python_backend_utils"], "MetricFamily", Family)
    model = importlib.import_module("serving.models.ctr_fused").TritonPythonModel()
    model.initialize(arguments(repository))
    for samples in WARM_UPS:
        model.execute([Request(to_tensors(ROWS.slice(0, 1), COLUMNS)) for _ in range(samples)])
    return model
