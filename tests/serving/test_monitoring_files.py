"""Dashboard and alerts name metrics that there are, and Prometheus' own tool accepts the alerts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from plumbline.features.drift.bins import LARGE, MODERATE
from plumbline.serving.backend.drift import DRIFT_COUNTERS, DRIFT_GAUGES
from plumbline.serving.backend.monitoring import COUNTERS, GAUGES
from plumbline.serving.gateway.metrics import Metrics
from tests.conftest import ROOT

DEPLOY = ROOT / "serving" / "deploy"
ALERTS, ALERTS_TEST, DASHBOARD = "alerts.yml", "alerts_test.yml", "dashboard.json"
LABELS = {
    "plumbline_column": {"model", "version", "column", "measure"},
    "plumbline_gateway_requests": {"status"},
    "plumbline_gateway_request_seconds": {"le"},
    "plumbline_gateway": set(),
    "plumbline_ready": set(),
    "plumbline_restarts": {"cause"},
    "plumbline_": {"model", "version"},
}
"""Beginning of a metric's name to its labels without Prometheus' own; the first one counts."""


def metrics() -> set[str]:
    """Every metric of a gateway, which are its own and Triton's."""
    state = SimpleNamespace(server_up_since=0.0, restarts={"died": 1})
    gateway = Metrics(SimpleNamespace(is_ready=True, state=state))  # type: ignore[arg-type]
    gateway.answered(200, 0.1)
    own = set(re.findall(r"^(plumbline_\w+)", gateway.text().decode(), re.M))
    return own | {*COUNTERS, *GAUGES, *DRIFT_COUNTERS, *DRIFT_GAUGES}


def rules() -> list[dict[str, Any]]:
    content = yaml.safe_load((DEPLOY / ALERTS).read_text(encoding="utf-8"))
    return [rule for group in content["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    content = json.loads((DEPLOY / DASHBOARD).read_text(encoding="utf-8"))
    return list(content["panels"])


def queries() -> list[str]:
    content = json.loads((DEPLOY / DASHBOARD).read_text(encoding="utf-8"))
    variables = [
        re.sub(r"^label_values\((.*), \w+\)$", r"\1", one["query"])
        for one in content["templating"]["list"]
        if one["type"] == "query"
    ]
    return [*variables, *(one["expr"] for panel in panels() for one in panel["targets"])]


def test_every_query_names_metrics_that_there_are() -> None:
    known, expressions = metrics(), [*queries(), *(rule["expr"] for rule in rules())]
    assert len(expressions) > 20
    for expression in expressions:
        named = set(re.findall(r"\bplumbline_\w+", expression))
        assert named <= known, f"{expression} names {named - known}"
        recorded = set(re.findall(r"\bplumbline:[\w:]+", expression))
        assert recorded <= {rule.get("record") for rule in rules()}
        assert named or recorded


def test_every_metric_of_columns_is_shown() -> None:
    shown = " ".join(queries())
    for name in (*DRIFT_COUNTERS, *DRIFT_GAUGES):
        assert name in shown, f"{DASHBOARD} has no {name}"


def labels_of(metric: str) -> set[str]:
    return next(labels for start, labels in LABELS.items() if metric.startswith(start))


@pytest.mark.parametrize("expression", [*queries(), *(rule["expr"] for rule in rules())])
def test_every_query_sums_and_selects_by_labels_that_there_are(expression: str) -> None:
    named = set(re.findall(r"\bplumbline_\w+", expression))
    known = set.union({"instance"}, *(labels_of(metric) for metric in named))
    by = {label for one in re.findall(r"by \(([\w, ]+)\)", expression) for label in one.split(", ")}
    selected = set(re.findall(r"(\w+)(?==~?\"|!=\")", expression))
    assert by | selected <= known, f"{expression}: {(by | selected) - known}"


def test_bounds_are_those_of_the_index() -> None:
    (alert,) = [rule for rule in rules() if rule.get("alert") == "PlumblineColumnDrifted"]
    assert alert["expr"].endswith(f"> {LARGE}")
    (panel,) = [one for one in panels() if one["title"].startswith("Stability index")]
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [step["value"] for step in steps] == [None, MODERATE, LARGE]


def test_panels_lie_beside_each_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels():
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert x < 24 and (x, y) not in taken, f"{panel['title']} and {taken.get((x, y))}"
                taken[x, y] = panel["title"]
    assert len({panel["id"] for panel in panels()}) == len(panels())


def test_every_alert_has_a_unit_test() -> None:
    tested = (DEPLOY / ALERTS_TEST).read_text(encoding="utf-8")
    for rule in rules():
        if "alert" in rule:
            assert len(re.findall(rf"alertname: {rule['alert']}\b", tested)) >= 2, rule["alert"]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    return subprocess.run(
        ["promtool", *arguments],
        cwd=DEPLOY,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_prometheus_accepts_the_alerts() -> None:
    checked = promtool("check", "rules", ALERTS)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_alerts_fire_when_they_should() -> None:
    tried = promtool("test", "rules", ALERTS_TEST)
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_prometheus_accepts_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    """As rules, with Grafana's variables filled in."""
    filled = [
        query.replace("$__rate_interval", "1m").replace("$model", ".*").replace("$version", ".*")
        for query in queries()
    ]
    assert not [query for query in filled if "$" in query]
    recorded = [{"record": f"panel:{n}", "expr": query} for n, query in enumerate(filled)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    checked = promtool("check", "rules", str(file))
    assert checked.returncode == 0, checked.stdout + checked.stderr
