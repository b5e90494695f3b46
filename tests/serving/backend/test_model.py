"""A model behind a stand-in for Triton's Python backend: answers, errors, and its own faults."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from plumbline.base.errors import PlumblineError
from plumbline.columns.wire import Tensors
from plumbline.features.lookup.tables import index_of
from plumbline.serving.backend.monitoring import CHECK_REQUEST
from tests.conftest import ROOT
from tests.serving.backend.triton_backend import Error, Request, Response
from tests.serving.releases import ROWS, SETTINGS, export_repository, model_of, write_small_plan


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    plan = write_small_plan(tmp_path / "plan", ["Oslo", "Rome"])
    model = model_of(plan, tmp_path / "model", seed=1)
    return export_repository(plan, model, tmp_path / "out", SETTINGS, ROWS)


def arguments(repository: Path) -> dict[str, str]:
    """The arguments that Triton passes to `initialize`."""
    config = text_format.Parse(
        (repository / "ctr_fused" / "config.pbtxt").read_text(), ModelConfig()
    )
    form = json.loads(json_format.MessageToJson(config, preserving_proto_field_name=True))
    return {
        "model_config": json.dumps(form),
        "model_name": "ctr_fused",
        "model_version": "1",
        "model_repository": str(repository / "ctr_fused"),
        "model_instance_kind": "CPU",
        "model_instance_device_id": "0",
    }


@pytest.fixture
def cold(repository: Path, log: list[str]) -> Iterator[Any]:
    """A model before its warm-up."""
    model = importlib.import_module("serving.models.ctr_fused").TritonPythonModel()
    model.initialize(arguments(repository))
    yield model
    model.finalize()


@pytest.fixture
def model(cold: Any) -> Any:
    for samples in WARM_UPS:
        cold.execute([Request(rows(1)) for _ in range(samples)])
    return cold


WARM_UPS = (1, 64)
"""Rows of the config's samples. Triton sends each row as a request."""


def rows(count: int) -> Tensors:
    words = np.array([b"Oslo", b"", b"nowhere"], np.object_)
    return {
        "continuous": np.arange(count, dtype=np.float32)[:, np.newaxis],
        "categorical_bytes": words[np.arange(count) % 3][:, np.newaxis],
    }


def scores(response: Response) -> np.ndarray:
    assert response.error is None, response.error
    (tensor,) = response.output_tensors
    assert tensor.name() == "click_probability"
    return tensor.array


def test_requests_are_answered_together_and_in_order(model: Any) -> None:
    whole = scores(model.execute([Request(rows(9))])[0])
    assert whole.shape == (9, 1)
    parts = [{name: t[start : start + 3] for name, t in rows(9).items()} for start in (0, 3, 6)]
    answers = model.execute([Request(part) for part in parts])
    np.testing.assert_array_equal(np.concatenate([scores(a) for a in answers]), whole)


def test_a_bad_request_gets_its_own_error_and_no_other_does(model: Any) -> None:
    text = {**rows(2), "categorical_bytes": np.array([["Oslo"], ["Rome"]], np.object_)}
    bad, good = model.execute([Request(text), Request(rows(2))])
    assert bad.error.code == Error.INVALID_ARG
    assert "the feature plan wants bytes" in bad.error.message
    np.testing.assert_array_equal(scores(good), scores(model.execute([Request(rows(2))])[0]))


@pytest.mark.parametrize("number", [np.inf, -np.inf, 1e39])
def test_a_number_that_is_infinite_is_refused_alone(model: Any, number: float) -> None:
    wanted = scores(model.execute([Request(rows(3))])[0])
    infinite = rows(9)
    with np.errstate(over="ignore"):
        infinite["continuous"][7, 0] = number
    before, bad, after = model.execute([Request(rows(3)), Request(infinite), Request(rows(3))])
    assert bad.error.code == Error.INVALID_ARG
    assert "Column 'price': wanted a finite float32 number, found" in bad.error.message
    assert "inf in row 7" in bad.error.message
    for answer in (before, after):
        np.testing.assert_array_equal(scores(answer), wanted)


def test_the_largest_number_and_a_missing_one_are_scored_or_reported(model: Any) -> None:
    """A plan's steps may turn the largest numbers into infinity."""
    for number in (np.finfo(np.float32).max, -np.finfo(np.float32).max, np.nan):
        request = rows(2)
        request["continuous"][1, 0] = number
        (answer,) = model.execute([Request(request)])
        if answer.error is None:
            assert np.isfinite(scores(answer)).all()
        else:
            assert answer.error.code == Error.INVALID_ARG
            assert "ow 1" in answer.error.message and "'price'" in answer.error.message


def test_a_fault_of_the_model_is_answered_and_logged(model: Any, log: list[str]) -> None:
    def fails(tensors: Tensors) -> Tensors:
        raise ZeroDivisionError("a bug")

    model._run = fails
    for response in model.execute([Request(rows(1)), Request(rows(2))]):
        assert response.error.code == Error.INTERNAL
        assert "The model failed: ZeroDivisionError: a bug" in response.error.message
    assert "Traceback" in log[-1]
    del model._run
    scores(model.execute([Request(rows(1))])[0])


def test_a_model_that_is_behind_answers_later(model: Any) -> None:
    wanted = scores(model.execute([Request(rows(3))])[0])
    model._line.takes_over = lambda now: True
    requests = [Request(rows(3)) for _ in range(5)]
    assert model.execute(requests) is None
    model._line.close()
    for request in requests:
        (response,) = request.sent
        np.testing.assert_array_equal(scores(response), wanted)


