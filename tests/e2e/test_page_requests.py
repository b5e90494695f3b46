"""What the page asks of a gateway before a real server: answers, limits, secret, new versions."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plumbline.serving.client.connection import SECRET_HEADER, Connection, secret_header
from plumbline.serving.contract.interface import FUSED_MODEL
from plumbline.serving.gateway.settings import Limits
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.publish.live_server import LiveServer
from plumbline.serving.publish.publish import publish
from tests.e2e.page_server import SECRET, settings_of
from tests.e2e.page_server import server as server
from tests.gateway_process import Answer, GatewayProcess
from tests.page_model import HOSTILE, KINDS, KNOWN, ROW, SETTINGS, page_release

LIMITS = Limits(body_bytes=200_000, rows=50, in_flight=4, seconds=20.0)

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def gateway(
    server: TritonServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GatewayProcess]:
    with GatewayProcess(
        settings_of(server, LIMITS), tmp_path_factory.mktemp("log") / "log"
    ) as running:
        wait_until_ready(running)
        yield running


def wait_until_ready(gateway: GatewayProcess) -> None:
    end = time.monotonic() + 60.0
    while gateway.get("/health/ready").status != 200:
        assert time.monotonic() < end
        time.sleep(0.05)


def explain(gateway: GatewayProcess, *rows: Any, **headers: str) -> Answer:
    return gateway.send(json.dumps({"rows": rows}), path="/v1/page/explain", **headers)


def test_columns_have_kinds_values_points_and_an_unseen_value(gateway: GatewayProcess) -> None:
    told = gateway.get("/v1/page/columns").json
    assert (told["model"], told["version"]) == (FUSED_MODEL, "1")
    wanted = {"rows": LIMITS.rows, "pasted_rows": 1000, "body_bytes": LIMITS.body_bytes}
    assert told["limits"] == wanted
    columns = {column["name"]: column for column in told["columns"]}
    assert {name: column["kind"] for name, column in columns.items()} == KINDS
    assert columns[HOSTILE]["values"] == KNOWN[HOSTILE]
    assert (columns["city"]["known"], columns["city"]["unseen"]) == (5, "unseen value 0")
    assert (columns["price"]["known"], columns["price"]["points"]) == (None, [0.1, 30.0])
    row = {name: c["unseen"] or (c["points"] or [None])[0] for name, c in columns.items()}
    lists = {name: [row[name]] for name in ("tags", "visited")}
    assert gateway.send(json.dumps({"rows": [{**row, **lists}]})).status == 200


def test_values_are_searched_by_prefix(gateway: GatewayProcess) -> None:
    found = gateway.get("/v1/page/values?column=city&prefix=z%C3%BC").json
    assert (found["values"], found["more"]) == (["Zürich"], False)
    refused = gateway.get("/v1/page/values?column=town&prefix=a")
    assert (refused.status, refused.error[:26]) == (400, "column: wanted one of city")
    assert gateway.get(f"/v1/page/values?column=city&prefix={'a' * 201}").status == 400


def test_rows_are_explained_and_refused_with_the_words_of_a_score(gateway: GatewayProcess) -> None:
    told = explain(gateway, ROW, {**ROW, "city": "Atlantis"}).json
    (city,) = [output for output in told["outputs"] if output["name"] == "city"]
    assert (city["ids"], city["unseen"]) == ([3, 2], [False, True])
    for row in ({}, {**ROW, "price": "dear"}, {**ROW, "user": 2**70}, {**ROW, "city": "\ud800"}):
        answer = explain(gateway, row)
        assert answer.status == 400
        assert answer.error == gateway.send(json.dumps({"rows": [row]})).error


def test_pasted_rows(gateway: GatewayProcess) -> None:
    text = 'price;city;visited\n1.5;"a;b";[7]\ndear;x;\n'
    answer = gateway.send(text, "text/csv; charset=utf-8", "/v1/page/rows")
    assert answer.json["rows"][0] == {"price": "1.5", "city": "a;b", "visited": [7]}
    assert [one["row"] for one in answer.json["refused"]] == [0, 1]
    surrogate = gateway.send(json.dumps([{**ROW, "city": "\ud800"}]), path="/v1/page/rows")
    assert [one["row"] for one in surrogate.json["refused"]] == [0]


def test_limits_hold(gateway: GatewayProcess) -> None:
    assert explain(gateway, *[ROW] * (LIMITS.rows + 1)).status == 413
    for path in ("/v1/page/explain", "/v1/page/rows"):
        assert gateway.send(b" " * (LIMITS.body_bytes + 1), path=path).status == 413
        assert gateway.send(b"{}", "text/plain", path).status == 415
        assert gateway.send(b"[" * 100_000, path=path).status == 400
        assert gateway.get(path).status == 405
    assert gateway.send(b"a,b\n1", "text/csv", "/v1/page/explain").status == 415


def test_more_requests_than_places_are_sent_away_or_answered(gateway: GatewayProcess) -> None:
    body = json.dumps([ROW] * 400)
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda _: gateway.send(body, path="/v1/page/rows"), range(48)))
    statuses = {answer.status for answer in answers}
    assert 200 in statuses and statuses <= {200, 503}
    assert gateway.send(json.dumps({"rows": [ROW]})).status == 200


def test_the_page_is_open_and_what_it_asks_wants_the_secret(
    server: TritonServer, tmp_path: Path
) -> None:
    with GatewayProcess(settings_of(server, LIMITS, secret=SECRET), tmp_path / "log") as gateway:
        wait_until_ready(gateway)
        for path in ("/", "/page/main.js", "/page/page.css"):
            assert gateway.get(path).status == 200
        for path in ("/page/../v1/model", "/page/..%2f..%2fapp.py", "/page/"):
            assert gateway.get(path).status == 404
        right = {"Authorization": f"Bearer {SECRET}"}
        for path in ("/v1/page/columns", "/v1/page/values?column=city", "/page", "//v1/model"):
            assert gateway.get(path).status == 401
        assert gateway.get("/v1/page/columns", right).status == 200
        assert explain(gateway, ROW).status == 401
        assert explain(gateway, ROW, **right).status == 200
        assert gateway.send("[]", path="/v1/page/rows").status == 401
        assert gateway.send("{}", path="/page/main.js").status == 405


def test_a_gateway_without_page_has_none_of_it(server: TritonServer, tmp_path: Path) -> None:
    settings = replace(settings_of(server, LIMITS, secret=SECRET), repository=None)
    with GatewayProcess(settings, tmp_path / "log") as gateway:
        wait_until_ready(gateway)
        right = {"Authorization": f"Bearer {SECRET}"}
        for path in ("/", "/page/main.js", "/v1/page/columns"):
            assert gateway.get(path).status == 401
            assert gateway.get(path, right).status == 404


def test_a_published_version_is_the_one_that_is_explained(
    server: TritonServer, gateway: GatewayProcess, tmp_path: Path
) -> None:
    (before,) = [o for o in explain(gateway, ROW).json["outputs"] if o["name"] == "city"]
    release = page_release(tmp_path, seed=4, known={**KNOWN, "city": ["Rome", "Bonn", "Oslo"]})
    headers = secret_header("http", SECRET_HEADER, SECRET)
    control = LiveServer(Connection(server.http_url, "http", 60.0, headers))
    published = publish(release, server.repository, SETTINGS, control, print)
    control.close()
    end = time.monotonic() + 60.0
    while explain(gateway, ROW).json["version"] != published.number:
        assert time.monotonic() < end
        time.sleep(0.1)
    (after,) = [o for o in explain(gateway, ROW).json["outputs"] if o["name"] == "city"]
    assert (before["ids"], after["ids"]) == ([3], [5])
    columns = gateway.get("/v1/page/columns").json
    assert columns["version"] == published.number == gateway.get("/v1/model").json["version"]
    assert columns["columns"][0]["values"] == ["Rome", "Bonn", "Oslo"]


def test_a_damaged_plan_is_told_without_its_place(
    server: TritonServer, gateway: GatewayProcess, tmp_path: Path
) -> None:
    settings = replace(settings_of(server, LIMITS), repository=str(tmp_path / "nothing"))
    with GatewayProcess(settings, tmp_path / "log") as other:
        wait_until_ready(other)
        answer = explain(other, ROW)
        assert (answer.status, str(tmp_path) in answer.error) == (502, False)
        assert other.send(json.dumps({"rows": [ROW]})).status == 200
    assert "nothing" in (tmp_path / "log").read_text()
