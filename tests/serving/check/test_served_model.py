"""The check of a running server, with a stand-in for the connection to it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from plumbline.columns.wire import Tensors
from plumbline.serving.check import probe as probe_module
from plumbline.serving.check.acceptance import check_server
from plumbline.serving.check.served_model import (
    check_rows_of,
    check_served,
    check_version,
    exported_models_in,
)
from plumbline.serving.client.transport import ModelConfig
from plumbline.serving.contract.check_rows import CheckRows
from plumbline.serving.errors import (
    RepositoryError,
    ServerBusy,
    ServerError,
    ServerTimeout,
    ServerUnavailable,
    WrongAnswer,
)
from plumbline.serving.launch import health as health_module
from plumbline.serving.launch.health import Health
from plumbline.serving.launch.model_processes import Instance
from plumbline.serving.repository.configs import parameters_in, read_config
from tests.conftest import ROOT
from tests.serving.releases import ROWS, SETTINGS, export_repository, model_of, write_small_plan

MODELS = ["ctr", "ctr_dlrm", "ctr_features", "ctr_fused"]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    plan = write_small_plan(tmp_path / "plan", ["Oslo", "Rome"])
    model = model_of(plan, tmp_path / "model", seed=1)
    return export_repository(plan, model, tmp_path / "out", SETTINGS, ROWS)


class Server:
    """Answers rightly, with the configs on disk; `change` alters the outputs or raises."""

    def __init__(self, repository: Path, change: Callable[[str, Tensors], Tensors]) -> None:
        self.repository, self.change = repository, change
        self.max_batch_size = 2
        self.rows: list[int] = []
        self.loaded = {("ctr_fused", "1")}

    def config(self, model: str) -> ModelConfig:
        config = read_config(self.repository / model / "config.pbtxt")
        return ModelConfig(model, self.max_batch_size, parameters_in(config))

    def infer(self, model: str, tensors: Tensors, version: str) -> Any:
        check = check_rows_of(self.repository, model, version)
        first = next(iter(tensors))
        (start,) = [
            row
            for row in range(check.rows)
            if np.array_equal(check.inputs[first][row : row + len(tensors[first])], tensors[first],
                              equal_nan=tensors[first].dtype.kind == "f")
        ][:1]  # fmt: skip
        self.rows.append(len(tensors[first]))
        outputs = {n: t[start : start + len(tensors[first])] for n, t in check.outputs.items()}
        return SimpleNamespace(as_numpy=self.change(model, outputs).get)

    def is_ready(self, model: str, version: str) -> bool:
        return (model, version) in self.loaded

    def close(self) -> None: ...


def unchanged(model: str, outputs: Tensors) -> Tensors:
    return outputs


def raises(of: str, *errors: Exception) -> Callable[[str, Tensors], Tensors]:
    left = list(errors)

    def change(model: str, outputs: Tensors) -> Tensors:
        if model == of and left:
            raise left.pop(0)
        return outputs

    return change


def wrong(of: str) -> Callable[[str, Tensors], Tensors]:
    def change(model: str, outputs: Tensors) -> Tensors:
        if model != of:
            return outputs
        return {n: t + (0.05 if t.dtype.kind == "f" else 1) for n, t in outputs.items()}

    return change


def checked(repository: Path, change: Callable[[str, Tensors], Tensors]) -> Server:
    server: Any = Server(repository, change)
    for model in exported_models_in(repository):
        check_served(server, repository, model)
    return server  # type: ignore[no-any-return]


def test_every_model_gets_its_rows_in_requests_that_it_takes(repository: Path) -> None:
    assert exported_models_in(repository) == MODELS
    assert checked(repository, unchanged).rows == 4 * [2, 1]


@pytest.mark.parametrize("model", MODELS)
def test_a_wrong_answer_is_named(repository: Path, model: str) -> None:
    with pytest.raises(WrongAnswer, match=f"Model '{model}', version 1: the model's outputs"):
        checked(repository, wrong(model))
    with pytest.raises(RepositoryError, match=f"Model '{model}'"):
        check_server(repository, Server(repository, wrong(model)), 1e-3)  # type: ignore[arg-type]


def test_accept_takes_a_wide_tolerance_for_floats(repository: Path) -> None:
    server: Any = Server(repository, wrong("ctr_fused"))
    differences = check_server(repository, server, 0.5)
    assert differences["ctr_fused"] == pytest.approx(0.05, rel=1e-3)
    assert differences["ctr"] == 0.0


def test_one_failure_may_be_a_version_that_was_just_replaced(repository: Path) -> None:
    checked(repository, raises("ctr", ServerError("unknown version")))
    with pytest.raises(ServerError, match=r"Model 'ctr': no"):
        checked(repository, raises("ctr", ServerError("no"), ServerError("no")))
    for error in (ServerBusy("busy"), ServerTimeout("late")):
        with pytest.raises(type(error), match="Model 'ctr': "):
            checked(repository, raises("ctr", error))


def test_lists_that_the_server_padded_further_are_the_same(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = np.array([[[1, 2]], [[3, -1]], [[-1, -1]]])
    check = CheckRows({"x": np.arange(3)[:, np.newaxis]}, {"lists": ids})
    monkeypatch.setattr("plumbline.serving.check.served_model.check_rows_of", lambda *_: check)

    def served(answer: np.ndarray) -> None:
        server: Any = SimpleNamespace(infer=lambda *_: SimpleNamespace(as_numpy=lambda _: answer))
        check_version(server, repository, "m", "1", None, 64)

    served(ids)
    served(np.pad(ids, [(0, 0), (0, 0), (0, 3)], constant_values=-1))
    with pytest.raises(WrongAnswer, match="is of shape"):
        served(np.pad(ids, [(0, 0), (0, 0), (0, 3)], constant_values=5))
    with pytest.raises(WrongAnswer, match="lists in row 0, column 0 is -1, wanted 2"):
        served(ids[..., :1])


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (unchanged, None),
        (raises("ctr", *9 * [ServerBusy("busy")]), None),
        (raises("ctr", *9 * [RepositoryError("cannot be read")]), None),
        (raises("ctr", *9 * [ServerTimeout("late")]), "no_answer"),
        (raises("ctr", *9 * [ServerUnavailable("refused")]), "unreachable"),
        (raises("ctr", *9 * [ServerError("not healthy")]), "error_answer"),
        (wrong("ctr_features"), "wrong_answer"),
    ],
)
def test_the_launcher_tells_failures_apart(
    repository: Path,
    change: Callable[[str, Tensors], Tensors],
    cause: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server(repository, change)
    monkeypatch.setattr(health_module, "checks_of", lambda connection: server)
    with Health(repository, "127.0.0.1:1", {}) as health:
        failure = health.check(set())
        assert (failure and failure.cause) == cause
        if cause is None:
            for version, died in (("1", "model_process_died"), ("2", None)):
                lost = health.check({Instance("ctr_fused", version, "x")})
                assert (lost and lost.cause) == died, "only a served version needs its process"


def test_the_probe_needs_no_command_line_library(repository: Path) -> None:
    check = (
        "import sys, plumbline.serving.check.probe; heavy = {'typer', 'rich', 'torch', 'polars', "
        "'pandas', 'pydantic'}; sys.exit(', '.join(heavy & sys.modules.keys()) or 0)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)
    for words, message in (
        (["127.0.0.1:9", "--repository", str(repository)], "Model 'ctr': Triton at 127.0.0.1:9"),
        (["127.0.0.1:9", "--repository", "/nowhere"], "/nowhere/ctr/config.pbtxt: missing"),
        (["127.0.0.1:9", "--protocol", "x"], "invalid choice: 'x'"),
        ([], "the following arguments are required: HOST:PORT"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "plumbline.serving.check.probe", *words],
            capture_output=True, text=True, cwd=ROOT, check=False,
        )  # fmt: skip
        assert done.returncode == 2
        assert message in done.stderr and done.stderr.count("\n") == 1


def test_the_probe_says_what_it_checked(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(repository, unchanged)
    monkeypatch.setattr(probe_module, "checks_of", lambda connection: server)
    monkeypatch.setenv(probe_module.REPOSITORY_VARIABLE, str(repository))
    line = probe_module.probe("127.0.0.1:1", "http", None, 1.0)
    assert line == "4 models answer as they did at export."
