"""Triton entry of a GPU server's `ctr_features`: raw columns to padded ids and dense features."""

from __future__ import annotations

from plumbline.columns.wire import Tensors
from plumbline.features.encoding.encoder import Encoded
from plumbline.serving.backend.loading import load_executor
from plumbline.serving.backend.model import BackendModel, Computation
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.contract.gpu_interface import to_gpu_tensors
from plumbline.serving.contract.outputs import require_finite_dense


class TritonPythonModel(BackendModel):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion) -> Computation:
        executor, plan = load_executor(version)
        dense = [column.name for column in plan.continuous]

        def outputs(encoded: Encoded) -> Tensors:
            require_finite_dense(dense, encoded.dense_BC)  # the ONNX model cannot reject a row
            return to_gpu_tensors(encoded)

        return Computation(executor.transform, outputs, plan)
