"""A gateway in front of a real server: right answers, refusals, limits, and hostile requests."""

from __future__ import annotations

import json
import math
import re
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.wire import to_tensors
from plumbline.serving.client.tables import to_table
from plumbline.serving.contract.interface import CLICK_PROBABILITY, FUSED_MODEL
from plumbline.serving.gateway.arrow_rows import MEDIA_TYPE
from plumbline.serving.gateway.settings import GatewaySettings, LauncherState, Limits, TlsFiles
from plumbline.serving.launch.server import TritonServer
from tests.certificates import make_certificates
from tests.fuzz.line import Line, make_line
from tests.gateway_process import GatewayProcess

SECRET = "a secret of the test's own"
LIMITS = Limits(body_bytes=200_000, rows=500, in_flight=4, seconds=3.0)
ROWS: list[dict[str, Any]] = [
    {"shop": "north", "price": 3.5, "hour": 12, "views": None, "device": "1a",
     "visited": [7, None, -1], "tags": ["new"]},
    {"shop": "über", "price": 0, "hour": -3, "views": 2.25, "device": None,
     "visited": [], "tags": None},
    {"shop": None, "price": None, "hour": None, "views": -1.0, "device": "ffff",
     "visited": None, "tags": ["x" * 300, "unseen", ""]},
]  # fmt: skip


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    return make_line(tmp_path_factory.mktemp("line"))


