"""`ctr_fused` of a GPU server on a real Triton server, which takes its scores over by DLPack.

The kernels are the emulated ones, so the instance is one on the CPU; all else is the export's.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from plumbline.base.paths import ROOT
from plumbline.columns.wire import to_tensors
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.plan.plan import read_plan
from plumbline.serving.check.served_model import check_served, checks_of
from plumbline.serving.client.client import Client
from plumbline.serving.client.connection import Connection
from plumbline.serving.contract.interface import wire_columns
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.repository import gpu_repository
from tests.dlrm.kernels.emulated import compiled
from tests.serving.repository.test_gpu_repository import KINDS, ROWS, SETTINGS, exported

ENTRY = """
from dataclasses import replace
from pathlib import Path

from plumbline.dlrm.ops import library
from serving.gpu_models import ctr_fused
from tests.dlrm.kernels.emulated import EmulatedModule

library._cuda_module = lambda: EmulatedModule(Path({library!r}))


class TritonPythonModel(ctr_fused.TritonPythonModel):
    def load(self, version):
        return super().load(replace(version, gpu=0))
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With `ctr_fused` alone, on emulated kernels."""
    library = compiled("scoring").library._name
    entries = tmp_path / "root" / "serving" / "gpu_models"
    shutil.copytree(ROOT / "serving" / "gpu_models", entries)
    (entries / "ctr_fused.py").write_text(ENTRY.format(library=library), encoding="utf-8")
    monkeypatch.setattr(gpu_repository, "ROOT", tmp_path / "root")
    settings = SETTINGS.model_copy(update={"gpu_fused": "fp32"})
    repository = exported(tmp_path, KINDS, settings)
    for other in ("ctr", "ctr_dlrm", "ctr_features"):
        shutil.rmtree(repository / other)
    config = repository / "ctr_fused" / "config.pbtxt"
    text = config.read_text(encoding="utf-8")
    assert "KIND_GPU" in text
    config.write_text(text.replace("KIND_GPU", "KIND_CPU"), encoding="utf-8")
    return repository


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_server_answers_with_the_scores_of_the_device(repository: Path, tmp_path: Path) -> None:
    plan = read_plan(tmp_path / "plan")
    encoded = OnlineExecutor(plan).transform(to_tensors(ROWS, wire_columns(plan)))
    scorer = Scorer.load(tmp_path / "model", plan.content_hash)
    wanted_B = scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
    with TritonServer(repository, tmp_path / "work", ready_seconds=300.0) as server:
        for protocol, url in (("http", server.http_url), ("grpc", server.grpc_url)):
            with Client(url, protocol=protocol, model="ctr_fused") as client:
                got_B = client.score(ROWS)
                np.testing.assert_allclose(got_B, wanted_B, rtol=0, atol=1e-6)
                for row in range(len(ROWS)):
                    assert client.score(ROWS.slice(row, 1)) == got_B[row]
        transport = checks_of(Connection(server.http_url, "http", 60.0))
        check_served(transport, repository, "ctr_fused")
        transport.close()