def seen_by(model: Any) -> list[int]:
    """The rows of each pass that the metrics count, from now on."""
    seen: list[int] = []
    model._monitor.see = lambda tensors, encoded, probability_B: seen.append(len(probability_B))
    return seen


@pytest.mark.parametrize("one_request_a_row", [True, False])
def test_warm_up_requests_are_not_limited_and_not_counted(
    cold: Any, one_request_a_row: bool
) -> None:
    """Other servers send a sample as one request."""
    seen = seen_by(cold)
    cold._line.takes_over = lambda now: True
    for samples in WARM_UPS:
        requests = [Request(rows(1))] * samples if one_request_a_row else [Request(rows(samples))]
        for response in cold.execute(requests):
            scores(response)
    assert not seen
    late = Request(rows(3))
    assert cold.execute([late]) is None, "it is the first of a client"
    cold._line.close()
    scores(late.sent[0])
    assert seen == [3]


def test_a_health_check_is_answered_and_not_counted(model: Any) -> None:
    seen = seen_by(model)
    checks = [Request(rows(3), id=CHECK_REQUEST), Request(rows(5), id=CHECK_REQUEST)]
    asked = [checks[0], Request(rows(2)), checks[1], Request(rows(4), id="a client's")]
    answers = model.execute(asked)
    assert [len(scores(answer)) for answer in answers] == [3, 2, 5, 4]
    assert seen == [6]
    assert model.execute(checks) and seen == [6]


def test_an_answer_has_the_outputs_that_were_requested(model: Any) -> None:
    model._run = lambda tensors: {"ids": np.zeros((1, 2)), "dense": np.ones((1, 3))}
    requests = [Request(rows(1), wanted=wanted) for wanted in (("dense",), ("ids", "dense"))]
    model._line.takes_over = lambda now: True
    model.execute(requests)
    model._line.close()
    sent = [[tensor.of for tensor in r.sent[0].output_tensors] for r in requests]
    assert sent == [["dense"], ["ids", "dense"]]


def test_an_answer_that_cannot_be_sent_does_not_affect_the_others(
    model: Any, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> Any:
        raise RuntimeError("the request is gone")

    model._line.takes_over = lambda now: True
    requests = [Request(rows(1)) for _ in range(3)]
    monkeypatch.setattr(requests[0], "get_response_sender", gone)
    model.execute(requests)
    model._line.close()
    assert "the request is gone" in log[-1]
    for request in requests[1:]:
        scores(request.sent[0])


def test_a_rejected_request_is_unavailable(model: Any, log: list[str]) -> None:
    module = importlib.import_module("plumbline.serving.backend.model")
    request = Request(rows(1))
    module._reject(request, "The server is busy.")
    (response,) = request.sent
    assert response.error == Error("The server is busy.", Error.UNAVAILABLE)
    waiting = module._waiting(Request(rows(4), timeout_us=250_000))
    assert (waiting.rows, waiting.seconds) == (4, 0.25)


@pytest.mark.parametrize(
    "file",
    [
        "model.py",
        "check.arrow",
        "manifest.json",
        "plan/plan.json",
        "plan/vocabulary/city.parquet",
        index_of("plan/vocabulary/city.parquet"),
        "model/model.json",
        "model/model.safetensors",
    ],
)
@pytest.mark.parametrize("change", ["changed", "missing"])
def test_a_tampered_file_is_refused_by_name(
    repository: Path, log: list[str], file: str, change: str
) -> None:
    target = repository / "ctr_fused" / "1" / file
    if change == "missing":
        target.unlink()
    else:
        content = bytearray(target.read_bytes())
        content[len(content) // 2] ^= 1
        target.unlink()
        target.write_bytes(content)
    model = importlib.import_module("serving.models.ctr_fused").TritonPythonModel()
    with pytest.raises(PlumblineError, match=target.name):
        model.initialize(arguments(repository))


def test_a_version_that_the_config_does_not_list_is_refused(
    repository: Path, log: list[str]
) -> None:
    model = importlib.import_module("serving.models.ctr_fused").TritonPythonModel()
    with pytest.raises(PlumblineError, match=r"wanted version 2, but its config lists 1"):
        model.initialize({**arguments(repository), "model_version": "2"})


def test_a_plan_and_its_manifest_changed_together_are_refused(
    repository: Path, log: list[str]
) -> None:
    """The config has the hash of the manifest."""
    manifest = repository / "ctr_fused" / "1" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["files"].pop("check.arrow")
    manifest.write_text(json.dumps(content))
    model = importlib.import_module("serving.models.ctr_fused").TritonPythonModel()
    with pytest.raises(PlumblineError, match=r"manifest\.json: wanted SHA-256"):
        model.initialize(arguments(repository))


@pytest.mark.parametrize("folder", ["models", "gpu_models"])
def test_the_backend_imports_no_training_libraries(folder: str) -> None:
    entries = [file.stem for file in (ROOT / "serving" / folder).glob("ctr_*.py")]
    check = (
        "import importlib, sys, types; "
        "name = 'triton_python_backend_utils'; sys.modules[name] = types.ModuleType(name); "
        f"[importlib.import_module('serving.{folder}.' + entry) for entry in {entries}]; "
        "heavy = {'torch', 'nvtabular', 'merlin', 'dask', 'distributed', 'pandas', 'polars'}; "
        "sys.exit(', '.join(heavy & {name.split('.')[0] for name in sys.modules}) or 0)"
    )
    assert entries
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)
