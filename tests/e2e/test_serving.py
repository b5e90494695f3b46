"""A real Triton server on an exported repository, compared with offline encoding and scoring."""

import re
import shutil
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import tritonclient.http as triton_http

from plumbline.base.errors import PlanError
from plumbline.columns.values import Lists, offsets_of
from plumbline.columns.wire import Tensors, to_tensors
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.weights import save_model
from plumbline.dlrm.ops.library import cpu_module
from plumbline.dlrm.ops.scoring.precision import ScoringPrecision
from plumbline.dlrm.score.quantized_model import write_quantized_model
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import Normalize
from plumbline.features.plan.plan import Plan
from plumbline.serving.backend.monitoring import COUNTERS, GAUGES
from plumbline.serving.check.comparison import compare
from plumbline.serving.check.latency import measure_latency
from plumbline.serving.client.client import Client
from plumbline.serving.client.connection import Connection
from plumbline.serving.client.transport import Transport
from plumbline.serving.contract.interface import wire_columns
from plumbline.serving.contract.outputs import to_encoded_tensors
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.ports import Ports
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.launch.server_options import ServerOptions
from plumbline.settings import Model, Serving
from tests.plans import categorify, plan_of
from tests.serving.releases import export_repository

ROWS = 2500
MAX_BATCH_SIZE = 1024
KINDS = {
    "shop": "string",
    "price": "continuous",
    "device": "hex",
    "hour": "integer",
    "views": "continuous",
    "city": "string",
    "tags": "string_list",
    "visited": "integer_list",
}
VOCABULARY = {
    "shop": ["north", "south", "über", "a b"],
    "device": [0xFFFFFFFF, 0x1A, 0],
    "hour": [12, -3, 2**62, 5, 6],
    "city": [f"city {number}" for number in range(40)],
    "tags": ["new", "ünique", "a|b", "x" * 300],
    "visited": [7, -1, 2**62],
}
UNSEEN = {
    "shop": "nowhere",
    "device": 0xBEEF,
    "hour": 99,
    "city": "Atlantis",
    "tags": "old",
    "visited": 8,
}


def small_plan(folder: Path, *kinds: str) -> Plan:
    chosen = {name: kind for name, kind in KINDS.items() if kind in kinds}
    floats = (FillMissing(0.5), Clip(0.0, 50.0), Log(), Normalize(1.25, 0.75))
    outputs = {
        name: (name, *floats)
        if kind == "continuous"
        else (name, categorify(folder, name, VOCABULARY[name]))
        for name, kind in chosen.items()
    }
    return plan_of(folder, chosen, **outputs)


def raw_rows(rows: int) -> pa.Table:
    """Known, unseen and missing values of every kind."""
    rng = np.random.default_rng(7)
    columns = {}
    for name, kind in KINDS.items():
        if kind == "continuous":
            drawn = rng.normal(10.0, 20.0, rows).astype(np.float32).tolist()
            columns[name] = [None if rng.random() < 0.2 else value for value in drawn]
            continue
        choices = [*VOCABULARY[name], UNSEEN[name], None]
        if kind.endswith("_list"):
            lists = [rng.integers(0, len(choices), rng.integers(0, 6)) for _ in range(rows)]
            columns[name] = [[choices[place] for place in places] or None for places in lists]
        else:
            columns[name] = [choices[place] for place in rng.integers(0, len(choices), rows)]
    return pa.table(columns)


def by_hand(table: pa.Table, plan: Plan, dense_BC: np.ndarray) -> Encoded:
    """The ids of every row, looked up in a dictionary."""
    single, bags = [], []
    for column in plan.categorical:
        known = {value: 3 + place for place, value in enumerate(VOCABULARY[column.name])}
        known[None] = 1
        values = table[column.name].to_pylist()
        if not column.is_list:
            single.append([known.get(value, 2) for value in values])
            continue
        ids = [[known.get(value, 2) for value in row or ()] for row in values]
        flat = np.array([value for row in ids for value in row], np.int64)
        bags.append(Lists(flat, offsets_of(np.array([len(row) for row in ids]))))
    ids_BF = np.array(single, np.int64).reshape(len(single), len(table)).T
    return Encoded(ids_BF, tuple(bags), dense_BC)


@dataclass(frozen=True)
class Line:
    """A plan, a model and raw rows, with their ids and scores offline."""

    plan: Plan
    model_folder: Path
    raw: pa.Table
    encoded: Encoded
    probability_B: np.ndarray


