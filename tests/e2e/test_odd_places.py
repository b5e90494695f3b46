"""A real server on a repository with an odd path and odd columns gets odd numbers."""

import json
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from plumbline.base.errors import PlanError
from plumbline.columns.wire import Tensors
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.weights import save_model
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.plan.plan import Plan
from plumbline.serving.client.client import Client
from plumbline.serving.client.connection import SECRET_HEADER, Connection, secret_header
from plumbline.serving.client.transport import Transport
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.server import LOG_FILE, TritonServer
from plumbline.serving.launch.server_options import ServerOptions
from plumbline.serving.publish.live_server import LiveServer
from plumbline.serving.publish.publish import Published, publish
from plumbline.serving.repository.release import Release
from plumbline.settings import Model, Serving
from tests.plans import categorify, plan_of
from tests.serving.releases import export_repository

SECRET = "a-secret-of-a-test-0123456789"
PRICE, CITY = "prix [€] #1", "größe 😀"
CITIES = ["Köln", "a'b", "[red]x"]
ROWS = pa.table({PRICE: [float(n) for n in range(9)], CITY: [CITIES[n % 3] for n in range(9)]})
SETTINGS = Serving(max_batch_size=64, precision="fp32")


def made(folder: Path, seed: int) -> tuple[Plan, Path]:
    plan = plan_of(
        folder / "plan",
        {PRICE: "continuous", CITY: "string"},
        **{
            PRICE: (PRICE, FillMissing(0.0)),
            CITY: (CITY, categorify(folder / "plan", CITY, CITIES)),
        },
    )
    settings = Model(embedding_dim=4, bottom_mlp=(8, 4), top_mlp=(4,))
    save_model(folder / "model", DLRM(Architecture.of(plan, settings), seed), plan.content_hash)
    return plan, folder / "model"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    root = tmp_path_factory.mktemp("odd") / "blank ünd \"quote\" 'x' #1 50% 😀 $HOME"
    root.mkdir()
    plan, model = made(root / "first", 1)
    repository = export_repository(plan, model, root, SETTINGS, ROWS)
    options = ServerOptions(allow_model_control=True, secret=SECRET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(root))
        with TritonServer(repository, root / "work", options=options) as running:
            yield running
    assert repository.is_dir()


def test_it_serves_and_publishes(server: TritonServer, tmp_path: Path) -> None:
    with Client(server.grpc_url, "grpc") as client:
        before = client.score(ROWS)
        assert np.isfinite(before).all()
    secret = secret_header("http", SECRET_HEADER, SECRET)
    control = LiveServer(Connection(server.http_url, "http", 60.0, secret))
    plan, model = made(tmp_path, 2)
    release = Release.of(plan, model, ROWS, SETTINGS)
    found = publish(release, server.repository, SETTINGS, control, lambda _: None)
    control.close()
    assert found == Published("2", is_new=True)
    with (
        Client(server.grpc_url, "grpc") as client,
        Client(server.http_url, model="ctr") as ensemble,
    ):
        after = client.score(ROWS)
        assert np.abs(after - before).max() > 1e-5
        np.testing.assert_allclose(ensemble.score(ROWS), after, rtol=0, atol=1e-6)
    assert (server.log.parent / LOG_FILE).is_file()


def test_the_error_of_a_failed_start_has_the_folders_own_name(
    server: TritonServer, tmp_path: Path
) -> None:
    odd = tmp_path / "mit blank ü"
    shutil.copytree(server.repository, odd / "repository")
    versions = sorted((odd / "repository" / "ctr_fused").glob("[0-9]*"))
    (versions[-1] / "plan" / "vocabulary" / f"{CITY}.parquet").unlink()
    work = tmp_path / "w o r k"
    with (
        pytest.raises(ServerError) as failed,
        TritonServer(odd / "repository", work),
    ):
        pytest.fail("a file is missing")
    assert f"{odd}/repository/ctr_fused" in str(failed.value)
    assert f"{CITY}.parquet: missing" in str(failed.value)
    assert f"(log: {work / LOG_FILE})" in str(failed.value)
    assert (work / LOG_FILE).is_file()


def tensors(prices: list[float]) -> Tensors:
    cities = np.array([[CITIES[n % 3].encode()] for n in range(len(prices))], np.object_)
    with np.errstate(over="ignore"):
        return {
            "continuous": np.array(prices)[:, None].astype(np.float32),
            "categorical_bytes": cities,
        }


