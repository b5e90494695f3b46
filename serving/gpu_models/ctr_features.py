"""Triton entry of a GPU server's `ctr_features`: raw columns to padded ids and dense features."""

from __future__ import annotations

from plumbline.columns.wire import Tensors
from plumbline.features.plan.plan import Plan
from plumbline.serving.backend.encoding import load_encoding
from plumbline.serving.backend.monitoring import See
from plumbline.serving.backend.served_version import ServedVersion
from plumbline.serving.backend.step import TritonStep
from plumbline.serving.contract.check_rows import Run
from plumbline.serving.contract.gpu_interface import to_gpu_tensors
from plumbline.serving.contract.outputs import require_finite_dense


class TritonPythonModel(TritonStep):
    """The name that Triton looks for."""

    def load(self, version: ServedVersion, see: See) -> tuple[Run, Plan | None]:
        encode, plan = load_encoding(version)
        dense = [column.name for column in plan.continuous]

        def run(tensors: Tensors) -> Tensors:
            encoded = encode(tensors)
            require_finite_dense(dense, encoded.dense_BC)  # what scores it cannot refuse anything
            see(tensors, encoded, None)
            return to_gpu_tensors(encoded)

        return run, plan