@pytest.fixture(scope="module")
def server(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with TritonServer(line.repository, tmp_path_factory.mktemp("server")) as running:
        yield running


def settings_for(server: TritonServer, **changes: Any) -> GatewaySettings:
    metrics = f"127.0.0.1:{server.ports.metrics}"
    settings = GatewaySettings(-1, server.http_url, metrics, FUSED_MODEL, limits=LIMITS)
    return replace(settings, **changes)


@pytest.fixture(scope="module")
def gateway(
    server: TritonServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    log = tmp_path_factory.mktemp("gateway") / "gateway.log"
    with GatewayProcess(settings_for(server), log) as running:
        wait_until_ready(running)
        yield running


def wait_until_ready(gateway: GatewayProcess) -> None:
    end = time.monotonic() + 20.0
    while gateway.get("/health/ready").status != 200:
        assert time.monotonic() < end
        time.sleep(0.05)


def expected(line: Line, rows: Any) -> list[float]:
    """The scores of the rows, computed without a server."""
    columns = line.executor.columns
    encoded = line.executor.transform(
        to_tensors(to_table(rows, columns.names), columns, ValueRules())
    )
    scores = line.scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
    return [float(score) for score in scores]


def stream_of(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def test_rows_in_json_have_their_scores_to_the_bit(gateway: GatewayProcess, line: Line) -> None:
    answer = gateway.send(json.dumps({"rows": ROWS}))
    assert answer.status == 200
    assert answer.json == {
        "model": "ctr_fused",
        "version": "1",
        CLICK_PROBABILITY: expected(line, ROWS),
    }


def test_more_rows_than_a_batch_have_their_scores(gateway: GatewayProcess, line: Line) -> None:
    rows = [{**ROWS[i % 3], "price": float(i % 40)} for i in range(LIMITS.rows)]
    assert gateway.send(json.dumps({"rows": rows})).json[CLICK_PROBABILITY] == expected(line, rows)


def test_an_arrow_stream_is_answered_by_one(gateway: GatewayProcess, line: Line) -> None:
    table = pa.Table.from_pylist(ROWS)
    answer = gateway.send(stream_of(table), MEDIA_TYPE)
    assert answer.headers["content-type"] == MEDIA_TYPE
    scores = pa.ipc.open_stream(answer.body).read_all()
    assert scores[CLICK_PROBABILITY].to_pylist() == expected(line, ROWS)
    assert scores.schema.metadata[b"version"] == b"1"
    in_json = gateway.send(stream_of(table), MEDIA_TYPE, accept="application/json")
    assert in_json.json[CLICK_PROBABILITY] == expected(line, ROWS)
    back = gateway.send(json.dumps({"rows": ROWS}), accept=MEDIA_TYPE)
    assert pa.ipc.open_stream(back.body).read_all().equals(scores)


def test_what_the_server_has_is_told(gateway: GatewayProcess) -> None:
    model = gateway.get("/v1/model").json
    assert [column["name"] for column in model["columns"]] == list(ROWS[0])
    assert model["limits"] == {"body_bytes": LIMITS.body_bytes, "rows": LIMITS.rows}
    described = gateway.get("/openapi.json").json
    row = described["paths"]["/v1/score"]["post"]["requestBody"]["content"]["application/json"]
    assert row["schema"]["properties"]["rows"]["items"]["required"] == list(ROWS[0])
    example = row["schema"]["properties"]["rows"]["items"]["example"]
    assert gateway.send(json.dumps({"rows": [example]})).status == 200
    assert b"visited" in gateway.get("/docs").body


def test_metrics_are_those_of_gateway_launcher_and_server(gateway: GatewayProcess) -> None:
    gateway.send(json.dumps({"rows": ROWS}))
    text = gateway.get("/metrics").body.decode()
    assert 'plumbline_restarts_total{cause="died"} 2.0' in text
    assert 'plumbline_gateway_requests_total{status="200"}' in text
    assert "plumbline_ready 1.0" in text
    assert "plumbline_server_start_time_seconds 1.5e+09" in text
    assert "nv_inference_request_success" in text


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([{}], "row 0 has no "),
        ([7], "row 0"),
        ([ROWS[0], {"shop": "north"}], "row 1 has no price"),
        ([{**ROWS[0], "price": "dear"}], "Column 'price': wanted"),
        ([{**ROWS[0], "price": 1e300}], "Column 'price'"),
        ([{**ROWS[0], "price": math.inf}], "Column 'price'"),
        ([{**ROWS[0], "hour": 1.5}], "Column 'hour'"),
        ([{**ROWS[0], "hour": 2**70}], "Column 'hour'"),
        ([{**ROWS[0], "hour": [1]}], "Column 'hour'|'hour'"),
        ([{**ROWS[0], "tags": {"a": 1}}], "'tags'"),
        ([{**ROWS[0], "tags": [["deep"]]}], "'tags'"),
        ([{**ROWS[0], "tags": [1, "a"]}], "'tags'"),
        ([{**ROWS[0], "shop": "\ud800"}], "'shop'"),
        ([{**ROWS[0], "device": "xyz"}], "'device'"),
    ],
)
def test_rows_that_do_not_fit_are_refused(gateway: GatewayProcess, rows: Any, reason: str) -> None:
    answer = gateway.send(json.dumps({"rows": rows}))
    assert answer.status == 400
    assert re.search(reason, answer.error), answer.error
    assert "127.0.0.1" not in answer.error


def test_limits_hold(gateway: GatewayProcess) -> None:
    assert gateway.send(json.dumps({"rows": [ROWS[0]] * (LIMITS.rows + 1)})).status == 413
    assert gateway.send(b"x" * (LIMITS.body_bytes + 1)).status == 413
    huge = gateway.raw(
        b"POST /v1/score HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n"
    )
    assert huge.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))
    endless = b"POST /v1/score HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"ffff\r\n" + b" " * 0xFFFF + b"\r\n"
    assert gateway.raw(endless + chunk * 5).startswith(b"HTTP/1.1 413")
    assert gateway.send(b"{}", "text/csv").status == 415
    assert gateway.send(b"{}", **{"Content-Encoding": "gzip"}).status == 415
    assert gateway.request("PUT", "/v1/score", b"", {}).status == 405
    assert gateway.get("/v2/models/ctr_fused").status == 404


