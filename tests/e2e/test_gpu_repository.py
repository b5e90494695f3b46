"""The GPU server's repository on a real Triton server.

The wheel's server has no onnxruntime backend, so a Python model that runs ONNX Runtime stands in
for it; config, files and the other two models are those of the export.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from plumbline.columns.wire import to_tensors
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import read_plan
from plumbline.serving.check.acceptance import check_server
from plumbline.serving.client.client import Client
from plumbline.serving.client.connection import Connection
from plumbline.serving.client.transport import Transport
from plumbline.serving.contract.check_rows import CheckRows
from plumbline.serving.contract.interface import wire_columns
from plumbline.serving.errors import RepositoryError
from plumbline.serving.launch.server import TritonServer
from tests.serving.repository.test_gpu_repository import KINDS, ROWS, exported

STAND_IN = """
from pathlib import Path

import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        folder = Path(args["model_repository"]) / args["model_version"]
        self._session = onnxruntime.InferenceSession(folder / "model.onnx")
        self._names = [tensor.name for tensor in self._session.get_inputs()]

    def execute(self, requests):
        return [self._response(request) for request in requests]

    def _response(self, request):
        tensor = pb_utils.get_input_tensor_by_name
        inputs = {name: tensor(request, name).as_numpy() for name in self._names}
        (probability,) = self._session.run(None, inputs)
        return pb_utils.InferenceResponse([pb_utils.Tensor("click_probability", probability)])
"""


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_ensemble_scores_as_the_scorer_does(tmp_path: Path, protocol: str) -> None:
    repository = exported(tmp_path, KINDS)
    config = repository / "ctr_dlrm" / "config.pbtxt"
    text = config.read_text(encoding="utf-8")
    assert 'backend: "onnxruntime"' in text and "KIND_GPU" in text
    text = text.replace('backend: "onnxruntime"', 'backend: "python"')
    config.write_text(text.replace("KIND_GPU", "KIND_CPU"), encoding="utf-8")
    (repository / "ctr_dlrm" / "1" / "model.py").write_text(STAND_IN, encoding="utf-8")

    plan = read_plan(tmp_path / "plan")
    encoded = OnlineExecutor(plan).transform(to_tensors(ROWS, wire_columns(plan)))
    scorer = Scorer.load(tmp_path / "model", plan.content_hash)
    wanted_B = scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
    with TritonServer(repository, tmp_path / "work") as server:
        accepted(repository, server, protocol)
        url = server.http_url if protocol == "http" else server.grpc_url
        with Client(url, protocol=protocol, model="ctr") as client:
            np.testing.assert_allclose(client.score(ROWS), wanted_B, rtol=0, atol=1e-6)
            first = client.score(ROWS.slice(0, 1))
        np.testing.assert_allclose(first, wanted_B[:1], rtol=0, atol=1e-6)


def accepted(repository: Path, server: TritonServer, protocol: str) -> None:
    """The export's check rows through the server; and how a difference is reported."""
    url = server.http_url if protocol == "http" else server.grpc_url
    command = [sys.executable, "-m", "serving.acceptance", repository, url, "--protocol", protocol]
    report = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "ctr_dlrm: largest difference" in report
    transport = Transport(Connection(url, protocol, 60.0))
    try:
        found = check_server(repository, transport, 1e-5)
        assert list(found) == ["ctr", "ctr_dlrm", "ctr_features"]
        assert max(found.values()) <= 1e-6
        with pytest.raises(RepositoryError, match=r"'ctr': click_probability differ by"):
            check_server(repository, transport, -1.0)
        check = repository / "ctr_features" / "1" / "check.arrow"
        rows = CheckRows.read(check)
        rows.outputs["padded_ids"][0, 0, 0] += 1
        rows.write(check)
        with pytest.raises(RepositoryError, match=r"'ctr_features'.*padded_ids in row 0"):
            check_server(repository, transport, 1e-5)
    finally:
        transport.close()
