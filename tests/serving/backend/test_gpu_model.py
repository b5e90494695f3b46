"""`ctr_fused` of a GPU server, on emulated kernels and behind a stand-in for Triton's backend."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from plumbline.base.errors import MachineError, PlumblineError
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.ops import library
from plumbline.serving.errors import RepositoryError
from plumbline.serving.repository.gpu_repository import export_gpu_repository
from plumbline.settings import Serving
from tests.dlrm.kernels.emulated import EmulatedModule, compiled
from tests.serving.backend import test_model
from tests.serving.backend.test_model import rows
from tests.serving.backend.triton_backend import Error, Request, Response
from tests.serving.releases import ROWS, export_repository, model_of, write_small_plan

pytestmark = pytest.mark.timeout(600)  # the sources are compiled

ON_THE_EMULATED_DEVICE = (1, 0)


@pytest.fixture(scope="module")
def module() -> EmulatedModule:
    emulated = compiled("scoring")
    emulated.emulate()
    return emulated


@pytest.fixture
def kernels(module: EmulatedModule, monkeypatch: pytest.MonkeyPatch) -> EmulatedModule:
    monkeypatch.setattr(library, "_cuda_module", lambda: module)
    return module


def exported(folder: Path, precision: str) -> Path:
    plan = write_small_plan(folder / "plan", ["Oslo", "Rome"])
    model = model_of(plan, folder / "model", seed=1)
    settings = Serving(max_batch_size=64, precision="fp32", gpu_fused=precision)
    repository = export_repository(plan, model, folder / "out", settings, ROWS)
    return export_gpu_repository(repository, settings)


@pytest.fixture(params=["fp32", "bf16"])
def repository(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return exported(tmp_path, request.param)


def arguments(repository: Path) -> dict[str, str]:
    on_gpu = {"model_instance_kind": "GPU", "model_instance_device_id": "0"}
    return {**test_model.arguments(repository), **on_gpu}


@pytest.fixture
def model(repository: Path, kernels: ModuleType, log: list[str]) -> Iterator[Any]:
    model = importlib.import_module("serving.gpu_models.ctr_fused").TritonPythonModel()
    model.initialize(arguments(repository))
    for samples in (1, 64):
        model.execute([Request(rows(1)) for _ in range(samples)])
    yield model
    model.finalize()


@pytest.fixture
def cpu_model(repository: Path, log: list[str]) -> Iterator[Any]:
    model = importlib.import_module("serving.models.ctr_fused").TritonPythonModel()
    model.initialize(test_model.arguments(repository.with_name("model_repository")))
    for samples in (1, 64):
        model.execute([Request(rows(1)) for _ in range(samples)])
    yield model
    model.finalize()


def scores(response: Response) -> np.ndarray:
    assert response.error is None, response.error
    (tensor,) = response.output_tensors
    assert tensor.name() == "click_probability"
    assert tensor.device == ON_THE_EMULATED_DEVICE, "it was taken over by DLPack"
    return tensor.array


def test_scores_are_those_of_the_cpu(repository: Path, model: Any, cpu_model: Any) -> None:
    (answer,), (wanted,) = (m.execute([Request(rows(50))]) for m in (model, cpu_model))
    is_float = "fp32" in (repository / "ctr_fused" / "1" / "manifest.json").read_text()
    tolerance = 1e-6 if is_float else 2e-2
    got = scores(answer)
    assert got.shape == (50, 1)
    np.testing.assert_allclose(got, wanted.output_tensors[0].array, rtol=0, atol=tolerance)


def test_requests_are_answered_together_and_in_order(model: Any) -> None:
    whole = scores(model.execute([Request(rows(9))])[0])
    parts = [{name: t[start : start + 3] for name, t in rows(9).items()} for start in (0, 3, 6)]
    answers = model.execute([Request(part) for part in parts])
    np.testing.assert_array_equal(np.concatenate([scores(a) for a in answers]), whole)


def test_a_bad_request_gets_its_own_error_and_no_other_does(model: Any) -> None:
    wanted = scores(model.execute([Request(rows(3))])[0])
    infinite = rows(9)
    infinite["continuous"][7, 0] = np.inf
    before, bad, after = model.execute([Request(rows(3)), Request(infinite), Request(rows(3))])
    assert bad.error.code == Error.INVALID_ARG
    assert "Column 'price': wanted a finite float32 number" in bad.error.message
    for answer in (before, after):
        np.testing.assert_array_equal(scores(answer), wanted)


def test_scores_are_counted(model: Any) -> None:
    seen: list[np.ndarray] = []
    model._monitor.see = lambda tensors, encoded, probability_B: seen.append(probability_B)
    got = scores(model.execute([Request(rows(5))])[0])
    np.testing.assert_array_equal(seen[0], got)


def test_a_model_that_is_behind_answers_later(model: Any) -> None:
    wanted = scores(model.execute([Request(rows(3))])[0])
    model._line.takes_over = lambda now: True
    requests = [Request(rows(3)) for _ in range(5)]
    assert model.execute(requests) is None
    model._line.close()
    for request in requests:
        (response,) = request.sent
        np.testing.assert_array_equal(scores(response), wanted)


def test_a_device_that_computes_something_else_is_refused(
    tmp_path: Path, kernels: EmulatedModule, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = exported(tmp_path, "fp32")
    monkeypatch.setattr(kernels, "scoring_last", _with_another_bias(kernels.scoring_last))
    model = importlib.import_module("serving.gpu_models.ctr_fused").TritonPythonModel()
    with pytest.raises(RepositoryError, match="outputs differ from those at export: click_prob"):
        model.initialize(arguments(repository))


def _with_another_bias(function: Any) -> Any:
    return lambda model, inputs, weight, bias: function(model, inputs, weight, bias + 1e-4)


def refused(repository: Path, given: dict[str, str]) -> None:
    model = importlib.import_module("serving.gpu_models.ctr_fused").TritonPythonModel()
    model.initialize({**arguments(repository), **given})


def test_what_is_missing_is_one_line(
    tmp_path: Path, kernels: EmulatedModule, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = exported(tmp_path, "fp32")
    with pytest.raises(MachineError, match=r"^Model 'ctr_fused': .* its instance is on the CPU"):
        refused(repository, {"model_instance_kind": "CPU"})
    with pytest.raises(MachineError, match=r"on CUDA device 7, .*invalid device ordinal.*for CPUs"):
        refused(repository, {"model_instance_device_id": "7"})
    monkeypatch.setattr(library, "_cuda_module", lambda: None)
    with pytest.raises(MachineError, match=r"kernels, .*, were not built\. Install nvcc .*, or s"):
        refused(repository, {})


@pytest.mark.parametrize("file", ["check.arrow", "plan/plan.json", "model/model.safetensors"])
def test_a_tampered_file_is_refused_by_name(
    tmp_path: Path, kernels: EmulatedModule, log: list[str], file: str
) -> None:
    repository = exported(tmp_path, "fp32")
    target = repository / "ctr_fused" / "1" / file
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.unlink()
    target.write_bytes(content)
    with pytest.raises(PlumblineError, match=target.name):
        refused(repository, {})


def test_a_model_in_int8_is_refused(kernels: EmulatedModule) -> None:
    from types import SimpleNamespace

    from plumbline.serving.backend.loading import load_gpu_scorer

    version: Any = SimpleNamespace(model="ctr_fused", gpu=0, precision="int8")
    with pytest.raises(ModelError, match="a GPU scores in fp32 or bf16, not in int8"):
        load_gpu_scorer(version)