INFINITE = [np.inf, -np.inf, 1e39, -1e39]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("model", ["ctr_fused", "ctr", "ctr_features"])
def test_an_infinite_number_is_refused_by_name(
    server: TritonServer, protocol: str, model: str
) -> None:
    transport = Transport(
        Connection(server.http_url if protocol == "http" else server.grpc_url, protocol, 30.0)
    )
    for number in INFINITE:
        with pytest.raises(ServerError) as refused:
            transport.infer(model, tensors([0.5, number, 1.0]))
        reason = f"Column '{PRICE}': wanted a finite float32 number, found "
        assert reason in str(refused.value) and "inf in row 1" in str(refused.value)
    transport.infer(model, tensors([0.5, np.nan, 1.0]))
    transport.close()


@pytest.mark.parametrize("number", INFINITE)
def test_the_client_refuses_it_before_it_sends(server: TritonServer, number: float) -> None:
    with Client(server.grpc_url, "grpc") as client:
        with pytest.raises(PlanError, match=r"a finite float32 number, found .* in row 2"):
            client.score({PRICE: [1.0, 2.0, number], CITY: ["a", "b", "c"]})
        assert np.isfinite(client.score({PRICE: [1.0, None], CITY: ["a", None]})).all()


@pytest.mark.parametrize("number", [np.inf, -np.inf])
def test_the_model_refuses_it_too(server: TritonServer, number: float) -> None:
    transport = Transport(Connection(server.grpc_url, "grpc", 30.0))
    dense = np.array([[1.0], [number]], np.float32)
    ids = np.array([[1], [2]], np.int64)
    with pytest.raises(ServerError, match=r"wants a finite float32 number, got -?inf in row 1"):
        transport.infer("ctr_dlrm", {"ids": ids, "dense": dense})
    with pytest.raises(ServerError, match=r"Row 1: its click probability is not a number"):
        transport.infer("ctr_dlrm", {"ids": ids, "dense": np.array([[1], [np.nan]], np.float32)})
    for wrong in (-1, 99, 2**62, -(2**63)):
        with pytest.raises(ServerError, match=rf"the model has ids 0 to \d+, got {wrong}\."):
            transport.infer("ctr_dlrm", {"ids": np.array([[1], [wrong]]), "dense": dense[[0, 0]]})
    transport.close()


def posted(server: TritonServer, model: str, continuous: str) -> tuple[int, Any]:
    """Sends plain JSON, as curl does."""
    inputs = [
        {"name": "continuous", "shape": [1, 1], "datatype": "FP32", "data": ["NUMBER"]},
        {"name": "categorical_bytes", "shape": [1, 1], "datatype": "BYTES", "data": ["x"]},
    ]
    body = json.dumps({"inputs": inputs}).replace('"NUMBER"', continuous)
    request = urllib.request.Request(
        f"http://{server.http_url}/v2/models/{model}/infer", body.encode(), method="POST"
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize("model", ["ctr_fused", "ctr"])
def test_plain_json(server: TritonServer, model: str) -> None:
    status, answer = posted(server, model, "0.5")
    assert status == 200
    assert 0.0 < answer["outputs"][0]["data"][0] < 1.0
    assert posted(server, model, "NaN")[0] == 200, "a missing number"
    for number in ("1e39", "-1e39"):
        status, answer = posted(server, model, number)
        assert status == 400
        assert "wanted a finite float32 number" in answer["error"]
    for number in ("Infinity", "1e999"):
        assert posted(server, model, number)[0] >= 400


def test_every_metric_is_a_number(server: TritonServer) -> None:
    with Client(server.grpc_url, "grpc") as client:
        client.score(ROWS)
    time.sleep(2.2)  # the models report once a second
    with urllib.request.urlopen(f"http://127.0.0.1:{server.ports.metrics}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    ours = [line for line in lines if line.startswith("plumbline_")]
    assert any("plumbline_mean_score" in line for line in ours)
    for line in ours:
        assert np.isfinite(float(line.rsplit(" ", 1)[1])), line


def test_a_port_of_another_protocol_is_named(server: TritonServer) -> None:
    with pytest.raises(ServerError, match="speaks HTTP: give --protocol http"):
        Client(server.http_url, "grpc")
    with pytest.raises(ServerError, match="speaks gRPC: give --protocol grpc"):
        Client(server.grpc_url, "http")
    with pytest.raises(ServerError, match="answers in another protocol"):
        Client(f"127.0.0.1:{server.ports.metrics}", "http")