def make_line(folder: Path, *kinds: str) -> Line:
    plan = small_plan(folder / "plan", *kinds)
    settings = Model(embedding_dim=8, bottom_mlp=(16, 8), top_mlp=(16,))
    model = DLRM(Architecture.of(plan, settings), seed=3)
    model.tables.weight.data.mul_(100.0)  # so that ids make a difference to the score
    save_model(folder / "model", model, plan.content_hash)
    raw = raw_rows(ROWS)
    encoded = OnlineExecutor(plan).transform(to_tensors(raw, wire_columns(plan)))
    scorer = Scorer.load(folder / "model", plan.content_hash)
    probability_B = scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
    return Line(plan, folder / "model", raw, encoded, probability_B)


def export(line: Line, out: Path) -> Path:
    settings = Serving(max_batch_size=MAX_BATCH_SIZE, precision="fp32")
    return export_repository(line.plan, line.model_folder, out, settings, line.raw)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    folder = tmp_path_factory.mktemp("line")
    return make_line(folder, *KINDS.values())


@pytest.fixture(scope="module")
def repository(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(line, tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def server(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with TritonServer(repository, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def fused(server: TritonServer) -> Iterator[Client]:
    with Client(server.http_url, "http") as client:
        yield client


def test_served_equals_offline(line: Line, server: TritonServer, fused: Client) -> None:
    assert len(np.unique(line.probability_B.round(3))) > 100, "the model tells rows apart"
    with Client(server.http_url, "http", "ctr") as ensemble:
        expected = by_hand(line.raw, line.plan, line.encoded.dense_BC)
        found = compare(ensemble, fused, line.raw, expected, line.probability_B)
    assert found.rows_compared == ROWS
    assert found.ids_identical
    assert found.max_abs_dense_diff == 0.0
    assert found.max_abs_score_diff <= 1e-6


@pytest.mark.skipif(cpu_module() is None, reason="no native module: scores depend on the batch")
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_served_equals_offline_to_the_bit(
    line: Line, tmp_path: Path, precision: ScoringPrecision
) -> None:
    settings = Serving(max_batch_size=MAX_BATCH_SIZE, precision=precision, threads=2)
    model = line.model_folder
    if precision == "int8":
        model = tmp_path / "int8_model"
        write_quantized_model(line.model_folder, model)
    exported = export_repository(line.plan, model, tmp_path, settings, line.raw)
    scorer = Scorer.load(line.model_folder, line.plan.content_hash, precision=precision)
    encoded = line.encoded
    wanted_B = scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
    assert not np.array_equal(wanted_B, line.probability_B)
    with TritonServer(exported, tmp_path / "work") as server:
        for model in ("ctr", "ctr_fused"):
            with Client(server.grpc_url, "grpc", model) as client:
                np.testing.assert_array_equal(client.score(line.raw), wanted_B)
                np.testing.assert_array_equal(client.score(line.raw.slice(7, 1)), wanted_B[7:8])


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("model", ["ctr", "ctr_fused"])
@pytest.mark.parametrize("rows", [0, 1, 64, MAX_BATCH_SIZE, MAX_BATCH_SIZE + 1])
def test_both_protocols_at_any_number_of_rows(
    line: Line, server: TritonServer, protocol: str, model: str, rows: int
) -> None:
    url = server.http_url if protocol == "http" else server.grpc_url
    with Client(url, protocol, model) as client:
        score_B = client.score(line.raw.slice(0, rows))
        encoded = client.encode(line.raw.slice(0, rows))
    assert score_B.dtype == np.float32
    np.testing.assert_allclose(score_B, line.probability_B[:rows], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(encoded.ids_BF, line.encoded.ids_BF[:rows])
    np.testing.assert_array_equal(encoded.dense_BC, line.encoded.dense_BC[:rows])
    for served, offline in zip(encoded.bags, line.encoded.bags, strict=True):
        wanted = offline.take(np.arange(rows))
        np.testing.assert_array_equal(served.values, wanted.values)
        np.testing.assert_array_equal(served.offsets, wanted.offsets)


def test_rows_of_many_types_with_columns_in_any_order(line: Line, fused: Client) -> None:
    rows = line.raw.slice(0, 50)
    backwards = rows.select(rows.column_names[::-1]).append_column("other", pa.array([{}] * 50))
    lists = {name: rows[name].to_pylist() for name in backwards.column_names[:-1]}
    hexadecimal = [None if v is None else f"{v:08x}" for v in lists["device"]]
    small = {**lists, "hour": [v if v is None or v < 2**53 else None for v in lists["hour"]]}
    forms = {
        "arrow": backwards,
        "dict": lists,
        "hexadecimal text": {**lists, "device": hexadecimal},
        "polars": pl.DataFrame(lists),
    }
    for form, data in forms.items():
        np.testing.assert_allclose(
            fused.score(data), line.probability_B[:50], rtol=0, atol=1e-6, err_msg=form
        )
    # pandas keeps integers with missing values as floats, which hold whole numbers up to 2⁵³
    np.testing.assert_array_equal(fused.score(pd.DataFrame(small)), fused.score(small))


def test_the_client_names_what_is_wrong_with_the_rows(line: Line, fused: Client) -> None:
    with pytest.raises(PlanError, match="missing city, hour"):
        fused.score(line.raw.drop_columns(["hour", "city"]))
    rows = line.raw.slice(0, 2)
    with pytest.raises(PlanError, match=r"'price': wanted a finite float32 number, found 'a'"):
        fused.score({**rows.to_pydict(), "price": ["a", "b"]})
    with pytest.raises(PlanError, match=r"Column 'tags' is String, wanted lists .*list_separ"):
        fused.score({**rows.to_pydict(), "tags": ["a", "b"]})


@pytest.mark.parametrize("model", ["ctr", "ctr_dlrm"])
def test_models_that_do_not_exist_or_take_no_raw_columns(server: TritonServer, model: str) -> None:
    if model == "ctr_dlrm":
        with pytest.raises(ServerError, match=r"'ctr_dlrm'.*takes no raw columns.*'ctr_fused'"):
            Client(server.http_url, "http", model)
    else:
        with pytest.raises(ServerError, match=r"unknown model.*'other'"):
            Client(server.http_url, "http", "other")


@pytest.mark.parametrize("model", ["ctr", "ctr_fused"])
def test_bad_requests_get_an_error_and_the_server_keeps_running(
    line: Line, server: TritonServer, fused: Client, model: str
) -> None:
    good = to_tensors(line.raw.slice(0, 3), fused.columns)
    too_many = to_tensors(line.raw.slice(0, MAX_BATCH_SIZE + 1), fused.columns)
    bad = {
        "width": (
            {**good, "continuous": good["continuous"][:, :1]},
            r"Expected \[-1,2\], got \[3,1\]",
        ),
        "dtype": ({**good, "continuous": good["continuous"].astype(np.float64)}, "FP32"),
        "rows": ({**good, "continuous": good["continuous"][:2]}, "batch"),
        "unknown": ({**good, "other": good["continuous"]}, "other"),
        "missing": ({"continuous": good["continuous"]}, "expected 5 inputs but got 1"),
        "torn list": (
            {**good, "list_bytes": np.full((3, 1), b"\x09\0\0\0a", np.object_)},
            "Column 'tags': .* a list in row 0 as each element as its length",
        ),
        "no rows": ({n: t[:0] for n, t in good.items()}, r"expected \d string elements .* got 0"),
        "too many": (too_many, f"<= {MAX_BATCH_SIZE}"),
    }
    transport = Transport(Connection(server.http_url, "http", 60.0))
    for case, (tensors, message) in bad.items():
        with pytest.raises(ServerError, match=message):
            transport.infer(model, tensors)
            pytest.fail(f"{case} was answered")
    transport.close()
    np.testing.assert_allclose(fused.score(line.raw), line.probability_B, rtol=0, atol=1e-6)


def test_an_id_out_of_range_spoils_no_other_request(line: Line, server: TritonServer) -> None:
    rows = np.arange(4)
    some = Encoded(
        line.encoded.ids_BF[rows],
        tuple(bag.take(rows) for bag in line.encoded.bags),
        line.encoded.dense_BC[rows],
    )
    good = to_encoded_tensors(some)
    bad = {**good, "ids": good["ids"] + 1000}
    transport = Transport(Connection(server.grpc_url, "grpc", 60.0))

    def request(number: int) -> np.ndarray | str:
        try:
            answer = transport.infer("ctr_dlrm", bad if number % 3 == 0 else good)
        except ServerError as error:
            return str(error)
        return answer.as_numpy("click_probability")[:, 0]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(request, range(60)))
    transport.close()
    for number, answer in enumerate(answers):
        if number % 3 == 0:
            assert "Column 'shop': the model has ids 0 to 6, got 1" in answer
        else:
            np.testing.assert_allclose(answer, line.probability_B[:4], rtol=0, atol=1e-6)


def test_concurrent_requests_each_get_their_own_answer(line: Line, server: TritonServer) -> None:
    def work(worker: int) -> float:
        rng = np.random.default_rng(worker)
        model = "ctr" if worker % 2 else "ctr_fused"
        largest = 0.0
        with Client(server.http_url, "http", model) as client:
            for _ in range(15):
                start, rows = int(rng.integers(0, 2000)), int(rng.integers(1, 90))
                score_B = client.score(line.raw.slice(start, rows))
                difference_B = score_B - line.probability_B[start : start + rows]
                largest = max(largest, float(np.abs(difference_B).max()))
        return largest

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(8))) <= 1e-6
    with triton_http.InferenceServerClient(server.http_url) as client:
        (statistics,) = client.get_inference_statistics("ctr_fused")["model_stats"]
    assert int(statistics["execution_count"]) < int(statistics["inference_count"])


def metrics_of(server: TritonServer) -> dict[tuple[str, str], float]:
    """Metric and model to value, of our own metrics."""
    url = f"http://127.0.0.1:{server.ports.metrics}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    found = re.findall(r'^(plumbline_\w+)\{model="(\w+)",version="1"\} (\S+)$', text, re.M)
    return {(metric, model): float(value) for metric, model, value in found}


def test_the_metrics_count_the_requests(line: Line, repository: Path, tmp_path: Path) -> None:
    ids_BF, bags = line.encoded.ids_BF, line.encoded.bags
    continuous_BC = to_tensors(line.raw, wire_columns(line.plan))["continuous"]
    counted = {
        "plumbline_rows_total": ROWS,
        "plumbline_categorical_values_total": ids_BF.size + sum(bag.values.size for bag in bags),
        "plumbline_unseen_values_total": sum((ids == 2).sum() for ids in (ids_BF, *_values(bags))),
        "plumbline_null_values_total": sum((ids == 1).sum() for ids in (ids_BF, *_values(bags)))
        + np.isnan(continuous_BC).sum(),
        "plumbline_continuous_values_total": continuous_BC.size,
        "plumbline_score_sum": line.probability_B.sum(dtype=np.float64),
    }
    of_scores = {"plumbline_rows_total", "plumbline_score_sum", "plumbline_mean_score"}
    of_values = {*COUNTERS, *GAUGES} - of_scores | {"plumbline_rows_total"}
    of_models = {
        "ctr_features": of_values,
        "ctr_dlrm": of_scores,
        "ctr_fused": of_values | of_scores,
    }

    def is_complete(found: dict[tuple[str, str], float]) -> bool:
        """A report sends one metric after the other, the gauges last."""
        named = [(metric, model) for model, names in of_models.items() for metric in names]
        return all(
            found.get(key) == pytest.approx(counted[key[0]], rel=1e-6)
            if key[0] in counted
            else found.get(key)
            for key in named
        )

    with TritonServer(repository, tmp_path) as server:
        for model in ("ctr", "ctr_fused"):
            with Client(server.http_url, "http", model) as client:
                client.score(line.raw)
        give_up = time.monotonic() + 20
        while (found := metrics_of(server)) is not None and time.monotonic() < give_up:
            if is_complete(found):
                break
            time.sleep(0.1)
    for model, names in of_models.items():
        assert {metric for metric, of in found if of == model} == names
        for metric in names & counted.keys():
            assert found[metric, model] == pytest.approx(counted[metric], rel=1e-6), metric
        for metric in names & GAUGES.keys():
            assert 0.0 < found[metric, model] < 1.0


def _values(bags: tuple[Lists, ...]) -> list[np.ndarray]:
    return [bag.values for bag in bags]


def test_a_request_during_another_is_answered_at_once(line: Line, server: TritonServer) -> None:
    """With a limited queue, Triton's batcher would sleep through it for half a second."""
    slow = to_tensors(line.raw.slice(0, MAX_BATCH_SIZE), wire_columns(line.plan))
    quick = {name: tensor[:1] for name, tensor in slow.items()}
    transport = Transport(Connection(server.grpc_url, "grpc", 60.0))

    def seconds(tensors: Tensors) -> float:
        started = time.perf_counter()
        transport.infer("ctr_fused", tensors)
        return time.perf_counter() - started

    taken = []
    with ThreadPoolExecutor(2) as pool:
        for _ in range(30):
            first = pool.submit(seconds, slow)
            time.sleep(0.001)
            taken.append(seconds(quick))
            first.result()
    transport.close()
    assert np.median(taken) < 0.3


def test_under_overload_every_answer_is_right_or_a_rejection(line: Line, tmp_path: Path) -> None:
    settings = Serving(
        max_batch_size=MAX_BATCH_SIZE, precision="fp32", max_queue_size=2, queue_timeout_ms=100
    )
    repository = export_repository(line.plan, line.model_folder, tmp_path, settings, line.raw)
    tensors = to_tensors(line.raw.slice(0, MAX_BATCH_SIZE), wire_columns(line.plan))

    def work(model: str) -> Counter[str]:
        transport, outcomes = Transport(Connection(server.grpc_url, "grpc", 60.0)), Counter[str]()
        end = time.monotonic() + 2.0
        while time.monotonic() < end:
            try:
                answer = transport.infer(model, tensors).as_numpy("click_probability")[:, 0]
            except ServerError as error:
                outcomes["busy" if "The server is busy" in str(error) else str(error)] += 1
                continue
            wanted_B = line.probability_B[:MAX_BATCH_SIZE]
            outcomes["right" if np.allclose(answer, wanted_B, rtol=0, atol=1e-6) else "wrong"] += 1
        transport.close()
        return outcomes

    with TritonServer(repository, tmp_path / "work") as server, ThreadPoolExecutor(24) as pool:
        total = sum(pool.map(work, ["ctr", "ctr_fused"] * 12), Counter[str]())
    assert total.keys() <= {"busy", "right"}
    assert total["right"] > 10


def test_latency_is_measured_for_every_batch_size(line: Line, fused: Client) -> None:
    found = measure_latency(fused, fused.tensors(line.raw), requests=5, batch_sizes=(1, 64))
    assert list(found) == ["1", "64"]
    assert all(0.0 < times["p50"] <= times["p99"] < 1000.0 for times in found.values())


def test_a_taken_port_is_named(repository: Path, server: TritonServer, tmp_path: Path) -> None:
    ports = Ports(http=0, grpc=server.ports.grpc, metrics=0)
    with (
        pytest.raises(ServerError, match=f"Port {server.ports.grpc} for grpc on 127.0.0.1"),
        TritonServer(repository, tmp_path, options=ServerOptions(ports=ports)),
    ):
        pytest.fail("two servers on one port")


@pytest.mark.parametrize(
    ("model", "file"),
    [
        ("ctr_features", "plan/vocabulary/shop.parquet"),
        ("ctr_dlrm", "model/model.safetensors"),
        ("ctr_fused", "manifest.json"),
        ("ctr_fused", "check.arrow"),
    ],
)
def test_a_changed_file_is_refused_at_load(
    repository: Path, tmp_path: Path, model: str, file: str
) -> None:
    shutil.copytree(repository / model, tmp_path / "repository" / model)
    target = tmp_path / "repository" / model / "1" / file
    content = bytearray(target.read_bytes())
    content[-20] ^= 1
    target.write_bytes(content)
    with (
        pytest.raises(ServerError, match=f"model '{model}'.*{file}: wanted SHA-256"),
        TritonServer(tmp_path / "repository", tmp_path / "work"),
    ):
        pytest.fail("a changed file was served")


@pytest.mark.parametrize(
    "kinds", [("continuous",), ("integer", "hex", "string"), ("integer_list", "string_list")]
)
def test_a_kind_of_columns_may_be_missing(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    line = make_line(tmp_path, *kinds)
    with (
        TritonServer(export(line, tmp_path / "out"), tmp_path / "work") as server,
        Client(server.grpc_url, "grpc") as fused,
        Client(server.grpc_url, "grpc", "ctr") as ensemble,
    ):
        found = compare(ensemble, fused, line.raw, line.encoded, line.probability_B)
    assert found.ids_identical
    assert found.max_abs_dense_diff == 0.0
    assert found.max_abs_score_diff <= 1e-6
