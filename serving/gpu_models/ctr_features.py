"""Triton entry of a GPU server's `ctr_features`: raw columns to padded ids and dense features."""

from __future__ import annotations

from features.plan import Plan
from features.wire import Tensors
from serving.repository.gpu_interface import to_gpu_tensors
from serving.steps.batching import Run
from serving.steps.encoding import load_encoding
from serving.steps.monitoring import See
from serving.steps.scoring import require_finite_dense
from serving.steps.served_version import ServedVersion
from serving.steps.step import TritonStep


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