@pytest.mark.parametrize(
    "content",
    [
        b"\x00" * 100,
        b"GET / HTTP/1.1\r\n" + b"A: " + b"b" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 50_000 + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        b"CONNECT a:1 HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET http://\xff/ HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/score HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST /v1/score HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /docs HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade, close\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=range(14),
)
def test_bytes_that_are_no_request_end_their_connection_alone(
    gateway: GatewayProcess, line: Line, content: bytes
) -> None:
    assert not gateway.raw(content).startswith(b"HTTP/1.1 5")
    answer = gateway.send(json.dumps({"rows": ROWS}))
    assert answer.json[CLICK_PROBABILITY] == expected(line, ROWS)


def test_slow_clients_end_and_hold_up_nobody(gateway: GatewayProcess, line: Line) -> None:
    slow = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(200)]
    for connection in slow:
        connection.sendall(b"POST /v1/score HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
    started = time.monotonic()
    assert gateway.send(json.dumps({"rows": ROWS})).json[CLICK_PROBABILITY] == expected(line, ROWS)
    assert time.monotonic() - started < LIMITS.seconds / 2
    for connection in slow:
        connection.settimeout(10 * LIMITS.seconds)
        assert b" 504 " in connection.recv(100)
        connection.close()


def test_more_requests_than_places_are_sent_away_or_answered_rightly(
    gateway: GatewayProcess, line: Line
) -> None:
    body = json.dumps({"rows": ROWS * 150})
    wanted = expected(line, ROWS) * 150
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: gateway.send(body), range(64)))
    statuses = {answer.status for answer in answers}
    assert 200 in statuses
    assert statuses <= {200, 503}
    for answer in answers:
        if answer.status == 200:
            assert answer.json[CLICK_PROBABILITY] == wanted
        else:
            assert answer.headers["retry-after"] == "1"


def test_a_server_that_is_not_ready_is_not_asked(gateway: GatewayProcess) -> None:
    gateway.tell(LauncherState(ready=False))
    end = time.monotonic() + 5.0
    while gateway.get("/health/ready").status == 200 and time.monotonic() < end:
        time.sleep(0.02)
    assert gateway.get("/health/ready").status == 503
    assert gateway.get("/health/live").status == 200
    answer = gateway.send(json.dumps({"rows": ROWS}))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    gateway.tell(LauncherState(ready=True, restarts={"died": 2}))
    wait_until_ready(gateway)


def test_a_secret_is_wanted_for_all_but_health(
    server: TritonServer, tmp_path: Path, line: Line
) -> None:
    settings = settings_for(server, secret=SECRET)
    with GatewayProcess(settings, tmp_path / "log") as gateway:
        wait_until_ready(gateway)
        body = json.dumps({"rows": ROWS})
        assert SECRET not in " ".join(Path(f"/proc/{gateway.process.pid}/cmdline").read_text())
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": SECRET}):
            assert gateway.send(body, **given).status == 401
            for path in ("/metrics", "/v1/model", "/docs", "/openapi.json", "/nothing"):
                assert gateway.get(path, given).status == 401
        right = {"Authorization": f"Bearer {SECRET}"}
        assert gateway.send(body, **right).json[CLICK_PROBABILITY] == expected(line, ROWS)


def test_tls_with_certificates_on_both_sides(
    server: TritonServer, tmp_path: Path, line: Line
) -> None:
    folder = make_certificates(tmp_path)
    files = TlsFiles(*(str(folder / name) for name in ("server.pem", "server.key", "ca.pem")))
    with GatewayProcess(settings_for(server, tls=files), tmp_path / "log") as gateway:
        gateway.tls = ssl.create_default_context(cafile=folder / "ca.pem")
        gateway.tls.load_cert_chain(folder / "client.pem", folder / "client.key")
        wait_until_ready(gateway)
        answer = gateway.send(json.dumps({"rows": ROWS}))
        assert answer.json[CLICK_PROBABILITY] == expected(line, ROWS)
        assert b"HTTP/1.1 200" not in gateway.raw(b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n")
        gateway.tls = ssl.create_default_context(cafile=folder / "ca.pem")
        with pytest.raises((ssl.SSLError, OSError)):
            gateway.get("/health/live")


def test_a_server_that_is_gone_gives_503(tmp_path: Path) -> None:
    settings = GatewaySettings(-1, "127.0.0.1:1", "127.0.0.1:1", FUSED_MODEL, limits=LIMITS)
    with GatewayProcess(settings, tmp_path / "log") as gateway:
        assert gateway.get("/health/live").status == 200
        assert gateway.get("/health/ready").status == 503
        assert gateway.get("/v1/model").status == 503
        answer = gateway.send(json.dumps({"rows": ROWS}))
        assert answer.status == 503
        assert "127.0.0.1" not in answer.error
        assert b"plumbline_ready" in gateway.get("/metrics").body


def test_scores_do_not_depend_on_the_batch(gateway: GatewayProcess, line: Line) -> None:
    alone = [gateway.send(json.dumps({"rows": [row]})).json[CLICK_PROBABILITY][0] for row in ROWS]
    assert np.array_equal(alone, expected(line, ROWS))
