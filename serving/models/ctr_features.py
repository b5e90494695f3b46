"""Triton entry of `ctr_features`: raw columns to ids and dense features."""

from __future__ import annotations

from plumbline.serving.backend.loading import load_executor
from plumbline.serving.backend.model import BackendModel, Computation
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.contract.outputs import to_encoded_tensors


class TritonPythonModel(BackendModel):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion) -> Computation:
        executor, plan = load_executor(version)
        return Computation(executor.transform, to_encoded_tensors, plan)
